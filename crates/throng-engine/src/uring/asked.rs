//! Doing what a behaviour asks for in its outbox.

use super::worker::{CLOSE_WHEN_SENT, RECEIVING, SENDING, SHUT, SPILLING, SUBMITTING, Worker};
use std::mem::take;
use throng_core::behaviour::{Behaviour, Reads, Transmit};
use throng_core::stats::Closed;
impl<B: Behaviour> Worker<B> {
    /// Does what a behaviour asked for. `got` is the buffer of the bytes just received. Returns whether the
    /// buffer is being sent from and must be kept.
    #[inline(always)]
    pub(super) fn apply(&mut self, index: u32, got: Option<(u16, u32)>) -> bool {
        self.table.pass(take(&mut self.out.pass));
        // Most events ask for nothing else.
        !self.out.is_done() && self.carry_out(index, got)
    }

    /// The same, except for turns that are passed on.
    #[inline(never)]
    fn carry_out(&mut self, index: u32, got: Option<(u16, u32)>) -> bool {
        let mut keep = false;
        if let Some(at) = self.out.wake.take() {
            self.table.set_timer(index, at);
        }
        let way = self.out.open.take();
        if B::PAIRS
            && let Some(way) = way
        {
            self.open_partner(index, way);
        }
        if B::PAIRS && !self.out.pair.is_done() {
            self.apply_to_partner(index);
        }
        match (take(&mut self.out.send), got) {
            (Transmit::Nothing, _) | (Transmit::Back | Transmit::Across(_), None) => {}
            (Transmit::Across(from), Some((bid, len))) => {
                keep = self.send_across(index, bid, from..len);
            }
            (Transmit::Memory(range), _) => self.send_memory(index, range),
            (Transmit::Back, Some((bid, len))) => keep = self.send_back(index, bid, len),
            (Transmit::Bytes, _) => self.send_bytes(index, true),
            (Transmit::Reply, _) => self.send_bytes(index, false),
        }
        self.out.bytes.clear();
        self.out.more = false;
        if B::PAIRS {
            if way.is_some() && self.table.waits(index) {
                self.pause(index);
            }
            self.pass_on_ends(index);
        }
        let read = take(&mut self.out.read);
        if read > 0 && self.table.reads() == Reads::Asked {
            self.receive_some(index, read);
        }
        let marks = *self.marks(index);
        if take(&mut self.out.watch)
            && self.table.reads() == Reads::Asked
            && marks & (RECEIVING | SHUT) == 0
        {
            // The watch ends as a receive does.
            *self.marks(index) |= RECEIVING;
            self.watch_for_hangup(index);
        }
        if take(&mut self.out.close) {
            // What a pair has not sent yet, nobody waits for.
            if take(&mut self.out.abandon) | B::PAIRS {
                let now = self.table.clock.now();
                self.finish(index, Closed::ByUs, now);
            } else if *self.marks(index) & (SENDING | SUBMITTING | SPILLING) != 0 {
                *self.marks(index) |= CLOSE_WHEN_SENT;
            } else {
                self.shut(index);
            }
        }
        keep
    }
}
