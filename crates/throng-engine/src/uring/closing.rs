//! How connections go: one at a time, and all at the end.

use super::abi::{CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE};
use super::op::{self, Op, Tag};
use super::worker::{CLOSE_WHEN_SENT, RECEIVING, SENDING, SHUT, SPILLING, SUBMITTING, Worker};
use crate::job::Closing;
use crate::socket;
use crate::table::State;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use throng_core::behaviour::{Behaviour, Reads};
use throng_core::stats::Closed;
use throng_core::time::Time;

/// Closing that gets no further for this long is left to the kernel.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

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

    /// Closes everything: brings receives to their end and empties the tables, in this thread, so that
    /// workers close side by side. (What is left to the kernel when a ring goes is done by one thread
    /// for the whole machine, and cancelling receives takes time in the square of their number.) Once
    /// a ring is gone nothing of it runs, so neither buffers nor messages are touched any more.
    pub(super) fn close_all(&mut self) {
        for listener in &self.table.listeners {
            // The accept that waits there would keep the port until the kernel has done with the ring.
            socket::stop_listening(listener.as_raw_fd());
        }
        self.end_receives();
        for ring in &self.rings {
            let _ = ring.unregister_files();
        }
        self.table.close_all();
        self.rings.clear();
    }

    /// Brings every connection's receive to its end, or gives up when that gets no further.
    pub(super) fn end_receives(&mut self) {
        let how = match self.table.closing() {
            Closing::ShutDown => Some(libc::SHUT_RDWR),
            // Says nothing to the peer, who learns of it by the reset when the table is emptied.
            Closing::Reset => Some(libc::SHUT_RD),
            Closing::ByPeer => None,
        };
        let mut receiving = 0;
        for (index, conn) in self.table.conns.iter().enumerate() {
            if conn.state == State::Open && conn.marks & RECEIVING != 0 {
                receiving += 1;
                if let Some(how) = how {
                    let (at, slot) = self.place(index as u32);
                    self.rings[at].push(op::shutdown(slot, how, conn.generation));
                }
            }
        }
        let mut progress = Instant::now();
        while receiving > 0 && progress.elapsed() < CLOSE_PATIENCE {
            let mut idle = true;
            for ring in &mut self.rings {
                if !ring.has_pending() && !ring.has_work() {
                    continue;
                }
                if ring.enter().is_err() {
                    return;
                }
                while let Some(cqe) = ring.pop() {
                    idle = false;
                    if cqe.flags & CQE_F_BUFFER != 0 {
                        ring.give_back(&self.pool, (cqe.flags >> CQE_BUFFER_SHIFT) as u16);
                    }
                    let ended = matches!(Tag::decode(cqe.user_data).op, Op::Recv | Op::Gone);
                    if ended && cqe.flags & CQE_F_MORE == 0 {
                        receiving -= 1;
                    }
                }
            }
            if idle {
                std::thread::sleep(Duration::from_millis(1));
            } else {
                progress = Instant::now();
            }
        }
    }
}
