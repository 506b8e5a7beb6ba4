//! The ending of a run: what is known once it is over.

use super::{RateChange, SearchSummary, ServerUsed, Storm, Strain, Watched, nanos};
use crate::capacity::LimitKind;
use crate::diagnosis::{
    Diagnosis, Elsewhere, HalfOpen, KernelCounts, Stopped, Unaccepted, Undelivered, Unread,
};
use crate::maximum::Maximum;
use crate::protocol::proxy::OfBackend;
use crate::protocol::proxy_protocol::ClientsNamed;
use crate::stats::{OfAddress, PackedDurations, Tally};
use crate::storm::{ConnectRate, WindowFound};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The counts of a run at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The time since the run began.
    #[serde(rename = "at_ns", with = "nanos")]
    pub at: Duration,
    /// The counts of connections that the source opened.
    pub opened: Tally,
    /// The counts of connections that it accepted; `None` if it accepts none.
    pub accepted: Option<Tally>,
    /// CPU time of the process.
    #[serde(rename = "cpu_ns", with = "nanos")]
    pub cpu: Duration,
}

/// The resources that a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The process's own resident memory at the peak, without its program and libraries, less that before the first
    /// socket.
    pub user_bytes: u64,
    /// Growth of the kernel's slab memory over the machine, at the peak; `None` if it could not be read.
    pub kernel_bytes: Option<u64>,
    /// CPU time in user mode.
    #[serde(rename = "cpu_user_ns", with = "nanos")]
    pub cpu_user: Duration,
    /// CPU time in the kernel.
    #[serde(rename = "cpu_system_ns", with = "nanos")]
    pub cpu_system: Duration,
}

