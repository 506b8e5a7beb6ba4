//! Behaviours made for tests: one that is a closure, and one that checks what it gets back.

use crate::peer;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use throng_core::behaviour::{
    At, Behaviour, Load, NoMatcher, Outbox, Pacing, Steer, Task, Traffic, Transmit,
};
use throng_core::payload::{Framing, Messages, Script as Messaging};
use throng_core::protocol::raw::Raw;
use throng_core::stats::Closed;
use throng_core::time::Time;

/// What happened on a connection.
pub enum Event<'a> {
    Opened(u32),
    /// After it was opened early.
    Established,
    /// It was opened early, and could not be established.
    Unopened,
    Started(u32),
    Received(&'a [u8]),
    Sent(usize),
    Woken,
    Turn,
    Closed(Closed),
}

/// When it happened, and whether there may be traffic.
pub struct Moment {
    pub now: Time,
    pub traffic: Traffic,
}

/// A behaviour that is a closure. What is kept for each connection is an `S`.
pub struct Script<S, F> {
    memory: Arc<[u8]>,
    react: F,
    traffic: Traffic,
    state: PhantomData<fn() -> S>,
}

/// A [`Script`] that sends from `memory`.
pub fn script<S, F>(memory: impl Into<Arc<[u8]>>, react: F) -> Script<S, F>
where
    F: FnMut(&mut S, Event, Moment, &mut Outbox),
{
    Script {
        memory: memory.into(),
        react,
        traffic: Traffic::Waiting,
        state: PhantomData,
    }
}

impl<S, F> Script<S, F>
where
    F: FnMut(&mut S, Event, Moment, &mut Outbox),
{
    fn tell(&mut self, conn: &mut S, event: Event, now: Time, out: &mut Outbox) {
        let traffic = self.traffic;
        (self.react)(conn, event, Moment { now, traffic }, out);
    }
}

impl<S, F> Behaviour for Script<S, F>
where
    S: Default,
    F: FnMut(&mut S, Event, Moment, &mut Outbox),
{
    type Conn = S;

    fn memory(&self) -> Arc<[u8]> {
        Arc::clone(&self.memory)
    }

    fn opened(&mut self, conn: &mut S, at: &At, out: &mut Outbox) {
        self.tell(conn, Event::Opened(at.id), at.now, out);
    }

    fn established(&mut self, conn: &mut S, at: &At, out: &mut Outbox) {
        self.tell(conn, Event::Established, at.now, out);
    }

    fn unopened(&mut self, conn: &mut S, at: &At) {
        self.tell(conn, Event::Unopened, at.now, &mut Outbox::default());
    }

    fn started(&mut self, conn: &mut S, at: &At, out: &mut Outbox) {
        self.tell(conn, Event::Started(at.id), at.now, out);
    }

    fn received(&mut self, conn: &mut S, bytes: &[u8], at: &At, out: &mut Outbox) {
        self.tell(conn, Event::Received(bytes), at.now, out);
    }

    fn sent(&mut self, conn: &mut S, n: usize, at: &At, out: &mut Outbox) {
        self.tell(conn, Event::Sent(n), at.now, out);
    }

    fn woken(&mut self, conn: &mut S, at: &At, out: &mut Outbox) {
        self.tell(conn, Event::Woken, at.now, out);
    }

    fn turn(&mut self, conn: &mut S, at: &At, out: &mut Outbox) {
        self.tell(conn, Event::Turn, at.now, out);
    }

    fn closed(&mut self, conn: &mut S, why: Closed, at: &At) {
        self.tell(conn, Event::Closed(why), at.now, &mut Outbox::default());
    }

    fn traffic(&mut self, traffic: Traffic, _: Time) {
        self.traffic = traffic;
    }

    fn steer(&mut self, _: &Steer) -> bool {
        true
    }
}

/// What [`RoundTrips`] of all workers found.
#[derive(Debug, Default)]
pub struct Report {
    /// Connections that had all their messages back.
    pub complete: AtomicU64,
    /// Connections that ended before.
    pub cut_short: AtomicU64,
    /// Receives that gave other bytes than were sent, or more of them.
    pub wrong: AtomicU64,
    /// Sends of which the engine said that another number of bytes went out than was asked for.
    pub missent: AtomicU64,
}

