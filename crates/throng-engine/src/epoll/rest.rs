//! What is left to send.

use super::poll;
use crate::pipes::Pipe;
use std::ops::Range;
use std::os::fd::RawFd;

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
    /// Bytes in a pipe, which go across to the other of a pair.
    Piped { pipe: Pipe, left: usize },
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
            Rest::Piped { .. } => None,
        }
    }

    /// Sends as many bytes as the kernel takes at once. Returns how many those are.
    pub fn send(&mut self, fd: RawFd, memory: &[u8]) -> Result<usize, i32> {
        match self {
            Rest::Memory { left, more, .. } => {
                let n = poll::send(fd, &memory[left.clone()], *more)?;
                left.start += n;
                Ok(n)
            }
            Rest::Bytes {
                bytes, taken, more, ..
            } => {
                let n = poll::send(fd, &bytes[*taken..], *more)?;
                *taken += n;
                Ok(n)
            }
            Rest::Piped { pipe, left } => {
                let n = pipe.empty(fd, *left)?;
                *left -= n;
                Ok(n)
            }
        }
    }

    /// The number of bytes left to send.
    pub fn len(&self) -> usize {
        match self {
            Rest::Memory { left, .. } => left.len(),
            Rest::Bytes { bytes, taken, .. } => bytes.len() - taken,
            Rest::Piped { left, .. } => *left,
        }
    }
}
