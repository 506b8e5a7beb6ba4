//! How a connection is closed.

use super::op::{self, Op, Tag};
use super::worker::{CLOSE_WHEN_SENT, RECEIVING, SENDING, SHUT, SPILLING, SUBMITTING, Worker};
use crate::table::State;
use throng_core::behaviour::{Behaviour, Reads};
use throng_core::stats::Closed;
use throng_core::time::Time;
impl<B: Behaviour> Worker<B> {
    /// Closes a connection that was only waiting for its sends.
    pub(super) fn close_if_sent(&mut self, index: u32) {
        let marks = *self.marks(index);
        if marks & CLOSE_WHEN_SENT != 0 && marks & (SENDING | SUBMITTING | SPILLING | SHUT) == 0 {
            self.shut(index);
        }
    }

    /// Closes a connection from our side: the end of its receive does the rest.
    pub(super) fn shut(&mut self, index: u32) {
        let reads_all = self.table.reads().all_that_comes();
        let conn = &mut self.table.conns[index as usize];
        if conn.marks & RECEIVING == 0 {
            // The peer was first, or it is not being read from.
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

    /// Cancels a connection's receive. (Not by a shutdown: the peer may end the receive before that comes to
    /// it, and then it would hit the next connection in the slot.)
    fn end_receive(&mut self, index: u32) {
        let (at, slot) = self.place(index);
        let entry = match self.table.reads() {
            Reads::All | Reads::Counts | Reads::Discards => {
                op::cancel_receive(self.tag(Op::Recv, index, 0))
            }
            Reads::Asked => op::cancel_all(slot, self.table.conns[index as usize].generation),
            Reads::Never => return,
        };
        self.rings[at].push(entry);
    }

    /// A receive was being retried when it was to be cancelled, or has ended by itself.
    pub(super) fn cancel_missed(&mut self, index: u32, tag: Tag) {
        if self.is_current(index, tag, State::Open)
            && *self.marks(index) & (SHUT | RECEIVING) == SHUT | RECEIVING
        {
            self.end_receive(index);
        }
    }

    /// Takes the connection out of its place.
    pub(super) fn finish(&mut self, index: u32, why: Closed, now: Time) {
        let (at, slot) = self.place(index);
        let marks = *self.marks(index);
        let generation = self.table.conns[index as usize].generation;
        // Requests hold the socket, and this ends them. (A cancel misses a send that is being retried.)
        let busy = marks & (SENDING | SPILLING) != 0;
        if busy {
            self.rings[at].push(op::shutdown_first(slot, generation));
        } else if marks & RECEIVING != 0 {
            self.end_receive(index);
        } else if self.table.reads() == Reads::Never {
            let gone = self.tag(Op::Gone, index, 0);
            self.rings[at].push(op::cancel(gone));
        }
        self.rings[at].push(op::close(slot, generation));
        self.table.closed(index, why, busy, now);
    }
}
