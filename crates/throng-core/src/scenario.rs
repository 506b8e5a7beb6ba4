//! What the user asks for: validated, complete, plain data. No handles, no clocks.

use crate::payload::Messages;
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Which event loop moves the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// io_uring with direct descriptors.
    Uring,
    /// epoll.
    Epoll,
}

/// What a server does with what it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServeMode {
    /// Counts and discards it.
    #[default]
    Sink,
    /// Sends it back.
    Echo,
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
}
