//! What is left to send.

use std::ops::Range;

/// Something to send, and how far that is done.
pub(super) enum Rest {
    /// Of the behaviour's memory; `whole` is the length of the send.
    Memory {
        left: Range<usize>,
        whole: usize,
        more: bool,
    },
    /// Of bytes that were written or received; `to_tell` is what the behaviour is to be told of.
    Bytes {
        bytes: Vec<u8>,
        taken: usize,
        to_tell: Option<usize>,
        more: bool,
    },
}

/// Where bytes to send lie.
pub(super) enum Source<'a> {
    /// This many at the beginning of the receive buffer.
    Received(usize),
    /// Here.
    Written(&'a [u8]),
}

impl Rest {
    /// Of how many bytes the behaviour is to be told once all is sent.
    pub(super) fn to_tell(&self) -> Option<usize> {
        match self {
            Rest::Memory { whole, .. } => Some(*whole),
            Rest::Bytes { to_tell, .. } => *to_tell,
        }
    }

    /// What is left to send.
    pub fn len(&self) -> usize {
        match self {
            Rest::Memory { left, .. } => left.len(),
            Rest::Bytes { bytes, taken, .. } => bytes.len() - taken,
        }
    }
}
