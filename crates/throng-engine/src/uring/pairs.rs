//! Connections in pairs: what is received on one is sent on the other, from the buffer that it was received into.
//!
//! What the kernel does not take is copied to the spill of the one that sends it. While that has more than 256 KiB in it, the
//! other is not read from. So at most twice that waits for a peer, and what the worker's buffers held when it was too much.

use super::flooding::{FROM, TO};
use super::op::{self, Op, Tag};
use super::opening::{ACCEPT_REST, push_connect};
use super::sending::PAUSE_ABOVE;
use super::unsettled::Source;
use super::worker::{PAUSED, RECEIVING, SENDING, SHUT, SPILLING, SUBMITTING, Worker};
use crate::socket;
use crate::table::{State, Step, is_cut, partner_of};
use std::mem::{replace, take};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use throng_core::behaviour::{Behaviour, Way};
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// The extra of an [install](op::install) for a connection that is to finish sending. Without it, it is for one that was accepted.
const TO_FINISH: u16 = 1;

impl<B: Behaviour> Worker<B> {
    /// Opens a connection as the partner of `of`.
    pub(super) fn open_partner(&mut self, of: u32, way: Way) {
        let now = self.table.clock.now();
        let index = self.table.open_partner(of, now);
        let (at, _) = self.place(index);
        let prepare = self.tag(Op::Prepare, index, 0);
        let connect = self.tag(Op::Connect, index, 0);
        let part = self.table.part_of_ports(way);
        let own = self.table.own_ends(way).map(Box::new);
        let road = self.table.addresses(way, own.as_deref());
        let ports = part.map(|part| self.table.port_option(part));
        let making = &self.table.making;
        push_connect(&mut self.rings[at], making, road, ports, prepare, connect);
        if part.is_some() {
            self.parted.insert((index, connect.generation), Some(way));
        }
        if let Some(own) = own {
            self.own_ends.insert((index, connect.generation), own);
        }
    }

    /// A connection has a descriptor besides its slot, or could not have one: with an errno of this process, or because the kernel
    /// is older than Linux 6.8.
    pub(super) fn installed(&mut self, index: u32, tag: Tag, res: i32, now: Time) {
        // SAFETY: the kernel made this descriptor for us.
        let file = (res >= 0).then(|| unsafe { OwnedFd::from_raw_fd(res) });
        match tag.extra {
            TO_FINISH => return self.finish_sending(index, tag, file, now),
            FROM | TO => return self.flood_installed(index, tag, file, now),
            _ => {}
        }
        if !self.is_current(index, tag, State::Free) {
            return;
        }
        match file.map(socket::ends) {
            Some(Ok((_, ends))) => {
                self.table.accepted_from(index, ends, now);
                self.begin(index, now);
            }
            // It has left already, or nobody can tell whose it is.
            Some(Err(_)) | None => {
                let (at, slot) = self.place(index);
                self.rings[at].push(op::close(slot, tag.generation));
                if res < 0 {
                    self.table.unidentified(index);
                    self.next_check = now + ACCEPT_REST;
                } else {
                    self.table.give_place(index);
                }
            }
        }
    }

    /// A partner could not be opened. Its slot is closed.
    pub(super) fn partner_failed(&mut self, index: u32, cause: FailCause, now: Time) {
        let before = (index, self.table.conns[index as usize].generation);
        let of = self.table.partner_failed(index, cause, now, &mut self.out);
        let after = (index, self.table.conns[index as usize].generation);
        match of {
            Some(of) => {
                self.spills.hand_on(before, after);
                self.apply(of, None);
            }
            None => _ = self.spills.forget(before),
        }
    }

    /// A partner is established, and its behaviour has been told.
    pub(super) fn joined(&mut self, index: u32, now: Time) {
        if self.table.conns[index as usize].state != State::Open {
            return;
        }
        if self.table.is_alone(index) {
            self.finish_one(index, Closed::ByUs, now);
            return;
        }
        let sending = self.is_sending(index);
        let key = (index, self.table.conns[index as usize].generation);
        if self.spills.has(key) {
            *self.marks(index) |= SPILLING;
            if !sending {
                self.send_spill(index);
            }
        } else if !sending {
            self.sent_all(index);
        }
        self.read_unless_waiting(partner_of(index));
    }

    /// Reads from an accepted connection, unless its partner is being opened.
    pub(super) fn read_unless_waiting(&mut self, index: u32) {
        if self.table.conns[index as usize].state == State::Open
            && self.table.partner_state(index) != State::Connecting
            && !self.table.has_peer_finished(index)
            && !self.floods.has(index)
            && !self.table.waits(index)
            && *self.marks(index) & (RECEIVING | PAUSED | SHUT) == 0
        {
            self.receive(index);
        }
    }

