//! What goes over a connection: receiving into the pool, sending from memory, sending back.

use super::op::{self, Op, Tag};
use super::ring::{CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, Cqe};
use super::worker::{CLOSE_WHEN_SENT, ECHOING, PAUSED, RECEIVING, SENDING, SHUT, SPILLING, Worker};
use crate::desk::State;
use crate::socket::close_cause;
use throng_core::behaviour::{Behaviour, Outbox, Send};
use throng_core::stats::Closed;
use throng_core::time::Time;

/// A peer that lets this much of its echo wait is not read from.
const PAUSE_ABOVE: usize = 256 * 1024;

impl<B: Behaviour> Worker<B> {
    pub(super) fn receive(&mut self, index: u32) {
        let tag = self.tag(Op::Recv, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::receive(tag));
        *self.marks(index) |= RECEIVING;
    }

    pub(super) fn received(&mut self, index: u32, tag: Tag, cqe: Cqe, now: Time) {
        let (at, _) = self.place(index);
        let buffer =
            (cqe.flags & CQE_F_BUFFER != 0).then_some((cqe.flags >> CQE_BUFFER_SHIFT) as u16);
        let current = self.is_current(index, tag, State::Open);
        if current && cqe.flags & CQE_F_MORE == 0 {
            *self.marks(index) &= !RECEIVING;
        }
        let mut keep = false;
        if current
            && *self.marks(index) & SHUT == 0
            && let (Some(bid), len @ 1..) = (buffer, cqe.res)
        {
            let mut out = Outbox::default();
            let bytes = self.pool.bytes(bid, len as usize);
            self.desk.received(index, bytes, now, &mut out);
            keep = self.apply(index, out, Some((bid, len as u32)));
        }
        if let Some(bid) = buffer.filter(|_| !keep) {
            self.rings[at].give_back(&self.pool, bid);
        }
        // The connection may be gone by what its behaviour asked for.
        if !self.is_current(index, tag, State::Open) || cqe.flags & CQE_F_MORE != 0 {
            return;
        }
        let marks = *self.marks(index);
        // A multishot receive also ends when buffers run out or the queue is full, and goes on again.
        let goes_on = cqe.res > 0 || cqe.res == -libc::ENOBUFS || cqe.res == -libc::ECANCELED;
        if marks & SHUT != 0 {
            self.finish(index, Closed::ByUs, now);
        } else if goes_on {
            if marks & PAUSED == 0 {
                self.receive(index);
            }
        } else if cqe.res < 0 {
            self.finish(index, close_cause(-cqe.res), now);
        } else if marks & (ECHOING | SPILLING | CLOSE_WHEN_SENT) != 0 {
            // The peer closed its side; what it sent before is still answered, and what was to be sent
            // before closing still is.
            *self.marks(index) |= CLOSE_WHEN_SENT;
        } else {
            self.finish(index, Closed::ByPeer, now);
        }
    }

    /// Does what a behaviour asked for. `got` is the buffer of the bytes just received; returns whether
    /// it is being sent from and must be kept.
    pub(super) fn apply(&mut self, index: u32, out: Outbox, got: Option<(u16, u32)>) -> bool {
        let mut keep = false;
        self.desk.pass(out.pass);
        if let Some(at) = out.wake {
            self.desk.wheel.set(index, at);
        }
        match (out.send, got) {
            (Send::Nothing, _) | (Send::Back, None) => {}
            (Send::Memory(range), _) => {
                debug_assert!(*self.marks(index) & SENDING == 0, "one send at a time");
                let bytes = &self.memory[range.start as usize..range.end as usize];
                let (address, len) = (bytes.as_ptr() as u64, bytes.len() as u32);
                let tag = self.tag(Op::Send, index, len as u16);
                let (at, _) = self.place(index);
                self.rings[at].push(op::send(address, len, tag));
                *self.marks(index) |= SENDING;
            }
            (Send::Back, Some((bid, len))) => keep = self.send_back(index, bid, len),
        }
        if out.close {
            if *self.marks(index) & (SENDING | ECHOING | SPILLING) != 0 {
                *self.marks(index) |= CLOSE_WHEN_SENT;
            } else {
                self.shut(index);
            }
        }
        keep
    }

