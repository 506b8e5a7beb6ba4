//! How connections are opened.

use super::target::Target;
use super::{Resolve, bounds};
use crate::address::{ClientRange, SourceRange};
use crate::pacing::ReconnectPolicy;
use crate::protocol::proxy_protocol::{self, Headers};
use crate::storm::Dropping;
use crate::units::written::{As, Maybe, Span};
use crate::units::{Rate, UnitError};
use crate::unix_socket::UnixAddress;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

/// How connections are opened, and what happens when one fails or closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Connect {
    /// Attempts per second in all; `None` for as fast as the target accepts them. With `find_rate` it bounds the search.
    pub rate: Option<Rate>,
    /// How long an attempt may take.
    #[serde(with = "As::<bounds::Positive>")]
    pub timeout: Duration,
    /// How long all connections may take to be established; `None` for as long as they need.
    #[serde(with = "Maybe::<bounds::Positive>")]
    pub within: Option<Duration>,
    /// Source addresses; empty to leave the choice to the kernel (or, on loopback, to the plan).
    pub source_ip: Vec<SourceRange>,
    /// Whether the first data goes with the SYN (TCP Fast Open).
    pub fastopen: Option<FastOpen>,
    /// How the names of targets become addresses.
    pub resolve: Resolve,
    /// The Unix socket that connections to all targets go to.
    pub unix_socket: Option<UnixAddress>,
    /// The version of the PROXY protocol's header that each connection begins with; `None` for no header.
    pub proxy_protocol: Option<proxy_protocol::Version>,
    /// The addresses of the clients that these headers name; empty for those set apart for benchmarks.
    pub proxy_source: Vec<ClientRange>,
    /// The HTTP proxy through which connections go, each in a tunnel of its own (CONNECT).
    pub tunnel: Option<Target>,
    /// `USER:PASSWORD` for that proxy.
    pub tunnel_auth: Option<String>,
    /// Whether a connection that closes or fails is opened again.
    pub reconnect: bool,
    /// How long it waits until then.
    #[serde(with = "As::<ReconnectPolicy>")]
    pub reconnect_policy: ReconnectPolicy,
    /// Connections that are dropped during the hold, and when.
    pub drop: Vec<Dropping>,
    /// Instead of a hold: look for the smallest window over which connections have to come back so that the server takes all of
    /// them.
    pub find_window: bool,
    /// Instead of a hold: look for the most new connections per second that the server takes without a loss.
    pub find_rate: bool,
    /// How long after it was established a connection is closed; `None` for at the end of the run.
    #[serde(with = "Maybe::<Span>")]
    pub lifetime: Option<Duration>,
    /// How many exchanges, a message and its answer each, a connection carries before it is closed and opened again; `None` for
    /// as many as the run has time for.
    #[serde(with = "Maybe::<bounds::Exchanges>")]
    pub exchanges_per_connection: Option<NonZeroU16>,
    /// Whether such a connection is to be closed by the server: this side waits for that, for five seconds at most.
    pub await_close: bool,
}

/// When data goes with the SYN of a connection that is opened (TCP Fast Open, RFC 7413).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FastOpen {
    /// Once the server has given this machine a cookie, which connections before ask for.
    Cookie,
    /// Always (TCP_FASTOPEN_NO_COOKIE). A server that wants a cookie ignores the data, and has it sent again.
    NoCookie,
}

impl Default for Connect {
    fn default() -> Connect {
        Connect {
            rate: None,
            timeout: Duration::from_secs(5),
            within: None,
            source_ip: Vec::new(),
            fastopen: None,
            resolve: Resolve::default(),
            unix_socket: None,
            proxy_protocol: None,
            proxy_source: Vec::new(),
            tunnel: None,
            tunnel_auth: None,
            reconnect: true,
            reconnect_policy: ReconnectPolicy::default(),
            drop: Vec::new(),
            find_window: false,
            find_rate: false,
            lifetime: None,
            exchanges_per_connection: None,
            await_close: false,
        }
    }
}

/// `--connect-rate`: a rate, `max` to find the highest, or `max:R` to look no further than R.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ConnectRate {
    /// Attempts per second.
    PerSecond(Rate),
    /// The highest, which the run finds out; no higher than this.
    Max(Option<Rate>),
}

impl FromStr for ConnectRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<ConnectRate, UnitError> {
        match (text, text.strip_prefix("max:")) {
            ("max", _) => Ok(ConnectRate::Max(None)),
            (_, Some(most)) => Ok(ConnectRate::Max(Some(most.parse()?))),
            (rate, None) => rate.parse().map(ConnectRate::PerSecond),
        }
    }
}

impl Connect {
    /// Attempts per second that the run keeps to; `None` for as fast as the target accepts them, or as a search has it.
    pub fn paced(&self) -> Option<Rate> {
        self.rate.filter(|_| !self.find_rate)
    }

    /// Whether connections are reset again and again, and come back over a window or at a rate, to find out which the server takes.
    pub fn finds_window(&self) -> bool {
        self.find_window || self.find_rate
    }

    /// Whether connections come back as independent clients do, each when its own wait is over: how they do so was asked for.
    /// Otherwise no more come back at once than the target's accept queue has room for.
    pub fn returns_alone(&self) -> bool {
        !self.drop.is_empty()
            || self.finds_window()
            || self.reconnect_policy != ReconnectPolicy::default()
    }

    /// Every source address, in order.
    pub fn sources(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.source_ip.iter().flat_map(|range| range.addresses())
    }

    /// The headers that connections begin with.
    pub fn proxy_headers(&self) -> Option<Headers> {
        let version = self.proxy_protocol?;
        Some(Headers::new(version, &self.proxy_source))
    }
}
