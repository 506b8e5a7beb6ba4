//! The result of a run: a [`Snapshot`] for observers while it lasts, a [`Summary`] at its end. Both are plain data,
//! from which every report is drawn. docs/summary.md describes the JSON form for scripts.

mod bottleneck;
mod churn;
mod connections;
mod cost;
mod curve;
mod drain;
mod expected;
mod finding;
mod histogram;
mod latency;
mod of;
mod over_time;
mod per_second;
mod rate;
mod server;
mod snapshot;
mod start;
mod storm;
mod stretch;
#[cfg(test)]
mod tests;
mod totals;
mod traffic;
mod verdict;

pub use crate::record::{Environment, Phase, SearchSummary, VERSION};
pub use bottleneck::{Bottleneck, Bounded, BusyWith};
pub use churn::Churn;
pub use connections::{Connections, FastOpened, SetUp};
pub use cost::Cost;
pub use curve::{Curve, CurvePoint, curves};
pub use drain::Drain;
pub use expected::Expected;
pub use finding::{Age, ChangedTo, Finding, Handshake, Sender, WhyMissing};
pub use histogram::{Bin, Histogram, HistogramOf};
pub use latency::{
    AtLeast, AtPercentile, Latency, LatencyAt, LatencyOf, LatencyReport, Percentiles, latencies,
    of_messages,
};
pub use of::{of, with_readings};
pub use over_time::Sample;
pub(crate) use per_second::per_s;
pub use rate::{BandwidthKept, MessageRate};
pub use server::Server;
pub use snapshot::Snapshot;
pub use start::StartSpread;
pub use storm::{StormSample, StormSummary};
pub use stretch::{Stretch, complete, held, open_at, stretches};
pub use traffic::{Answers, Pings, Requests, Steady, Traffic};

use crate::diagnosis::Diagnosis;
use crate::engine::Engine;
use crate::maximum::Maximum;
use crate::protocol::Sections;
use crate::protocol::proxy::ProxySummary;
use crate::protocol::proxy_protocol::ProxyProtocolSummary;
use crate::protocol::tls::TlsSummary;
use crate::protocol::tunnel::TunnelSummary;
use crate::section::Section;
use crate::storm::{ConnectRate, WindowFound};
use crate::watched::WatchedSummary;
use serde::{Deserialize, Serialize};

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`VERSION`].
    pub version: u32,
    /// `throng` and its version.
    pub tool: String,
    /// `load`, `serve` or `proxy`.
    pub role: String,
    /// The command line; empty for several sources with different ones.
    pub command: Vec<String>,
    /// Whether all that was asked for was reached.
    pub reached: bool,
    /// What fell short or is worth knowing; if the run fell short, the first one is the verdict.
    #[serde(serialize_with = "finding::with_text")]
    pub findings: Vec<Finding>,
    /// What came of the expectations, in the order in which they were given.
    pub expectations: Vec<Expected>,
    /// The limits that kept it from opening all, the likeliest first.
    pub causes: Vec<Diagnosis>,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// When the run began, in seconds since 1970.
    pub started_unix_s: f64,
    /// How long all connections were held, once they were established; `None` for a server.
    pub hold_s: Option<f64>,
    /// How long the run took, closing not included.
    pub seconds: f64,
    /// How long closing all connections took.
    pub closing_s: f64,
    /// The kernel's release.
    pub kernel: String,
    /// Cores that the process could use.
    pub cores: u32,
    /// The event loop.
    pub engine: Engine,
    /// Why the engine is not io_uring, unless the user chose so.
    pub why_epoll: Option<String>,
    /// Threads on each side.
    pub workers: u32,
    /// The outcome of connections.
    pub connections: Connections,
    /// How much in step the agents of a fleet began; `None` for a run that had none, or one.
    pub start: Option<StartSpread>,
    /// The outcome of opening; `None` for a server.
    pub set_up: Option<SetUp>,
    /// The traffic, seen from the side that the run is about.
    pub traffic: Traffic,
    /// The traffic, seen from the server in the same process.
    pub server_traffic: Option<Traffic>,
    /// The message rate, if messages were sent.
    pub message_rate: Option<MessageRate>,
    /// What became of the number of messages in all, if one was asked for.
    pub requests: Option<Requests>,
    /// How well the bandwidth was kept, if one was asked for.
    pub bandwidth: Option<BandwidthKept>,
    /// Latencies of messages and answers.
    pub latency: Latency,
    /// The distribution of the latency of messages; `None` if none was measured.
    pub histogram: Option<Histogram>,
    /// Answers to messages, where they were looked for.
    pub answers: Option<Answers>,
    /// Pings and their pongs; `None` if no ping was sent.
    pub pings: Option<Pings>,
    /// How often the text that ends the run was seen (`--message-stop`); `None` if there is none.
    pub stops_seen: Option<u64>,
    /// The storms of the hold, in the order of time: many connections were lost at once.
    pub storms: Vec<StormSummary>,
    /// What became of connections while the server was drained; `None` if that was not asked for.
    pub drain: Option<Drain>,
    /// Connections that were opened, used and closed, one after the other; `None` if connections were to stay.
    pub churn: Option<Churn>,
    /// What a search for a window over which connections come back has found (`--find-window`), if there was one.
    pub window: Option<WindowFound>,
    /// What a search for the most new connections per second has found (`--connect-rate max`), if there was one.
    pub connect_rate: Option<ConnectRate>,
    /// The result of the search for a rate, if there was one.
    pub search: Option<SearchSummary>,
    /// The result of the search for the most connections, if there was one (`-c max`).
    pub maximum: Option<Maximum>,
    /// The outcome of the protocol that connections speak. Each protocol has a section under its own name.
    #[serde(flatten)]
    pub protocols: Sections,
    /// The outcome of a proxy; `None` if the run was none.
    pub proxy: Option<ProxySummary>,
    /// The outcome of headers of the PROXY protocol, if accepted connections had to begin with one.
    pub proxy_protocol: Option<ProxyProtocolSummary>,
    /// The outcome of tunnels through a proxy, if connections go through them.
    pub tunnel: Option<TunnelSummary>,
    /// The outcome of TLS, if connections speak it.
    pub tls: Option<TlsSummary>,
    /// The cost of the run: what throng itself used.
    pub cost: Cost,
    /// What the target's server used, if it is on this machine; `None` also for several sources, which may share it.
    pub server: Option<Server>,
    /// What watched systems under test took (`--watch`), one for each source that watched one.
    #[serde(default)]
    pub watched: Vec<WatchedSummary>,
    /// The run second by second; a long one in at most [`MAX_INTERVALS`](crate::record::MAX_INTERVALS) longer
    /// intervals.
    pub over_time: Vec<Sample>,
    /// The traffic while all connections were established; `None` for a server, or if they never were.
    pub steady: Option<Steady>,
    /// Latencies at the percentiles that were asked for.
    pub latencies: Vec<LatencyAt>,
    /// The sources of the record.
    pub sources: Vec<SourceSummary>,
}

