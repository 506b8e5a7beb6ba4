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

/// Closing that makes no progress for this long is left to the kernel.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

impl<B: Behaviour> Worker<B> {
    /// Closes everything: ends the receives and empties the file tables in this thread, so that workers close
    /// in parallel. (What a closed ring leaves to the kernel is done by one thread for the whole machine, and
    /// cancelling receives takes quadratic time.) Once a ring is closed none of its requests runs, so the
    /// kernel touches neither buffers nor messages any more.
    pub(super) fn close_all(&mut self) {
        for listener in &self.table.listeners {
            // The accept that waits there would keep the port until the kernel has closed the ring.
            socket::stop_listening(listener.as_raw_fd());
        }
        self.end_receives();
        for ring in &self.rings {
            let _ = ring.unregister_files();
        }
        self.table.close_all();
        self.rings.clear();
    }

    /// Ends every connection's receive, or gives up when that makes no progress.
    pub(super) fn end_receives(&mut self) {
        let how = match self.table.closing() {
            Closing::ShutDown => Some(libc::SHUT_RDWR),
            // Sends nothing; the peer gets a reset when the file table is emptied.
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
                    let ended = matches!(Tag::decode(cqe.user_data).op, Op::Recv | Op::Hangup);
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
