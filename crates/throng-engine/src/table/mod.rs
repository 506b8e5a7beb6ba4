//! What both engines share: the table of connections, their timers, whose turn it is, and counting.
//!
//! The engine tells the table what happened to a connection and does what the [`Outbox`] says; the table
//! keeps states, timers and counters right, so that they mean the same on either engine.

mod opener;
mod orders;
mod places;

use crate::control::{Clock, Control, Orders, Outlet};
use crate::job::{Closing, Job, Role, ServerRole};
use crate::socket::{Address, SocketOption};
use crate::waiting::Waiting;
use opener::Opener;
use places::Places;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{At, Behaviour, Outbox, Reads, Traffic};
use throng_core::stats::{Closed, Counters, Durations, FailCause};
use throng_core::time::Time;
use throng_core::wheel::Wheel;

/// How long after a connection failed or closed it is tried again. Keeps a target that refuses
/// everything from being hammered, and is short against what a person notices.
const REOPEN_AFTER: Duration = Duration::from_millis(200);
/// How many connections a server worker may be ahead of the one with the fewest.
const AHEAD: u64 = 512;
/// Timers that fire in one round of the loop, so that sockets are looked after in between.
const TIMERS_A_ROUND: usize = 256;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not there: a free place, or a connection not opened yet.
    #[default]
    Free,
    /// Being opened.
    Connecting,
    /// Up.
    Open,
    /// To be opened again when its timer fires.
    Waiting,
}

/// One connection. Small, since there are a million: 40 bytes for a load, 8 for a sink.
#[derive(Debug, Default)]
pub(crate) struct Conn<C> {
    pub user: C,
    /// When it was tried, then when it came up: microseconds since the run began. Wraps after 71 minutes,
    /// which is longer than any attempt.
    up_us: u32,
    /// Tells this use of the place from earlier ones.
    pub generation: u16,
    pub state: State,
    /// The engine's own marks, but for [`STARTED`].
    pub marks: u8,
}

/// The mark of a connection on which traffic could begin when it opened, so that starting traffic on
/// all connections passes it over.
const STARTED: u8 = 128;

pub(crate) struct Table<B: Behaviour> {
    pub behaviour: B,
    pub conns: Vec<Conn<B::Conn>>,
    pub counters: Arc<Counters>,
    pub clock: Clock,
    pub wheel: Wheel,
    pub listeners: Vec<Arc<TcpListener>>,
    control: Arc<Control>,
    orders: Orders,
    traffic: Traffic,
    opener: Option<Opener>,
    others: Vec<Arc<Counters>>,
    max: u32,
    /// Server: where connections may go.
    places: Places,
    closing: Closing,
    reads: Reads,
    options: Box<[SocketOption]>,
    connect_times: Durations,
    outlet: Arc<Outlet>,
    /// The last collection that was answered.
    collection: u32,
    /// How many changes of the rate are made.
    steered: u32,
    /// Timers that are due have not all fired.
    behind: bool,
    /// The connection whose turn it was last, and how many are still to have theirs.
    turn: u32,
    passed: u32,
    /// How many are to have it because something arrived.
    arrived: u32,
    waiting: Waiting,
    /// How far starting traffic on all connections has got, once it was ordered.
    started: Option<u32>,
    /// The same for saying farewell.
    leaving: Option<u32>,
}

/// What a fired timer asks the engine to do.
pub(crate) enum Fired {
    /// Give up this attempt.
    GiveUp(u32),
    /// Wake this connection's behaviour.
    Wake(u32),
}

impl<B: Behaviour> Table<B> {
    /// The table of `job`, whose connections do what `behaviour` says.
    pub fn new(job: Job, behaviour: B) -> Table<B> {
        let mut table = Table {
            reads: behaviour.reads(),
            options: job.options.list(),
            behaviour,
            conns: Vec::new(),
            counters: job.counters,
            clock: job.clock,
            wheel: Wheel::new(),
            listeners: Vec::new(),
            control: job.control,
            orders: Orders::default(),
            traffic: job.traffic,
            opener: None,
            others: Vec::new(),
            max: 0,
            places: Places::default(),
            closing: job.closing,
            connect_times: Durations::default(),
            outlet: job.outlet,
            collection: 0,
            steered: 0,
            behind: false,
            turn: 0,
            passed: 0,
            arrived: 0,
            waiting: Waiting::new(),
            started: None,
            leaving: None,
        };
        table.set_traffic(job.traffic, table.clock.now());
        match job.role {
            Role::Server(ServerRole {
                listeners,
                max,
                others,
            }) => {
                (table.listeners, table.max, table.others) = (listeners, max, others);
                table.places = Places::new(max);
            }
            Role::Client(client) => {
                table.max = client.count;
                table.opener = Some(Opener::new(client));
            }
        }
        table
    }

    /// The most connections there can be.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// How connections are read from.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// What to set on sockets before they connect.
    pub fn options(&self) -> &[SocketOption] {
        &self.options
    }

    /// How to close what is up at the end.
    pub fn closing(&self) -> Closing {
        self.closing
    }

