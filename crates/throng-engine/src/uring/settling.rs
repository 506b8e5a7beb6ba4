//! The ends of sends: of those with a completion, and of silent ones.

use super::buffers::Group;
use super::op::Tag;
use super::unsettled::{Silent, Source};
use super::worker::{CLOSE_WHEN_SENT, SENDING, SPILLING, SUBMITTING, Worker};
use crate::table::State;
use throng_core::behaviour::Behaviour;
use throng_core::stats::Closed;
use throng_core::time::Time;

/// A send of at most this many bytes should be read together with others. (Longer ones would leave the cache before
/// they are read: 128 KiB at a time, that cost a third of the throughput.)
const SHORT: usize = 2048;

impl<B: Behaviour> Worker<B> {
    /// A waiting send of bytes that the behaviour wrote ended.
    pub(super) fn bytes_sent(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        let len = self.outgoing.bytes(tag.extra).len();
        self.outgoing.done(tag.extra);
        self.send_ended(index, tag, res, len as u16, now);
    }

    /// A waiting send ended. Only a reset can cut it short. `len` is its length modulo 65,536.
    pub(super) fn send_ended(&mut self, index: u32, tag: Tag, res: i32, len: u16, now: Time) {
        self.table.counters.bytes_sent.add(res.max(0) as u64);
        if !self.is_current(index, tag, State::Open) {
            self.spills.forget((index, tag.generation));
            return;
        }
        *self.marks(index) &= !SENDING;
        if res < 0 || res as u16 != len {
            let why = match res {
                ..0 => self.table.close_cause(-res),
                _ => Closed::ResetByPeer,
            };
            self.spills.forget((index, tag.generation));
            *self.marks(index) &= !SPILLING;
            self.finish(index, why, now);
            return;
        }
        self.table.counters.writes.add(1);
        if *self.marks(index) & SPILLING != 0 {
            self.send_spill(index);
        }
        self.tell_sent(index, res as usize, now);
        self.close_if_sent(index);
    }

    /// A send of a spill ended.
    pub(super) fn spilled(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        let key = (index, tag.generation);
        let bytes = res.max(0) as u64;
        if !self.is_current(index, tag, State::Open) {
            if self.is_current(index, tag, State::Early) {
                self.early_sent(index, res, now);
            } else if self.spills.forget(key) {
                self.table.counters.bytes_sent.add(bytes);
            }
            return;
        }
        self.table.counters.bytes_sent.add(bytes);
        let (sending, to_tell) = self.spills.sending(key);
        if res < 0 || res as usize != sending {
            let why = if res < 0 {
                self.table.close_cause(-res)
            } else {
                Closed::ResetByPeer
            };
            self.spills.forget(key);
            *self.marks(index) &= !SPILLING;
            self.finish(index, why, now);
        } else {
            self.table.counters.writes.add(1);
            self.send_spill(index);
            if to_tell > 0 {
                self.tell_sent(index, to_tell, now);
            }
            self.close_if_sent(index);
        }
    }

    /// Tells the behaviour that `n` bytes were sent.
    pub(super) fn tell_sent(&mut self, index: u32, n: usize, now: Time) {
        self.bulk.sent();
        self.table.sent(index, n, now, &mut self.out);
        self.apply(index, None);
        self.more_follows |= n <= SHORT && *self.marks(index) & (SENDING | SUBMITTING) != 0;
    }

    /// Settles the silent sends of ring `at`, if all were submitted.
    pub(super) fn settle(&mut self, at: usize, now: Time) {
        let ring = &mut self.rings[at];
        if ring.silent.is_empty() || ring.has_pending() || ring.has_overflowed() {
            return;
        }
        ring.take_silent_completions();
        let mut sends = ring.silent.take();
        let (mut writes, mut bytes) = (0, 0);
        for send in sends.drain(..) {
            let taken = send.res.max(0) as u32;
            writes += u64::from(send.res >= 0);
            bytes += u64::from(taken);
            let key = (send.index, send.generation);
            let conn = &mut self.table.conns[send.index as usize];
            if conn.generation != send.generation || conn.state != State::Open {
                self.spills.forget(key);
                self.release(at, send.source);
                continue;
            }
            conn.marks &= !SUBMITTING;
            let marks = conn.marks;
            if send.res == send.len as i32 {
                self.release(at, send.source);
                if marks & SPILLING != 0 {
                    self.send_spill(send.index);
                }
                if send.tell {
                    self.tell_sent(send.index, send.len as usize, now);
                }
                if marks & CLOSE_WHEN_SENT != 0 {
                    self.close_if_sent(send.index);
                }
                if B::PAIRS && marks & SPILLING == 0 {
                    self.sent_all(send.index);
                }
            } else if send.res >= 0 || send.res == -libc::EAGAIN {
                self.spill_rest(&send, taken as usize);
                self.release(at, send.source);
                self.send_spill(send.index);
            } else {
                self.spills.forget(key);
                *self.marks(send.index) &= !SPILLING;
                self.release(at, send.source);
                self.finish(send.index, self.table.close_cause(-send.res), now);
            }
        }
        self.settled_sends = self.settled_sends.saturating_add(writes as u32);
        self.table.counters.writes.add(writes);
        self.table.counters.bytes_sent.add(bytes);
        self.settled = sends;
    }

    /// Puts what the kernel did not take of a send into the spill.
    fn spill_rest(&mut self, send: &Silent, taken: usize) {
        let len = send.len as usize;
        let bytes = match send.source {
            Source::Memory(start) => &self.memory[start as usize..start as usize + len],
            Source::Written(slot) => self.outgoing.bytes(slot),
            Source::Received(bid) => self.pools.receives.bytes(bid, len),
            Source::Gathered(slot) => {
                let key = (send.index, send.generation);
                let mut taken = taken;
                let mut rest: Vec<u8> = Vec::with_capacity(len - taken);
                for (bid, len) in self.messages.parts(slot) {
                    let bytes = self.pools.receives.bytes(*bid, *len as usize);
                    let skipped = taken.min(bytes.len());
                    taken -= skipped;
                    rest.extend_from_slice(&bytes[skipped..]);
                }
                self.spills.add_first(key, &rest, 0);
                *self.marks(send.index) |= SPILLING;
                return;
            }
        };
        let to_tell = if send.tell { len } else { 0 };
        let key = (send.index, send.generation);
        self.spills.add_first(key, &bytes[taken..], to_tell);
        *self.marks(send.index) |= SPILLING;
    }

    /// Releases the memory of a send's bytes.
    fn release(&mut self, at: usize, source: Source) {
        match source {
            Source::Memory(_) => {}
            Source::Written(slot) => self.outgoing.done(slot),
            Source::Received(bid) => {
                self.echoes -= 1;
                self.rings[at].give_back(&self.pools, Group::Receives, bid);
            }
            Source::Gathered(slot) => {
                for (bid, _) in self.messages.parts(slot) {
                    self.echoes -= 1;
                    self.rings[at].give_back(&self.pools, Group::Receives, *bid);
                }
                self.messages.done(slot);
            }
        }
    }
}
