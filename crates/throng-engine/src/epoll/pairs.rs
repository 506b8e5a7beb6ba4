//! Connections in pairs: what is received on one is sent on the other.
//!
//! What the kernel does not take of a read is kept, and nothing more is read until it is sent. So at most one read waits for a
//! peer: 64 KiB, or what a pipe holds.

use super::opening::choose;
use super::poll;
use super::rest::Source;
use super::sending::PAUSE_ABOVE;
use super::worker::{BLOCKED, BUFFER_BYTES, Worker};
use crate::socket::{self, ANY_PORT, RESETS, fail_cause};
use crate::table::{State, Step, is_cut, partner_of};
use std::ops::Range;
use std::os::fd::AsRawFd;
use throng_core::behaviour::{Behaviour, OfPair, Way};
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// The most bytes that wait on a connection for its partner's peer: a pipe, or a read, to which a behaviour may have added something.
const MOST_ACROSS: usize = 4 * BUFFER_BYTES;

impl<B: Behaviour> Worker<B> {
    /// Opens a connection as the partner of `of`.
    pub(super) fn open_partner(&mut self, of: u32, way: Way, now: Time) {
        let index = self.table.open_partner(of, now);
        if let Err(errno) = self.connect_partner(index, way) {
            self.partner_failed(index, fail_cause(errno), now);
        }
    }

    fn connect_partner(&mut self, index: u32, way: Way) -> Result<(), i32> {
        let part = self.table.part_of_ports(way);
        let own = self.table.own_ends(way);
        let (target, source) = self.table.addresses(way, own.as_ref());
        let file = self.socket(target, source)?;
        let fd = file.as_raw_fd();
        if let Some(part) = part {
            choose(fd, self.table.port_option(part))?;
        }
        match poll::connect(fd, target) {
            // That part of the local ports has none that is free.
            Err(libc::EADDRNOTAVAIL) if part.is_some() => {
                choose(fd, &ANY_PORT)?;
                poll::connect(fd, target)?
            }
            begins => begins?,
        };
        let added = self.poll.add_edges(file.as_raw_fd(), self.key(index));
        added.map_err(|e| e.raw_os_error().unwrap_or(libc::EIO))?;
        self.keep(index, file);
        Ok(())
    }

    /// A partner could not be opened. The behaviour may ask for another one; there is an end to that, so this calls itself
    /// only so often.
    pub(super) fn partner_failed(&mut self, index: u32, cause: FailCause, now: Time) {
        if let Some(file) = self.files.get_mut(index as usize) {
            *file = None;
        }
        let mut out = self.outbox();
        match self.table.partner_failed(index, cause, now, &mut out) {
            Some(of) => self.apply(of, out, 0, now),
            None => self.keep_bytes(out.bytes),
        }
    }

    /// A partner is established, and its behaviour has been told.
    pub(super) fn joined(&mut self, index: u32, generation: u16, now: Time) {
        if !self.is_current(index, generation) {
            return;
        }
        if self.table.is_alone(index) {
            self.finish_one(index, Closed::ByUs, now);
            return;
        }
        if self.blocked.contains_key(&index) {
            self.table.conns[index as usize].marks |= BLOCKED;
            self.write_on(index, now);
        } else {
            self.all_sent(index, now);
        }
    }

    /// Everything is sent on a connection: reads from its partner again, where an edge may have passed meanwhile.
    pub(super) fn all_sent(&mut self, index: u32, now: Time) {
        let partner = partner_of(index);
        if self.table.has_peer_finished(partner) {
            self.pass_on_the_end(index, now);
        } else if self.table.conns[partner as usize].state == State::Open {
            self.read_later(partner);
        }
    }

    /// Sends received bytes on a connection's partner, or keeps them for it.
    pub(super) fn send_across(&mut self, index: u32, received: Range<usize>, now: Time) {
        self.send_to_partner(index, Source::Received(received), now);
    }

    fn send_to_partner(&mut self, index: u32, from: Source, now: Time) {
        let partner = partner_of(index);
        match self.table.partner_state(index) {
            State::Open => self.send_bytes(partner, from, false, false, now),
            State::Connecting => self.keep_for(partner, from),
            State::Free | State::Early | State::Waiting => {}
        }
    }

