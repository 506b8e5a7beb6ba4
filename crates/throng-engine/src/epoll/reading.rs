//! Receiving: everything, as much as a behaviour asks for, or nothing but the end of the peer.

use super::poll;
use super::worker::{BUFFER_BYTES, CLOSE_WHEN_SENT, PEER_CLOSED, Worker};
use throng_core::behaviour::{Behaviour, Reads};
use throng_core::stats::Closed;
use throng_core::time::Time;

/// The maximum number of bytes discarded at once.
pub(super) const DISCARD_BYTES: usize = 1024 * 1024;
/// The number of reads of one connection before the others have their turn.
pub(super) const READS_A_TURN: usize = 8;

impl<B: Behaviour> Worker<B> {
    /// Reads until there is nothing left, the connection is blocked, or it has had its turn. `until_short`: no end is due, so
    /// a read of less than fits says that nothing is left. (What arrives later makes another edge.)
    pub(super) fn read(&mut self, index: u32, until_short: bool) {
        let generation = self.table.conns[index as usize].generation;
        for _ in 0..READS_A_TURN {
            if self.waits_for_peer(index) {
                // Reading continues once the peer has read.
                return;
            }
            let spliced = match B::PAIRS && self.is_bulk(index) {
                true => self.splice_once(index),
                false => None,
            };
            let got = match spliced {
                Some(n) => n,
                None => self.read_once(index, BUFFER_BYTES),
            };
            if got == 0 || !self.is_current(index, generation) {
                return;
            }
            if B::PAIRS && spliced.is_none() {
                if until_short && got < BUFFER_BYTES {
                    return;
                }
                self.note_bulk(index, got);
            }
        }
        self.read_later(index);
    }

    /// Reads up to `most` bytes, now or once there are some.
    pub(super) fn read_some(&mut self, index: u32, most: usize) {
        let generation = self.table.conns[index as usize].generation;
        if self.read_once(index, most) == 0 && self.is_current(index, generation) {
            self.asked.insert(index, most);
        }
    }

    /// Reads up to `most` bytes. Returns how many there were.
    fn read_once(&mut self, index: u32, most: usize) -> usize {
        let fd = self.fd(index);
        let reads = self.table.reads();
        let skips = self.table.skips(index);
        let only_counts = skips.is_some() || reads.only_counts() && !self.table.looks(index);
        let got = match only_counts && !self.table.is_unix() {
            true => poll::discard(fd, skips.unwrap_or(DISCARD_BYTES)),
            false => {
                let most = most.min(BUFFER_BYTES);
                poll::receive(fd, &mut self.buffer[..most])
            }
        };
        let now = self.table.clock.now();
        match got {
            Ok(0) => {
                self.not_read(index, None, now);
                0
            }
            Ok(n) if reads == Reads::Discards => {
                self.table.count_read(n);
                n
            }
            Ok(n) if only_counts => {
                let mut out = self.outbox();
                self.table.counted(index, n, now, &mut out);
                self.apply(index, out, 0, now);
                n
            }
            Ok(n) => {
                let mut out = self.outbox();
                self.table.received(index, &self.buffer[..n], now, &mut out);
                self.apply(index, out, n, now);
                n
            }
            Err(errno) => {
                self.not_read(index, Some(errno), now);
                0
            }
        }
    }

    /// A read brought nothing: the stream has ended, or it failed.
    pub(super) fn not_read(&mut self, index: u32, error: Option<i32>, now: Time) {
        match error {
            Some(libc::EAGAIN) => {}
            Some(errno) => self.finish(index, self.table.close_cause(errno), now),
            None if B::PAIRS => self.peer_finished(index, now),
            // What the peer sent before is still answered, and what was to be sent before closing is still sent.
            None if self.owes_replies(index) => {
                self.table.conns[index as usize].marks |= CLOSE_WHEN_SENT | PEER_CLOSED;
            }
            None if self.table.conns[index as usize].marks & CLOSE_WHEN_SENT == 0 => {
                self.finish(index, Closed::ByPeer, now);
            }
            None => {}
        }
    }

    /// Ends a connection that is never read from if its peer has closed or reset it.
    pub(super) fn end_if_hung_up(&mut self, index: u32, events: u32, now: Time) {
        let reset = events & libc::EPOLLERR as u32 != 0;
        if reset || events & (libc::EPOLLRDHUP | libc::EPOLLHUP) as u32 != 0 {
            let why = match self.table.conns[index as usize].marks & CLOSE_WHEN_SENT {
                0 if reset => Closed::ResetByPeer,
                0 => Closed::ByPeer,
                _ => Closed::ByUs,
            };
            self.finish(index, why, now);
        }
    }
}
