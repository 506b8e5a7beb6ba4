//! Socket options, dumps, StatsD.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is set on each socket; `None` leaves it as the kernel has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketOptions {
    /// Nagle's algorithm (RFC 896); `Some(false)` sets TCP_NODELAY.
    pub nagle: Option<bool>,
    /// SO_RCVBUF, bytes. The kernel doubles it.
    pub receive_buffer: Option<u64>,
    /// SO_SNDBUF, bytes. The kernel doubles it.
    pub send_buffer: Option<u64>,
}

/// Which traffic is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// What comes in.
    pub received: Whose,
    /// What goes out.
    pub sent: Whose,
}

impl Dump {
    /// Whether nothing is.
    pub fn is_off(&self) -> bool {
        *self == Dump::default()
    }
}

/// Of which connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// Of none.
    #[default]
    None,
    /// Of one; when it closes, of another one.
    One,
    /// Of all.
    All,
}

/// Where metrics go once a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatsdAsked {
    /// The server's name or address.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
    /// What stands before each name, without the dot.
    pub namespace: String,
    /// Latencies are those of the last so long instead of those since the beginning, and are sent so
    /// often.
    pub latency_window: Option<Duration>,
}

/// tcpkali's default port and namespace.
pub const STATSD_PORT: u16 = 8125;
/// See [`STATSD_PORT`].
pub const STATSD_NAMESPACE: &str = "tcpkali";
