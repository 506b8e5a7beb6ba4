//! How connections begin and end.

use super::conn::{Conn, STARTED, State};
use super::data::Table;
use super::places::BUSY;
use crate::socket::{Address, SocketOption, close_cause};
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Outbox, Traffic};
use throng_core::pacing::SYN_WAS_LOST;
use throng_core::stats::{Closed, FailCause};
use throng_core::time::Time;

/// The number of connections that a server worker may have more than the one with the fewest.
const AHEAD: u64 = 512;

impl<B: Behaviour> Table<B> {
    /// The number of connections that may be opened now.
    pub fn may_open(&mut self, now: Time) -> u32 {
        if self.stopped_opening() || !self.room.is_empty() {
            return 0;
        }
        let opener = self.opener.as_mut();
        opener.map_or(0, |o| o.ready(now, self.behind))
    }

    /// Takes the next connection to open, counts the attempt and starts its timeout. Call at most as often
    /// as [`Table::may_open`] allows.
    pub fn open_next(&mut self, now: Time) -> Option<u32> {
        let o = self.opener.as_mut()?;
        let index = o.take()?;
        let timeout = o.timeout();
        if index as usize >= self.conns.len() {
            self.conns.resize_with(index as usize + 1, Conn::default);
        }
        self.counters.attempted.add(1);
        if let Some(counts) = o.counts(index) {
            counts.attempted.add(1);
        }
        let conn = &mut self.conns[index as usize];
        conn.state = State::Connecting;
        conn.up_us = (now.0 / 1000) as u32;
        self.wheel.set(index, now + timeout);
        Some(index)
    }

    /// The target and the source of connection `index`. The addresses stay in place for the whole run.
    pub fn route(&self, index: u32) -> (&Address, Option<&Address>) {
        let opener = self.opener.as_ref().expect("only a client routes");
        opener.route(index)
    }

    /// The part of the local ports that the next socket is to choose from, by its number; `None` for all.
    pub fn next_part_of_ports(&mut self) -> Option<usize> {
        self.parts.next()
    }

    /// The option that has a socket choose from this part.
    pub fn port_option(&self, part: usize) -> &SocketOption {
        self.parts.option(part)
    }

    /// Connection `index` found the accept queue of a Unix socket full. It waits for another try.
    pub fn found_no_room(&mut self, index: u32, now: Time) {
        let generation = self.conns[index as usize].generation;
        self.room.wait(index, generation, now);
    }

    /// Takes the next connection that is to try again whether there is room.
    pub fn next_for_room(&mut self, now: Time) -> Option<u32> {
        while let Some((index, generation)) = self.room.take(now) {
            let conn = &self.conns[index as usize];
            // The time of others was up.
            if conn.generation == generation && conn.state == State::Connecting {
                return Some(index);
            }
        }
        None
    }

    /// Whether connections are those of Unix sockets. The kernel can't discard what is received from them instead of copying
    /// it (MSG_TRUNC), as TCP does.
    #[inline]
    pub fn is_unix(&self) -> bool {
        self.unix
    }

    /// What an errno from an established connection means.
    pub fn close_cause(&self, errno: i32) -> Closed {
        close_cause(errno, self.unix)
    }

    /// Appends what connection `index` sends before it counts as established. Returns whether there is anything.
    #[inline]
    pub fn write_header(&self, index: u32, out: &mut Vec<u8>) -> bool {
        let opener = self.opener.as_ref();
        opener.is_some_and(|o| o.write_header(index, out))
    }

    /// An attempt succeeded.
    pub fn connected(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.conns[index as usize].marks = 0;
        self.count_established(index, now);
        self.opened(index, now, out);
    }

    /// Counts a connection that is established, and how long that took.
    pub(super) fn count_established(&mut self, index: u32, now: Time) {
        let conn = &mut self.conns[index as usize];
        let took =
            Duration::from_micros(u64::from(((now.0 / 1000) as u32).wrapping_sub(conn.up_us)));
        conn.state = State::Open;
        conn.up_us = (now.0 / 1000) as u32;
        self.room.found();
        self.cancel_timer(index);
        self.connect_times.record(took);
        // A Unix socket has none: it waited for room.
        let again = took >= SYN_WAS_LOST && !self.unix;
        self.counters.syns_again.add(again.into());
        self.counters.established.add(1);
        if let Some(o) = &mut self.opener {
            o.succeeded(now, took);
            if !o.wants(index) {
                // The number to hold was lowered while it was being opened.
                self.shedding = Some(self.shedding.map_or(index, |at| at.min(index)));
            }
            if let Some(counts) = o.counts(index) {
                counts.established.add(1);
            }
        }
        self.counters.last_up_ns.set(now.0);
    }

    /// Server: whether there is room for another connection.
    pub fn has_place(&self) -> bool {
        self.places.any(|| self.clock.now())
    }

    /// Server: takes a place for another connection, preferably one that was used before and has its memory
    /// already.
    pub fn take_place(&mut self) -> Option<u32> {
        let index = self.places.take(|| self.clock.now())?;
        if B::PAIRS {
            return Some(self.pair_at(index));
        }
        if index as usize >= self.conns.len() {
            self.conns.resize_with(index as usize + 1, Conn::default);
        }
        Some(index)
    }

    /// Server: returns a place that was not used.
    pub fn give_place(&mut self, index: u32) {
        self.places.give(if B::PAIRS { index / 2 } else { index });
    }

