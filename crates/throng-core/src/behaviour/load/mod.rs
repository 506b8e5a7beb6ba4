//! The client of a load test: sends first messages, then repeated ones as fast as possible, at a rate, or one at a time
//! as each is answered.
//!
//! - `task.rs`: what is asked of it
//! - `conn.rs`: what is kept for each connection; `events.rs`: what happens on it; `sending.rs`: what is
//!   sent next
//! - `pace.rs`: when the next message goes out; `budget.rs`: how many there are in all
//! - `wire.rs`: what carries messages ([`Wire`]): TCP alone, or a protocol
//! - `replies.rs`: which received bytes answer a message ([`Matcher`]); `markers.rs`: message markers
//! - `in_turn.rs`: the same where each whole message answers the oldest one; `rounds.rs`: round trips, and what they measure
//! - `outstanding.rs`, `pattern.rs`: messages without an answer yet; a text in a stream
//!
//! [`Load`] joins them. Its wire and its matcher are part of its type, so that a load that matches nothing
//! pays nothing.

mod budget;
mod conn;
mod events;
mod in_turn;
mod markers;
mod outstanding;
mod pace;
mod pattern;
mod replies;
mod rounds;
mod sending;
mod task;
mod wire;

pub use conn::LoadConn;
pub use in_turn::{InTurn, InTurnConn};
pub use pattern::Pattern;
pub use replies::{
    AnswerBy, Dispatched, Marker, Matched, MatchedConn, Matcher, Matching, NoMatcher, ReplyMatcher,
};
pub use task::{Arriving, Choose, Exchanges, Pacing, Task, starts_at};
pub use wire::{Received, Receiver, TaggedReply, Wire};

use super::{At, Behaviour, Outbox, Reads, Steer, Traffic};
use crate::pacing::{BytePace, Due};
use crate::payload::Dice;
use crate::stats::{Closed, Measured};
use crate::time::Time;
use budget::Budget;
use conn::{DONE, Doing, ENDING, HEARD, LEAVING, MIDDLE, OWES};
use pace::Pace;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a peer may take to answer a farewell before the connection is closed.
const FAREWELL: Duration = Duration::from_secs(5);
/// The same if the peer violated the protocol. What it still sends is discarded meanwhile, because closing a
/// socket with unread bytes resets the connection, and the reset overtakes what was sent last.
const BROKEN: Duration = Duration::from_millis(500);

/// What the wire writes in the middle of a message is kept up to this many bytes, and one read's answers.
const HELD_BYTES: usize = 64 * 1024;

/// How much is read at a time of a handshake on a connection that is not read from afterwards.
const HANDSHAKE_READ: u32 = 1024;

/// Sees the traffic of each connection: each read and each write.
pub trait Tap: Send {
    /// These bytes were received.
    fn received(&mut self, id: u32, bytes: &[u8]);
    /// These are sent.
    fn sent(&mut self, id: u32, bytes: &[u8]);
    /// The connection is gone.
    fn closed(&mut self, id: u32);
}

/// Opens, sends, measures.
pub struct Load<W: Wire, M: Matcher> {
    task: Task,
    wire: W,
    matcher: M,
    pace: Pace,
    budget: Budget,
    read_pace: Option<BytePace>,
    /// Whether connections wake for more than what they send: to read on, or to give up.
    wakes_besides: bool,
    /// When connections that read slowly may read again.
    read_due: HashMap<u32, Due>,
    /// What the wire wrote in the middle of a message, to be sent at its end.
    held: HashMap<u32, Vec<u8>>,
    dice: Dice,
    /// New connections so far.
    begun: u64,
    /// The next message's number, whose lower half is its id.
    number: u32,
    traffic: Traffic,
    /// When traffic was switched off, or the end of time.
    off_at: Time,
    measured: Measured,
    tap: Option<Box<dyn Tap>>,
    /// Which cycle of repeated messages a connection sends, if there are several.
    choose: Option<Choose>,
}

