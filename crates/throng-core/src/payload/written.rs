//! Messages as text: what [`parse`](super::parse()) reads with escapes, and what scenario files hold.
//!
//! A written message reads back as the same [`Message`]. A message whose bytes are not text is written in base64.

use super::parse::{ParseOptions, parse};
use super::template::{Frame, FrameKind, Message, Part, Scope};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Write};
use std::io;

/// The name of the newtype that a message deserializes from. A deserializer that can read files recognizes it.
pub(crate) const MESSAGE: &str = "throng::Message";

impl Message {
    /// The message in the command line's language, with escapes. `None` if it has a part without an expression: a
    /// message's id.
    pub fn written(&self) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => escape(bytes, None, &mut out),
                Part::Frame(frame) => frame_text(frame, &mut out)?,
                other => {
                    out.push_str("\\{");
                    value(other, &mut out)?;
                    out.push('}');
                }
            }
        }
        Some(out)
    }

    /// Reads a message from a file: interprets escapes, and reads `\{<FILE>}` through `files`.
    ///
    /// # Errors
    /// Those of [`parse`](super::parse()).
    pub fn from_text(
        text: &str,
        files: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Message, super::ParseError> {
        let options = ParseOptions {
            unescape: true,
            files,
        };
        parse(text.as_bytes(), &options)
    }

    /// Its bytes, if it is better written in base64: they are fixed, and more than a quarter of them would be `\xHH`.
    fn is_binary(&self) -> Option<&[u8]> {
        let [Part::Bytes(bytes)] = self.parts.as_slice() else {
            return None;
        };
        let mut text = String::new();
        escape(bytes, None, &mut text);
        (text.matches("\\x").count() > bytes.len() / 4).then_some(bytes)
    }
}

/// Writes `bytes` as text on one line. `quote` is escaped, too.
pub(crate) fn escape(bytes: &[u8], quote: Option<char>, out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\\' => out.push_str("\\\\"),
                c if Some(c) == quote => out.extend(['\\', c]),
                // Control characters above ASCII have more than one byte.
                c if c.is_control() => {
                    let mut utf8 = [0; 4];
                    for byte in c.encode_utf8(&mut utf8).bytes() {
                        hex(byte, out);
                    }
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            hex(*byte, out);
        }
    }
}

fn hex(byte: u8, out: &mut String) {
    // Writing to a String never fails.
    let _ = write!(out, "\\x{byte:02x}");
}

fn frame_text(frame: &Frame, out: &mut String) -> Option<()> {
    out.push_str("\\{ws.");
    out.push_str(match frame.kind {
        FrameKind::Continuation => "continuation",
        FrameKind::Text => "text",
        FrameKind::Binary => "binary",
        FrameKind::Close => "close",
        FrameKind::Ping => "ping",
        FrameKind::Pong => "pong",
    });
    for (bit, name) in [(4, " rsv1"), (2, " rsv2"), (1, " rsv3")] {
        if frame.reserved & bit != 0 {
            out.push_str(name);
        }
    }
    data(&frame.payload, out)?;
    if !frame.last {
        out.push_str(" ...");
    }
    out.push('}');
    Some(())
}

/// The content of a frame or of `raw`.
fn data(parts: &[Part], out: &mut String) -> Option<()> {
    for part in parts {
        match part {
            Part::Bytes(bytes) => {
                out.push_str(" \"");
                escape(bytes, Some('"'), out);
                out.push('"');
            }
            other => {
                out.push_str(" {");
                value(other, out)?;
                out.push('}');
            }
        }
    }
    Some(())
}

/// The content of an expression's braces.
fn value(part: &Part, out: &mut String) -> Option<()> {
    let modulo = |name: &str, modulo: &[std::num::NonZeroU64], out: &mut String| {
        out.push_str(name);
        for n in modulo {
            let _ = write!(out, "%{n}");
        }
    };
    match part {
        Part::Uid { modulo: by } => modulo("connection.uid", by, out),
        Part::Pointer { modulo: by } => modulo("connection.ptr", by, out),
        Part::Random { scope, regex } => {
            out.push_str(match scope {
                Scope::Message => "re ",
                Scope::Connection => "connection.re ",
                Scope::Global => "global.re ",
            });
            out.push_str(regex);
        }
        Part::Marker => out.push_str("message.marker"),
        Part::Raw(parts) => {
            out.push_str("raw");
            data(parts, out)?;
        }
        Part::Bytes(_) | Part::Frame(_) | Part::MessageId | Part::Number | Part::Sized(..) => {
            return None;
        }
    }
    Some(())
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if let Some(bytes) = self.is_binary() {
            let mut map = to.serialize_map(Some(1))?;
            map.serialize_entry("base64", &BASE64.encode(bytes))?;
            return map.end();
        }
        let text = self.written();
        to.serialize_str(&text.ok_or_else(|| S::Error::custom("a message's id can't be written"))?)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Message, D::Error> {
        from.deserialize_newtype_struct(MESSAGE, MessageVisitor)
    }
}

