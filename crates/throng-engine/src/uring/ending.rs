//! How all connections are closed at the end.

use super::abi::{IORING_CQE_BUFFER_SHIFT, IORING_CQE_F_BUFFER, IORING_CQE_F_MORE};
use super::op::{self, Op, Tag};
use super::worker::{RECEIVING, SENDING, SHUT, SPILLING, SUBMITTING, Worker};
use crate::closing::{AWAIT_PEERS, CLOSE_PATIENCE};
use crate::job::Closing;
use crate::table::State;
use std::time::{Duration, Instant};
use throng_core::behaviour::Behaviour;
use throng_core::time::Time;

impl<B: Behaviour> Worker<B> {
    /// Closes everything: ends the receives and empties the file tables in this thread, so that workers close
    /// in parallel. (What a closed ring leaves to the kernel is done by one thread for the whole machine, and
    /// cancelling receives takes quadratic time.) Once a ring is closed none of its requests runs, so the
    /// kernel touches neither buffers nor messages any more.
    pub(super) fn close_all(&mut self) {
        let now = self.table.clock.now();
        self.floods.clear();
        for listener in &self.table.listeners {
            // The accept that waits there would keep the port until the kernel has closed the ring.
            listener.refuse();
        }
        // It stays until the rings are closed.
        let mut last = Vec::new();
        match self.table.closing() {
            Closing::ShutDown => {
                last = self.say_last(now);
                // A socket that is closed before the peer's FIN has come is an orphan. The kernel allows only so many,
                // and resets the others.
                let rest = self.end_receives(Some(libc::SHUT_WR), AWAIT_PEERS);
                if rest > 0 {
                    self.end_receives(Some(libc::SHUT_RDWR), Duration::MAX);
                }
            }
            // Sends nothing; the peer gets a reset when the file table is emptied.
            Closing::Reset => _ = self.end_receives(Some(libc::SHUT_RD), Duration::MAX),
            Closing::ByPeer => _ = self.end_receives(None, Duration::MAX),
        }
        for ring in &self.rings {
            let _ = ring.unregister_files();
        }
        self.table.close_all(now);
        self.rings.clear();
        drop(last);
    }

    /// Sends what behaviours say before the ends of the streams of connections on which nothing else is being sent, as far as the kernel
    /// takes it at once. Returns the memory of that.
    fn say_last(&mut self, now: Time) -> Vec<Vec<u8>> {
        const BUSY: u8 = SENDING | SUBMITTING | SPILLING | SHUT;
        let mut all = Vec::new();
        for index in 0..self.table.conns.len() as u32 {
            let conn = &self.table.conns[index as usize];
            let (marks, generation) = (conn.marks, conn.generation);
            if conn.state != State::Open || marks & RECEIVING == 0 || marks & BUSY != 0 {
                continue;
            }
            let mut last = Vec::new();
            self.table.parting(index, now, &mut last);
            if last.is_empty() {
                continue;
            }
            let (at, slot) = self.place(index);
            let tag = Tag::new(Op::Quiet, slot, generation, 0);
            let send = op::send_silently(last.as_ptr() as u64, last.len() as u32, false, tag);
            self.rings[at].push(send);
            all.push(last);
        }
        all
    }

    /// Shuts down all connections that are being received from, if `how` is given, and waits for their receives to end:
    /// no longer than `limit`, and not longer than [`CLOSE_PATIENCE`] without one that ends. Returns the number of those
    /// that have not ended.
    fn end_receives(&mut self, how: Option<i32>, limit: Duration) -> usize {
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
        let began = Instant::now();
        let mut progress = began;
        while receiving > 0 && progress.elapsed() < CLOSE_PATIENCE && began.elapsed() < limit {
            let before = receiving;
            let mut idle = true;
            for (at, ring) in self.rings.iter_mut().enumerate() {
                if !ring.has_pending() && !ring.has_work() {
                    continue;
                }
                if ring.enter().is_err() {
                    return receiving;
                }
                while let Some(cqe) = ring.pop() {
                    idle = false;
                    let tag = Tag::decode(cqe.user_data);
                    if cqe.flags & IORING_CQE_F_BUFFER != 0 {
                        let bid = (cqe.flags >> IORING_CQE_BUFFER_SHIFT) as u16;
                        ring.give_back(&self.pools, tag.group(), bid);
                    }
                    // A connection that closed before in this place may still have a completion here.
                    let index = (at as u32) << self.slot_bits | tag.slot;
                    let conn = self.table.conns.get(index as usize);
                    let early = conn.is_some_and(|conn| conn.state == State::Early);
                    if matches!(tag.op, Op::Send | Op::Bytes | Op::Spill | Op::Header) && !early {
                        // Cut short by the shutdown. The kernel has sent what it took.
                        self.table.counters.bytes_sent.add(cqe.res.max(0) as u64);
                    }
                    if !matches!(tag.op, Op::Recv | Op::Look | Op::Skip | Op::Hangup)
                        || cqe.flags & IORING_CQE_F_MORE != 0
                    {
                        continue;
                    }
                    let conn = &mut self.table.conns[index as usize];
                    if conn.generation == tag.generation && conn.marks & RECEIVING != 0 {
                        conn.marks &= !RECEIVING;
                        receiving -= 1;
                    }
                }
            }
            if receiving < before {
                progress = Instant::now();
            } else if idle {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        receiving
    }
}
