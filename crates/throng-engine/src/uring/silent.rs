//! Sends of which the kernel says nothing when all goes well.
//!
//! A short send nearly always ends while it is submitted, so its completion says nothing new, and costs the
//! kernel and us as much as one that does: of an echo's four completions two would be such. These sends never
//! wait (MSG_DONTWAIT), and complete only if they fail or end short (IOSQE_CQE_SKIP_SUCCESS). Once all entries of
//! a ring are submitted, those without a completion are sent: then they are settled.

use super::op::{self, Op};
use super::worker::{CLOSE_WHEN_SENT, SPILLING, SUBMITTING, Worker};
use crate::socket::close_cause;
use crate::table::State;
use throng_core::behaviour::Behaviour;
use throng_core::time::Time;

/// The longest send that a behaviour is told of and that is silent: what a send buffer that is empty takes for
/// sure. The rest of one that ends short is copied.
pub(super) const SILENT_MOST: usize = 4096;
/// The most unsettled sends of a ring: as many as a tag's extra bits can name.
const MOST: usize = 1 << 16;

/// Where the bytes of a send are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// In the behaviour's memory, from here on.
    Memory(u32),
    /// Where the behaviour wrote them: in this slot of what is outgoing.
    Written(u16),
    /// In this receive buffer.
    Received(u16),
}

/// A send that is not settled.
#[derive(Debug)]
pub(super) struct Silent {
    index: u32,
    generation: u16,
    /// Whether the behaviour is to be told.
    tell: bool,
    source: Source,
    len: u32,
    /// How many bytes were taken, or the error's negative number; all of them, unless a completion says otherwise.
    res: i32,
}

/// The sends of one ring that are not settled.
#[derive(Default)]
pub(super) struct SilentSends(Vec<Silent>);

impl SilentSends {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one more can be told from the others.
    pub fn has_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// Whether a send of connection `index` is among them of which its behaviour is to be told.
    pub fn is_to_tell(&self, index: u32) -> bool {
        self.0.iter().any(|send| send.index == index && send.tell)
    }

    /// A completion says that the send at `position` failed, or how much of it was taken.
    pub fn cut_short(&mut self, position: u16, res: i32) {
        if let Some(send) = self.0.get_mut(usize::from(position)) {
            send.res = res;
        }
    }
}

impl<B: Behaviour> Worker<B> {
    /// Sends `len` bytes of a connection on which no send is under way. There must be [room](SilentSends::has_room).
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
        let position = ring.silent.0.len();
        if position == 0 {
            // A ring that is not in use keeps no memory for this.
            ring.silent.0 = std::mem::take(&mut self.settled);
        }
        ring.silent.0.push(Silent {
            index,
            generation,
            tell,
            source,
            len,
            res: len as i32,
        });
        let tag = op::Tag::new(Op::Silent, slot, generation, position as u16);
        ring.push(op::send_silently(address, len, self.out.more, tag));
        *self.marks(index) |= SUBMITTING;
    }

    /// Settles the sends of ring `at`, if all are submitted.
    pub(super) fn settle(&mut self, at: usize, now: Time) {
        let ring = &mut self.rings[at];
        if ring.silent.is_empty() || ring.has_pending() || ring.has_overflowed() {
            return;
        }
        ring.take_silent_completions();
        let mut sends = std::mem::take(&mut ring.silent.0);
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
            } else if send.res >= 0 || send.res == -libc::EAGAIN {
                self.spill_rest(&send, taken as usize);
                self.release(at, send.source);
                self.send_spill(send.index);
            } else {
                self.spills.forget(key);
                *self.marks(send.index) &= !SPILLING;
                self.release(at, send.source);
                self.finish(send.index, close_cause(-send.res), now);
            }
        }
        self.settled_sends = self.settled_sends.saturating_add(writes as u32);
        self.table.counters.writes.add(writes);
        self.table.counters.bytes_sent.add(bytes);
        self.settled = sends;
    }

    /// Keeps what was not taken of a send.
    fn spill_rest(&mut self, send: &Silent, taken: usize) {
        let len = send.len as usize;
        let bytes = match send.source {
            Source::Memory(start) => &self.memory[start as usize..start as usize + len],
            Source::Written(slot) => self.outgoing.bytes(slot),
            Source::Received(bid) => self.pool.bytes(bid, len),
        };
        let to_tell = if send.tell { len } else { 0 };
        let key = (send.index, send.generation);
        self.spills.add_first(key, &bytes[taken..], to_tell);
        *self.marks(send.index) |= SPILLING;
    }

    /// The bytes of a send are not needed any more.
    fn release(&mut self, at: usize, source: Source) {
        match source {
            Source::Memory(_) => {}
            Source::Written(slot) => self.outgoing.done(slot),
            Source::Received(bid) => {
                self.echoes -= 1;
                self.rings[at].give_back(&self.pool, bid);
            }
        }
    }
}
