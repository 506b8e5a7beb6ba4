//! Errors: why a message could not be read, and where; why messages can't be laid out.

use super::regex::RegexError;

/// How many bytes of text an error shows on either side of the place.
const SHOWN: usize = 24;

/// Why a message could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}, in '{excerpt}': {what}; {right}")]
pub struct ParseError {
    /// Byte offset of the mistake; the text's length if something is missing at its end.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub right: String,
    /// The text around the place, with `>>` at the place.
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

/// Why messages can't be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// A regular expression is wrong. Messages from [`parse`](super::parse()) have none that is.
    #[error("a message's regular expression, {0}")]
    Regex(#[from] RegexError),
    /// A message may be longer than [`MAX_MESSAGE`](super::MAX_MESSAGE).
    #[error("message {} may be {bytes} bytes long; at most 1 GiB is possible", message + 1)]
    Long {
        /// Its index, from 0, among the first or the repeated messages.
        message: usize,
        /// Its greatest length in bytes.
        bytes: u64,
    },
    /// A part of a message may be longer than the size before it can say.
    #[error("a part of a message may be {bytes} bytes long; at most {most} are possible there")]
    LongPart {
        /// Its greatest length in bytes.
        bytes: u64,
        /// The greatest length that is possible.
        most: u64,
    },
    /// All messages together are too long.
    #[error("the messages take {bytes} bytes together; at most 4 GiB are possible")]
    Large {
        /// Bytes that the layout takes.
        bytes: u64,
    },
}
