//! Parses what the user wrote into a [`Message`]: text, and expressions in `\{…}`.
//!
//! The grammar; white space between words is ignored:
//!
//! ```text
//! expression = value | "raw" data | "ws." kind (data | "..." | "rsv1" | "rsv2" | "rsv3")*
//! value      = number ("%" digits)* | "message.marker" | ["connection." | "global."] "re" REGEX | file
//! number     = "connection.uid" | "connection.ptr"
//! kind       = "text" | "binary" | "ping" | "pong" | "close" | "continuation" | "cont"
//! data       = ( quoted | file | "{" value "}" )+
//! quoted     = '"' any text, with C escapes '"'
//! file       = "<" NAME ">" | "<" '"' NAME '"' ">"
//! ```

mod options;
mod reader;

use super::error::ParseError;
use super::template::{Frame, FrameKind, Message, Part, Scope};
pub use options::ParseOptions;
use reader::Reader;
use std::num::NonZeroU64;

/// How deep `raw {raw {…}}` may nest.
const DEEPEST: u32 = 8;

/// Reads a message. Text that is not in an expression stays as it is, unless escapes are to be read. Two
/// backslashes in a row never begin an expression.
///
/// # Errors
/// What could not be read, with its place in `text` and what would be right there.
pub fn parse(text: &[u8], options: &ParseOptions) -> Result<Message, ParseError> {
    let mut reader = Reader {
        text,
        at: 0,
        opened: 0,
        depth: 0,
        options,
    };
    let mut parts = Vec::new();
    let mut bytes = Vec::new();
    while let Some(n) = text[reader.at..].iter().position(|b| *b == b'\\') {
        let at = reader.at + n;
        bytes.extend_from_slice(&text[reader.at..at]);
        reader.at = at;
        match text.get(at + 1) {
            Some(b'{') => {
                push_bytes(&mut parts, &mut bytes);
                reader.opened = at;
                reader.at += 2;
                match reader.expression()? {
                    Part::Bytes(file) => bytes.extend(file),
                    part => parts.push(part),
                }
            }
            _ if options.unescape => bytes.push(reader.escape()?),
            // The second one doesn't begin an expression.
            Some(b'\\') => {
                bytes.extend_from_slice(b"\\\\");
                reader.at += 2;
            }
            _ => {
                bytes.push(b'\\');
                reader.at += 1;
            }
        }
    }
    bytes.extend_from_slice(&text[reader.at..]);
    push_bytes(&mut parts, &mut bytes);
    Ok(Message { parts })
}

/// Adds `bytes`, if any, to `parts`, and leaves them empty.
fn push_bytes(parts: &mut Vec<Part>, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let bytes = std::mem::take(bytes);
    match parts.last_mut() {
        Some(Part::Bytes(before)) => before.extend(bytes),
        _ => parts.push(Part::Bytes(bytes)),
    }
}

