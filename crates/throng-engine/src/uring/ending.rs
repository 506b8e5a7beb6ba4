//! How all connections are closed at the end.

use super::abi::{IORING_CQE_BUFFER_SHIFT, IORING_CQE_F_BUFFER, IORING_CQE_F_MORE};
use super::op::{self, Op, Tag};
use super::worker::{RECEIVING, Worker};
use crate::job::Closing;
use crate::socket;
use crate::table::State;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};
use throng_core::behaviour::Behaviour;

/// Closing that gets no further for this long is left to the kernel.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

impl<B: Behaviour> Worker<B> {
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
                    if cqe.flags & IORING_CQE_F_BUFFER != 0 {
                        ring.give_back(&self.pool, (cqe.flags >> IORING_CQE_BUFFER_SHIFT) as u16);
                    }
                    let ended = matches!(Tag::decode(cqe.user_data).op, Op::Recv | Op::Gone);
                    if ended && cqe.flags & IORING_CQE_F_MORE == 0 {
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
