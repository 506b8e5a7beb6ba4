//! The question to a machine: how many connections it can hold, or what a number of them needs.

use crate::engine::EngineChoice;
use crate::scenario::{LoadScenario, ProxyScenario, Sending, ServeScenario};
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// Which ends of the connections are on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The end that connects.
    Client,
    /// The end that accepts.
    Server,
    /// Both ends. Without a target they are in one process, on loopback, as with `throng load --self`.
    Both,
}

impl Role {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
            Role::Both => "both",
        }
    }

    /// Whether the machine connects.
    pub fn connects(self) -> bool {
        self != Role::Server
    }

    /// Whether the machine accepts.
    pub fn accepts(self) -> bool {
        self != Role::Client
    }
}

/// The question to a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Which ends of the connections are on the machine.
    pub role: Role,
    /// How many connections; `None` for as many as fit.
    pub connections: Option<u64>,
    /// The targets. A client without targets is assumed to have one on another machine.
    pub targets: Vec<SocketAddr>,
    /// The targets, or those that are listened on, are Unix sockets: without addresses and ports, and on this machine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unix: bool,
    /// Source addresses; empty for the kernel's choice (on IPv4 loopback, throng's).
    pub sources: Vec<IpAddr>,
    /// The engine.
    pub engine: EngineChoice,
    /// Threads on each side; `None` for one per core.
    pub workers: Option<u32>,
    /// Bytes of a message; `None` for connections that stay silent.
    pub message_bytes: Option<u64>,
    /// Messages per second on each connection; `None` for as fast as the kernel accepts them.
    pub message_rate: Option<Rate>,
    /// Messages in flight at once over all connections, in a closed loop.
    pub in_flight: Option<u64>,
    /// New connections per second; `None` for as fast as the target accepts them.
    pub connect_rate: Option<Rate>,
    /// Connections per client host.
    pub per_client: Option<u64>,
    /// Reverse proxies in front of the targets.
    pub proxies: Option<u32>,
    /// Sockets that a server listens with.
    pub listeners: u32,
    /// With both roles: throng is a proxy to the targets, or without any, to the addresses that clients connect to. Both ends of a connection through it are in its process.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relays: bool,
    /// Connections are opened from the addresses of clients.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transparent: bool,
    /// It has to be found out whose an accepted connection is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks_who: bool,
    /// Connections speak TLS.
    #[serde(default)]
    pub tls: bool,
    /// TLS clients resume sessions.
    #[serde(default)]
    pub resume: bool,
    /// Connections of the whole run, where those asked for are a part of them: addresses are spread over all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<u64>,
}

impl Question {
    /// A question about a role alone.
    pub fn of(role: Role) -> Question {
        Question {
            role,
            connections: None,
            targets: Vec::new(),
            unix: false,
            sources: Vec::new(),
            engine: EngineChoice::Auto,
            workers: None,
            message_bytes: None,
            message_rate: None,
            in_flight: None,
            connect_rate: None,
            per_client: None,
            proxies: None,
            listeners: 1,
            relays: false,
            transparent: false,
            asks_who: false,
            tls: false,
            resume: false,
            part_of: None,
        }
    }

    /// The question of a load to the machine that it runs on.
    pub fn of_load(scenario: &LoadScenario) -> Question {
        let message_bytes = scenario.messages.about_bytes();
        Question {
            connections: Some(scenario.own_connections().into()),
            part_of: (!scenario.shard.is_whole()).then(|| scenario.connections.most().into()),
            targets: scenario.addresses(),
            unix: !scenario.unix_sockets().is_empty(),
            sources: scenario.connect.sources().collect(),
            engine: scenario.engine,
            workers: scenario.workers,
            message_bytes: (message_bytes > 0).then_some(message_bytes),
            message_rate: scenario.pace.sending.per_connection(),
            in_flight: match scenario.pace.sending {
                Sending::ClosedLoop { in_flight } => {
                    Some(in_flight.unwrap_or(scenario.own_connections()).into())
                }
                _ => None,
            },
            connect_rate: scenario.connect.rate.map(|all| scenario.shard.rate(all)),
            tls: scenario.tls.is_some(),
            resume: scenario.tls.as_ref().is_some_and(|tls| tls.resume),
            ..Question::of(match scenario.own_server {
                Some(_) => Role::Both,
                None => Role::Client,
            })
        }
    }

    /// The question of a server to the machine that it runs on.
    pub fn of_serve(scenario: &ServeScenario) -> Question {
        Question {
            connections: scenario.max_connections.map(u64::from),
            engine: scenario.engine,
            workers: scenario.workers,
            listeners: scenario.listen.len() as u32,
            unix: scenario.is_unix(),
            tls: scenario.tls.is_some(),
            ..Question::of(Role::Server)
        }
    }

    /// The question of a proxy of throng's own to the machine that it runs on.
    pub fn of_proxy(scenario: &ProxyScenario) -> Question {
        Question {
            connections: scenario.max_connections.map(u64::from),
            targets: scenario.backends(),
            sources: scenario.sources().collect(),
            engine: scenario.engine,
            workers: scenario.workers,
            listeners: scenario.listen.len() as u32,
            relays: true,
            transparent: scenario.transparent,
            asks_who: scenario.asks_who(),
            tls: scenario.speaks_tls(),
            resume: scenario.backend_tls.as_ref().is_some_and(|tls| tls.resume),
            ..Question::of(Role::Both)
        }
    }

    /// Connections that this machine is to hold. With proxies it is one of them; as a client with client hosts, one of
    /// those.
    pub fn asked_here(&self) -> Option<u64> {
        match (self.proxies, self.role, self.per_client) {
            (Some(proxies), ..) => Some(self.connections?.div_ceil(u64::from(proxies.max(1)))),
            (None, Role::Client, Some(each)) => Some(self.connections.unwrap_or(each).min(each)),
            _ => self.connections,
        }
    }
}
