//! What a connection does, with no I/O in it.
//!
//! A [`Behaviour`] is one worker's value. An engine tells it what happened on a connection and when;
//! it answers in an [`Outbox`] what to send, when to wake it and whether to close. Engines are generic
//! over it, so nothing is dispatched at run time, and what it keeps for each connection
//! ([`Behaviour::Conn`]) lies in the engine's table: a million connections have a million of these, so
//! it is a few bytes.
//!
//! A new behaviour is a new file here, plus the line in the binary that chooses it.

mod echo;
mod load;
mod sink;

pub use echo::Echo;
pub use load::{Load, Traffic};
pub use sink::Sink;

use crate::stats::{Closed, Counters, Measured};
use crate::time::Time;
use std::ops::Range;
use std::sync::Arc;

/// What to send on a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Send {
    /// Nothing.
    #[default]
    Nothing,
    /// This range of the behaviour's [memory](Behaviour::memory), from where it lies.
    Memory(Range<u32>),
    /// The bytes just received, all of them. Where the peer does not take them at once the engine keeps
    /// the rest and reads no more from this connection until it is gone. A connection that sends these
    /// sends nothing from memory: the two would run into each other.
    Back,
}

/// A behaviour's answer to an event on a connection. Empty again for each event.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    /// What to send. Only while no send is under way on this connection: the next one is asked for
    /// in [`Behaviour::sent`]. ([`Send::Back`] may be asked for at any time.)
    pub send: Send,
    /// Call [`Behaviour::woken`] then, instead of whenever was asked for before.
    pub wake: Option<Time>,
    /// Close the connection once what is being sent is sent.
    pub close: bool,
    /// Call [`Behaviour::woken`] on this many other connections, each the next one in turn.
    pub pass: u32,
}

/// What connections do. See the [module](self) for who calls it.
pub trait Behaviour {
    /// What is kept for each connection.
    type Conn: Default;

    /// Whether it ever asks to be woken; if not, no connection pays for a timer.
    const TIMERS: bool = true;

    /// The memory that [`Send::Memory`] refers to. It must be the same each time.
    fn memory(&self) -> Arc<[u8]> {
        Arc::from([])
    }

    /// Connection `id` is up. `id` is its number among all connections of the scenario, from 0, and
    /// stays the same when it is opened again.
    fn opened(
        &mut self,
        conn: &mut Self::Conn,
        id: u32,
        now: Time,
        counters: &Counters,
        out: &mut Outbox,
    );

    /// Traffic may begin (see [`Traffic`]); called once for each connection that is up then.
    fn started(&mut self, _: &mut Self::Conn, _id: u32, _now: Time, _: &Counters, _: &mut Outbox) {}

    /// Bytes came in. The engine has counted them.
    fn received(
        &mut self,
        conn: &mut Self::Conn,
        bytes: &[u8],
        now: Time,
        counters: &Counters,
        out: &mut Outbox,
    );

    /// What was asked to be sent is sent, all `n` bytes. The engine has counted them.
    fn sent(&mut self, _: &mut Self::Conn, _n: usize, _now: Time, _: &Counters, _: &mut Outbox) {}

    /// The time asked for has come (or the wheel could not wait that long: check), or it is this
    /// connection's turn because another one [passed](Outbox::pass).
    fn woken(&mut self, _: &mut Self::Conn, _now: Time, _: &Counters, _: &mut Outbox) {}

    /// The connection is gone.
    fn closed(&mut self, _: &mut Self::Conn, _why: Closed, _now: Time, _: &Counters) {}

    /// From now on ([`Traffic::On`]) messages may be sent, or no new one is begun ([`Traffic::Off`]).
    fn traffic(&mut self, _: Traffic, _now: Time) {}

    /// What it measured, at the end.
    fn measured(self) -> Measured
    where
        Self: Sized,
    {
        Measured::default()
    }
}
