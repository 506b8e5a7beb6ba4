//! How all connections are closed at the end.

use super::poll;
use super::reading::{DISCARD_BYTES, READS_A_TURN};
use super::worker::{BLOCKED, Worker};
use crate::closing::{AWAIT_PEERS, CLOSE_PATIENCE};
use crate::job::Closing;
use crate::socket;
use crate::table::State;
use std::os::fd::AsRawFd;
use std::time::Instant;
use throng_core::behaviour::Behaviour;

impl<B: Behaviour> Worker<B> {
    /// Closes everything.
    pub(super) fn close_all(&mut self) {
        for listener in &self.table.listeners {
            self.poll.remove(listener.as_raw_fd());
            listener.refuse();
        }
        if self.table.closing() == Closing::ShutDown {
            self.await_peers();
        }
        self.files.clear();
    }

    /// Sends a FIN on each connection, and waits for those of the peers. A socket that is closed earlier is an orphan.
    /// The kernel allows only so many, and resets the others.
    fn await_peers(&mut self) {
        self.poll.remove(self.waker.raw());
        let now = self.table.clock.now();
        let mut open = 0;
        let mut last = Vec::new();
        for index in 0..self.files.len().min(self.table.conns.len()) {
            let conn = &self.table.conns[index];
            match &self.files[index] {
                Some(fd) if conn.state == State::Open => {
                    if conn.marks & BLOCKED == 0 {
                        self.table.parting(index as u32, now, &mut last);
                    }
                    if !last.is_empty() {
                        // What the kernel does not take is not worth waiting for.
                        let sent = poll::send(fd.as_raw_fd(), &last, false).unwrap_or(0);
                        self.table.counters.bytes_sent.add(sent as u64);
                        last.clear();
                    }
                    socket::finish_sending(fd.as_raw_fd());
                    open += 1;
                }
                _ => self.files[index] = None,
            }
        }
        let began = Instant::now();
        let mut progress = began;
        while open > 0 && progress.elapsed() < CLOSE_PATIENCE && began.elapsed() < AWAIT_PEERS {
            let Ok(found) = self.poll.wait(Some(CLOSE_PATIENCE)) else {
                return;
            };
            for i in 0..found {
                let (key, _) = self.poll.event(i);
                let file = &mut self.files[key as u32 as usize];
                let Some(fd) = file.as_ref().map(AsRawFd::as_raw_fd) else {
                    continue;
                };
                // A peer that keeps sending gets no more than its turn.
                let mut reads = 0..READS_A_TURN;
                let ended = reads.find_map(|_| match poll::discard(fd, DISCARD_BYTES) {
                    Ok(0) => Some(true),
                    Ok(_) => None,
                    Err(errno) => Some(errno != libc::EAGAIN),
                });
                if ended == Some(true) {
                    *file = None;
                    open -= 1;
                    progress = Instant::now();
                }
            }
        }
    }
}
