//! What was asked of a run, as far as its report and its verdict depend on it.

use crate::expect::Expectation;
use crate::pacing::ReconnectPolicy;
use crate::protocol::ProtocolKind;
use crate::protocol::websocket::Subprotocol;
use crate::scenario::{Allow, Measure, MessageLatency, Percentile};
use crate::stats::Tally;
use crate::storm::Dropping;
use crate::units::written::Maybe;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;

/// What a run is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Connections that it opens.
    #[default]
    Load,
    /// Connections that it accepts.
    Serve,
    /// Connections that it accepts, with one to a backend for each.
    Proxy,
}

impl Role {
    /// The subcommand.
    pub fn name(self) -> &'static str {
        match self {
            Role::Load => "load",
            Role::Serve => "serve",
            Role::Proxy => "proxy",
        }
    }
}

/// Which messages of a run its rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateOf {
    /// Those sent.
    Sent,
    /// Replies: a closed loop.
    Replies,
}

/// The message rate that was asked for, over all connections of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedRate {
    /// None.
    #[default]
    Nothing,
    /// A constant rate, messages per second.
    Constant(f64),
    /// A rate that varies: this many messages during the hold.
    Messages(f64),
}

/// Which latency of messages was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessagesBy {
    /// By their answers.
    Answers,
    /// By the time stamps in received messages.
    TimeStamps,
}

/// Which latencies are to be reported, and at which percentiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AskedLatencies {
    /// The time to connect.
    pub connect: bool,
    /// The time to the first byte.
    pub first_byte: bool,
    /// That of messages.
    pub messages: Option<MessagesBy>,
    /// Percentiles; empty for the usual ones.
    pub percentiles: Vec<Percentile>,
}

impl AskedLatencies {
    /// Those that a run measures, at `percentiles`. With `connect`, the time to connect is among them, which is always
    /// measured.
    pub fn of(measure: &Measure, connect: bool, percentiles: &[Percentile]) -> AskedLatencies {
        AskedLatencies {
            connect,
            first_byte: measure.first_byte,
            messages: measure.message.as_ref().map(|by| match by {
                MessageLatency::MessageMarker => MessagesBy::TimeStamps,
                MessageLatency::Marker(_) | MessageLatency::Echo => MessagesBy::Answers,
            }),
            percentiles: percentiles.to_vec(),
        }
    }
}

/// What was asked of connections that carry a number of exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedExchanges {
    /// How many on each connection.
    pub each: NonZeroU16,
    /// New connections per second for which this client has ports, as each rests once its connection is closed; `None` if that
    /// is no bound.
    pub ports_per_s: Option<u64>,
    /// The peer is to close each connection once it has carried them.
    #[serde(default)]
    pub await_close: bool,
}

/// What was asked of a run, as far as its report and its verdict depend on it: plain facts, each about the share of one
/// source. Its default is a load that asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// What the run is about.
    pub role: Role,
    /// Connections; `None` for a server without a maximum.
    pub connections: Option<u64>,
    /// Attempts per second.
    pub connect_per_s: Option<f64>,
    /// How long an attempt may take, seconds.
    pub connect_timeout_s: f64,
    /// How long a connection that failed or closed waits until it is opened again; `None` if it is not.
    #[serde(default, with = "Maybe::<ReconnectPolicy>")]
    pub reconnect: Option<ReconnectPolicy>,
    /// Connections that this side was to drop during the hold, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drops: Vec<Dropping>,
    /// The server is drained during the hold.
    #[serde(default)]
    pub drain: bool,
    /// Instead of a hold, the smallest window is looked for over which connections have to come back.
    #[serde(default)]
    pub find_window: bool,
    /// Whether the first data goes with the SYN (TCP Fast Open).
    #[serde(default)]
    pub fastopen: bool,
    /// How long opening all connections may take, seconds.
    pub ramp_limit_s: Option<f64>,
    /// Messages are sent repeatedly, and which of them its rate counts; `None` if none are.
    pub messages: Option<RateOf>,
    /// At which rate.
    pub rate: AskedRate,
    /// Messages that are to be sent in all; `None` for as many as there is time for.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Messages are due at times, so that there is a response time.
    pub paced: bool,
    /// Bytes per second that all connections together are to send.
    pub sent_per_s: Option<f64>,
    /// Bytes per second that all connections together may receive.
    pub received_per_s: Option<f64>,
    /// How long connections are to be held, seconds; `None` if something else ends the hold.
    pub hold_s: Option<f64>,
    /// What may go wrong.
    pub allow: Allow,
    /// What is to be measured.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// Connections are closed and opened again after a time, so that some are always missing.
    pub lifetime: bool,
    /// How many exchanges connections are to carry before they are closed and opened again; `None` for no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanges: Option<AskedExchanges>,
    /// The server is in the same process: what one side sends the other receives.
    pub own_server: bool,
    /// A text ends the run.
    pub stops_at_text: bool,
    /// Answers to messages are looked for.
    pub answers: bool,
    /// Messages with time stamps are counted.
    pub time_stamps: bool,
    /// What connections speak.
    pub protocol: ProtocolKind,
    /// Subprotocols of WebSocket that were asked for, or that a server has.
    #[serde(default)]
    pub subprotocols: Vec<Subprotocol>,
    /// Connections that are opened are those of Unix sockets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unix: bool,
    /// Connections that are opened go through tunnels of a proxy.
    #[serde(default)]
    pub tunnels: bool,
    /// Connections that are accepted begin with a header of the PROXY protocol.
    #[serde(default)]
    pub takes_headers: bool,
    /// Connections that are opened begin with one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sends_headers: bool,
    /// Connections that are opened speak TLS.
    pub tls_client: bool,
    /// Connections that are accepted speak TLS.
    pub tls_server: bool,
    /// Which latencies are to be reported.
    pub latencies: AskedLatencies,
    /// Traffic is counted from the last attempt instead of from when all connections were established, as tcpkali
    /// does.
    pub steady_from_last_attempt: bool,
}

/// How many connections have been closed as was asked, or as `protocol` allows, after a number of exchanges.
pub fn closed_by_agreement(protocol: ProtocolKind, counted: &Tally) -> u64 {
    protocol.closed_by_agreement(counted) + counted.exchanged
}

/// Whether of `asked` connections as many have been closed by agreement, so that connections come and go all the time: some
/// are always being opened again.
pub fn churn(protocol: ProtocolKind, asked: u64, counted: &Tally) -> bool {
    asked > 0 && closed_by_agreement(protocol, counted) >= asked
}