impl Reader<'_> {
    /// The content of `\{…}` and the closing brace.
    fn expression(&mut self) -> Result<Part, ParseError> {
        let (from, word) = self.word();
        let part = match word {
            b"ws" => self.frame()?,
            _ => self.value(from, word)?,
        };
        self.close()?;
        Ok(part)
    }

    fn close(&mut self) -> Result<(), ParseError> {
        match self.next_mark() {
            Some(b'}') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => {
                let (from, word) = self.word();
                self.wrong(
                    from,
                    format!("unexpected {} in an expression", self.found(from, word)),
                    "write } after what is complete",
                )
            }
            None => self.unclosed(),
        }
    }

    /// An expression that is not a frame. `word`, at `from`, is its first word.
    fn value(&mut self, from: usize, word: &[u8]) -> Result<Part, ParseError> {
        match word {
            b"connection" => {
                self.dot("connection", "uid, ptr or re REGEX")?;
                let (from, word) = self.word();
                match word {
                    b"uid" => Ok(Part::Uid {
                        modulo: self.modulo()?,
                    }),
                    b"ptr" => Ok(Part::Pointer {
                        modulo: self.modulo()?,
                    }),
                    b"re" => self.random(Scope::Connection),
                    _ => self.wrong(
                        from,
                        format!("a connection has no {}", self.found(from, word)),
                        "write uid, ptr or re REGEX",
                    ),
                }
            }
            b"global" => {
                self.dot("global", "re REGEX")?;
                match self.word() {
                    (_, b"re") => self.random(Scope::Global),
                    (from, word) => self.wrong(
                        from,
                        format!("there is no global {}", self.found(from, word)),
                        "write re REGEX",
                    ),
                }
            }
            b"message" => {
                self.dot("message", "marker")?;
                match self.word() {
                    (_, b"marker") => match self.next_mark() {
                        Some(b'%') => self.wrong(
                            self.at,
                            "a marker is not a number",
                            "write % after connection.uid or connection.ptr only",
                        ),
                        _ => Ok(Part::Marker),
                    },
                    (from, word) => self.wrong(
                        from,
                        format!("a message has no {}", self.found(from, word)),
                        "write marker",
                    ),
                }
            }
            b"re" => self.random(Scope::Message),
            b"raw" => {
                let mut parts = Vec::new();
                while self.data(&mut parts)? {}
                if parts.is_empty() {
                    self.next_mark();
                    return self.wrong(
                        self.at,
                        "raw has no data",
                        "write \"DATA\", <FILE> or {EXPRESSION} after it",
                    );
                }
                Ok(Part::Raw(parts))
            }
            b"" if self.peek() == Some(b'<') => Ok(Part::Bytes(self.file()?)),
            b"" if self.peek().is_none() => self.unclosed(),
            b"ws" => self.wrong(
                from,
                "a frame can't be inside raw or another frame",
                "write \\{ws.…} on its own",
            ),
            _ if word.starts_with(b"re") => self.wrong(
                from,
                format!("there is no expression {}", self.found(from, word)),
                "a random string is written with a space, as in re [a-z]{8}",
            ),
            _ => self.wrong(
                from,
                format!("there is no expression {}", self.found(from, word)),
                "write connection.uid, connection.ptr, re, connection.re or global.re with a REGEX, \
                 message.marker, ws.KIND, raw, or <FILE>",
            ),
        }
    }

    fn dot(&mut self, of: &str, right: &str) -> Result<(), ParseError> {
        if self.next_mark() == Some(b'.') {
            self.at += 1;
            Ok(())
        } else {
            self.wrong(
                self.at,
                format!("'{of}' alone is not an expression"),
                format!("write {of}. and {right}"),
            )
        }
    }

    fn modulo(&mut self) -> Result<Vec<NonZeroU64>, ParseError> {
        let mut all = Vec::new();
        while self.next_mark() == Some(b'%') {
            self.at += 1;
            let (from, word) = self.word();
            let number = std::str::from_utf8(word)
                .ok()
                .filter(|word| word.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|word| word.parse().ok());
            match number {
                Some(number) => all.push(number),
                None => {
                    return self.wrong(
                        from,
                        format!("{} can't divide", self.found(from, word)),
                        "write a whole number from 1 after %",
                    );
                }
            }
        }
        Ok(all)
    }

    fn random(&mut self, scope: Scope) -> Result<Part, ParseError> {
        let regex = self.regex()?;
        Ok(Part::Random { scope, regex })
    }

    /// The rest of an expression after `ws`.
    fn frame(&mut self) -> Result<Part, ParseError> {
        const KINDS: &str = "text, binary, ping, pong, close or continuation";
        self.dot("ws", KINDS)?;
        let (from, word) = self.word();
        let kind = match word {
            b"text" => FrameKind::Text,
            b"binary" => FrameKind::Binary,
            b"ping" => FrameKind::Ping,
            b"pong" => FrameKind::Pong,
            b"close" => FrameKind::Close,
            b"continuation" | b"cont" => FrameKind::Continuation,
            _ => {
                return self.wrong(
                    from,
                    format!("there is no WebSocket frame {}", self.found(from, word)),
                    format!("write {KINDS}"),
                );
            }
        };
        let mut frame = Frame {
            kind,
            last: true,
            reserved: 0,
            payload: Vec::new(),
        };
        loop {
            while self.data(&mut frame.payload)? {}
            match self.next_mark() {
                None | Some(b'}') => return Ok(Part::Frame(frame)),
                Some(b'.') if self.text[self.at..].starts_with(b"...") => {
                    self.at += 3;
                    frame.last = false;
                }
                Some(_) => match self.word() {
                    (_, b"rsv1") => frame.reserved |= 4,
                    (_, b"rsv2") => frame.reserved |= 2,
                    (_, b"rsv3") => frame.reserved |= 1,
                    (from, word) => {
                        return self.wrong(
                            from,
                            format!("unexpected {} in a frame", self.found(from, word)),
                            "write \"DATA\", <FILE>, {EXPRESSION}, ..., rsv1, rsv2, rsv3 or }",
                        );
                    }
                },
            }
        }
    }

    /// Adds quoted data, a file or an expression in braces to `parts`; `false` if there is none.
    fn data(&mut self, parts: &mut Vec<Part>) -> Result<bool, ParseError> {
        let part = match self.next_mark() {
            Some(b'"') => Part::Bytes(self.quoted()?),
            Some(b'<') => Part::Bytes(self.file()?),
            Some(b'{') => {
                if self.depth == DEEPEST {
                    return self.wrong(
                        self.at,
                        format!("braces nest deeper than {DEEPEST}"),
                        "write fewer of them",
                    );
                }
                self.at += 1;
                self.depth += 1;
                let (from, word) = self.word();
                let part = self.value(from, word)?;
                self.close()?;
                self.depth -= 1;
                part
            }
            _ => return Ok(false),
        };
        match (parts.last_mut(), part) {
            (Some(Part::Bytes(before)), Part::Bytes(more)) => before.extend(more),
            (_, part) => parts.push(part),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