impl Report {
    pub fn complete(&self) -> u64 {
        self.complete.load(Relaxed)
    }

    /// Fails unless `n` connections had all back and none anything else.
    pub fn assert_perfect(&self, n: u64) {
        let found = [&self.complete, &self.cut_short, &self.wrong, &self.missent]
            .map(|count| count.load(Relaxed));
        assert_eq!(found, [n, 0, 0, 0], "complete, cut short, wrong, missent");
    }
}

/// A client of an echo: sends messages of different sizes, each from elsewhere in memory, and compares
/// every byte that comes back.
pub struct RoundTrips {
    memory: Arc<[u8]>,
    sizes: &'static [usize],
    rounds: u32,
    close: bool,
    report: Arc<Report>,
}

/// A connection of [`RoundTrips`].
#[derive(Default)]
pub struct RoundTrip {
    id: u32,
    round: u32,
    at: usize,
    len: usize,
    got: usize,
    sent: bool,
    done: bool,
}

impl RoundTrips {
    /// `rounds` messages on each connection, of the `sizes` in turn; then it is closed if `close`.
    pub fn new(
        sizes: &'static [usize],
        rounds: u32,
        close: bool,
        report: &Arc<Report>,
    ) -> RoundTrips {
        let largest = sizes.iter().max().expect("a size");
        RoundTrips {
            memory: peer::noise(11, largest + 100_000).into(),
            sizes,
            rounds,
            close,
            report: Arc::clone(report),
        }
    }

    fn next(&self, c: &mut RoundTrip, out: &mut Outbox) {
        if c.round == self.rounds {
            c.done = true;
            self.report.complete.fetch_add(1, Relaxed);
            out.close = self.close;
            return;
        }
        let turn = (c.id + c.round) as usize;
        c.len = self.sizes[turn % self.sizes.len()];
        c.at = turn * 7919 % (self.memory.len() - c.len);
        (c.got, c.sent) = (0, false);
        c.round += 1;
        out.send = Transmit::Memory(c.at as u32..(c.at + c.len) as u32);
    }

    fn go_on(&self, c: &mut RoundTrip, out: &mut Outbox) {
        if c.sent && c.got == c.len && !c.done {
            self.next(c, out);
        }
    }
}

impl Behaviour for RoundTrips {
    type Conn = RoundTrip;
    const TIMERS: bool = false;

    fn memory(&self) -> Arc<[u8]> {
        Arc::clone(&self.memory)
    }

    fn opened(&mut self, c: &mut RoundTrip, at: &At, out: &mut Outbox) {
        *c = RoundTrip {
            id: at.id,
            ..RoundTrip::default()
        };
        self.next(c, out);
    }

    fn received(&mut self, c: &mut RoundTrip, bytes: &[u8], _: &At, out: &mut Outbox) {
        let expected = &self.memory[c.at + c.got..c.at + c.len];
        if c.done || !expected.starts_with(bytes) {
            self.report.wrong.fetch_add(1, Relaxed);
            out.close = true;
            return;
        }
        c.got += bytes.len();
        self.go_on(c, out);
    }

    fn sent(&mut self, c: &mut RoundTrip, n: usize, _: &At, out: &mut Outbox) {
        if n != c.len || c.sent {
            self.report.missent.fetch_add(1, Relaxed);
        }
        c.sent = true;
        self.go_on(c, out);
    }

    fn closed(&mut self, c: &mut RoundTrip, _: Closed, _: &At) {
        if !c.done {
            self.report.cut_short.fetch_add(1, Relaxed);
        }
    }
}

/// A load of one message, sent again and again, after a first one; empty ones are none. At most `combine`
/// share a write.
pub fn load(
    pacing: Pacing,
    traffic: Traffic,
    first: &[u8],
    repeated: &[u8],
    combine: u32,
) -> Load<Raw, NoMatcher> {
    let messages = Messages {
        first: vec![first.to_vec().into()],
        repeated: vec![repeated.to_vec().into()],
    };
    let script = Messaging::new(&messages, Framing::Raw, combine, 0).expect("a script");
    Load::new(Task::new(script, pacing), traffic, Raw, NoMatcher)
}
