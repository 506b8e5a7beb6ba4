//! How a connection is closed.

use super::op::{self, Op, Tag};
use super::worker::{
    CLOSE_WHEN_SENT, RECEIVING, SENDING, SHUT, SKIPPING, SPILLING, SUBMITTING, Worker,
};
use crate::socket::RESETS;
use crate::table::{State, partner_of};
use throng_core::behaviour::{Behaviour, Reads};
use throng_core::stats::Closed;
use throng_core::time::Time;
impl<B: Behaviour> Worker<B> {
    /// Closes a connection that waits only for its sends, once they have ended.
    pub(super) fn close_if_sent(&mut self, index: u32) {
        let marks = *self.marks(index);
        if marks & CLOSE_WHEN_SENT != 0 && marks & (SENDING | SUBMITTING | SPILLING | SHUT) == 0 {
            self.shut(index);
        }
    }

    /// Closes a connection from this side. If it has a receive, the receive's end does the rest.
    pub(super) fn shut(&mut self, index: u32) {
        let reads_all = self.table.reads().all_that_comes();
        let conn = &mut self.table.conns[index as usize];
        if conn.marks & RECEIVING == 0 {
            // The peer closed first, or the connection is not being read from.
            let why = if conn.marks & CLOSE_WHEN_SENT != 0 && reads_all {
                Closed::ByPeer
            } else {
                Closed::ByUs
            };
            self.finish(index, why, self.table.clock.now());
            return;
        }
        conn.marks |= SHUT;
        self.end_receive(index);
    }

    /// Cancels a connection's receive. (A shutdown will not do: if the peer ends the receive first, the shutdown
    /// may hit the next connection in the slot.)
    fn end_receive(&mut self, index: u32) {
        let (at, slot) = self.place(index);
        let generation = self.table.conns[index as usize].generation;
        let entry = match self.table.reads() {
            // One receive may be ending, and the other begin.
            Reads::All if B::SKIPS && *self.marks(index) & SKIPPING != 0 => {
                op::cancel_all(slot, generation)
            }
            Reads::All | Reads::Counts | Reads::Looks | Reads::Discards => {
                op::cancel_receive(self.receive_tag(index))
            }
            Reads::Asked => op::cancel_all(slot, generation),
            Reads::Never => return,
        };
        self.rings[at].push(entry);
    }

    /// A cancel found no receive: the receive was being retried at that moment, or has ended by itself.
    pub(super) fn cancel_missed(&mut self, index: u32, tag: Tag) {
        if self.is_current(index, tag, State::Open)
            && *self.marks(index) & (SHUT | RECEIVING) == SHUT | RECEIVING
        {
            self.end_receive(index);
        }
    }

    /// Closes a connection at once, or resets it, because it is to be dropped.
    pub(super) fn drop_connection(&mut self, index: u32, reset: bool, now: Time) {
        if reset {
            self.cut(index);
        }
        self.finish(index, Closed::ByUs, now);
    }

    /// Has a connection end with a reset when it is closed.
    pub(super) fn cut(&mut self, index: u32) {
        let (at, _) = self.place(index);
        let quiet = self.tag(Op::Quiet, index, 0);
        self.rings[at].push(op::set_option(&RESETS, quiet));
        let generation = self.table.conns[index as usize].generation;
        self.cut.insert((index, generation));
    }

    /// Ends a connection, and its partner if it has one.
    pub(super) fn finish(&mut self, index: u32, why: Closed, now: Time) {
        match B::PAIRS {
            true => self.finish_pair(index, why, now),
            false => self.finish_one(index, why, now),
        }
    }

    /// Ends a connection and releases its place.
    pub(super) fn finish_one(&mut self, index: u32, why: Closed, now: Time) {
        if B::PAIRS && self.gather.is_for(index) {
            // The buffers are given back as those of any send.
            self.send_gathered();
        }
        if B::PAIRS {
            self.forget_flood(index);
            self.forget_flood(partner_of(index));
        }
        let (at, slot) = self.place(index);
        let marks = *self.marks(index);
        let generation = self.table.conns[index as usize].generation;
        let cut = !self.cut.is_empty() && self.cut.remove(&(index, generation));
        // Requests hold the socket; the shutdown ends them. (A cancel misses a send that is being retried.) It sends a FIN, too, which
        // would pass for the end of all that there was.
        let busy = marks & (SENDING | SPILLING) != 0;
        if busy {
            let first = match cut {
                true => op::reset_first(slot, generation),
                false => op::shutdown_first(slot, generation),
            };
            self.rings[at].push(first);
        } else if marks & RECEIVING != 0 {
            self.end_receive(index);
        } else if self.table.reads() == Reads::Never {
            let watch = self.tag(Op::Hangup, index, 0);
            self.rings[at].push(op::cancel(watch));
        }
        self.rings[at].push(op::close(slot, generation));
        // Nor may a shutdown hit the next connection in the slot.
        let busy = busy || B::PAIRS && self.table.is_finishing(index);
        self.table.closed(index, why, busy, now);
    }
}
