//! Doing what a behaviour asks for in its outbox.

use super::rest::{Rest, Source};
use super::worker::{CLOSE_WHEN_SENT, TO_TELL, WATCHED, Worker};
use throng_core::behaviour::{Behaviour, Outbox, Reads, Transmit};
use throng_core::stats::Closed;
use throng_core::time::Time;
impl<B: Behaviour> Worker<B> {
    /// Does what a behaviour asked for. The first `got` bytes of the buffer were just received.
    pub(super) fn apply(&mut self, index: u32, mut out: Outbox, got: usize, now: Time) {
        let generation = self.table.conns[index as usize].generation;
        self.table.pass(out.pass);
        if let Some(at) = out.wake {
            self.table.set_timer(index, at);
        }
        if B::PAIRS
            && let Some(way) = out.open
        {
            self.open_partner(index, way, now);
            if !self.is_current(index, generation) {
                self.keep_bytes(out.bytes);
                return;
            }
        }
        if B::PAIRS && !out.pair.is_done() {
            self.apply_to_partner(index, &mut out.pair, now);
            if !self.is_current(index, generation) {
                self.keep_bytes(out.bytes);
                return;
            }
        }
        if out.close && out.abandon {
            self.keep_bytes(out.bytes);
            self.finish(index, Closed::ByUs, now);
            return;
        }
        if out.close {
            self.table.conns[index as usize].marks |= CLOSE_WHEN_SENT;
        }
        match out.send {
            Transmit::Nothing => self.close_if_sent(index, now),
            Transmit::Memory(range) => {
                let left = range.start as usize..range.end as usize;
                let whole = left.len();
                let more = out.more;
                self.send(index, Rest::Memory { left, whole, more }, now);
            }
            Transmit::Across(from) => self.send_across(index, from as usize..got, now),
            Transmit::Back => self.send_bytes(index, Source::Received(0..got), false, false, now),
            Transmit::Bytes | Transmit::Reply => {
                let tell = out.send == Transmit::Bytes;
                self.send_bytes(index, Source::Written(&out.bytes), tell, out.more, now);
            }
        }
        self.keep_bytes(out.bytes);
        if B::PAIRS && self.is_current(index, generation) {
            if out.close {
                // What a pair has not sent yet, nobody waits for.
                self.finish(index, Closed::ByUs, now);
                return;
            }
            self.pass_on_ends(index, &out.pair, now);
        }
        if out.read > 0 && self.table.reads() == Reads::Asked && self.is_current(index, generation)
        {
            // Not at once, so that a behaviour that reads again each time does not recurse.
            self.asked.insert(index, out.read as usize);
            self.read_later(index);
        }
        if out.watch && self.table.reads() == Reads::Asked && self.is_current(index, generation) {
            self.table.conns[index as usize].marks |= WATCHED;
            // The peer may have left before, while it was read from.
            self.poll.look_again(self.fd(index), self.key(index));
        }
    }

    /// Tells behaviours of the sends that have ended since the last call.
    pub(super) fn tell_sent(&mut self) {
        let now = self.table.clock.now();
        for _ in 0..self.sent.len() {
            let Some((index, generation, whole)) = self.sent.pop_front() else {
                return;
            };
            if self.is_current(index, generation) {
                let mut out = self.outbox();
                self.table.conns[index as usize].marks &= !TO_TELL;
                self.table.sent(index, whole, now, &mut out);
                self.apply(index, out, 0, now);
            }
        }
    }
}
