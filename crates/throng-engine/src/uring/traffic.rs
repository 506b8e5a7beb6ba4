//! What goes over a connection: receiving into the pool, sending from memory, sending bytes that were
//! written, sending back.

use super::abi::{CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, Cqe};
use super::op::{self, Op, Tag};
use super::silent::{SILENT_MOST, Source};
use super::worker::{
    CLOSE_WHEN_SENT, PAUSED, RECEIVING, SENDING, SHUT, SPILLING, SUBMITTING, Worker,
};
use crate::socket::close_cause;
use crate::table::State;
use std::mem::take;
use std::ops::Range;
use throng_core::behaviour::{Behaviour, Reads, Send};
use throng_core::stats::Closed;
use throng_core::time::Time;

/// A send of at most this many bytes is one that is worth to be read together with others. (With long ones this
/// would drive what was sent out of the cache before it is read: 128 KiB at a time, a third fewer bytes a second.)
const SHORT: usize = 2048;
/// A peer that lets this much of its echo wait is not read from.
const PAUSE_ABOVE: usize = 256 * 1024;

impl<B: Behaviour> Worker<B> {
    /// A connection is up: reads from it as its behaviour does.
    pub(super) fn begin_to_receive(&mut self, index: u32) {
        match self.table.reads() {
            Reads::All | Reads::Counts | Reads::Discards => self.receive(index),
            Reads::Asked => {}
            Reads::Never => self.look_out(index),
        }
    }

    /// Has the kernel say when the peer leaves.
    fn look_out(&mut self, index: u32) {
        let tag = self.tag(Op::Gone, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(op::gone(tag));
    }

    pub(super) fn receive(&mut self, index: u32) {
        let tag = self.tag(Op::Recv, index, 0);
        let (at, _) = self.place(index);
        self.rings[at].push(match self.table.reads() {
            Reads::Counts | Reads::Discards => op::discard(tag),
            Reads::All | Reads::Asked | Reads::Never => op::receive(tag),
        });
        *self.marks(index) |= RECEIVING;
    }

    /// Reads up to `len` bytes once, if nothing is being read.
    fn receive_some(&mut self, index: u32, len: u32) {
        if *self.marks(index) & (RECEIVING | SHUT) == 0 {
            // Buffers are smaller than what an extra can say.
            let len = len.min(u16::MAX.into());
            let tag = self.tag(Op::Recv, index, len as u16);
            let (at, _) = self.place(index);
            self.rings[at].push(op::receive_some(len, tag));
            *self.marks(index) |= RECEIVING;
        }
    }

    /// A connection that is not read from was closed or reset by its peer; or it was we who ended this watch.
    pub(super) fn gone(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        if self.is_current(index, tag, State::Open) {
            let reset = res < 0 || res & i32::from(libc::POLLERR) != 0;
            *self.marks(index) &= !RECEIVING;
            let why = match *self.marks(index) & (CLOSE_WHEN_SENT | SHUT) {
                0 if reset => Closed::ResetByPeer,
                0 => Closed::ByPeer,
                _ => Closed::ByUs,
            };
            self.finish(index, why, now);
        }
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
            let n = len as usize;
            match self.table.reads() {
                Reads::Discards => {
                    self.table.count_read(n);
                    self.bulk.came(n);
                }
                Reads::Counts => {
                    self.table.counted(index, n, now, &mut self.out);
                    self.apply(index, None);
                }
                Reads::All | Reads::Asked | Reads::Never => {
                    let bytes = self.pool.bytes(bid, n);
                    self.table.received(index, bytes, now, &mut self.out);
                    keep = self.apply(index, Some((bid, len as u32)));
                }
            }
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
            if self.table.reads() != Reads::Asked {
                if marks & (PAUSED | RECEIVING) == 0 {
                    self.receive(index);
                }
            } else if cqe.res < 0 && marks & RECEIVING == 0 {
                // No buffer was free: what was asked for is still to come.
                self.receive_some(index, tag.extra.into());
            }
        } else if cqe.res < 0 {
            self.finish(index, close_cause(-cqe.res), now);
        } else if marks & (SPILLING | CLOSE_WHEN_SENT) != 0
            || marks & SUBMITTING != 0 && !self.rings[at].silent.is_to_tell(index)
        {
            // The peer closed its side; what it sent before is still answered, and what was to be sent
            // before closing still is.
            *self.marks(index) |= CLOSE_WHEN_SENT;
        } else {
            self.finish(index, Closed::ByPeer, now);
        }
    }