    /// Whether a server worker should leave accepting to others: it has far more connections than the worker
    /// with the fewest that is not full.
    pub fn is_ahead(&self) -> bool {
        let fewest = self
            .others
            .iter()
            .map(|c| c.read().open())
            .filter(|n| *n < u64::from(self.max))
            .min();
        fewest.is_some_and(|n| self.counters.read().open() > n + AHEAD)
    }

    /// The number of workers that share the listeners, including this one.
    pub fn siblings(&self) -> u32 {
        self.others.len() as u32 + 1
    }

    /// A connection was accepted.
    pub fn accepted(&mut self, index: u32, now: Time, out: &mut Outbox) {
        let conn = &mut self.conns[index as usize];
        conn.state = State::Open;
        conn.marks = 0;
        conn.up_us = (now.0 / 1000) as u32;
        self.counters.accepted.add(1);
        self.counters.last_up_ns.set(now.0);
        self.opened(index, now, out);
    }

    fn opened(&mut self, index: u32, now: Time, out: &mut Outbox) {
        if self.traffic == Traffic::On {
            self.conns[index as usize].marks |= STARTED;
        }
        self.tell(index, now, |b, conn, at| b.opened(conn, at, out));
    }

    /// An attempt failed. The engine no longer owns the place.
    pub fn failed(&mut self, index: u32, cause: FailCause, now: Time) {
        self.counters.failed(cause);
        if let Some(o) = &mut self.opener {
            o.failed(now, cause);
            if let Some(counts) = o.counts(index) {
                counts.failed(cause);
            }
        }
        let before = match self.conns[index as usize].state {
            State::Early => self.unopened(index, now),
            _ => self.conns[index as usize].marks,
        };
        let retry = before.saturating_add(1);
        let opener = self.opener.as_mut();
        let wait = opener.and_then(|o| o.wait_after_failure(index, retry));
        self.leave(index, retry, now + wait.unwrap_or_default(), false);
    }

    /// A connection ended. The engine no longer owns the place. If it is `busy`, requests are still running in
    /// the kernel, and it is not reused at once.
    pub fn closed(&mut self, index: u32, why: Closed, busy: bool, now: Time) {
        let conn = &mut self.conns[index as usize].user;
        let done = self.behaviour.is_done(conn, why);
        // Once a connection is done, the order of the two closes is irrelevant.
        let why = if done { Closed::ByUs } else { why };
        self.counters.closed(why, 1);
        let dropped = self.dropped.take_if(|dropped| *dropped == index).is_some();
        self.counters.dropped.add(dropped.into());
        if why != Closed::ByUs {
            self.control.lost_one(now);
        }
        let counts = self.opener.as_ref().and_then(|o| o.counts(index));
        if let (true, Some(counts)) = (why != Closed::ByUs, counts) {
            counts.lost.add(1);
        }
        // Later the age is only known modulo 71 minutes.
        let age_us = ((now.0 / 1000) as u32).wrapping_sub(self.conns[index as usize].up_us);
        let age = Duration::from_micros(age_us.into());
        if now.0 / 1000 <= u64::from(u32::MAX) {
            self.losses.ended(why, age, now);
        }
        self.tell(index, now, |b, conn, at| b.closed(conn, why, at));
        if B::PAIRS {
            self.released(index);
            self.leave_pair(index, busy, now);
            return;
        }
        // What ended as planned has not failed.
        let wanted = self.opener.as_ref().is_some_and(|o| o.wants(index));
        let wait = match (done || !wanted, self.opener.as_mut()) {
            (true, _) | (_, None) => None,
            (false, Some(o)) if dropped => o.wait_after_drop(),
            (false, Some(o)) => o.wait_after_end(index, age),
        };
        let rest = if busy { BUSY } else { Duration::ZERO };
        let wait = wait.unwrap_or_default().max(rest);
        self.leave(index, 1, now + wait, busy);
    }

    /// Releases a place. A client opens it again at `again`, which is its retry `retry`; a server may reuse it at once, or
    /// from `again` if it is `busy`.
    fn leave(&mut self, index: u32, retry: u8, again: Time, busy: bool) {
        self.released(index);
        if let Some(o) = &self.opener {
            if o.reconnects() {
                let conn = &mut self.conns[index as usize];
                conn.state = State::Waiting;
                conn.marks = retry;
                self.wheel.set(index, again);
            } else {
                self.wheel.cancel(index);
            }
        } else {
            if B::TIMERS {
                self.wheel.cancel(index);
            }
            match busy {
                true => self.places.give_at(index, again),
                false => self.places.give(index),
            }
        }
    }

    /// No connection has this place any more.
    pub(super) fn released(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        conn.generation = conn.generation.wrapping_add(1);
        conn.marks = 0;
        conn.state = State::Free;
    }

    /// All connections end because this side closes them. It began to at `now`: what the kernel needs to close them is no silence
    /// of their peers.
    pub fn close_all(&mut self, now: Time) {
        let mut open = 0;
        for index in 0..self.conns.len() {
            if self.conns[index].state == State::Open {
                open += 1;
                self.tell(index as u32, now, |b, conn, at| {
                    b.closed(conn, Closed::ByUs, at);
                });
            }
            self.conns[index].state = State::Free;
        }
        self.counters.closed(Closed::ByUs, open);
    }
}
