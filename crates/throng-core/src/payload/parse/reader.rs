//! Reads words, marks, quoted data, file names and regular expressions from a text, and keeps its place there.

use super::super::error::{ParseError, printable};
use super::super::escape::escape;
use super::super::regex::Regex;
use super::options::ParseOptions;

pub(super) struct Reader<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// Where the expression's backslash is.
    pub(super) opened: usize,
    /// Braces within braces.
    pub(super) depth: u32,
    pub(super) options: &'a ParseOptions<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn wrong<T>(
        &self,
        at: usize,
        what: impl Into<String>,
        right: impl Into<String>,
    ) -> Result<T, ParseError> {
        Err(ParseError::new(self.text, at, what.into(), right.into()))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte that is not white space.
    pub(super) fn next_mark(&mut self) -> Option<u8> {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        self.peek()
    }

    /// Letters and digits up to a mark or white space; may be empty.
    pub(super) fn word(&mut self) -> (usize, &'a [u8]) {
        self.next_mark();
        let from = self.at;
        while self
            .peek()
            .is_some_and(|b| !is_space(b) && !b"\"<>{}.%".contains(&b))
        {
            self.at += 1;
        }
        (from, &self.text[from..self.at])
    }

    /// What is at this place, for an error message.
    pub(super) fn found(&self, from: usize, word: &[u8]) -> String {
        match self.text.get(from) {
            _ if !word.is_empty() => format!("'{}'", printable(word)),
            Some(b) => format!("'{}'", printable(&[*b])),
            None => "the end".into(),
        }
    }

    pub(super) fn escape(&mut self) -> Result<u8, ParseError> {
        match escape(self.text, self.at) {
            Ok((byte, n)) => {
                self.at += n;
                Ok(byte)
            }
            Err(e) => self.wrong(e.at, e.what, e.right),
        }
    }

    pub(super) fn unclosed<T>(&self) -> Result<T, ParseError> {
        self.wrong(
            self.text.len(),
            format!("the \\{{ at byte {} is not closed", self.opened),
            "add }, or write \\\\{ with -e for the characters themselves",
        )
    }

    /// A regular expression, up to the brace that closes the expression.
    pub(super) fn regex(&mut self) -> Result<String, ParseError> {
        // White space at its beginning is ignored.
        self.next_mark();
        let from = self.at;
        let to = match end_of_regex(&self.text[from..]) {
            Some(n) => from + n,
            None => return self.unclosed(),
        };
        self.at = to;
        let regex = match std::str::from_utf8(&self.text[from..to]) {
            Ok(regex) => regex,
            Err(e) => {
                return self.wrong(
                    from + e.valid_up_to(),
                    "the regular expression is not UTF-8",
                    "write bytes as \\xHH",
                );
            }
        };
        if regex.bytes().all(is_space) {
            return self.wrong(
                to,
                "there is no regular expression",
                "write one, as in re [a-z]{8}",
            );
        }
        if let Err(e) = Regex::new(regex) {
            return self.wrong(from + e.at, e.what, e.right);
        }
        Ok(regex.into())
    }

    pub(super) fn quoted(&mut self) -> Result<Vec<u8>, ParseError> {
        let opened = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None => {
                    return self.wrong(
                        opened,
                        "the quoted data has no end",
                        "add \", or write \\\" for a quotation mark inside",
                    );
                }
                Some(b'"') => {
                    self.at += 1;
                    return Ok(bytes);
                }
                Some(b'\\') => bytes.push(self.escape()?),
                Some(byte) => {
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    pub(super) fn file(&mut self) -> Result<Vec<u8>, ParseError> {
        let opened = self.at;
        self.at += 1;
        let quoted = self.next_mark() == Some(b'"');
        self.at += usize::from(quoted);
        let from = self.at;
        let ends = |b: u8| match quoted {
            true => b == b'"',
            false => b == b'>' || is_space(b),
        };
        let Some(n) = self.text[from..].iter().position(|b| ends(*b)) else {
            return self.wrong(
                opened,
                "the file name has no end",
                "add >, as in <FILE> or <\"FILE WITH SPACES\">",
            );
        };
        let name = &self.text[from..from + n];
        self.at = from + n + usize::from(quoted);
        if self.next_mark() != Some(b'>') {
            return self.wrong(
                self.at,
                "the file name doesn't end here",
                "add >, and put a name with spaces into quotes: <\"FILE\">",
            );
        }
        self.at += 1;
        if name.is_empty() {
            return self.wrong(from, "there is no file name", "write one, as in <FILE>");
        }
        let Ok(name) = std::str::from_utf8(name) else {
            return self.wrong(from, "the file name is not UTF-8", "rename the file");
        };
        match (self.options.files)(name) {
            Ok(bytes) => Ok(bytes),
            Err(e) => self.wrong(
                from,
                format!("can't read the file '{}': {e}", printable(name.as_bytes())),
                "name one that can be read",
            ),
        }
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// The place of the brace that ends a regular expression: not one in a count or a class, and not an escaped one.
fn end_of_regex(text: &[u8]) -> Option<usize> {
    let mut braces = 0;
    let mut classes = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'[' => {
                classes += 1;
                // A bracket right at the beginning of a class is one of its members.
                at += usize::from(text.get(at + 1) == Some(&b'^'));
                at += usize::from(text.get(at + 1) == Some(&b']'));
            }
            b']' if classes > 0 => classes -= 1,
            _ if classes > 0 => {}
            b'{' => braces += 1,
            b'}' if braces == 0 => return Some(at),
            b'}' => braces -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}
