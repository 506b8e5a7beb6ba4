//! Resets that a multishot receive does not report.
//!
//! Data and a reset may both arrive before the ring is entered, or before the receive is armed. The kernel then
//! wakes the receive once. It receives the data, finds no more of it, and waits for another wake, which never comes
//! (io_poll_check_events in Linux 6.1 to 6.18 at least). A FIN is not lost: after one, TCP reports that there is more
//! to receive.
//!
//! So the socket is checked after a receive. A send is a check: on a connection that was reset it fails, and one
//! that is waiting in the kernel fails when the reset arrives. Where nothing is sent after a receive, a *probe* is: a
//! send of no bytes. It has no effect on the connection, and completes only if it fails.
//!
//! A probe takes some 0.15 µs while the socket is in the processor's caches, 4 % of what receiving a short message
//! costs, and a multiple of that later. So a connection is checked at once if it was not lately. If it was, its next
//! receive after a period of [`Checks`](super::checks::Checks) is checked; a sweep checks it if none comes.

use super::op::{self, Op, Tag};
use super::worker::{SENDING, SHUT, SPILLING, SUBMITTING, Worker};
use crate::table::State;
use throng_core::behaviour::Behaviour;
use throng_core::time::Time;

impl<B: Behaviour> Worker<B> {
    /// Checks a connection after a receive, unless a send does. `before` are the connection's marks before its
    /// behaviour had the bytes: a silent send from then may have been submitted before the receive.
    #[inline]
    pub(super) fn check_for_reset(&mut self, index: u32, before: u8) {
        if B::PAIRS && self.table.has_finished(index) {
            // A send would fail in any case.
            return;
        }
        let marks = *self.marks(index);
        let new = marks & !before & SUBMITTING;
        if marks & (SENDING | SPILLING | SHUT) | new == 0 && self.checks.received(index) {
            self.probe(index);
        }
    }

    /// Checks the connections whose turn it is of those that received something since they were last checked.
    pub(super) fn check_again(&mut self, now: Time) {
        while let Some((word, mut bits)) = self.checks.sweep(now) {
            while bits != 0 {
                let index = word as u32 * 64 + bits.trailing_zeros();
                bits &= bits - 1;
                let conn = &self.table.conns[index as usize];
                if conn.state == State::Open && conn.marks & (SENDING | SPILLING | SHUT) == 0 {
                    if B::PAIRS && !self.check_unread(index) {
                        continue;
                    }
                    self.probe(index);
                }
            }
        }
    }

    fn probe(&mut self, index: u32) {
        // A receive from a Unix socket goes on until nothing is left, so it meets a reset; and a send fails once the peer has
        // closed, whatever is left to receive.
        if self.table.is_unix() {
            return;
        }
        let tag = self.tag(Op::Probe, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::probe(tag));
    }

    /// A probe failed: the peer has reset the connection, or a handshake has begun.
    pub(super) fn probe_failed(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        if self.is_current(index, tag, State::Open) && *self.marks(index) & SHUT == 0 {
            self.finish(index, self.table.close_cause(-res), now);
        } else if self.is_current(index, tag, State::Early) {
            self.early_sent(index, res, now);
        }
    }
}