/// What is known once a run is over, beyond its intervals. A source that was lost has no ending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// The last counts before the last attempt, if the run was observed that closely.
    pub last_attempt: Option<Mark>,
    /// When opening was over; `None` for a server.
    pub opened: Option<Mark>,
    /// When the delay before the first messages was over on all connections; `None` without one.
    pub sending: Option<Mark>,
    /// When all messages had been sent, where a number of them was asked for; `None` if not all were.
    #[serde(default)]
    pub sent: Option<Mark>,
    /// At the end of the hold; `None` for a server.
    pub held: Option<Mark>,
    /// When the run was over, just before it closed its connections.
    pub over: Mark,
    /// The counts of opened connections after closing: only then is it known which messages stayed unanswered.
    pub closed: Tally,
    /// How long closing took.
    #[serde(rename = "closing_ns", with = "nanos")]
    pub closing: Duration,
    /// When the last connection was established.
    #[serde(rename = "established_ns", with = "nanos")]
    pub established: Duration,
    /// When the last TLS handshake was done.
    #[serde(rename = "secured_ns", with = "nanos")]
    pub secured: Duration,
    /// The most connections at once.
    pub peak: u64,
    /// The most connections at once that could carry messages: the handshakes of TLS and of the protocol were
    /// completed.
    pub ready_peak: u64,
    /// TCP sockets in use in the network namespace at the peak, less those from before.
    pub kernel_sockets: Option<u64>,
    /// How many that should be.
    pub expected_sockets: Option<u64>,
    /// The increase of the kernel's counters.
    pub kernel: KernelCounts,
    /// The run was interrupted.
    pub interrupted: bool,
    /// The run was ended because another source of the same run was lost, as was asked (`--on-loss stop`).
    #[serde(default)]
    pub abandoned: bool,
    /// Its time limit was reached before all connections were established.
    pub timed_out: bool,
    /// Not all connections were established in the time allowed for that.
    pub too_slow: bool,
    /// The run was ended because what came back were no echoes, and a closed loop by echoes measures nothing then.
    #[serde(default)]
    pub in_vain: bool,
    /// Bytes of memory that were left when the run stopped taking connections for lack of memory.
    pub memory_left: Option<u64>,
    /// The limit of the machine that a server reached: it accepted no more. `None` if the user set the bound.
    pub full: Option<LimitKind>,
    /// The limits that kept it from opening all, the likeliest first.
    pub causes: Vec<Diagnosis>,
    /// What other network namespaces on its machine counted that may explain attempts that timed out, of this source or of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// Connections that servers on this machine had not accepted at the end of the hold.
    #[serde(default)]
    pub unaccepted: Vec<Unaccepted>,
    /// Connections to servers on this machine that were open at this end alone at the end of the hold.
    pub half_open: HalfOpen,
    /// Processes of servers on this machine that were stopped when the hold began or ended.
    #[serde(default)]
    pub stopped: Vec<Stopped>,
    /// Connections on which messages could no longer be delivered after the hold.
    #[serde(default)]
    pub undelivered: Undelivered,
    /// What peers had not read at the end of the hold.
    #[serde(default)]
    pub unread: Unread,
    /// Targets to which a connection was its own other end at the end of the hold: nothing listened there.
    #[serde(default)]
    pub to_themselves: Vec<SocketAddr>,
    /// What became of connections by address, until the end of the hold, if there were several addresses.
    #[serde(default)]
    pub by_address: Vec<OfAddress>,
    /// The clients that headers of the PROXY protocol named; `None` if nobody looked at them.
    #[serde(default)]
    pub named: Option<ClientsNamed>,
    /// A proxy: the most pairs at once.
    #[serde(default)]
    pub pairs_peak: u64,
    /// A proxy: what became of the connections to each backend.
    #[serde(default)]
    pub backends: Vec<OfBackend>,
    /// What a search for a rate found.
    pub search: Option<SearchSummary>,
    /// The storms of the hold, in the order of time.
    #[serde(default)]
    pub storms: Vec<Storm>,
    /// What a search for a window over which connections come back has found.
    #[serde(default)]
    pub window: Option<WindowFound>,
    /// What a search for the most new connections per second has found.
    #[serde(default)]
    pub connect_rate: Option<Box<ConnectRate>>,
    /// What a search for the most connections found.
    #[serde(default)]
    pub maximum: Option<Box<Maximum>>,
    /// How the message rate was changed by hand, in the order of time.
    #[serde(default)]
    pub rate_changes: Vec<RateChange>,
    /// How long opening was paused by hand.
    #[serde(default, rename = "opening_paused_ns", with = "nanos")]
    pub opening_paused: Duration,
    /// Whether it was when the run ended.
    #[serde(default)]
    pub paused_at_end: bool,
    /// Why the profile could not be followed to its end.
    pub bad_profile: Option<String>,
    /// Measurements that could not be written or sent.
    pub unreported: Vec<String>,
    /// The resources that it used.
    pub used: Used,
    /// How much of their cores its workers used while connections were opened.
    #[serde(default)]
    pub opening_strain: Strain,
    /// The same during the hold.
    #[serde(default)]
    pub hold_strain: Strain,
    /// The lowest CPU quota of its cgroups, in cores; `None` if there is none.
    #[serde(default)]
    pub cpu_quota_cores: Option<f64>,
    /// The share of the machine's CPU time that a hypervisor gave to others during the run, 0 to 1; `None` if it could not be
    /// read.
    #[serde(default)]
    pub stolen: Option<f64>,
    /// How long the process did not run although it was due to, and nothing else had its core: it was stopped, or its
    /// machine was.
    #[serde(default, rename = "paused_ns", with = "nanos")]
    pub paused: Duration,
    /// What the target's server used, if it is on this machine.
    #[serde(default)]
    pub server: Option<ServerUsed>,
    /// The system under test, if it was watched.
    #[serde(default)]
    pub watched: Option<Box<Watched>>,
    /// What was measured over the whole run, by the names of [`Measured`](crate::stats::Measured); three significant
    /// digits.
    pub histograms: BTreeMap<String, PackedDurations>,
}

impl Ending {
    /// Whether the run was ended before its time, by somebody or for a loss.
    pub fn was_stopped(&self) -> bool {
        self.interrupted || self.abandoned
    }

    /// Packs the measurements of the whole run.
    pub fn pack(measured: &crate::stats::Measured) -> BTreeMap<String, PackedDurations> {
        super::interval::packed(measured, PackedDurations::whole)
    }

    /// Packs the measurements of an interval: two significant digits.
    pub fn pack_interval(measured: &crate::stats::Measured) -> BTreeMap<String, PackedDurations> {
        super::interval::packed(measured, PackedDurations::coarse)
    }
}
