//! Sending, as the table in [`uring`](super) says.

use super::op::{self, Op};
use super::unsettled::{SILENT_MOST, Silent, Source};
use super::worker::{
    CLOSE_WHEN_SENT, PAUSED, RECEIVING, SENDING, SHUT, SPILLING, SUBMITTING, Worker,
};
use std::mem::take;
use std::ops::Range;
use throng_core::behaviour::{Behaviour, Reads};

/// A connection with more bytes than this in its spill is not read from.
pub(super) const PAUSE_ABOVE: usize = 256 * 1024;

/// The most bytes that wait on a connection for its partner's peer: twice that, and what the buffers held.
const MOST_ACROSS: usize = 3 * 1024 * 1024;

impl<B: Behaviour> Worker<B> {
    /// Sends a part of the behaviour's memory.
    pub(super) fn send_memory(&mut self, index: u32, range: Range<u32>) {
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

    /// Sends what a behaviour wrote, from where it wrote it if no send is under way.
    pub(super) fn send_bytes(&mut self, index: u32, tell: bool) {
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

    /// Sends received bytes back: from their buffer if no send is under way, else through the spill. Returns
    /// whether the buffer is still needed.
    pub(super) fn send_back(&mut self, index: u32, bid: u16, len: u32) -> bool {
        let (at, _) = self.place(index);
        let waits = self.is_sending(index);
        if !waits && self.rings[at].silent.has_room() {
            let bytes = (self.pools.receives.address(bid), len);
            self.send_silently(index, bytes, Source::Received(bid), false);
            self.echoes += 1;
            return true;
        }
        let key = (index, self.table.conns[index as usize].generation);
        let waiting = self
            .spills
            .add(key, self.pools.receives.bytes(bid, len as usize), false);
        *self.marks(index) |= SPILLING;
        self.pause_above(index, waiting);
        if !waits {
            self.send_spill(index);
        }
        false
    }

    /// Sends `len` bytes silently on a connection that has no send under way. The list must have
    /// [room](super::unsettled::SilentSends::has_room).
    pub(super) fn send_silently(
        &mut self,
        index: u32,
        (address, len): (u64, u32),
        source: Source,
        tell: bool,
    ) {
        let (at, slot) = self.place(index);
        let generation = self.table.conns[index as usize].generation;
        let ring = &mut self.rings[at];
        let send = Silent {
            index,
            generation,
            tell,
            source,
            len,
            res: len as i32,
        };
        let position = ring.silent.push(send, &mut self.settled);
        let tag = op::Tag::new(Op::Silent, slot, generation, position);
        ring.push(match source {
            Source::Gathered(_) => op::send_message_silently(address, tag),
            _ => op::send_silently(address, len, self.out.more, tag),
        });
        *self.marks(index) |= SUBMITTING;
    }

    /// Adds bytes to the spill.
    fn spill(&mut self, index: u32, bytes: &[u8], tell: bool) {
        let key = (index, self.table.conns[index as usize].generation);
        let waiting = self.spills.add(key, bytes, tell);
        *self.marks(index) |= SPILLING;
        // Of a pair, what waits may be what the partner's peer has sent, which is bounded.
        let own = if B::PAIRS { MOST_ACROSS } else { 0 };
        self.pause_above(index, waiting.saturating_sub(own));
    }

    /// Stops reading from a connection when more than [`PAUSE_ABOVE`] bytes wait in the spill of the one that sends them.
    pub(super) fn pause_above(&mut self, index: u32, waiting: usize) {
        if waiting > PAUSE_ABOVE {
            self.pause(index);
        }
    }

    /// Stops reading from a connection.
    pub(super) fn pause(&mut self, index: u32) {
        let marks = *self.marks(index);
        let multishot = matches!(self.table.reads(), Reads::All);
        if multishot && marks & (PAUSED | RECEIVING) == RECEIVING {
            let receive = self.tag(Op::Recv, index, 0);
            let (at, _) = self.place(index);
            self.rings[at].push(op::cancel(receive));
            *self.marks(index) |= PAUSED;
            if B::PAIRS {
                self.checks.later(index);
            }
        }
    }

    /// Sends the next bytes of the spill, or ends it. Nothing of it may be under way.
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
                if B::PAIRS {
                    self.all_sent(index);
                } else {
                    self.read_on(index);
                }
            }
        }
    }

    /// Reads again from a connection that was paused.
    pub(super) fn read_on(&mut self, index: u32) {
        let marks = *self.marks(index);
        *self.marks(index) &= !PAUSED;
        if marks & (PAUSED | RECEIVING | CLOSE_WHEN_SENT | SHUT) == PAUSED
            && !self.floods.has(index)
        {
            self.receive(index);
        }
    }

    /// Sends again what the spill was sending, of which the kernel took nothing.
    pub(super) fn send_spill_again(&mut self, index: u32, generation: u16) {
        let (at, _) = self.place(index);
        if let Some((address, len)) = self.spills.again((index, generation)) {
            let tag = self.tag(Op::Spill, index, 0);
            self.rings[at].push(op::send(address, len, false, tag));
        }
    }
}
