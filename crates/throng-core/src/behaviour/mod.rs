//! What a connection does, with no I/O in it.
//!
//! A [`Behaviour`] is one worker's value. An engine tells it what happened on a connection and when;
//! it answers in an [`Outbox`] what to send, when to wake it and whether to close. Engines are generic
//! over it, so nothing is dispatched at run time, and what it keeps for each connection
//! ([`Behaviour::Conn`]) lies in the engine's table: a million connections have a million of these, so
//! it is a few bytes.
//!
//! [`Load`] is the client of a load test. Servers are in the folder of their [protocol](crate::protocol).

mod load;

pub use load::{
    AnswerBy, Arriving, Dispatched, Load, LoadConn, Marker, Matched, MatchedConn, Matcher,
    Matching, NoMatcher, Pacing, Pattern, Received, Receiver, ReplyMatcher, TaggedReply, Tap, Task,
    Wire,
};

use crate::pacing::Piece;
use crate::stats::{Closed, Counters, Measured};
use crate::time::Time;
use crate::units::Rate;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What to send on a connection. What is asked for goes out in the order in which it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transmit {
    /// Nothing.
    #[default]
    Nothing,
    /// This range of the behaviour's [memory](Behaviour::memory), from where it lies. One at a time:
    /// the next one is asked for in [`Behaviour::sent`].
    Memory(Range<u32>),
    /// What was written to [`Outbox::bytes`]. One at a time, as [`Transmit::Memory`].
    Bytes,
    /// The bytes just received, all of them, at any time; [`Behaviour::sent`] is not called for them.
    /// Where the peer does not take them the engine keeps them, and while that is much it reads no more
    /// from this connection.
    Back,
    /// What was written to [`Outbox::bytes`], at any time, otherwise as [`Transmit::Back`].
    Reply,
}

/// A behaviour's answer to an event on a connection. Empty again for each event.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// What to send.
    pub send: Transmit,
    /// For [`Transmit::Bytes`] and [`Transmit::Reply`]: what. The memory is the engine's, which uses it again and
    /// again: behaviours only write to its end.
    pub bytes: Vec<u8>,
    /// More of the same message follows at once, so that a packet that is not full waits for it
    /// (MSG_MORE).
    pub more: bool,
    /// With [`Reads::Asked`]: read up to this many bytes, once.
    pub read: u32,
    /// With [`Reads::Asked`]: nothing will be read any more. The connection ends when its peer leaves or
    /// resets it, as with [`Reads::Never`]; what was asked for before must have come.
    pub watch: bool,
    /// Call [`Behaviour::woken`] then, instead of whenever was asked for before.
    pub wake: Option<Time>,
    /// Close the connection once what is being sent is sent.
    pub close: bool,
    /// Call [`Behaviour::turn`] on this many other connections, each the next one in turn.
    pub pass: u32,
}

impl Outbox {
    /// Whether nothing is asked for, but perhaps that turns are passed on.
    #[inline]
    pub fn is_done(&self) -> bool {
        matches!(self.send, Transmit::Nothing)
            && self.bytes.is_empty()
            && !(self.more | self.watch | self.close)
            && self.read == 0
            && self.wake.is_none()
    }
}

/// How a behaviour reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// All that comes, as it comes.
    #[default]
    All,
    /// All that comes, but only how much it is: [`Behaviour::counted`] is called instead of
    /// [`Behaviour::received`], and the bytes need go no further than the kernel.
    Counts,
    /// As [`Reads::Counts`], and it is not told: the engine counts. Nobody waits for what comes, so it may gather a
    /// little before it is read.
    Discards,
    /// Only when and as much as [`Outbox::read`] says.
    Asked,
    /// Nothing, ever; the connection ends when its peer leaves or resets it.
    Never,
}

impl Reads {
    /// Whether the bytes themselves are not wanted, so that the kernel need not hand them over.
    pub fn only_counts(self) -> bool {
        matches!(self, Reads::Counts | Reads::Discards)
    }