    /// Sends received bytes back: from where they lie if nothing is under way, else through the spill.
    pub(super) fn send_back(&mut self, index: u32, bid: u16, len: u32) -> bool {
        let (at, _) = self.place(index);
        if *self.marks(index) & (ECHOING | SPILLING) == 0 {
            self.lengths[usize::from(bid)] = len;
            let tag = self.tag(Op::Back, index, bid);
            self.rings[at].push(op::send_now(self.pool.address(bid), len, tag));
            self.echoes += 1;
            *self.marks(index) |= ECHOING;
            return true;
        }
        let key = (index, self.desk.conns[index as usize].generation);
        let waiting = self.spills.add(key, self.pool.bytes(bid, len as usize));
        let marks = *self.marks(index);
        *self.marks(index) |= SPILLING;
        if waiting > PAUSE_ABOVE && marks & (PAUSED | RECEIVING) == RECEIVING {
            let receive = self.tag(Op::Recv, index, 0);
            self.rings[at].push(op::cancel(receive));
            *self.marks(index) |= PAUSED;
        }
        false
    }

    pub(super) fn sent(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        self.desk.counters.bytes_sent.add(res.max(0) as u64);
        if !self.is_current(index, tag, State::Open) {
            return;
        }
        *self.marks(index) &= !SENDING;
        if res < 0 {
            self.finish(index, close_cause(-res), now);
            return;
        }
        if res as u16 != tag.extra {
            // It waits until all is sent, so only a reset can have cut it short.
            self.finish(index, Closed::ResetByPeer, now);
            return;
        }
        self.desk.counters.writes.add(1);
        let mut out = Outbox::default();
        self.desk.sent(index, res as usize, now, &mut out);
        self.apply(index, out, None);
        self.close_if_sent(index);
    }

    pub(super) fn echoed(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        self.echoes -= 1;
        let bid = tag.extra;
        let key = (index, tag.generation);
        let (at, _) = self.place(index);
        if !self.is_current(index, tag, State::Open) {
            self.spills.forget(key);
        } else if res < 0 && res != -libc::EAGAIN {
            *self.marks(index) &= !ECHOING;
            self.spills.forget(key);
            self.finish(index, close_cause(-res), now);
        } else {
            let taken = res.max(0) as usize;
            if taken > 0 {
                self.desk.counters.writes.add(1);
                self.desk.counters.bytes_sent.add(taken as u64);
            }
            *self.marks(index) &= !ECHOING;
            let rest = &self
                .pool
                .bytes(bid, self.lengths[usize::from(bid)] as usize)[taken..];
            if !rest.is_empty() {
                self.spills.add_first(key, rest);
                *self.marks(index) |= SPILLING;
            }
            if *self.marks(index) & SPILLING != 0 {
                self.send_spill(index);
            }
            self.close_if_sent(index);
        }
        self.rings[at].give_back(&self.pool, bid);
    }

    pub(super) fn send_spill(&mut self, index: u32) {
        let (at, _) = self.place(index);
        let key = (index, self.desk.conns[index as usize].generation);
        match self.spills.next(key) {
            Some((address, len)) => {
                let tag = self.tag(Op::Spill, index, 0);
                self.rings[at].push(op::send(address, len, tag));
            }
            None => {
                *self.marks(index) &= !SPILLING;
                let marks = *self.marks(index);
                *self.marks(index) &= !PAUSED;
                if marks & (PAUSED | RECEIVING | CLOSE_WHEN_SENT | SHUT) == PAUSED {
                    self.receive(index);
                }
            }
        }
    }

    pub(super) fn spilled(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        let key = (index, tag.generation);
        self.desk.counters.bytes_sent.add(res.max(0) as u64);
        if !self.is_current(index, tag, State::Open) {
            self.spills.forget(key);
        } else if res < 0 || res as usize != self.spills.sending(key) {
            // Cut short: as for any other send.
            let why = if res < 0 {
                close_cause(-res)
            } else {
                Closed::ResetByPeer
            };
            self.spills.forget(key);
            *self.marks(index) &= !SPILLING;
            self.finish(index, why, now);
        } else {
            self.desk.counters.writes.add(1);
            self.send_spill(index);
            self.close_if_sent(index);
        }
    }
}
