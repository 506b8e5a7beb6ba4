//! `throng proxy`: connections to accept, and one to a backend for each.

use super::{ListenAddress, SocketOptions, Target, bounds};
use crate::address::SourceRange;
use crate::engine::EngineChoice;
use crate::protocol::proxy::Balance;
use crate::units::written::{As, Maybe, Span};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `throng proxy`: connections to accept, and one to a backend for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ProxyScenario {
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// Where connections go.
    pub to: Vec<Target>,
    /// How to choose among backends.
    pub balance: Balance,
    /// Source addresses of the connections to backends; empty for the kernel's choice.
    pub source_ip: Vec<SourceRange>,
    /// How long an attempt to connect to a backend may take.
    #[serde(with = "As::<bounds::Positive>")]
    pub connect_timeout: Duration,
    /// How long a backend is left out that does not answer.
    #[serde(with = "As::<bounds::Positive>")]
    pub left_out: Duration,
    /// How long connections may go on once the proxy is to end.
    #[serde(with = "As::<Span>")]
    pub drain_timeout: Duration,
    /// The accept queue's length; `None` for the system's limit (somaxconn).
    #[serde(with = "Maybe::<bounds::Connections>")]
    pub backlog: Option<u32>,
    /// Pairs to hold at once, at most; `None` for as many as fit.
    #[serde(with = "Maybe::<bounds::Connections>")]
    pub max_connections: Option<u32>,
    /// How long to run; `None` for until it is stopped.
    #[serde(with = "Maybe::<bounds::Positive>")]
    pub duration: Option<Duration>,
    /// Threads; `None` for one per core.
    #[serde(with = "Maybe::<bounds::Workers>")]
    pub workers: Option<u32>,
    /// Which event loop.
    pub engine: EngineChoice,
    /// Run even if the plan says that it cannot work.
    pub force: bool,
    /// What is set on each socket.
    pub sockets: SocketOptions,
}

impl Default for ProxyScenario {
    fn default() -> ProxyScenario {
        ProxyScenario {
            listen: Vec::new(),
            to: Vec::new(),
            balance: Balance::default(),
            source_ip: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            left_out: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(10),
            backlog: None,
            max_connections: None,
            duration: None,
            workers: None,
            engine: EngineChoice::default(),
            force: false,
            sockets: SocketOptions::default(),
        }
    }
}

impl ProxyScenario {
    /// The addresses of the backends, in order: those of each target.
    pub fn backends(&self) -> Vec<SocketAddr> {
        let all = self.to.iter().flat_map(|target| &target.addresses);
        all.copied().collect()
    }

    /// The source addresses that were given.
    pub fn sources(&self) -> impl Iterator<Item = IpAddr> {
        self.source_ip.iter().flat_map(|range| range.addresses())
    }
}
