//! `throng load`: connections to open, and what to do with them.

use super::{
    Allow, Connect, Connections, Hold, Listening, Measure, OwnServer, Pace, Pem, SocketOptions,
    Target, TlsClient, TlsServer, bounds,
};
use crate::engine::EngineChoice;
use crate::expect::Expectation;
use crate::payload::Messages;
use crate::protocol::Protocol;
use crate::shard::Shard;
use crate::units::written::{As, Maybe};
use crate::unix_socket::UnixAddress;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `throng load`: connections to open, and what to do with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LoadScenario {
    /// Where to connect to, in turn. Empty if `own_server` is set.
    pub targets: Vec<Target>,
    /// Serve from the same process, on loopback, and connect to that (`--self`).
    #[serde(rename = "self")]
    pub own_server: Option<OwnServer>,
    /// Connections to open and keep open: a number, or as many as can be held. 0 if there is nothing to connect to.
    #[serde(with = "As::<Connections>")]
    pub connections: Connections,
    /// How long to go on after the last connection is established: a time, or `"forever"`, until Ctrl-C.
    #[serde(with = "As::<Hold>")]
    pub hold: Hold,
    /// How long the whole run may take; `None` for as long as it needs.
    #[serde(with = "Maybe::<bounds::Positive>")]
    pub duration: Option<Duration>,
    /// Threads on each side; `None` for one per core.
    #[serde(with = "Maybe::<bounds::Workers>")]
    pub workers: Option<u32>,
    /// Which event loop.
    pub engine: EngineChoice,
    /// Run even if the plan says that it cannot work, and ignore full accept queues.
    pub force: bool,
    /// Random seed; `None` to draw one for each run.
    #[serde(serialize_with = "seed_out", deserialize_with = "seed_in")]
    pub seed: Option<u64>,
    /// The server is drained during the hold: it may close connections between messages, and must break none.
    pub drain: bool,
    /// How connections are opened.
    pub connect: Connect,
    /// What bytes mean on them.
    pub protocol: Protocol,
    /// What is sent.
    pub messages: Messages,
    /// When it is sent.
    pub pace: Pace,
    /// What is measured.
    pub measure: Measure,
    /// What may go wrong in a run that still counts as reached.
    pub allow: Allow,
    /// What is to be measured for the run to be reached.
    pub expect: Vec<Expectation>,
    /// What is set on each socket.
    pub sockets: SocketOptions,
    /// Connections that are opened speak TLS.
    pub tls: Option<TlsClient>,
    /// Connections are accepted, too.
    pub listen: Option<Listening>,
    /// Connections that are accepted speak TLS.
    pub tls_server: Option<TlsServer>,
    /// The part of it that is to be run. All else is of the whole run, so a file has no part: whoever divides a scenario says
    /// which one is whose.
    #[serde(skip)]
    pub shard: Shard,
}

impl Default for LoadScenario {
    fn default() -> LoadScenario {
        LoadScenario {
            targets: Vec::new(),
            own_server: None,
            connections: Connections::Number(1),
            hold: Hold::For(Duration::from_secs(10)),
            duration: None,
            workers: None,
            engine: EngineChoice::default(),
            force: false,
            seed: None,
            drain: false,
            connect: Connect::default(),
            protocol: Protocol::default(),
            messages: Messages::default(),
            pace: Pace::default(),
            measure: Measure::default(),
            allow: Allow::default(),
            expect: Vec::new(),
            sockets: SocketOptions::default(),
            tls: None,
            listen: None,
            tls_server: None,
            shard: Shard::WHOLE,
        }
    }
}

impl LoadScenario {
    /// Whether there is something to connect to.
    pub fn opens(&self) -> bool {
        !self.targets.is_empty() || self.own_server.is_some()
    }

    /// Whether this side is asked to close connections, each in its turn, and to open others in their place.
    pub fn renews(&self) -> bool {
        self.connect.lifetime.is_some()
            || self.connect.exchanges_per_connection.is_some()
            || self.protocol.closes()
    }

    /// The most connections that its part opens.
    pub fn own_connections(&self) -> u32 {
        self.shard.share(self.connections.most())
    }

    /// How many messages in all its part sends; `None` for as many as there is time for.
    pub fn own_requests(&self) -> Option<u32> {
        Some(self.shard.share(self.pace.requests?))
    }

    /// The Unix sockets to connect to, in turn: one for each target, or none.
    pub fn unix_sockets(&self) -> Vec<UnixAddress> {
        let of = |target: &Target| {
            let all = self.connect.unix_socket.as_ref();
            target.spec.unix.as_ref().or(all).cloned()
        };
        self.targets.iter().filter_map(of).collect()
    }

    /// The addresses to connect to, in turn, once the targets are resolved; none if these are Unix sockets.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let all = self.targets.iter().flat_map(|target| &target.addresses);
        all.copied().collect()
    }

    /// For each place to connect to, an address or a Unix socket, which target it is of, as an index.
    pub fn targets_of_addresses(&self) -> Vec<usize> {
        let sockets = self.unix_sockets().len();
        if sockets > 0 {
            return (0..sockets).collect();
        }
        let all = self.targets.iter().enumerate();
        all.flat_map(|(at, target)| std::iter::repeat_n(at, target.addresses.len()))
            .collect()
    }

    /// The random seed, once it is drawn.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or_default()
    }

    /// Certificates and keys, each with its option.
    pub fn pems_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Pem)> {
        let ca = self.tls.iter_mut().flat_map(|tls| &mut tls.cacert);
        let ca = ca.map(|pem| ("--cacert", pem));
        ca.chain(self.tls_server.iter_mut().flat_map(TlsServer::pems_mut))
    }

    /// The files that the run reads, each with the option that names it.
    pub fn files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        self.pems_mut()
            .filter_map(|(option, pem)| Some((option, pem.file_mut()?)))
    }
}

/// TOML has no integers above those of 63 bits: a larger seed is a text.
fn seed_out<S: Serializer>(seed: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
    match seed {
        None => to.serialize_none(),
        Some(seed) => match i64::try_from(*seed) {
            Ok(seed) => to.serialize_some(&seed),
            Err(_) => to.serialize_some(&seed.to_string()),
        },
    }
}

fn seed_in<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a seed is a whole number from 0 to 2^64 - 1")]
    enum Seed {
        Number(u64),
        Text(#[serde(deserialize_with = "number")] u64),
    }
    fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
    let seed = Option::<Seed>::deserialize(from)?;
    Ok(seed.map(|seed| match seed {
        Seed::Number(n) | Seed::Text(n) => n,
    }))
}
