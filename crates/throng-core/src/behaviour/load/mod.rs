//! The client of a load test: first messages, then others again and again: as fast as they go, at a rate, or
//! one at a time as each is answered.
//!
//! - `conn.rs`: what is remembered of each connection; `events.rs`: what happens on it; `sending.rs`: what is
//!   sent next
//! - `pace.rs`: when the next message goes out
//! - `wire.rs`, `websocket.rs`: what carries messages ([`Raw`]: nothing but TCP; [`WebSocket`])
//! - `looks.rs`: what is looked for in what comes back ([`Nothing`], [`Watching`])
//! - `outstanding.rs`, `pattern.rs`: messages without an answer yet; a text in a stream
//!
//! [`Load`] joins them; which wire and which looks it has is fixed when it is built, so that a load that
//! looks for nothing pays for nothing.

mod conn;
mod events;
mod looks;
mod outstanding;
mod pace;
mod pattern;
mod sending;
mod websocket;
mod wire;

pub use conn::LoadConn;
pub use looks::{AnswerBy, Handed, LookFor, Looks, Marker, Nothing, Seen, Watching};
pub use pace::{Arriving, Pacing};
pub use pattern::Pattern;
pub use websocket::WebSocket;
pub use wire::{Came, Raw, Wire};

use super::{At, Behaviour, Outbox, Reads, Steer};
use crate::pacing::{BytePace, Due};
use crate::payload::{Dice, Script};
use crate::stats::{Closed, Measured};
use crate::time::Time;
use crate::units::Bandwidth;
use conn::{DONE, Doing, ENDING, HELD, LEAVING, OWES};
use pace::Pace;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Whether messages may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Not yet: connections are only opened.
    Waiting,
    /// Yes.
    On,
    /// No more: what is under way is finished, nothing new begun.
    Off,
}

/// How long a peer may take to answer our farewell before the connection is closed.
const FAREWELL: Duration = Duration::from_secs(5);
/// The same if the peer has broken the protocol: what it has under way is thrown away meanwhile, because a
/// socket that is closed with bytes unread resets the connection, and the reset overtakes our last words.
const BROKEN: Duration = Duration::from_millis(500);

/// How much is read at a time of a handshake on a connection that is not read from afterwards.
const HANDSHAKE_READ: u32 = 1024;

/// What a worker's load is to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// What to send.
    pub script: Script,
    /// When.
    pub pacing: Pacing,
    /// Connections of the whole run, over which paced messages are spread.
    pub connections: u32,
    /// This worker's number …
    pub worker: u32,
    /// … of so many.
    pub workers: u32,
    /// How long after it is up a connection begins to send.
    pub delay: Duration,
    /// How long a connection lives; `None` until the end of the run.
    pub lifetime: Option<Duration>,
    /// How fast to read; `None` for as fast as it comes, zero for never.
    pub receive: Option<Bandwidth>,
    /// Whether the time to the first byte is measured.
    pub first_byte: bool,
    /// Whether each round trip of a closed loop that counts bytes is kept: see [`Measured::samples`]. Those
    /// of answers that are looked for are the looks' matter.
    pub samples: bool,
    /// Whether a closed loop waits for answers, as the looks or the wire tell them, and not for as many bytes
    /// as were sent.
    pub by_answers: bool,
    /// Whether messages that came are counted by what the looks find in them, and not where the wire says that
    /// they end: one of ours may be several of WebSocket's.
    pub count_found: bool,
    /// Messages in one write, at most. One, unless they are equally long or nobody looks for echoes.
    pub most: u32,
    /// Microseconds since 1970 when the run began.
    pub unix_us: u64,
    /// Where random numbers begin.
    pub seed: u64,
}

impl Task {
    /// Sends `script` as `pacing` says: one worker with one connection, nothing else asked for.
    pub fn new(script: Script, pacing: Pacing) -> Task {
        Task {
            script,
            pacing,
            connections: 1,
            worker: 0,
            workers: 1,
            delay: Duration::ZERO,
            lifetime: None,
            receive: None,
            first_byte: false,
            samples: false,
            by_answers: false,
            count_found: false,
            most: u32::MAX,
            unix_us: 0,
            seed: 0,
        }
    }
}

/// Somebody who is shown the traffic: each read, each write, whose connection it is.
pub trait Tap: std::marker::Send {
    /// These bytes came.
    fn received(&mut self, id: u32, bytes: &[u8]);
    /// These are sent.
    fn sent(&mut self, id: u32, bytes: &[u8]);
    /// The connection is gone.
    fn closed(&mut self, id: u32);
}