    /// Does what a behaviour asked for that concerns the partner of a connection, except to pass on the ends of streams.
    pub(super) fn apply_to_partner(&mut self, index: u32, asked: &mut OfPair, now: Time) {
        let (partner, bytes) = (partner_of(index), std::mem::take(&mut asked.across));
        if !bytes.is_empty() {
            self.send_to_partner(index, Source::Written(&bytes), now);
        }
        self.keep_across(bytes);
        if self.table.partner_state(index) != State::Open {
            return;
        }
        if asked.cut {
            // It fails only for a connection that has ended.
            let _ = socket::set_options(&[RESETS], self.fd(partner));
        }
        if asked.resume {
            self.read_later(partner);
        }
    }

    /// Passes on the ends of streams that a behaviour has asked for, after all that it has sent.
    pub(super) fn pass_on_ends(&mut self, index: u32, asked: &OfPair, now: Time) {
        let generation = self.table.conns[index as usize].generation;
        if asked.partner_ended && self.table.partner_state(index) == State::Open {
            self.stream_ended(partner_of(index), now);
        }
        if asked.ended && self.is_current(index, generation) {
            self.stream_ended(index, now);
        }
    }

    /// Whether a connection is not read from, because its partner is being opened or has something to send.
    pub(super) fn waits_for_partner(&self, index: u32) -> bool {
        let partner = &self.table.conns[partner_of(index) as usize];
        match partner.state {
            State::Connecting => true,
            State::Open => {
                partner.marks & BLOCKED != 0
                    || self.table.has_peer_finished(index)
                    || self.table.waits(index)
                    || self.owes_much(index)
            }
            State::Free | State::Early | State::Waiting => false,
        }
    }

    /// Whether so much waits to be sent on a connection that answers of this side must be part of it, as what its partner receives is
    /// bounded.
    fn owes_much(&self, index: u32) -> bool {
        self.table.conns[index as usize].marks & BLOCKED != 0
            && self.owed(index) > MOST_ACROSS + PAUSE_ABOVE
    }

    /// The peer of a connection has finished sending.
    pub(super) fn peer_finished(&mut self, index: u32, now: Time) {
        let generation = self.table.conns[index as usize].generation;
        let mut out = self.outbox();
        self.table.tell_peer_finished(index, now, &mut out);
        self.apply(index, out, 0, now);
        if self.is_current(index, generation) {
            self.stream_ended(index, now);
        }
    }

    /// The stream of a connection's peer has ended.
    pub(super) fn stream_ended(&mut self, index: u32, now: Time) {
        self.table.peer_finished(index);
        match self.table.partner_state(index) {
            State::Free => self.finish(index, Closed::ByPeer, now),
            _ => self.pass_on_the_end(index, now),
        }
    }

    fn pass_on_the_end(&mut self, index: u32, now: Time) {
        let conns = &self.table.conns;
        let sends = |leg: u32| conns[leg as usize].marks & BLOCKED != 0;
        match self.table.next_step(index, sends) {
            Step::Nothing => {}
            Step::Finish(leg) => {
                socket::finish_sending(self.fd(leg));
                self.table.finished(leg);
            }
            Step::End { first } => {
                self.finish_one(first, Closed::ByPeer, now);
                self.finish_one(partner_of(first), Closed::ByUs, now);
            }
        }
    }

    /// A connection that is not read from has met its end. Returns whether that is all there is to do: what was not read
    /// before a reset is lost.
    pub(super) fn unread_end(&mut self, index: u32, events: u32, now: Time) -> bool {
        if !self.waits_for_partner(index) {
            return false;
        }
        if events & libc::EPOLLERR as u32 != 0 {
            let why = self.table.close_cause(poll::pending_error(self.fd(index)));
            self.finish(index, why, now);
        }
        true
    }

    /// Ends a connection and its partner.
    pub(super) fn finish_pair(&mut self, index: u32, why: Closed, now: Time) {
        let partner = partner_of(index);
        self.finish_one(index, why, now);
        self.blocked.remove(&partner);
        match self.table.conns[partner as usize].state {
            State::Open => {
                if is_cut(why) {
                    // It fails only for a connection that has ended.
                    let _ = socket::set_options(&[RESETS], self.fd(partner));
                }
                self.finish_one(partner, Closed::ByUs, now);
            }
            State::Connecting => self.table.leave_alone(partner),
            State::Free | State::Early | State::Waiting => {}
        }
    }
}
