//! Floods between the two of a pair, which stay in the kernel: pages go from one socket to a pipe and on to the other socket, and
//! nothing is copied.
//!
//! io_uring leaves a splice to threads of the kernel, so splice(2) is called instead. It needs descriptors, so while a flood lasts
//! both sockets have one besides their slots. A flood begins when much was received at once. The receive is cancelled; once it has
//! ended and all of it is sent, the descriptors are asked for. From then on a poll says when the one socket has something, or when
//! the other has room. The flood ends when little arrives, or the stream does; then the connection is received from again.

use super::floods::{Flood, Flow, Stage};
use super::op::{self, Op, Tag};
use super::worker::{PAUSED, RECEIVING, SENDING, SHUT, Worker};
use crate::table::{State, partner_of};
use std::os::fd::OwnedFd;
use std::time::Duration;
use throng_core::behaviour::Behaviour;
use throng_core::engine::Engine;
use throng_core::time::Time;

/// A flood begins when this many bytes were received at once: four buffers.
const MANY_BYTES: u32 = 64 * 1024;
/// After a splice of less than this, receiving and sending is not dearer.
const FEW_BYTES: usize = 16 * 1024;
/// With this many of those in a row, a flood is over.
const FEW: u8 = 4;
/// The maximum number of pipes that a flood fills before others have their turn: 2 MiB.
const FILLS_A_TURN: u32 = 8;
/// How long none begins after one could not: there are no files, or the kernel is older than Linux 6.8.
const REST: Duration = Duration::from_secs(1);

/// Extras of an [install](op::install) for a flood from, and to, the connection.
pub(super) const FROM: u16 = 2;
pub(super) const TO: u16 = 3;

impl<B: Behaviour> Worker<B> {
    /// This many bytes were received at once on connection `index`, and are sent on its partner: a flood begins if these are many.
    pub(super) fn note_flood(&mut self, index: u32, bytes: u32) {
        if bytes < MANY_BYTES {
            return;
        }
        let now = self.table.clock.now();
        let partner = &self.table.conns[partner_of(index) as usize];
        let stands = partner.state == State::Open && partner.marks & SHUT == 0;
        let reads = *self.marks(index) & (RECEIVING | PAUSED | SHUT) == RECEIVING;
        // A cancel misses a receive that is being retried: it is cancelled again.
        let begins = self.floods.begins(index);
        if !stands || !reads || !begins && !self.may_flood(index, now) {
            return;
        }
        if !begins {
            self.floods.last = self.floods.last.wrapping_add(1);
            let flood = Flood {
                number: self.floods.last,
                stage: Stage::Begins,
                at: now,
            };
            self.floods.all.insert(index, flood);
        }
        let receive = self.receive_tag(index);
        let (at, _) = self.place(index);
        self.rings[at].push(op::cancel_receive(receive));
    }

    fn may_flood(&mut self, index: u32, now: Time) -> bool {
        if self.floods.has(index) || now < self.floods.rest || !self.table.passes(index) {
            return false;
        }
        if (self.floods.all.len() as u64) < Engine::Uring.floods_per_worker() {
            return true;
        }
        let idle = self.floods.idle(now);
        if let Some(idle) = idle {
            self.end_flood(idle);
        }
        idle.is_some()
    }

    /// The receive of a connection has ended, or all is sent on its partner. Returns whether a flood takes the receive's place.
    pub(super) fn flood_follows(&mut self, index: u32) -> bool {
        if !self.floods.has(index) {
            return false;
        }
        let partner = partner_of(index);
        if !self.floods.begins(index)
            || *self.marks(index) & RECEIVING != 0
            || self.gather.is_for(partner)
        {
            return true;
        }
        if *self.marks(partner) & SENDING != 0 {
            // A send whose end is not waited for here.
            self.floods.all.remove(&index);
            return false;
        }
        if !self.is_sending(partner)
            && let Some(flood) = self.floods.all.get_mut(&index)
        {
            flood.stage = Stage::Asked([None, None]);
            let tags = [
                self.tag(Op::Install, index, FROM),
                self.tag(Op::Install, partner, TO),
            ];
            let (at, _) = self.place(index);
            for tag in tags {
                self.rings[at].push(op::install(tag));
            }
        }
        true
    }