    /// Does what a behaviour asked for. `got` is the buffer of the bytes just received; returns whether
    /// it is being sent from and must be kept.
    #[inline(always)]
    pub(super) fn apply(&mut self, index: u32, got: Option<(u16, u32)>) -> bool {
        self.table.pass(take(&mut self.out.pass));
        // Most events ask for nothing else.
        !self.out.is_done() && self.carry_out(index, got)
    }

    /// The same, but for turns that are passed on.
    #[inline(never)]
    fn carry_out(&mut self, index: u32, got: Option<(u16, u32)>) -> bool {
        let mut keep = false;
        if let Some(at) = self.out.wake.take() {
            self.table.wheel.set(index, at);
        }
        match (take(&mut self.out.send), got) {
            (Send::Nothing, _) | (Send::Back, None) => {}
            (Send::Memory(range), _) => self.send_memory(index, range),
            (Send::Back, Some((bid, len))) => keep = self.send_back(index, bid, len),
            (Send::Bytes, _) => self.send_bytes(index, true),
            (Send::Reply, _) => self.send_bytes(index, false),
        }
        self.out.bytes.clear();
        self.out.more = false;
        let read = take(&mut self.out.read);
        if read > 0 && self.table.reads() == Reads::Asked {
            self.receive_some(index, read);
        }
        let marks = *self.marks(index);
        if take(&mut self.out.watch)
            && self.table.reads() == Reads::Asked
            && marks & (RECEIVING | SHUT) == 0
        {
            // Something is armed that ends as a receive does.
            *self.marks(index) |= RECEIVING;
            self.look_out(index);
        }
        if take(&mut self.out.close) {
            if *self.marks(index) & (SENDING | SUBMITTING | SPILLING) != 0 {
                *self.marks(index) |= CLOSE_WHEN_SENT;
            } else {
                self.shut(index);
            }
        }
        keep
    }

    fn send_memory(&mut self, index: u32, range: Range<u32>) {
        let bytes = &self.memory[range.start as usize..range.end as usize];
        let (address, len) = (bytes.as_ptr() as u64, bytes.len() as u32);
        if self.is_sending(index) {
            let key = (index, self.table.conns[index as usize].generation);
            self.spills.add(key, bytes, true);
            *self.marks(index) |= SPILLING;
            return;
        }
        let (at, _) = self.place(index);
        if len as usize <= SILENT_MOST && self.rings[at].silent.has_room() {
            self.send_silently(index, (address, len), Source::Memory(range.start), true);
            return;
        }
        let tag = self.tag(Op::Send, index, len as u16);
        self.rings[at].push(op::send(address, len, self.out.more, tag));
        *self.marks(index) |= SENDING;
    }

    /// Whether what is to be sent next on a connection has to wait for what is being sent.
    fn is_sending(&self, index: u32) -> bool {
        self.table.conns[index as usize].marks & (SENDING | SUBMITTING | SPILLING) != 0
    }

    /// Sends what a behaviour wrote, from where it wrote it if nothing is under way.
    fn send_bytes(&mut self, index: u32, tell: bool) {
        let bytes = take(&mut self.out.bytes);
        if self.is_sending(index) {
            self.spill(index, &bytes, tell);
            self.out.bytes = bytes;
            return;
        }
        let (at, _) = self.place(index);
        let silent = !tell || bytes.len() <= SILENT_MOST;
        let slot = match !silent || self.rings[at].silent.has_room() {
            true => self.outgoing.add(bytes),
            false => Err(bytes),
        };
        let slot = match slot {
            Ok(slot) => slot,
            Err(bytes) => {
                self.spill(index, &bytes, tell);
                self.out.bytes = bytes;
                self.send_spill(index);
                return;
            }
        };
        self.out.bytes = self.outgoing.empty();
        let bytes = self.outgoing.bytes(slot);
        let (address, len) = (bytes.as_ptr() as u64, bytes.len() as u32);
        if silent {
            self.send_silently(index, (address, len), Source::Written(slot), tell);
        } else {
            let tag = self.tag(Op::Bytes, index, slot);
            self.rings[at].push(op::send(address, len, self.out.more, tag));
            *self.marks(index) |= SENDING;
        }
    }

