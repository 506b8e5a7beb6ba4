//! What a worker's load is to do.

use crate::pacing::{Profile, Spacing, Think};
use crate::payload::Script;
use crate::protocol::websocket::Subprotocol;
use crate::shard::{Shard, WorkerShard};
use crate::units::{Bandwidth, Rate};
use std::num::NonZeroU16;
use std::time::Duration;

/// Which target the connection with this number goes to, as an index.
pub type Choose = Box<dyn Fn(u32) -> usize + Send>;

/// What a worker's load is to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// What to send.
    pub script: Script,
    /// When.
    pub pacing: Pacing,
    /// Connections of the whole run, over which paced messages are spread.
    pub connections: u32,
    /// This worker's index.
    pub worker: u32,
    /// Number of workers.
    pub workers: u32,
    /// The part of the run that all these workers together have.
    pub shard: Shard,
    /// Messages that all these workers together send; `None` for as many as the run has time for. First messages are not counted.
    pub requests: Option<u32>,
    /// Whether connections begin at different messages ([`starts_at`]), so that short ones send all between them.
    pub staggered: bool,
    /// Delay before a connection's first message.
    pub delay: Duration,
    /// How long a connection stays open; `None` until the end of the run.
    pub lifetime: Option<Duration>,
    /// Closed loop: how many exchanges a connection carries; `None` until the end of the run.
    pub exchanges: Option<Exchanges>,
    /// Whether a connection carries a number of messages and is then replaced by another. What arrives while all are busy
    /// then goes to the one that is free first, and does not wait for one of them.
    pub replaced: bool,
    /// Receive limit of each connection; `None` for no limit, zero to never read.
    pub receive: Option<Bandwidth>,
    /// Whether the time to the first byte is measured.
    pub first_byte: bool,
    /// Whether each round trip of a closed loop that counts bytes is kept: see
    /// [`Measured::samples`](crate::stats::Measured::samples). Those of matched answers are the matcher's.
    pub samples: bool,
    /// Whether a closed loop waits for answers, as the matcher or the wire reports them, and not for as many
    /// bytes as were sent.
    pub by_answers: bool,
    /// Whether answers are to be echoes: the same bytes.
    pub echoes: bool,
    /// Whether received messages are counted by what the matcher finds, and not by the wire's message
    /// boundaries: one message of ours may be several of WebSocket's.
    pub count_found: bool,
    /// How long a message waits for its answer before its connection is closed; `None` for ever.
    pub timeout: Option<Duration>,
    /// Closed loop: the time before each message; `None` for none.
    pub think: Option<Think>,
    /// Messages in one write, at most. One, unless they are equally long or echoes are not matched.
    pub most: u32,
    /// Microseconds since 1970 when the run began.
    pub unix_us: u64,
    /// Random seed.
    pub seed: u64,
    /// Subprotocols among which a server of WebSocket chooses.
    pub subprotocols: Vec<Subprotocol>,
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
            shard: Shard::WHOLE,
            requests: None,
            staggered: false,
            delay: Duration::ZERO,
            lifetime: None,
            exchanges: None,
            replaced: false,
            receive: None,
            first_byte: false,
            samples: false,
            by_answers: false,
            echoes: false,
            count_found: false,
            timeout: None,
            think: None,
            most: u32::MAX,
            unix_us: 0,
            seed: 0,
            subprotocols: Vec::new(),
        }
    }

    /// The part of the run that this worker has.
    pub fn share(&self) -> WorkerShard {
        self.shard.of_worker(self.worker, self.workers)
    }
}

/// A connection carries a number of exchanges, a message and its answer each, and is then closed and opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanges {
    /// How many.
    pub each: NonZeroU16,
    /// Whether the peer is to close it: this side waits for that, though not for ever.
    pub peer_closes: bool,
}

/// At which of `messages` connection `uid` begins, if connections begin at different ones. Connections count from 1.
pub fn starts_at(uid: u64, messages: usize) -> usize {
    (uid.saturating_sub(1) % messages.max(1) as u64) as usize
}

/// When repeated messages are sent.
#[derive(Clone, Debug)]
pub enum Pacing {
    /// As soon as the kernel takes them.
    Flood,
    /// This many per second on each connection; from [`GROUPS_FROM`](crate::pacing::MessagePace::GROUPS_FROM) on in groups, as far as
    /// messages share a write.
    Rate(Rate),
    /// This many bytes per second on each connection, more than zero.
    Bandwidth(Bandwidth),
    /// When the previous one has been answered; on this many of this worker's connections at once, each in its
    /// turn (`None`: on all).
    ClosedLoop {
        /// How many.
        in_flight: Option<u32>,
    },
    /// As messages of the whole run arrive, each on the next connection in turn.
    Arrivals {
        /// Spacing between them.
        spacing: Spacing,
        /// How many per second.
        rate: Arriving,
    },
}

/// How many messages of the whole run arrive.
#[derive(Clone, Debug)]
pub enum Arriving {
    /// A constant rate.
    Constant(Rate),
    /// As the profile says, from when traffic begins.
    Profile(Profile),
}
