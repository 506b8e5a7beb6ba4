//! Why a message could not be read, and where; and why messages can't be laid out.

use super::regex::RegexError;
use std::fmt;

/// How much of the text is shown on either side of the place.
const SHOWN: usize = 24;

/// Why a message could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Byte offset of what is wrong; the text's length if something is missing at its end.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub right: String,
    /// The text around the place, which is marked with `>>`.
    pub excerpt: String,
}

impl ParseError {
    pub(super) fn new(text: &[u8], at: usize, what: String, right: String) -> ParseError {
        let at = at.min(text.len());
        let continues = |i: usize| text.get(i).is_some_and(|b| b & 0xc0 == 0x80);
        let mut from = at.saturating_sub(SHOWN);
        while from < at && continues(from) {
            from += 1;
        }
        let mut to = (at + SHOWN).min(text.len());
        while to > at && continues(to) {
            to -= 1;
        }
        let dots = |shown: bool| if shown { "…" } else { "" };
        ParseError {
            at,
            what,
            right,
            excerpt: format!(
                "{}{}>>{}{}",
                dots(from > 0),
                printable(&text[from..at]),
                printable(&text[at..to]),
                dots(to < text.len())
            ),
        }
    }
}

/// `bytes` as text on one line.
pub(super) fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "byte {}, in '{}': {}; {}",
            self.at, self.excerpt, self.what, self.right
        )
    }
}

impl std::error::Error for ParseError {}

/// Why messages can't be laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptError {
    /// A regular expression is wrong. Not if the messages come from [`parse`](super::parse()).
    Regex(RegexError),
    /// A message may be longer than [`MAX_MESSAGE`](super::MAX_MESSAGE).
    Long {
        /// Which one, from 0, among those sent first or those repeated.
        message: usize,
        /// Bytes of it at most.
        bytes: u64,
    },
    /// All messages together are too long.
    Large {
        /// Bytes of what is laid out.
        bytes: u64,
    },
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScriptError::Regex(e) => write!(f, "a message's regular expression, {e}"),
            ScriptError::Long { message, bytes } => write!(
                f,
                "message {} may be {bytes} bytes long; at most 1 GiB is possible",
                message + 1
            ),
            ScriptError::Large { bytes } => write!(
                f,
                "the messages take {bytes} bytes together; at most 4 GiB are possible"
            ),
        }
    }
}

impl std::error::Error for ScriptError {}

impl From<RegexError> for ScriptError {
    fn from(e: RegexError) -> ScriptError {
        ScriptError::Regex(e)
    }
}
