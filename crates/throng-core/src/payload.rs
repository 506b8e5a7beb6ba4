//! What is sent: messages from the command line or a file, laid out once so that every connection
//! sends from the same memory.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// The messages of a scenario, as bytes. A template with parts that differ between messages will be
/// another kind of message here; whoever sends asks only for ranges of a template's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// Sent once when a connection opens; empty for none.
    pub first: Vec<u8>,
    /// Sent again and again; empty for none.
    pub repeated: Vec<u8>,
}

impl Messages {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.repeated.is_empty()
    }
}

/// How many bytes of repeated messages lie one after another, so that several go out in one write.
/// 64 KiB is what one loopback segment holds; larger writes measured no faster.
const RUN_BYTES: usize = 64 * 1024;

/// The messages laid out in memory that all connections of all workers share: the first message, then
/// the repeated one over and over.
#[derive(Clone, Debug)]
pub struct Layout {
    memory: Arc<[u8]>,
    first: u32,
    message: u32,
    copies: u32,
}

impl Layout {
    /// Lays `messages` out. At most `copies` messages share a write (at least one).
    pub fn new(messages: &Messages, copies: u32) -> Layout {
        let message = messages.repeated.len();
        let copies = match message {
            0 => 0,
            n => (RUN_BYTES / n).clamp(1, copies.max(1) as usize),
        };
        let mut memory = Vec::with_capacity(messages.first.len() + message * copies);
        memory.extend_from_slice(&messages.first);
        for _ in 0..copies {
            memory.extend_from_slice(&messages.repeated);
        }
        Layout {
            memory: memory.into(),
            first: messages.first.len() as u32,
            message: message as u32,
            copies: copies as u32,
        }
    }

    /// The memory that the ranges below are of.
    pub fn memory(&self) -> Arc<[u8]> {
        Arc::clone(&self.memory)
    }

    /// Where the first message lies; `None` if there is none.
    pub fn first(&self) -> Option<Range<u32>> {
        (self.first > 0).then_some(0..self.first)
    }

    /// Where up to `n` repeated messages lie, and how many these are (fewer if `n` do not fit in one
    /// write); `None` if there are none.
    pub fn repeated(&self, n: u32) -> Option<(Range<u32>, u32)> {
        let n = n.min(self.copies);
        (n > 0).then(|| (self.first..self.first + n * self.message, n))
    }

    /// Bytes of one repeated message.
    pub fn message_bytes(&self) -> u32 {
        self.message
    }
}

/// Why an escape could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscapeError {
    /// Byte offset of the backslash.
    pub at: usize,
    what: String,
}

impl fmt::Display for EscapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for EscapeError {}

/// The bytes that `text` stands for once its C escapes are read: `\n \r \t \a \b \f \v \e \0 \\ \" \'`,
/// `\xHH` (one or two digits) and `\ooo` (one to three octal digits).
///
/// # Errors
/// An unknown escape, one cut off by the end, or an octal number above 255.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, EscapeError> {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        if text[i] != b'\\' {
            out.push(text[i]);
            i += 1;
            continue;
        }
        let at = i;
        let wrong = |what: String| EscapeError { at, what };
        let digits = |from: usize, base: u32, most: usize| -> (u32, usize) {
            let mut value = 0;
            let mut n = 0;
            while n < most
                && let Some(d) = text
                    .get(from + n)
                    .and_then(|c| char::from(*c).to_digit(base))
            {
                value = value * base + d;
                n += 1;
            }
            (value, n)
        };
        let Some(&kind) = text.get(i + 1) else {
            return Err(wrong(
                "a backslash ends the text; write \\\\ for one".into(),
            ));
        };
        i += 2;
        out.push(match kind {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'e' => 27,
            b'\\' | b'"' | b'\'' | b'?' => kind,
            b'x' => {
                let (value, n) = digits(i, 16, 2);
                if n == 0 {
                    return Err(wrong("\\x needs one or two hexadecimal digits".into()));
                }
                i += n;
                value as u8
            }
            b'0'..=b'7' => {
                let (value, n) = digits(i - 1, 8, 3);
                i += n - 1;
                u8::try_from(value).map_err(|_| wrong("an octal escape above \\377".into()))?
            }
            other => {
                return Err(wrong(format!(
                    "unknown escape \\{}",
                    char::from(other).escape_default()
                )));
            }
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_read_as_in_c() {
        for (text, bytes) in [
            ("plain", &b"plain"[..]),
            (r"a\r\nb\t\0", b"a\r\nb\t\0"),
            (r"\x41\x4a\x4", b"AJ\x04"),
            (r"\101\7\08", b"A\x07\x008"),
            (r"\\x", b"\\x"),
            (r#"\"\'"#, b"\"'"),
        ] {
            assert_eq!(unescape(text.as_bytes()).as_deref(), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_wrong_escape_is_told_with_its_place() {
        for (text, at) in [(r"ab\q", 2), (r"\", 0), (r"x\xzz", 1), (r"\777", 0)] {
            assert_eq!(unescape(text.as_bytes()).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn messages_lie_side_by_side_up_to_the_bound() {
        let messages = Messages {
            first: b"hi".to_vec(),
            repeated: b"abc".to_vec(),
        };
        let layout = Layout::new(&messages, 4);
        assert_eq!(&*layout.memory(), b"hiabcabcabcabc");
        assert_eq!(layout.first(), Some(0..2));
        assert_eq!(layout.repeated(1), Some((2..5, 1)));
        assert_eq!(layout.repeated(9), Some((2..14, 4)));
        assert_eq!(layout.repeated(0), None);
        let empty = Layout::new(&Messages::default(), 4);
        assert_eq!((empty.first(), empty.repeated(1)), (None, None));
    }

    #[test]
    fn a_message_larger_than_a_run_is_still_whole() {
        let messages = Messages {
            first: vec![],
            repeated: vec![7; 1 << 20],
        };
        let layout = Layout::new(&messages, 100);
        assert_eq!(layout.repeated(5), Some((0..1 << 20, 1)));
    }

    proptest! {
        #[test]
        fn any_bytes_unescape_or_say_why(text: Vec<u8>) {
            if let Err(e) = unescape(&text) {
                prop_assert_eq!(text[e.at], b'\\');
            }
        }
    }
}
