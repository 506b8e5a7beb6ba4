//! What is left to send.

use std::ops::Range;

/// A send, and how much of it is done.
pub(super) enum Rest {
    /// A part of the behaviour's memory. `whole` is the length of the send.
    Memory {
        left: Range<usize>,
        whole: usize,
        more: bool,
    },
    /// Bytes that were written or received. `to_tell` is the number to report to the behaviour.
    Bytes {
        bytes: Vec<u8>,
        taken: usize,
        to_tell: Option<usize>,
        more: bool,
    },
}

/// Where the bytes of a send are.
pub(super) enum Source<'a> {
    /// These bytes of the receive buffer.
    Received(Range<usize>),
    /// These bytes.
    Written(&'a [u8]),
}

impl Rest {
    /// The number of bytes to report to the behaviour once everything is sent.
    pub(super) fn to_tell(&self) -> Option<usize> {
        match self {
            Rest::Memory { whole, .. } => Some(*whole),
            Rest::Bytes { to_tell, .. } => *to_tell,
        }
    }

    /// The bytes left to send, and whether more follow at once.
    pub fn bytes<'a>(&'a self, memory: &'a [u8]) -> (&'a [u8], bool) {
        match self {
            Rest::Memory { left, more, .. } => (&memory[left.clone()], *more),
            Rest::Bytes {
                bytes, taken, more, ..
            } => (&bytes[*taken..], *more),
        }
    }

    /// The kernel took `n` more bytes.
    pub fn advance(&mut self, n: usize) {
        match self {
            Rest::Memory { left, .. } => left.start += n,
            Rest::Bytes { taken, .. } => *taken += n,
        }
    }

    /// The number of bytes left to send.
    pub fn len(&self) -> usize {
        match self {
            Rest::Memory { left, .. } => left.len(),
            Rest::Bytes { bytes, taken, .. } => bytes.len() - taken,
        }
    }
}