    /// Server: whether there is a place for another connection.
    pub fn has_place(&self) -> bool {
        self.places.any(|| self.clock.now())
    }

    /// Server: a place for another connection; preferably one that was used before, whose memory is
    /// there already.
    pub fn take_place(&mut self) -> Option<u32> {
        let index = self.places.take(|| self.clock.now())?;
        if index as usize >= self.conns.len() {
            self.conns.resize_with(index as usize + 1, Conn::default);
        }
        Some(index)
    }

    /// Server: takes back a place that was not used.
    pub fn give_place(&mut self, index: u32) {
        self.places.give(index);
    }

    /// Tells connection `index`'s behaviour of something.
    #[inline]
    fn tell(&mut self, index: u32, now: Time, what: impl FnOnce(&mut B, &mut B::Conn, &At)) {
        let id = match &self.opener {
            Some(o) => o.id(index),
            None => index,
        };
        let at = At {
            id,
            now,
            up_us: self.conns[index as usize].up_us,
            counters: &self.counters,
        };
        what(
            &mut self.behaviour,
            &mut self.conns[index as usize].user,
            &at,
        );
    }

    /// Farewell is to be said on a connection.
    pub fn farewell(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.farewell(conn, at, out));
    }

    /// The connection whose turn is next: the first one after the last that is up.
    fn next_in_turn(&mut self) -> Option<u32> {
        let conns = self.conns.len() as u32;
        for _ in 0..conns {
            self.turn = if self.turn + 1 < conns {
                self.turn + 1
            } else {
                0
            };
            if self.conns[self.turn as usize].state == State::Open {
                return Some(self.turn);
            }
        }
        None
    }

    /// Wakes the next connection in turn, if another one passed. Returns it, for what it asks to be
    /// done.
    pub fn take_turn(&mut self, now: Time, out: &mut Outbox) -> Option<u32> {
        if self.passed > 0 {
            self.passed -= 1;
        } else {
            self.arrived = self.arrived.checked_sub(1)?;
        }
        let index = self.next_in_turn()?;
        self.tell(index, now, |b, conn, at| b.turn(conn, at, out));
        Some(index)
    }

    /// Takes note that this many connections are to have their turn.
    pub fn pass(&mut self, n: u32) {
        self.passed = self.passed.saturating_add(n);
    }

    /// Asks the behaviour what has arrived by now.
    pub fn take_arrivals(&mut self, now: Time) {
        self.arrived = self.behaviour.arrived(now);
    }

    /// Whether a server worker should let others accept: it is far ahead of the one with the fewest
    /// connections that is not full.
    pub fn is_ahead(&self) -> bool {
        let fewest = self
            .others
            .iter()
            .map(|c| c.read().open())
            .filter(|n| *n < u64::from(self.max))
            .min();
        fewest.is_some_and(|n| self.counters.read().open() > n + AHEAD)
    }

    /// How many workers share the listeners, this one included.
    pub fn siblings(&self) -> u32 {
        self.others.len() as u32 + 1
    }

    /// How many connections may be opened now.
    pub fn may_open(&mut self, now: Time) -> u32 {
        if self.stopped_opening() {
            return 0;
        }
        let opener = self.opener.as_mut();
        opener.map_or(0, |o| o.ready(now, self.behind))
    }

    /// Takes the next connection to open, counts the attempt and starts its timeout. Call only as often
    /// as [`Table::may_open`] said.
    pub fn open_next(&mut self, now: Time) -> Option<u32> {
        let o = self.opener.as_mut()?;
        let index = o.take()?;
        let timeout = o.timeout();
        if index as usize >= self.conns.len() {
            self.conns.resize_with(index as usize + 1, Conn::default);
        }
        self.counters.attempted.add(1);
        let conn = &mut self.conns[index as usize];
        conn.state = State::Connecting;
        conn.marks = 0;
        conn.up_us = (now.0 / 1000) as u32;
        self.wheel.set(index, now + timeout);
        Some(index)
    }

    /// Where connection `index` goes, and from where. The addresses stay in place for the whole run.
    pub fn route(&self, index: u32) -> (&Address, Option<&Address>) {
        let opener = self.opener.as_ref().expect("only a client routes");
        opener.route(index)
    }

    /// An attempt succeeded.
    pub fn connected(&mut self, index: u32, now: Time, out: &mut Outbox) {
        let conn = &mut self.conns[index as usize];
        let took =
            Duration::from_micros(u64::from(((now.0 / 1000) as u32).wrapping_sub(conn.up_us)));
        conn.state = State::Open;
        conn.up_us = (now.0 / 1000) as u32;
        self.wheel.cancel(index);
        self.connect_times.record(took);
        self.counters.established.add(1);
        if let Some(o) = &mut self.opener {
            o.succeeded(now, took);
        }
        self.opened(index, now, out);
    }

    /// A connection was accepted.
    pub fn accepted(&mut self, index: u32, now: Time, out: &mut Outbox) {
        let conn = &mut self.conns[index as usize];
        conn.state = State::Open;
        conn.marks = 0;
        conn.up_us = (now.0 / 1000) as u32;
        self.counters.accepted.add(1);
        self.opened(index, now, out);
    }

    fn opened(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.counters.last_up_ns.set(now.0);
        if self.traffic == Traffic::On {
            self.conns[index as usize].marks |= STARTED;
        }
        self.tell(index, now, |b, conn, at| b.opened(conn, at, out));
    }

    /// Traffic starts on a connection that is up.
    pub fn start(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.started(conn, at, out));
    }

    /// Bytes came in on a connection.
    pub fn received(&mut self, index: u32, bytes: &[u8], now: Time, out: &mut Outbox) {
        self.count_read(bytes.len());
        self.tell(index, now, |b, conn, at| b.received(conn, bytes, at, out));
    }

    /// Bytes came in at which nobody looks, and the behaviour is told how many.
    pub fn counted(&mut self, index: u32, n: usize, now: Time, out: &mut Outbox) {
        self.count_read(n);
        self.tell(index, now, |b, conn, at| b.counted(conn, n, at, out));
    }

    /// Bytes came in on some connection.
    pub fn count_read(&self, bytes: usize) {
        self.counters.reads.add(1);
        self.counters.bytes_received.add(bytes as u64);
    }

    /// What a connection was asked to send is sent, all `n` bytes.
    pub fn sent(&mut self, index: u32, n: usize, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.sent(conn, n, at, out));
    }

    /// A connection's timer fired.
    pub fn wake(&mut self, index: u32, now: Time, out: &mut Outbox) {
        self.tell(index, now, |b, conn, at| b.woken(conn, at, out));
    }

    /// An attempt failed. The place is not the engine's any more.
    pub fn failed(&mut self, index: u32, cause: FailCause, now: Time) {
        self.counters.failed(cause);
        if let Some(o) = &mut self.opener {
            o.failed(now, cause);
        }
        self.leave(index, now + REOPEN_AFTER, false);
    }

    /// A connection ended. The place is not the engine's any more, but if it is `busy` something of it goes on
    /// in the kernel, and it is not used again at once.
    pub fn closed(&mut self, index: u32, why: Closed, busy: bool, now: Time) {
        let done = self.behaviour.is_done(&self.conns[index as usize].user);
        // Who goes first in the end does not matter.
        let why = if done { Closed::ByUs } else { why };
        let again = if done && !busy {
            now
        } else {
            now + REOPEN_AFTER
        };
        self.counters.closed(why, 1);
        self.tell(index, now, |b, conn, at| b.closed(conn, why, at));
        self.leave(index, again, busy);
    }

    /// Gives up a place. A client opens it again at `again`; a server may use it again at once, or from then on
    /// if it is `busy`.
    fn leave(&mut self, index: u32, again: Time, busy: bool) {
        let conn = &mut self.conns[index as usize];
        conn.generation = conn.generation.wrapping_add(1);
        conn.marks = 0;
        conn.state = State::Free;
        if let Some(o) = &self.opener {
            if o.reconnects() {
                conn.state = State::Waiting;
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

    /// Every connection ends because we close them all.
    pub fn close_all(&mut self) {
        let now = self.clock.now();
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

    /// Adds what timers that are due ask for to `fired`: a bounded number at a time. While some are left
    /// hardly any connection is opened: messages that are due go first.
    pub fn fire(&mut self, now: Time, fired: &mut Vec<Fired>) {
        let Table {
            wheel,
            conns,
            opener,
            ..
        } = self;
        let all = wheel.advance(now, TIMERS_A_ROUND, |index| {
            match conns[index as usize].state {
                State::Connecting => fired.push(Fired::GiveUp(index)),
                State::Open => fired.push(Fired::Wake(index)),
                State::Waiting => opener.iter_mut().for_each(|o| o.open_again(index)),
                State::Free => {}
            }
        });
        self.behind = !all;
    }

    /// How long the loop may sleep; `None` for until something happens. Shortly before an arrival it does not
    /// sleep at all.
    pub fn sleep(&mut self, now: Time) -> Option<Duration> {
        self.waiting.stays();
        if self.started.is_some()
            || self.leaving.is_some()
            || self.passed > 0
            || self.arrived > 0
            || self.behind
        {
            return Some(Duration::ZERO);
        }
        let opening = self.opener.as_ref().filter(|_| !self.stopped_opening());
        let arrival = self.behaviour.next_arrival();
        let until = self
            .wheel
            .next()
            .into_iter()
            .chain(opening.and_then(|o| o.next_look(now)))
            .chain(self.places.next_free())
            .chain(arrival.map(|at| self.waiting.until(at, now)))
            .min()?;
        if until <= now {
            std::hint::spin_loop();
        } else if arrival.is_some() {
            self.waiting.sleeps(until);
        }
        Some(until.since(now))
    }

    /// The loop's wait is over, whatever ended it.
    pub fn woke(&mut self) {
        let clock = self.clock;
        self.waiting.woke(|| clock.now());
    }
}
