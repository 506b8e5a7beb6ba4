//! What the user asks for: validated, complete, plain data. No handles, no clocks.

pub mod latency;
pub mod listen;
pub mod observe;
pub mod tls;
pub mod traffic;
pub mod websocket;

use crate::engine::EngineChoice;
use crate::payload::Messages;
use crate::protocol::dns::Query;
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use latency::{LatencyAsked, MessageLatency, Percentile};
pub use listen::{ListenMode, Listening, Target};
pub use observe::{Dump, SocketOptions, StatsdAsked, Whose};
pub use tls::{TlsClient, TlsServer};
pub use traffic::{Limits, RunRate, Search, WholeRun};
pub use websocket::WebSocketAsked;

/// What a server does with what it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServeMode {
    /// Counts and discards it.
    #[default]
    Sink,
    /// Sends it back.
    Echo,
    /// Sends messages, discards what comes (RFC 864 with a text of one's own).
    Chargen,
    /// Speaks WebSocket and sends each message back.
    Ws,
    /// Speaks WebSocket and discards what comes.
    WsSink,
}

impl ServeMode {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ServeMode::Sink => "sink",
            ServeMode::Echo => "echo",
            ServeMode::Chargen => "chargen",
            ServeMode::Ws => "ws",
            ServeMode::WsSink => "ws-sink",
        }
    }
}

/// What is to happen on connections, and what is told of it. The same for those that are opened and,
/// where it applies, those that are accepted. Its default is nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The targets as they were given, one for each positional argument.
    pub targets: Vec<Target>,
    /// Bounds of each connection's traffic.
    pub limits: Limits,
    /// A server that sends: what, in the order of the command line. (A load has `messages`.)
    pub messages: Messages,
    /// A server that sends: messages a second on each connection; `None` for as fast as they go. (A
    /// load has `repeat`.)
    pub rate: Option<Rate>,
    /// Messages of the whole run instead of each connection's.
    pub whole_run: Option<WholeRun>,
    /// A search for the highest rate instead of a given one.
    pub search: Option<Search>,
    /// DNS questions to send, in turn.
    pub dns: Vec<Query>,
    /// What random numbers begin with.
    pub seed: u64,
    /// Which latencies are measured.
    pub latency: LatencyAsked,
    /// What is set on each socket.
    pub socket: SocketOptions,
    /// Connections speak WebSocket.
    pub websocket: Option<WebSocketAsked>,
    /// Connections that are opened speak TLS.
    pub tls_client: Option<TlsClient>,
    /// Connections that are accepted speak TLS.
    pub tls_server: Option<TlsServer>,
    /// Connections are accepted, too.
    pub listening: Option<Listening>,
    /// How long all connections may take to come up; `None` for as long as they do.
    pub ramp_limit: Option<Duration>,
    /// Which traffic is printed.
    pub dump: Dump,
    /// How much is said besides: 0 errors, 1 what goes for everybody, 2 details, 3 everything.
    pub verbosity: u8,
    /// Where metrics go.
    pub statsd: Option<StatsdAsked>,
    /// The run is told as tcpkali tells it: in its lines, with its exit code.
    pub like_tcpkali: bool,
}

/// When the repeated message is sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// As soon as the kernel takes it.
    #[default]
    Flood,
    /// At this rate on each connection.
    Paced(Rate),
    /// When the one before has been echoed in full.
    ClosedLoop,
}

/// `throng load`: connections to open, and what to do with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadScenario {
    /// Where to connect to, in turn. Empty if `own_server` is set.
    pub targets: Vec<SocketAddr>,
    /// Serve from the same process, on loopback, and connect to that (`--self`).
    pub own_server: Option<ServeMode>,
    /// Connections to open and keep open.
    pub connections: u32,
    /// Attempts a second in all; `None` for as fast as the target takes them.
    pub connect_rate: Option<Rate>,
    /// How long an attempt may take.
    pub connect_timeout: Duration,
    /// Source addresses; empty to leave the choice to the kernel (or, on loopback, to the plan).
    pub sources: Vec<IpAddr>,
    /// Whether a connection that closes or fails is opened again.
    pub reconnect: bool,
    /// What to send.
    pub messages: Messages,
    /// How often.
    pub repeat: Repeat,
    /// Closed loop: messages under way at once, over all connections; `None` for one on each.
    pub in_flight: Option<u32>,
    /// Send nothing until all connections are up.
    pub traffic_after_ramp: bool,
    /// How long to go on after the last connection is up.
    pub hold: Duration,
    /// How long the whole run may take; `None` for as long as it needs.
    pub duration: Option<Duration>,
    /// Threads on each side; `None` for one per core.
    pub workers: Option<u32>,
    /// Which event loop.
    pub engine: EngineChoice,
    /// Go ahead although the plan says that it can't work (`--force`).
    pub force: bool,
    /// What is to happen on the connections.
    pub options: Options,
}

/// `throng serve`: connections to accept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServeScenario {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// What to do with what comes in.
    pub mode: ServeMode,
    /// The accept queue's length; `None` for the system's limit (somaxconn).
    pub backlog: Option<u32>,
    /// How many connections to hold at once; `None` for as many as fit.
    pub max_connections: Option<u32>,
    /// How long to serve; `None` until told to stop.
    pub duration: Option<Duration>,
    /// Threads; `None` for one per core.
    pub workers: Option<u32>,
    /// Which event loop.
    pub engine: EngineChoice,
    /// Go ahead although the plan says that it can't work (`--force`).
    pub force: bool,
    /// What is to happen on the connections.
    pub options: Options,
}