/// Opens, sends, measures.
pub struct Load<W: Wire = Raw, L: Looks = Nothing> {
    task: Task,
    wire: W,
    looks: L,
    pace: Pace,
    read_pace: Option<BytePace>,
    /// When connections that read slowly may read again.
    read_due: HashMap<u32, Due>,
    /// What the wire had to say in the middle of a message, to be sent at its end.
    held: HashMap<u32, Vec<u8>>,
    dice: Dice,
    /// The next new connection's number, and DNS id.
    uid: u32,
    dns_id: u16,
    traffic: Traffic,
    /// When traffic was switched off, or the end of time.
    off_at: Time,
    measured: Measured,
    tap: Option<Box<dyn Tap>>,
}

impl<W: Wire, L: Looks> Load<W, L> {
    /// A load that does `task`. Traffic begins as each connection is up if `traffic` is [`Traffic::On`].
    pub fn new(task: Task, traffic: Traffic, wire: W, looks: L) -> Load<W, L> {
        let pace = Pace::new(&task);
        let read_pace = task
            .receive
            .filter(|b| !b.is_zero())
            .map(|b| BytePace::new(b, f64::from(u16::MAX), 1));
        Load {
            pace,
            wire,
            looks,
            read_pace,
            read_due: HashMap::new(),
            held: HashMap::new(),
            dice: Dice::of(task.seed, &[u64::from(task.worker)]),
            // Counted from 1, as tcpkali does.
            uid: task.worker + 1,
            dns_id: 0,
            traffic,
            off_at: Time(u64::MAX),
            measured: Measured::default(),
            tap: None,
            task,
        }
    }

    /// Shows all that is received and sent to `tap`, too.
    pub fn tapped(mut self, tap: Box<dyn Tap>) -> Load<W, L> {
        self.tap = Some(tap);
        self
    }
}

impl<W: Wire, L: Looks> Behaviour for Load<W, L> {
    type Conn = LoadConn<W::Conn, L::Conn>;

    fn memory(&self) -> Arc<[u8]> {
        self.task.script.memory()
    }

    fn reads(&self) -> Reads {
        match self.task.receive {
            None if L::ANY || W::MESSAGES || self.tap.is_some() => Reads::All,
            None if self.pace.is_loop() || self.task.first_byte => Reads::Counts,
            None => Reads::Discards,
            // A handshake has to be read in any case.
            Some(bandwidth) if bandwidth.is_zero() && !W::MESSAGES => Reads::Never,
            Some(_) => Reads::Asked,
        }
    }

    #[inline]
    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.on_opened(conn, at, out);
        self.tap_sends(at, out);
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
        self.on_counted(conn, n, at, out);
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

    fn is_done(&self, conn: &Self::Conn) -> bool {
        conn.flags & DONE != 0
    }

    fn closed(&mut self, conn: &mut Self::Conn, _: Closed, at: &At) {
        // What was due and never got out was late too; leaving it out would flatter a stalled peer.
        let waited = matches!(conn.doing, Doing::Sending | Doing::Paced);
        let written_off = self.pace.take_written_off();
        at.counters.messages_unsent.add(written_off);
        let unsent = self.pace.closed(
            at.id,
            waited.then_some((conn.due, conn.gone)),
            conn.flags & OWES != 0,
            at.now.min(self.off_at),
            &mut self.measured.lateness,
        );
        at.counters.messages_unsent.add(unsent);
        if self.pace.is_loop() && matches!(conn.doing, Doing::Sending | Doing::Awaiting) {
            self.pace.end_turn();
        }
        if let Some(tap) = &mut self.tap {
            tap.closed(at.id);
        }
        self.wire.closed(&mut conn.wire, at);
        self.looks.closed(&mut conn.looks, at);
        if conn.flags & HELD != 0 {
            self.held.remove(&at.id);
        }
        self.read_due.remove(&at.id);
        *conn = LoadConn::default();
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.traffic = traffic;
        self.off_at = match traffic {
            Traffic::Off => now,
            Traffic::Waiting | Traffic::On => Time(u64::MAX),
        };
        self.pace.traffic(traffic, now);
    }

    fn steer(&mut self, steer: &Steer) {
        self.pace.steer(steer);
    }

    fn take_measured(&mut self) -> Measured {
        std::mem::take(&mut self.measured)
    }
}

#[cfg(test)]
mod tests;