/// A message in a file that is not a text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Stored {
    /// Its bytes, in base64.
    pub base64: Option<String>,
    /// The file to read it from, as `-f` does.
    pub file: Option<String>,
    /// Whether escapes in that file are interpreted.
    #[serde(default)]
    pub unescape: bool,
}

/// Why a [`Stored`] is not a message. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoredError {
    #[error("the message is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    #[error("can't read the file '{path}': {why}")]
    Unreadable { path: String, why: io::Error },
    #[error("file '{path}': {why}")]
    Invalid {
        path: String,
        why: super::ParseError,
    },
    #[error("a message is a text, {{ file = \"PATH\" }} or {{ base64 = \"…\" }}")]
    Form,
}

impl Stored {
    /// The message. `files` reads a file.
    ///
    /// # Errors
    /// The bytes or the file are not a message.
    pub fn message(
        &self,
        files: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Message, StoredError> {
        match (&self.base64, &self.file) {
            (Some(text), None) if !self.unescape => match BASE64.decode(text)? {
                bytes if bytes.is_empty() => Ok(Message::default()),
                bytes => Ok(bytes.into()),
            },
            (None, Some(path)) => {
                let unreadable = |why| StoredError::Unreadable {
                    path: path.clone(),
                    why,
                };
                let text = files(path).map_err(unreadable)?;
                let options = ParseOptions {
                    unescape: self.unescape,
                    files,
                };
                parse(&text, &options).map_err(|why| StoredError::Invalid {
                    path: path.clone(),
                    why,
                })
            }
            _ => Err(StoredError::Form),
        }
    }
}

struct MessageVisitor;

/// Refuses to read a file: only the scenario's own decoder knows where files are.
fn no_files(_: &str) -> io::Result<Vec<u8>> {
    Err(io::Error::other("files can't be read here"))
}

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Message, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Message, E> {
        Message::from_text(text, &no_files).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Message, A::Error> {
        let stored = Stored::deserialize(de::value::MapAccessDeserializer::new(map))?;
        stored.message(&no_files).map_err(de::Error::custom)
    }
}

/// Bytes that are the same each time, as the text that [`unescape`](super::unescape) reads. For
/// `#[serde(with = "…")]`.
pub mod bytes {
    use super::{Message, escape};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            None => to.serialize_none(),
            Some(bytes) => {
                let mut text = String::new();
                escape(bytes, None, &mut text);
                to.serialize_str(&text)
            }
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// An empty text, one that can't be read as a message, or one that varies.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(message) = Option::<Message>::deserialize(from)? else {
            return Ok(None);
        };
        match message.constant() {
            Some(bytes) if !bytes.is_empty() => Ok(Some(bytes)),
            Some(_) => Err(D::Error::custom("the text must not be empty")),
            None => Err(D::Error::custom(
                "the text must be the same on each connection: no \\{…} in it",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Message {
        Message::from_text(text, &no_files).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn messages_are_written_as_people_write_them() {
        for text in [
            r"ping\n",
            r"GET /\{connection.uid%10}.jpg HTTP/1.1\r\n\r\n",
            r"\{connection.ptr}\\\{message.marker}",
            r"\{re [a-z]{8}}\{global.re \}}\{connection.re [}]}",
            r#"\{ws.binary rsv1 "a\"b" {connection.uid} ...}"#,
            r#"\{raw "a" {raw "b" {message.marker}}}"#,
            r#"\{ws.ping}\{ws.close ""}"#,
            r"{\x01}",
            "Grüße 'und' \"so\"",
        ] {
            assert_eq!(read(text).written().as_deref(), Some(text));
        }
        for (text, written) in [
            ("tick\n", r"tick\n"),
            (r"\{  re   [a-z] }", r"\{re [a-z] }"),
            (r"\101\e", r"A\x1b"),
        ] {
            assert_eq!(read(text).written().as_deref(), Some(written));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_written_in_base64() {
        let picture = Message::from(b"\x89PNG\x00\xff\xfe\x80".to_vec());
        let json = serde_json::to_string(&picture).unwrap();
        assert_eq!(json, r#"{"base64":"iVBORwD//oA="}"#);
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), picture);
        for wrong in [
            r#"{"base64":"%"}"#,
            r#"{"file":"x"}"#,
            r#"{"base64":"", "file":"x"}"#,
            "{}",
            r#""\\{<x>}""#,
        ] {
            assert!(serde_json::from_str::<Message>(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_back(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
            let message = Message::from(bytes);
            prop_assert_eq!(read(&message.written().unwrap()), message.clone());
            let json = serde_json::to_string(&message).unwrap();
            prop_assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
        }
    }
}