    /// Adds bytes to what waits. A peer that lets much wait is not read from until that is gone.
    fn spill(&mut self, index: u32, bytes: &[u8], tell: bool) {
        let key = (index, self.table.conns[index as usize].generation);
        let waiting = self.spills.add(key, bytes, tell);
        *self.marks(index) |= SPILLING;
        self.pause_above(index, waiting);
    }

    fn pause_above(&mut self, index: u32, waiting: usize) {
        let marks = *self.marks(index);
        let multishot = matches!(self.table.reads(), Reads::All);
        if waiting > PAUSE_ABOVE && multishot && marks & (PAUSED | RECEIVING) == RECEIVING {
            let receive = self.tag(Op::Recv, index, 0);
            let (at, _) = self.place(index);
            self.rings[at].push(op::cancel(receive));
            *self.marks(index) |= PAUSED;
        }
    }

    /// Sends received bytes back: from their buffer if nothing is under way, else through the spill. Returns
    /// whether their buffer is still needed.
    pub(super) fn send_back(&mut self, index: u32, bid: u16, len: u32) -> bool {
        let (at, _) = self.place(index);
        let waits = self.is_sending(index);
        if !waits && self.rings[at].silent.has_room() {
            let bytes = (self.pool.address(bid), len);
            self.send_silently(index, bytes, Source::Received(bid), false);
            self.echoes += 1;
            return true;
        }
        let key = (index, self.table.conns[index as usize].generation);
        let waiting = self
            .spills
            .add(key, self.pool.bytes(bid, len as usize), false);
        *self.marks(index) |= SPILLING;
        self.pause_above(index, waiting);
        if !waits {
            self.send_spill(index);
        }
        false
    }

    pub(super) fn bytes_sent(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        let len = self.outgoing.bytes(tag.extra).len();
        self.outgoing.done(tag.extra);
        self.send_ended(index, tag, res, len as u16, now);
    }

    /// A send ended of which the behaviour is to be told. It waits until all is sent, so only a reset can cut it
    /// short; `len` is its length, modulo 65,536.
    pub(super) fn send_ended(&mut self, index: u32, tag: Tag, res: i32, len: u16, now: Time) {
        self.table.counters.bytes_sent.add(res.max(0) as u64);
        if !self.is_current(index, tag, State::Open) {
            self.spills.forget((index, tag.generation));
            return;
        }
        *self.marks(index) &= !SENDING;
        if res < 0 || res as u16 != len {
            let why = match res {
                ..0 => close_cause(-res),
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

    pub(super) fn tell_sent(&mut self, index: u32, n: usize, now: Time) {
        self.bulk.sent();
        self.table.sent(index, n, now, &mut self.out);
        self.apply(index, None);
        self.sends_on |= n <= SHORT && *self.marks(index) & (SENDING | SUBMITTING) != 0;
    }

    pub(super) fn send_spill(&mut self, index: u32) {
        let (at, _) = self.place(index);
        let key = (index, self.table.conns[index as usize].generation);
        match self.spills.next(key) {
            Some((address, len)) => {
                let tag = self.tag(Op::Spill, index, 0);
                self.rings[at].push(op::send(address, len, false, tag));
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
        self.table.counters.bytes_sent.add(res.max(0) as u64);
        let (sending, to_tell) = self.spills.sending(key);
        if !self.is_current(index, tag, State::Open) {
            self.spills.forget(key);
        } else if res < 0 || res as usize != sending {
            let why = if res < 0 {
                close_cause(-res)
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
}