    /// A connection has a descriptor for a flood, or could not have one.
    pub(super) fn flood_installed(
        &mut self,
        index: u32,
        tag: Tag,
        file: Option<OwnedFd>,
        now: Time,
    ) {
        let from = match tag.extra {
            TO => partner_of(index),
            _ => index,
        };
        if !self.is_current(index, tag, State::Open) {
            return;
        }
        let Some(flood) = self.floods.all.get_mut(&from) else {
            return;
        };
        let Stage::Asked(files) = &mut flood.stage else {
            return;
        };
        let has_one = file.is_some();
        files[usize::from(tag.extra == TO)] = file;
        let both = match files {
            [from @ Some(_), to @ Some(_)] => from.take().zip(to.take()),
            _ => None,
        };
        let pipe = both.as_ref().and_then(|_| self.floods.pipes.borrow());
        match (both, pipe) {
            (Some((from_file, to_file)), Some(pipe)) => {
                flood.stage = Stage::Flows(Flow {
                    from: from_file,
                    to: to_file,
                    pipe,
                    left: 0,
                    few: 0,
                    poll: None,
                });
                self.flow(from, now);
            }
            (None, _) if has_one => {}
            _ => {
                self.floods.rest = now + REST;
                self.end_flood(from);
            }
        }
    }

    /// A poll of a flood from a connection, or to it, has ended.
    pub(super) fn flood_polled(&mut self, index: u32, tag: Tag, now: Time) {
        for from in [index, partner_of(index)] {
            if let Some(flow) = self.floods.flow(from)
                && flow.poll == Some(tag)
            {
                flow.poll = None;
                self.flow(from, now);
                return;
            }
        }
    }

    /// Splices from a connection to its partner until one of them has to be waited for.
    fn flow(&mut self, index: u32, now: Time) {
        let mut fills = 0;
        // What the behaviour asks for may end the connection.
        while let Some(flood) = self.floods.all.get_mut(&index) {
            let Stage::Flows(flow) = &mut flood.stage else {
                return;
            };
            if flow.left > 0 {
                match flow.empty() {
                    Ok(n) => {
                        flow.left -= n;
                        self.table.counters.writes.add(1);
                        self.table.counters.bytes_sent.add(n as u64);
                    }
                    Err(libc::EAGAIN) => {
                        // Meanwhile a poll would not tell of a reset by the peer that the bytes are from.
                        self.checks.later(index);
                        self.poll_flood(index, TO);
                        return;
                    }
                    Err(errno) => {
                        self.finish(partner_of(index), self.table.close_cause(errno), now);
                        return;
                    }
                }
                continue;
            }
            if flow.few >= FEW {
                self.end_flood(index);
                return;
            }
            if fills == FILLS_A_TURN {
                self.poll_flood(index, FROM);
                return;
            }
            fills += 1;
            match flow.fill() {
                Ok(n) if n > 0 => {
                    flow.left = n;
                    flow.few = if n < FEW_BYTES { flow.few + 1 } else { 0 };
                    flood.at = now;
                    self.table.counted(index, n, now, &mut self.out);
                    self.apply(index, None);
                }
                Err(libc::EAGAIN) => {
                    self.poll_flood(index, FROM);
                    return;
                }
                // The end of the stream, which a receive finds again. An error is told only once.
                Ok(_) => {
                    self.end_flood(index);
                    return;
                }
                Err(errno) => {
                    self.finish(index, self.table.close_cause(errno), now);
                    return;
                }
            }
        }
    }

    /// Waits until the connection has something, or its partner has room.
    fn poll_flood(&mut self, index: u32, which: u16) {
        let number = self.floods.all[&index].number;
        let (of, events) = match which {
            TO => (partner_of(index), libc::POLLOUT),
            _ => (index, libc::POLLIN),
        };
        let tag = self.tag(Op::Flood, of, number);
        let (at, _) = self.place(index);
        self.rings[at].push(op::poll(events, tag));
        if let Some(flow) = self.floods.flow(index) {
            flow.poll = Some(tag);
        }
    }

    /// Ends a flood of which nothing is left in the pipe, and receives as before.
    fn end_flood(&mut self, index: u32) {
        self.forget_flood(index);
        self.read_unless_waiting(index);
    }

    /// Forgets the flood from a connection, because it or its partner ends.
    pub(super) fn forget_flood(&mut self, index: u32) {
        if self.floods.all.is_empty() {
            return;
        }
        if let Some(flood) = self.floods.all.remove(&index)
            && let Stage::Flows(flow) = flood.stage
        {
            if let Some(poll) = flow.poll {
                let (at, _) = self.place(index);
                self.rings[at].push(op::cancel(poll));
            }
            if flow.left == 0 {
                self.floods.pipes.give_back(flow.pipe);
            }
        }
    }
}
