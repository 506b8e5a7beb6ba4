//! What a connection does, without I/O.
//!
//! A worker has one [`Behaviour`]. The engine passes it events of connections, and it answers in an [`Outbox`] what to
//! send, when to wake it and whether to close. Engines are generic over it, so nothing is dispatched at run time. The
//! state of each connection ([`Behaviour::Conn`]) is in the engine's table: there may be a million, so it is a few
//! bytes.
//!
//! [`Load`] is the client of a load test. Servers are in the folder of their [protocol](crate::protocol).

mod load;

pub use load::{
    AnswerBy, Arriving, Choose, Dispatched, Exchanges, InTurn, InTurnConn, Load, LoadConn, Marker,
    Matched, MatchedConn, Matcher, Matching, NoMatcher, Pacing, Pattern, Received, Receiver,
    ReplyMatcher, TaggedReply, Tap, Task, Wire, starts_at,
};

use crate::pacing::Piece;
use crate::stats::{Closed, Counters, FailCause, Measured};
use crate::time::Time;
use crate::units::Rate;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What to send on a connection. Sends go out in the order in which they were requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transmit {
    /// Nothing.
    #[default]
    Nothing,
    /// This range of the behaviour's [memory](Behaviour::memory), in place. One at a time: the next one is requested in
    /// [`Behaviour::sent`].
    Memory(Range<u32>),
    /// The bytes in [`Outbox::bytes`]. One at a time, as [`Transmit::Memory`].
    Bytes,
    /// All bytes just received, at any time. [`Behaviour::sent`] is not called for them. If the peer does not accept
    /// them, the engine keeps them, and while there are many it stops reading from this connection.
    Back,
    /// The bytes in [`Outbox::bytes`], at any time; otherwise as [`Transmit::Back`].
    Reply,
    /// Of the bytes just received those from this one on, at any time, to this connection's [partner](Behaviour::PAIRS). If
    /// the partner's peer does not accept them, or the partner is still being opened, the engine keeps them, and stops
    /// reading from this connection until they are sent.
    Across(u32),
}

/// Where to open a connection to: places in the routes of the worker's [role](Outbox::open).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// The target.
    pub target: u16,
    /// The source address among those of the target; `None` for the kernel's choice.
    pub source: Option<u16>,
    /// The source address in place of that, which need not be one of this machine (IP_TRANSPARENT, Linux 2.6.28).
    pub own: Option<IpAddr>,
    /// Where to, in place of the target.
    pub to: Option<SocketAddr>,
    /// Whether most ports of the source are in use, so that it takes long to search all for one that is free.
    pub crowded: bool,
}

/// A behaviour's answer to an event on a connection. It is empty at the start of each event.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// What to send.
    pub send: Transmit,
    /// The bytes of [`Transmit::Bytes`] and [`Transmit::Reply`]. The buffer belongs to the engine, which reuses it:
    /// behaviours only append to it.
    pub bytes: Vec<u8>,
    /// Whether more of the same message follows at once, so that a packet that is not full waits for it (MSG_MORE).
    pub more: bool,
    /// With [`Reads::Asked`]: read up to this many bytes, once.
    pub read: u32,
    /// With [`Reads::Asked`]: nothing is read any more. The connection ends when the peer closes or resets it, as with
    /// [`Reads::Never`]. Reads requested before must be complete.
    pub watch: bool,
    /// Call [`Behaviour::woken`] at this time. It replaces an earlier request.
    pub wake: Option<Time>,
    /// Close the connection after the sends under way.
    pub close: bool,
    /// With [`Outbox::close`]: close it at once. What the peer has not taken is lost.
    pub abandon: bool,
    /// Call [`Behaviour::turn`] on this many other connections, in turn.
    pub pass: u32,
    /// With [`Behaviour::PAIRS`], on a connection that was accepted and has no partner: open one to there. Until that has an
    /// outcome, no more is read from this connection.
    pub open: Option<Way>,
    /// With [`Behaviour::PAIRS`]: what concerns the partner.
    pub pair: OfPair,
}