impl<W: Wire, M: Matcher> Load<W, M> {
    /// A load that does `task`. With [`Traffic::On`], traffic begins on each connection as soon as it is established.
    pub fn new(task: Task, traffic: Traffic, wire: W, matcher: M) -> Load<W, M> {
        let pace = Pace::new(&task);
        let budget = Budget::new(&task);
        let read_pace = task
            .receive
            .filter(|b| !b.is_zero())
            .map(|b| BytePace::new(b, f64::from(u16::MAX), 1));
        Load {
            pace,
            budget,
            wire,
            matcher,
            wakes_besides: read_pace.is_some() || task.timeout.is_some(),
            read_pace,
            read_due: HashMap::new(),
            held: HashMap::new(),
            dice: Dice::of(task.seed, &[task.share().key()]),
            begun: 0,
            number: 0,
            traffic,
            off_at: Time(u64::MAX),
            measured: Measured::default(),
            tap: None,
            choose: None,
            task,
        }
    }

    /// Sends the cycle of repeated messages on a connection that `choose` says for its number.
    pub fn choosing(mut self, choose: Choose) -> Load<W, M> {
        self.choose = Some(choose);
        self
    }

    /// Also shows everything that is received and sent to `tap`.
    pub fn tapped(mut self, tap: Box<dyn Tap>) -> Load<W, M> {
        self.tap = Some(tap);
        self
    }
}

impl<W: Wire, M: Matcher> Behaviour for Load<W, M> {
    type Conn = LoadConn<W::Conn, M::Conn>;
    const SKIPS: bool = W::SKIPS && !M::READS;

    fn memory(&self) -> Arc<[u8]> {
        self.task.script.memory()
    }

    fn reads(&self) -> Reads {
        match self.task.receive {
            None if M::ANY || W::MESSAGES || self.tap.is_some() => Reads::All,
            None if self.compares() => Reads::Looks,
            None if self.pace.is_loop() || self.task.first_byte => Reads::Counts,
            None => Reads::Discards,
            // A handshake has to be read in any case.
            Some(bandwidth) if bandwidth.is_zero() && !W::MESSAGES => Reads::Never,
            Some(_) => Reads::Asked,
        }
    }

    #[inline]
    fn looks(&self, conn: &Self::Conn) -> bool {
        conn.flags & HEARD == 0
    }

    #[inline]
    fn skips(&self, conn: &Self::Conn) -> u64 {
        match self.tap {
            None => self.wire.skips(&conn.wire),
            Some(_) => 0,
        }
    }

