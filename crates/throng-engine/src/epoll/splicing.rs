//! Floods between the two of a pair, which stay in the kernel: pages go from one socket to a pipe and on to the other socket,
//! and nothing is copied.
//!
//! A pipe is borrowed for one splice in and one out, so a worker needs one. It is longer only where a peer does not take
//! what is in it. Of those there are only so many; while all are in use, bytes are copied.

use super::rest::Rest;
use super::worker::{BLOCKED, BUFFER_BYTES, BULK, Worker};
use crate::table::{State, partner_of};
use throng_core::behaviour::Behaviour;

/// After a splice of less than this, reading and writing is not dearer.
const FEW_BYTES: usize = 16 * 1024;

impl<B: Behaviour> Worker<B> {
    /// Whether to splice what a connection receives next: its last read filled the buffer, and its partner takes it.
    pub(super) fn is_bulk(&self, index: u32) -> bool {
        let partner = &self.table.conns[partner_of(index) as usize];
        self.table.conns[index as usize].marks & BULK != 0
            && partner.state == State::Open
            && partner.marks & BLOCKED == 0
            && self.table.passes(index)
    }

    /// A connection was read from: there is likely to be much more if that filled the buffer.
    pub(super) fn note_bulk(&mut self, index: u32, got: usize) {
        if got == BUFFER_BYTES {
            self.table.conns[index as usize].marks |= BULK;
        }
    }

    /// Splices from a connection to its partner. Returns how many bytes arrived; `None` if there is no pipe for them.
    pub(super) fn splice_once(&mut self, index: u32) -> Option<usize> {
        let pipe = self.pipes.borrow()?;
        let got = pipe.fill(self.fd(index));
        let now = self.table.clock.now();
        let n = match got {
            Ok(n) if n > 0 => n,
            ended => {
                self.pipes.give_back(pipe);
                self.not_read(index, ended.err(), now);
                return Some(0);
            }
        };
        if n < FEW_BYTES {
            self.table.conns[index as usize].marks &= !BULK;
        }
        let mut out = self.outbox();
        self.table.counted(index, n, now, &mut out);
        self.keep_bytes(out.bytes);
        self.send(partner_of(index), Rest::Piped { pipe, left: n }, now);
        Some(n)
    }

    /// Everything of `rest` is sent: keeps its pipe, if it has one.
    pub(super) fn keep_pipe(&mut self, rest: Rest) {
        if let Rest::Piped { pipe, .. } = rest {
            self.pipes.give_back(pipe);
        }
    }
}