/// What a behaviour of [pairs](Behaviour::PAIRS) asks for that concerns the partner of an event's connection.
#[derive(Clone, Debug, Default)]
pub struct OfPair {
    /// Bytes to send on the partner, as with [`Transmit::Across`], and before what [`Outbox::send`] asks for. The buffer belongs to the
    /// engine, as [`Outbox::bytes`].
    pub across: Vec<u8>,
    /// The peer of this connection has said that it sends no more, although its stream goes on. That is passed on as the end of its
    /// stream would be.
    pub ended: bool,
    /// So has the partner's, before.
    pub partner_ended: bool,
    /// The partner no longer [waits](Behaviour::waits): it is read from.
    pub resume: bool,
    /// With [`Outbox::close`]: the partner is reset.
    pub cut: bool,
}

impl OfPair {
    /// Whether nothing is requested.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.across.is_empty() && !(self.ended | self.partner_ended | self.resume | self.cut)
    }
}

impl Outbox {
    /// Whether nothing is requested, except that turns may be passed on.
    #[inline]
    pub fn is_done(&self) -> bool {
        matches!(self.send, Transmit::Nothing)
            && self.bytes.is_empty()
            && !(self.more | self.watch | self.close)
            && self.read == 0
            && self.wake.is_none()
            && self.open.is_none()
            && self.pair.is_done()
    }
}

/// How a behaviour reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// Everything, as it arrives.
    #[default]
    All,
    /// Everything, but only its size: [`Behaviour::counted`] is called instead of [`Behaviour::received`], and the
    /// bytes may stay in the kernel.
    Counts,
    /// As [`Reads::Counts`], but while [`Behaviour::looks`] says so of a connection, it gets the bytes.
    Looks,
    /// As [`Reads::Counts`], but the behaviour is not called: the engine counts. Data may gather a little before it is
    /// read.
    Discards,
    /// Only as requested by [`Outbox::read`].
    Asked,
    /// Nothing. The connection ends when the peer closes or resets it.
    Never,
}

impl Reads {
    /// Whether the bytes themselves are not needed in the long run, so that the kernel need not copy them.
    pub fn only_counts(self) -> bool {
        matches!(self, Reads::Counts | Reads::Looks | Reads::Discards)
    }

    /// Whether reading never waits for a request of the behaviour.
    pub fn all_that_comes(self) -> bool {
        matches!(self, Reads::All) || self.only_counts()
    }
}

/// Whether messages may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Not yet: connections are only opened.
    Waiting,
    /// Yes.
    On,
    /// No more: messages under way are finished, and no new one is begun.
    Off,
}

/// A change of the rate during the run. It is the same for all workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Steer {
    /// A new rate of the whole run.
    Rate {
        /// When it takes effect.
        from: Time,
        /// Messages per second.
        rate: Rate,
        /// Whether messages that were due before and are not sent yet are written off, as unsent.
        afresh: bool,
    },
    /// A constant rate, of the run or of each connection, changes. What was due before and is not sent yet stays due.
    Tempo {
        /// When it takes effect.
        from: Time,
        /// How many times the rate that was asked for at first; above 0.
        factor: f64,
    },
    /// A further piece of the profile.
    Piece {
        /// The earliest time at which it starts.
        from: Time,
        /// The piece.
        piece: Piece,
    },
}

/// The connection of an event, its time, and the counters.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The connection's number, from 0, which stays the same when the connection is reopened. Opened connections are
    /// numbered over the whole scenario, accepted ones on each worker.
    pub id: u32,
    /// The time.
    pub now: Time,
    /// When the connection was established: microseconds since the run began, modulo 2^32 (71 minutes).
    pub up_us: u32,
    /// This worker's counters.
    pub counters: &'a Counters,
}

impl At<'_> {
    /// Time since the connection was established, modulo 71 minutes.
    pub fn since_up(&self) -> Duration {
        let now_us = (self.now.0 / 1000) as u32;
        Duration::from_micros(now_us.wrapping_sub(self.up_us).into())
    }
}