    #[inline]
    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.pace.opened();
        self.on_opened(conn, at, out);
        self.tap_sends(at, out);
    }

    fn opened_early(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_opened(conn, at, out);
        self.tap_sends(at, out);
    }

    fn established(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_established(conn, at, out);
    }

    fn unopened(&mut self, conn: &mut Self::Conn, at: &At) {
        if let Some(tap) = &mut self.tap {
            tap.closed(at.id);
        }
        self.on_unopened(conn, at);
    }

    #[inline]
    fn started(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_started(conn, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn received(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox) {
        if let Some(tap) = &mut self.tap {
            tap.received(at.id, bytes);
        }
        self.on_received(conn, bytes, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn counted(&mut self, conn: &mut Self::Conn, n: usize, at: &At, out: &mut Outbox) {
        match Self::SKIPS {
            true => self.wire.skipped(&mut conn.wire, n as u64, at),
            false => self.on_counted(conn, n, at, out),
        }
    }

    #[inline]
    fn sent(&mut self, conn: &mut Self::Conn, n: usize, at: &At, out: &mut Outbox) {
        self.on_sent(conn, n, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn woken(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_woken(conn, at, out);
        self.tap_sends(at, out);
    }

    #[inline]
    fn turn(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_turn(conn, at, out);
        self.tap_sends(at, out);
    }

    fn farewell(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        conn.flags |= DONE;
        match conn.doing {
            Doing::First | Doing::Sending if conn.flags & LEAVING == 0 => conn.flags |= ENDING,
            _ => self.leave(conn, at, out),
        }
        self.sleep(conn, at, out);
        self.tap_sends(at, out);
    }

    fn arrived(&mut self, now: Time) -> u32 {
        self.pace.arrived(now)
    }

    fn next_arrival(&self) -> Option<Time> {
        self.pace.next_arrival()
    }

    fn is_done(&mut self, conn: &mut Self::Conn, why: Closed) -> bool {
        self.wire.is_done(&mut conn.wire, why) || conn.flags & DONE != 0
    }

    fn closed(&mut self, conn: &mut Self::Conn, why: Closed, at: &At) {
        let planned = self.traffic == Traffic::On && self.is_done(conn, why);
        let as_awaited = self.traffic == Traffic::On && conn.ends_ms > 0 && self.awaits_close(conn);
        at.counters.closed_as_awaited.add(as_awaited.into());
        let unanswered = at.counters.messages_unanswered.get();
        let sending = matches!(conn.doing, Doing::First | Doing::Sending);
        // After a farewell, whichever side closes first does what this side asked for.
        let why = match self.traffic {
            Traffic::Off if conn.flags & LEAVING != 0 => Closed::ByUs,
            _ => why,
        };
        // Messages that were due and never sent were late too; omitting them would flatter a stalled peer.
        let waited = match conn.doing {
            Doing::Sending | Doing::Paced => true,
            // The next one, where it has a time of its own; the one before was sent.
            Doing::Awaiting => self.pace.comes_by_itself(),
            Doing::Idle | Doing::Delayed | Doing::First | Doing::Thinking => false,
        };
        // Once all that were asked for are begun, no further one is due.
        let waited = waited && !self.budget.is_spent();
        if conn.doing != Doing::First && conn.flags & MIDDLE != 0 && self.budget.cut() {
            at.counters.shares_spent.add(1);
        }
        let written_off = self.pace.take_written_off();
        at.counters.messages_unsent.add(written_off);
        let unsent = self.pace.closed(
            at.id,
            waited.then_some((conn.due, conn.gone)),
            conn.flags & OWES != 0,
            planned,
            at.now.min(self.off_at),
            &mut self.measured.lateness,
        );
        at.counters.messages_unsent.add(unsent);
        if self.pace.is_loop() && matches!(conn.doing, Doing::Sending | Doing::Awaiting) {
            self.pace.end_turn();
            if !self.task.by_answers {
                at.counters.messages_unanswered.add(1);
                let sent = conn.due.time();
                self.measured.no_answer(why, sent, at.now);
            }
        }
        if let Some(tap) = &mut self.tap {
            tap.closed(at.id);
        }
        at.counters
            .unready
            .add(self.wire.is_ready(&conn.wire).into());
        at.counters.unheard.add((conn.flags & HEARD != 0).into());
        // What the peer had announced is its doing.
        let by = match why == Closed::ByUs && self.wire.is_done(&mut conn.wire, why) {
            true => Closed::ByPeer,
            false => why,
        };
        let without_answer = match why == Closed::ByUs && self.wire.loses(&conn.wire) {
            true => Closed::ByPeer,
            false => why,
        };
        let measured = &mut self.measured;
        let ended = self.wire.closed(&mut conn.wire, why, at, measured);
        if ended > 0 {
            self.matcher
                .messages(&mut conn.matched, ended, at, measured);
            at.counters.messages_received.add(ended.into());
        }
        self.matcher
            .closed(&mut conn.matched, without_answer, at, &mut self.measured);
        if sending || at.counters.messages_unanswered.get() > unanswered {
            at.counters.cut_off(by);
        }
        self.forget(conn, at);
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.traffic = traffic;
        self.off_at = match traffic {
            Traffic::Off => now,
            Traffic::Waiting | Traffic::On => Time(u64::MAX),
        };
        self.pace.traffic(traffic, now);
        self.wire.traffic(traffic, now);
    }

    fn steer(&mut self, steer: &Steer) -> bool {
        self.pace.steer(steer)
    }

    fn take_measured(&mut self) -> Measured {
        std::mem::take(&mut self.measured)
    }
}

#[cfg(test)]
mod tests;