    /// Whether reading never waits for the behaviour to ask.
    pub fn all_that_comes(self) -> bool {
        matches!(self, Reads::All | Reads::Counts | Reads::Discards)
    }
}

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

/// A change of the rate of the whole run, while it goes on. All workers are told the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steer {
    /// So many messages a second from then on.
    Rate {
        /// From when.
        from: Time,
        /// How many.
        rate: Rate,
        /// What was due before and is not sent yet never will be: it counts as not sent.
        afresh: bool,
    },
    /// The profile goes on with this piece; not before then.
    Piece {
        /// When it was known.
        from: Time,
        /// The piece.
        piece: Piece,
    },
}

/// On which connection something happened, when, and where to count.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The connection's number, which stays the same when it is opened again: among all of the scenario,
    /// from 0, where we open them; among those of this worker where we accept them.
    pub id: u32,
    /// The time.
    pub now: Time,
    /// When the connection came up: microseconds since the run began, modulo 2^32 (71 minutes).
    pub up_us: u32,
    /// This worker's counters.
    pub counters: &'a Counters,
}

impl At<'_> {
    /// Since the connection came up; modulo 71 minutes.
    pub fn since_up(&self) -> Duration {
        let now_us = (self.now.0 / 1000) as u32;
        Duration::from_micros(now_us.wrapping_sub(self.up_us).into())
    }
}

/// What connections do. See the [module](self) for who calls it.
pub trait Behaviour {
    /// What is kept for each connection.
    type Conn: Default;

    /// Whether it ever asks to be woken; if not, no connection pays for a timer.
    const TIMERS: bool = true;

    /// The memory that [`Transmit::Memory`] refers to. It must be the same each time.
    fn memory(&self) -> Arc<[u8]> {
        Arc::from([])
    }

    /// How it reads. It must be the same each time.
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// A connection is up.
    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox);

    /// Traffic may begin (see [`Traffic`]); called once for each connection that is up then.
    fn started(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// Bytes came in. The engine has counted them.
    fn received(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox);

    /// With [`Reads::Counts`]: `n` bytes came in. The engine has counted them.
    fn counted(&mut self, _: &mut Self::Conn, _n: usize, _: &At, _: &mut Outbox) {}

    /// What was asked to be sent is sent, all `n` bytes. The engine has counted them.
    fn sent(&mut self, _: &mut Self::Conn, _n: usize, _: &At, _: &mut Outbox) {}

    /// The time asked for has come (or the wheel could not wait that long: check).
    fn woken(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// It is this connection's turn, because another one [passed](Outbox::pass) or something
    /// [arrived](Behaviour::arrived).
    fn turn(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// How many connections are to have their turn now, besides those that others passed on to. It is
    /// asked again and again; who has not had its turn by then is to be counted again.
    fn arrived(&mut self, _now: Time) -> u32 {
        0
    }

    /// When to ask [`Behaviour::arrived`] next; `None` for not before something else happens.
    fn next_arrival(&self) -> Option<Time> {
        None
    }

    /// Whether the connection has come to the end that it was to have: it counts as closed by us whoever is
    /// the first to close it now, and another one is opened in its place at once. Otherwise that waits a
    /// little, so that a peer that is of no use is not hammered.
    fn is_done(&self, _: &Self::Conn) -> bool {
        false
    }

    /// The run is over: what is under way is finished, what there is to say to the peer is said, and the
    /// connection is closed.
    fn farewell(&mut self, _: &mut Self::Conn, _: &At, out: &mut Outbox) {
        out.close = true;
    }

    /// The connection is gone.
    fn closed(&mut self, _: &mut Self::Conn, _why: Closed, _: &At) {}

    /// From now on ([`Traffic::On`]) messages may be sent, or no new one is begun ([`Traffic::Off`]).
    fn traffic(&mut self, _: Traffic, _now: Time) {}

    /// The rate of the whole run changes, where there is one.
    fn steer(&mut self, _: &Steer) {}

    /// What it measured since this was last called.
    fn take_measured(&mut self) -> Measured {
        Measured::default()
    }
}