/// What connections do. See the [module](self) for who calls it.
pub trait Behaviour {
    /// The state of each connection.
    type Conn: Default;

    /// Whether it ever requests to be woken. If not, no connection takes memory for a timer.
    const TIMERS: bool = true;

    /// Whether there may ever be bytes to [skip](Behaviour::skips).
    const SKIPS: bool = false;

    /// Whether connections come in pairs, one accepted and one [opened](Outbox::open) for it: its partner. Those that are
    /// accepted have even [numbers](At::id), and the partner of each has the next one. What one of a pair receives is sent
    /// [across](Transmit::Across). The engine passes on the rest: the end of what one receives is the end of what is sent on
    /// the other, after all that was received before; a connection that is reset, or lost in another way, has its partner
    /// reset; a pair ends once both peers have finished sending, or when the behaviour closes either of the two. The one whose
    /// peer did it is then closed for that reason, and its partner [by this side](Closed::ByUs).
    const PAIRS: bool = false;

    /// The memory that [`Transmit::Memory`] refers to. It must be the same each time.
    fn memory(&self) -> Arc<[u8]> {
        Arc::from([])
    }

    /// How it reads. The answer must be the same each time.
    fn reads(&self) -> Reads {
        Reads::All
    }

    /// With [`Reads::Looks`]: whether this connection's next bytes are passed to [`Behaviour::received`], and not counted.
    /// The answer may change only in [`Behaviour::received`], and only to no, until the connection is closed.
    fn looks(&self, _: &Self::Conn) -> bool {
        false
    }

    /// With [`Behaviour::SKIPS`] and [`Reads::All`]: how many of the connection's next bytes nobody needs. They may stay in the
    /// kernel: [`Behaviour::counted`] is called for those that do, and [`Behaviour::received`] for the others.
    fn skips(&self, _: &Self::Conn) -> u64 {
        0
    }

    /// With [`Behaviour::PAIRS`]: whether all of the next bytes of connection `id`, which has a partner, are to go
    /// [across](Transmit::Across), whatever they are. They may stay in the kernel: [`Behaviour::counted`] is called for those that
    /// do, which can't ask for anything, and [`Behaviour::received`] for the others.
    fn passes(&self, _: &Self::Conn, _id: u32) -> bool {
        false
    }

    /// With [`Behaviour::PAIRS`]: whether nothing is to be read from connection `id` for now, although it has a partner. It is asked when
    /// reading would begin or go on; [`OfPair::resume`] says that the answer has changed to no.
    fn waits(&self, _: &Self::Conn, _id: u32) -> bool {
        false
    }

    /// With [`Behaviour::PAIRS`]: the peer of a connection has finished sending. What is now sent on the partner goes before the end of
    /// its stream. It is not called where the behaviour has [said](OfPair::ended) so.
    fn peer_finished(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// With [`Behaviour::PAIRS`]: whether it is to know who connections are accepted from. The answer must be the same each time.
    fn asks_who(&self) -> bool {
        false
    }

    /// With that: the address of the peer of a connection that is about to be [opened](Behaviour::opened), and the address that it
    /// connected to.
    fn accepted_from(&mut self, _: &mut Self::Conn, _peer: SocketAddr, _to: SocketAddr, _: &At) {}

    /// A connection was established.
    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox);

    /// With [`Behaviour::PAIRS`]: the partner that this connection asked for could not be opened. It may [ask](Outbox::open)
    /// for another one, unless it was [closed](Behaviour::closed) meanwhile.
    fn partner_failed(&mut self, _: &mut Self::Conn, _why: FailCause, _: &At, out: &mut Outbox) {
        out.close = true;
    }

    /// A connection is about to be established: what is asked to be sent goes with its SYN (TCP Fast Open, RFC 7413). It is
    /// called in place of [`Behaviour::opened`]. [`Behaviour::established`] is called next, or [`Behaviour::unopened`].
    /// What is counted counts once the connection is established.
    fn opened_early(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        self.opened(conn, at, out);
    }

