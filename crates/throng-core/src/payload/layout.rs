//! Messages that are the same bytes each time, laid out once so that every connection sends from the same
//! memory. [`Script`](super::Script) does this and more.

use super::script::RUN_BYTES;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// StaticMessages that are the same bytes each time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticMessages {
    /// Sent once when a connection opens; empty for none.
    pub first: Vec<u8>,
    /// Sent again and again; empty for none.
    pub repeated: Vec<u8>,
}

impl StaticMessages {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty() && self.repeated.is_empty()
    }
}

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
    pub fn new(messages: &StaticMessages, copies: u32) -> Layout {
        let message = messages.repeated.len();
        let copies = match message {
            0 => 0,
            n => (RUN_BYTES as usize / n).clamp(1, copies.max(1) as usize),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lie_side_by_side_up_to_the_bound() {
        let messages = StaticMessages {
            first: b"hi".to_vec(),
            repeated: b"abc".to_vec(),
        };
        let layout = Layout::new(&messages, 4);
        assert_eq!(&*layout.memory(), b"hiabcabcabcabc");
        assert_eq!(layout.first(), Some(0..2));
        assert_eq!(layout.repeated(1), Some((2..5, 1)));
        assert_eq!(layout.repeated(9), Some((2..14, 4)));
        assert_eq!(layout.repeated(0), None);
        let empty = Layout::new(&StaticMessages::default(), 4);
        assert_eq!((empty.first(), empty.repeated(1)), (None, None));
    }

    #[test]
    fn a_message_larger_than_a_run_is_still_whole() {
        let messages = StaticMessages {
            first: vec![],
            repeated: vec![7; 1 << 20],
        };
        let layout = Layout::new(&messages, 100);
        assert_eq!(layout.repeated(5), Some((0..1 << 20, 1)));
    }
}