    /// Sends received bytes on a connection's partner, from their buffer if no send is under way, else through the spill.
    /// Returns whether the buffer is still needed.
    pub(super) fn send_across(&mut self, index: u32, bid: u16, received: Range<u32>) -> bool {
        let partner = partner_of(index);
        let state = self.table.conns[partner as usize].state;
        let (at, _) = self.place(index);
        let waits = self.is_sending(partner);
        let gathers = self.gather.is_for(partner) && *self.marks(partner) & SPILLING == 0;
        let goes = !waits || gathers;
        let has_room = self.rings[at].silent.has_room() && self.messages.has_room();
        if state == State::Open && goes && received.start == 0 && has_room {
            if !gathers {
                self.send_gathered();
                self.gather.to = partner;
            }
            self.gather.parts.push((bid, received.end));
            *self.marks(partner) |= SUBMITTING;
            self.echoes += 1;
            return true;
        }
        if !matches!(state, State::Open | State::Connecting) {
            return false;
        }
        let key = (partner, self.table.conns[partner as usize].generation);
        let bytes = self.pools.receives.bytes(bid, received.end as usize);
        let waiting = self
            .spills
            .add(key, &bytes[received.start as usize..], false);
        self.pause_above(index, waiting);
        if state == State::Open {
            *self.marks(partner) |= SPILLING;
            if !waits {
                self.send_spill(partner);
            }
        }
        false
    }

    /// Does what a behaviour asked for that concerns the partner of a connection, except to pass on the ends of streams.
    pub(super) fn apply_to_partner(&mut self, index: u32) {
        let partner = partner_of(index);
        let bytes = take(&mut self.out.pair.across);
        let state = self.table.conns[partner as usize].state;
        match state {
            _ if bytes.is_empty() => {}
            State::Open if !self.is_sending(partner) => {
                let own = replace(&mut self.out.bytes, bytes);
                self.send_bytes(partner, false);
                self.out.pair.across = replace(&mut self.out.bytes, own);
            }
            State::Open | State::Connecting => {
                let key = (partner, self.table.conns[partner as usize].generation);
                let waiting = self.spills.add(key, &bytes, false);
                if state == State::Open {
                    *self.marks(partner) |= SPILLING;
                }
                self.pause_above(index, waiting);
                self.out.pair.across = bytes;
            }
            State::Free | State::Early | State::Waiting => {}
        }
        self.out.pair.across.clear();
        let cut = take(&mut self.out.pair.cut);
        let resume = take(&mut self.out.pair.resume);
        if state != State::Open {
            return;
        }
        if cut {
            self.cut(partner);
        }
        if resume {
            self.read_on(partner);
            self.read_unless_waiting(partner);
        }
    }

    /// Passes on the ends of streams that a behaviour has asked for, after all that it has sent.
    pub(super) fn pass_on_ends(&mut self, index: u32) {
        let ended = take(&mut self.out.pair.ended);
        let partner_ended = take(&mut self.out.pair.partner_ended);
        if self.out.close {
            return;
        }
        let now = self.table.clock.now();
        let generation = self.table.conns[index as usize].generation;
        if partner_ended && self.table.partner_state(index) == State::Open {
            self.stream_ended(partner_of(index), now);
        }
        let conn = &self.table.conns[index as usize];
        if ended && conn.state == State::Open && conn.generation == generation {
            self.stream_ended(index, now);
        }
    }

    /// Sends what was gathered for a connection.
    pub(super) fn send_gathered(&mut self) {
        let parts = std::mem::take(&mut self.gather.parts);
        let to = self.gather.to;
        self.note_flood(partner_of(to), parts.iter().map(|(_, len)| len).sum());
        match parts[..] {
            [] => {}
            [(bid, len)] => {
                let bytes = (self.pools.receives.address(bid), len);
                self.send_silently(to, bytes, Source::Received(bid), false);
            }
            _ => {
                let receives = &self.pools.receives;
                let (slot, message) = self.messages.add(&parts, |bid| receives.address(bid));
                let len = parts.iter().map(|(_, len)| len).sum();
                self.send_silently(to, (message, len), Source::Gathered(slot), false);
            }
        }
        self.gather.parts = parts;
        self.gather.parts.clear();
    }

    /// The spill of a connection is sent: reads from its partner again.
    pub(super) fn all_sent(&mut self, index: u32) {
        let partner = partner_of(index);
        if self.table.conns[partner as usize].state == State::Open
            && !self.table.has_peer_finished(partner)
            && !self.table.waits(partner)
        {
            self.read_on(partner);
        }
        if *self.marks(index) & PAUSED != 0 && self.may_read_on(index) {
            // It was paused because of what is sent now.
            self.read_on(index);
        }
        self.sent_all(index);
    }

