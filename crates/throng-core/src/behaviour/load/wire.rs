//! What carries a load's messages: TCP alone, or a protocol on top of it.

use crate::behaviour::{At, Traffic};
use crate::stats::{Closed, Durations, Measured};
use crate::time::Time;

/// The outcome of received bytes.
#[derive(Debug, Default)]
pub struct Received {
    /// Messages may be sent from now on.
    pub ready: bool,
    /// Whole messages that arrived, where the protocol knows message boundaries.
    pub messages: u32,
    /// Streams that ended, each of which had answered its message when it began: see [`Receiver::stream`].
    pub streams: u32,
    /// The connection is over: close it once what was written is sent.
    pub over: bool,
    /// The peer is about to close the connection: send nothing more.
    pub leaving: bool,
    /// With `leaving`: because the peer violated the protocol, so that it may well not close.
    pub broken: bool,
}

/// A reply that says which message it answers.
#[derive(Clone, Copy, Debug)]
pub struct TaggedReply {
    /// The id of the message.
    pub id: u16,
    /// How the request went, as the protocol says it.
    pub code: u8,
    /// Whether the peer left something out.
    pub truncated: bool,
}

/// Receives what a [`Wire`] finds in received bytes.
pub trait Receiver {
    /// Bytes of the user's messages.
    fn payload(&mut self, bytes: &[u8]);

    /// A whole message has ended, where the protocol knows message boundaries. Its payload came before.
    fn message_ended(&mut self);

    /// A reply with an id. Returns whether it answers a message.
    fn reply(&mut self, reply: &TaggedReply) -> bool;

    /// The server accepted what was requested when the connection was opened; `of` is where the latency is measured.
    fn opened(&mut self, of: fn(&mut Measured) -> &mut Durations);

    /// What began at `since` is done; `of` is where its latency is measured.
    fn took(&mut self, of: fn(&mut Measured) -> &mut Durations, since: Time);

    /// A ping that was due at `due` was answered.
    fn pong(&mut self, due: Time);

    /// The first bytes of an answer, behind `before` others that these bytes complete.
    fn begun(&mut self, before: u32);

    /// The answer to the oldest message has begun, and may last: it counts as answered. Returns when the message was sent.
    fn stream(&mut self) -> Option<Time> {
        None
    }

    /// A number that may be when something received was sent: microseconds since 1970. `of` is where its age is measured.
    fn stamp(&mut self, _of: fn(&mut Measured) -> &mut Durations, _us: u64) {}
}

/// A protocol that carries messages.
pub trait Wire {
    /// What is kept for each connection.
    type Conn: Default;

    /// Whether it knows message boundaries.
    const MESSAGES: bool;

    /// Whether there may ever be bytes to [skip](Wire::skips).
    const SKIPS: bool = false;

    /// A connection was established. Writes what is to be sent at once. Returns whether messages may be sent.
    fn opened(&mut self, conn: &mut Self::Conn, uid: u64, at: &At, out: &mut Vec<u8>) -> bool;

    /// Whether messages may be sent.
    fn is_ready(&self, conn: &Self::Conn) -> bool;

    /// How many messages may be sent before those that were are answered.
    #[inline]
    fn room(&self, _: &Self::Conn, _uid: u64) -> u32 {
        u32::MAX
    }

    /// This many messages are begun.
    #[inline]
    fn sending(&mut self, _: &mut Self::Conn, _messages: u32, _: &At) {}

    /// Whether [`Wire::wrote`] is to be called.
    #[inline]
    fn keeps(&self) -> bool {
        false
    }

    /// Bytes of a message are sent. Whether they go on with the message before.
    fn wrote(&mut self, _: &At, _goes_on: bool, _bytes: &[u8]) {}

    /// How many messages the connection has begun, where they are numbered.
    #[inline]
    fn begun(&self, _: &Self::Conn) -> u32 {
        0
    }

    /// Whether messages may be sent has changed.
    fn traffic(&mut self, _: Traffic, _now: Time) {}

    /// Bytes arrived. What is in them goes to `to`; answers that the protocol asks for are written to `out`.
    fn received(
        &mut self,
        conn: &mut Self::Conn,
        uid: u64,
        bytes: &[u8],
        at: &At,
        out: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Received;

    /// How many of the next bytes are of no use, unless a tap or a matcher wants them: see
    /// [`Behaviour::skips`](super::super::Behaviour::skips). Nothing is complete with them.
    fn skips(&self, _: &Self::Conn) -> u64 {
        0
    }

    /// So many of those bytes have passed.
    fn skipped(&mut self, _: &mut Self::Conn, _bytes: u64, _: &At) {}

    /// This side is about to close the connection: writes the protocol's farewell, if it has one. Returns whether to
    /// wait for the peer's answer ([`Received::over`]); otherwise the connection is closed once the farewell is sent.
    fn farewell(&mut self, conn: &mut Self::Conn, out: &mut Vec<u8>) -> bool;

    /// The oldest message had no answer in time: this side closes the connection.
    fn timed_out(&mut self, _: &mut Self::Conn) {}

    /// When it has something of its own to send next, such as a ping; `None` for never.
    fn wake(&self, _: &Self::Conn, _: &At) -> Option<Time> {
        None
    }

    /// Writes what it has to send of its own by now.
    fn woken(&mut self, _: &mut Self::Conn, _uid: u64, _: &At, _: &mut Vec<u8>, _: &mut Measured) {}

    /// The connection's socket ended. Whether that was as planned: see [`Behaviour::is_done`](super::super::Behaviour::is_done).
    fn is_done(&mut self, _: &mut Self::Conn, _why: Closed) -> bool {
        false
    }

    /// Whether messages without an answer are lost if this side closes the connection, and not cut off by the end of the run.
    fn loses(&self, _: &Self::Conn) -> bool {
        false
    }

    /// The connection is gone. Returns how many whole messages ended with it.
    fn closed(
        &mut self,
        conn: &mut Self::Conn,
        why: Closed,
        at: &At,
        measured: &mut Measured,
    ) -> u32;
}