/// A source of a record: one run of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// Its name, which no other run has.
    pub source: String,
    /// The name of the agent that it was; `None` if it was none.
    pub agent: Option<String>,
    /// When it began to open connections, in microseconds after the instant at which all agents were to; negative if it was early;
    /// `None` if it was no agent, or that is not known.
    pub start_us: Option<f64>,
    /// How wrong that may be, in microseconds.
    pub clock_bound_us: Option<f64>,
    /// Its command line.
    pub command: Vec<String>,
    /// When its run began, in seconds since 1970 by its own clock.
    pub started_unix_s: f64,
    /// How long its run took, closing not included; of a lost source, until its last sign of life.
    pub seconds: f64,
    /// Whether its run was recorded to its end.
    pub complete: bool,
    /// Its kernel's release.
    pub kernel: String,
    /// Cores that it could use.
    pub cores: u32,
    /// Its event loop.
    pub engine: Engine,
    /// Threads on each side.
    pub workers: u32,
    /// Connections that it was asked for; `None` for a server without a maximum.
    pub asked: Option<u64>,
    /// The most connections that it held at once. The sum over sources may be more than were held at once.
    pub peak: u64,
    /// Connections that it established.
    pub established: u64,
    /// Attempts of it that failed.
    pub failed: u64,
    /// Messages that it sent.
    pub messages_sent: u64,
    /// The latency of its messages, if it was an agent and measured any.
    pub latency: Option<Percentiles>,
    /// Its machine's settings that may matter, by name: see [`Environment`].
    pub environment: Environment,
    /// The share of its machine's CPU time that the hypervisor gave to others meanwhile, 0 to 1; `None` if it is not known.
    pub stolen: Option<f64>,
}

impl Summary {
    /// The exit code: 0 if all that was asked for was achieved, 1 if not, 130 if the run was interrupted.
    pub fn exit_code(&self) -> u8 {
        match (self.interrupted, self.reached) {
            (true, _) => 130,
            (false, true) => 0,
            (false, false) => 1,
        }
    }

    /// The sections of proxies, tunnels, TLS and protocols, for reports.
    pub fn protocol_sections(&self) -> Vec<Section> {
        let proxy = self.proxy.iter().map(|proxy| proxy.drawn(self.seconds));
        let mut all: Vec<Section> = proxy.collect();
        let headers = self.proxy_protocol.iter();
        all.extend(headers.map(ProxyProtocolSummary::drawn));
        all.extend(self.tunnel.iter().map(TunnelSummary::drawn));
        all.extend(self.tls.iter().map(TlsSummary::drawn));
        all.extend(self.protocols.drawn(self.connections.came_up()));
        all
    }
}