    /// A connection that was [opened early](Behaviour::opened_early) is established. What it asked for then is still in
    /// the outbox, except what was to be sent.
    fn established(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// A connection that was [opened early](Behaviour::opened_early) could not be established, so nothing that it sent was
    /// carried. What is counted here, and what was counted before, is dropped.
    fn unopened(&mut self, conn: &mut Self::Conn, at: &At) {
        self.closed(conn, Closed::Error, at);
    }

    /// Traffic may begin (see [`Traffic`]). Called once for each connection that is open then.
    fn started(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// Bytes were received. The engine has counted them.
    fn received(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox);

    /// With [`Reads::Counts`] and [`Reads::Looks`], and of bytes that are [skipped](Behaviour::skips) or [passed](Behaviour::passes): `n`
    /// bytes were received. The engine has counted them.
    fn counted(&mut self, _: &mut Self::Conn, _n: usize, _: &At, _: &mut Outbox) {}

    /// Passes bytes to it as it [reads](Behaviour::reads), which a behaviour around it has asked for: received, counted or not at
    /// all.
    fn take(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox) {
        match self.reads() {
            Reads::Discards | Reads::Never => {}
            Reads::Looks if self.looks(conn) => self.received(conn, bytes, at, out),
            Reads::Counts | Reads::Looks => self.counted(conn, bytes.len(), at, out),
            Reads::All | Reads::Asked => self.received(conn, bytes, at, out),
        }
    }

    /// The requested send of `n` bytes is complete. The engine has counted them.
    fn sent(&mut self, _: &mut Self::Conn, _n: usize, _: &At, _: &mut Outbox) {}

    /// The requested time has come. It may be too early, if the time was beyond the wheel's range, or the rate was
    /// [changed](Behaviour::steer).
    fn woken(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// It is this connection's turn, because another connection [passed](Outbox::pass) its turn on or a message
    /// [arrived](Behaviour::arrived).
    fn turn(&mut self, _: &mut Self::Conn, _: &At, _: &mut Outbox) {}

    /// The number of connections that have their turn now, in addition to turns that were passed on. It is called
    /// repeatedly, and must count again the connections that did not have their turn yet.
    fn arrived(&mut self, _now: Time) -> u32 {
        0
    }

    /// When to call [`Behaviour::arrived`] next; `None` for after the next event.
    fn next_arrival(&self) -> Option<Time> {
        None
    }

    /// The connection's socket ended. Whether that was as planned: then it counts as closed by this side, whichever side
    /// closed it first, and is reopened at once. Otherwise reopening waits a little, to spare a failing peer.
    /// [`Behaviour::closed`] is called next.
    fn is_done(&mut self, _: &mut Self::Conn, _why: Closed) -> bool {
        false
    }

    /// The run is over: finish what is under way, send the protocol's farewell, and close the connection.
    fn farewell(&mut self, _: &mut Self::Conn, _: &At, out: &mut Outbox) {
        out.close = true;
    }

    /// The worker ends, and with it the streams of all connections that are still open: appends what goes before the end of this one.
    /// It is sent as far as the kernel takes it at once. It is not called while something else is being sent, nor where
    /// connections are reset.
    fn parting(&mut self, _: &mut Self::Conn, _: &At, _out: &mut Vec<u8>) {}

    /// The connection is gone.
    fn closed(&mut self, _: &mut Self::Conn, _why: Closed, _: &At) {}

    /// From now on messages may be sent ([`Traffic::On`]), or no new one may be begun ([`Traffic::Off`]).
    fn traffic(&mut self, _: Traffic, _now: Time) {}

    /// The rate changes, if there is one. Returns whether connections asked to be woken at times that are no longer right:
    /// each open one is then [woken](Behaviour::woken), to ask again.
    fn steer(&mut self, _: &Steer) -> bool {
        false
    }

    /// The measurements since the last call.
    fn take_measured(&mut self) -> Measured {
        Measured::default()
    }
}