    /// Whether a paused connection is not paused because of what its partner sends, or has to wait for.
    fn may_read_on(&self, index: u32) -> bool {
        let partner = partner_of(index);
        let key = (partner, self.table.conns[partner as usize].generation);
        self.spills.waiting(key) <= PAUSE_ABOVE
            && !self.table.waits(index)
            && !self.table.has_peer_finished(index)
    }

    /// Nothing is left to send on a connection: passes on the end of what is received, if there is one.
    #[inline]
    pub(super) fn sent_all(&mut self, index: u32) {
        let from = partner_of(index);
        if self.floods.has(from) && !self.flood_follows(from) {
            self.read_unless_waiting(from);
        }
        if self.table.has_peer_finished(partner_of(index)) {
            self.pass_on_the_end(index, self.table.clock.now());
        }
    }

    /// The peer of a connection has finished sending.
    pub(super) fn peer_finished(&mut self, index: u32, now: Time) {
        if self.table.has_peer_finished(index) {
            // Its behaviour knew before.
            return;
        }
        if self.table.waits(index) {
            // It was to be read from no more, and the end is found again when it is.
            self.checks.later(index);
            return;
        }
        let generation = self.table.conns[index as usize].generation;
        self.table.tell_peer_finished(index, now, &mut self.out);
        self.apply(index, None);
        let conn = &self.table.conns[index as usize];
        if conn.state == State::Open && conn.generation == generation {
            self.stream_ended(index, now);
        }
    }

    /// The stream of a connection's peer has ended.
    fn stream_ended(&mut self, index: u32, now: Time) {
        self.table.peer_finished(index);
        match self.table.partner_state(index) {
            State::Free => self.finish(index, Closed::ByPeer, now),
            _ => self.pass_on_the_end(index, now),
        }
        // It is not received from any more, which would show a reset.
        if self.table.conns[index as usize].state == State::Open {
            self.checks.later(index);
        }
    }

    fn pass_on_the_end(&mut self, index: u32, now: Time) {
        let conns = &self.table.conns;
        let sends = |leg: u32| conns[leg as usize].marks & (SENDING | SUBMITTING | SPILLING) != 0;
        match self.table.next_step(index, sends) {
            Step::Nothing => {}
            Step::Finish(leg) => {
                self.table.finishing(leg);
                let tag = self.tag(Op::Install, leg, TO_FINISH);
                let (at, _) = self.place(leg);
                self.rings[at].push(op::install(tag));
            }
            Step::End { first } => {
                self.finish_one(first, Closed::ByPeer, now);
                self.finish_one(partner_of(first), Closed::ByUs, now);
            }
        }
    }

    /// A connection that is to finish sending has a descriptor besides its slot, through which that takes a system call. Without
    /// one (before Linux 6.8, or at this process's limit) a thread of the kernel does it.
    fn finish_sending(&mut self, index: u32, tag: Tag, file: Option<OwnedFd>, now: Time) {
        match file {
            Some(file) => {
                socket::finish_sending(file.as_raw_fd());
                self.finished(index, tag, now);
            }
            None if self.is_current(index, tag, State::Open) => {
                let tag = self.tag(Op::Finish, index, 0);
                let (at, _) = self.place(index);
                self.rings[at].push(op::finish(tag));
            }
            None => {}
        }
    }

    /// A connection has finished sending.
    pub(super) fn finished(&mut self, index: u32, tag: Tag, now: Time) {
        if self.is_current(index, tag, State::Open) {
            self.table.finished(index);
            self.pass_on_the_end(index, now);
        }
    }

    /// Whether a connection is to be checked for a reset. One that is not received from is checked again each time.
    pub(super) fn check_unread(&mut self, index: u32) -> bool {
        if self.table.has_finished(index) {
            return false;
        }
        let is_read = *self.marks(index) & PAUSED == 0 && !self.floods.has(index);
        if !is_read || self.table.has_peer_finished(index) {
            self.checks.later(index);
        }
        true
    }

    /// Ends a connection and its partner.
    pub(super) fn finish_pair(&mut self, index: u32, why: Closed, now: Time) {
        let partner = partner_of(index);
        self.finish_one(index, why, now);
        match self.table.conns[partner as usize].state {
            State::Open => {
                if is_cut(why) {
                    self.cut(partner);
                }
                self.finish_one(partner, Closed::ByUs, now);
            }
            State::Connecting => self.table.leave_alone(partner),
            State::Free | State::Early | State::Waiting => {}
        }
    }
}
