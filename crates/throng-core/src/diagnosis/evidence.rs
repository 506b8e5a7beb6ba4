//! The evidence: what is known about a run that stopped short.

use crate::capacity::LimitKind;
use crate::host::Process;
use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// What is known about a run that stopped short.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The client's counts.
    pub clients: Tally,
    /// The most connections that were open at once.
    pub plateau: u64,
    /// The age that nine of ten of the connections did not exceed that a peer closed or reset; `None` if there were
    /// none.
    pub closed_aged: Option<Duration>,
    /// The targets; empty if the run opens no connections, or only to itself.
    pub targets: Vec<SocketAddr>,
    /// Ports that one source address has to one target.
    pub ports: u64,
    /// Connections that all source addresses together can have to all targets; `None` without a limit.
    pub four_tuples: Option<u64>,
    /// This process's limit on open files.
    pub file_limit: u64,
    /// The fullest accept queue of a target on this machine.
    pub queue: Option<Queue>,
    /// Processes on this machine that accept connections to the targets.
    pub servers: Vec<Process>,
    /// Bytes of memory left when the run stopped opening for lack of it, and the limit that bounds that memory.
    pub memory_left: Option<(u64, LimitKind)>,
    /// Connection tracking of this namespace.
    pub conntrack: Option<Tracked>,
    /// The kernel's counters in this namespace during the run.
    pub kernel: KernelCounts,
}

impl Evidence {
    /// Connections that were established and accepted by their server, as far as that can be seen.
    pub(super) fn accepted(&self) -> u64 {
        let waiting = self.queue.map_or(0, |q| q.waiting.into());
        self.plateau.saturating_sub(waiting)
    }
}

/// An accept queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The target that it belongs to.
    pub target: SocketAddr,
    /// Connections that wait in it.
    pub waiting: u32,
    /// How many it has room for.
    pub limit: u32,
}

/// Connection tracking, during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Entries now.
    pub count: u64,
    /// `net.netfilter.nf_conntrack_max`.
    pub max: u64,
    /// Packets dropped because there was no free entry.
    pub dropped: u64,
    /// The kernel's log said that the table is full.
    pub logged: bool,
}

/// Counters of /proc/net/netstat: the increase during the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCounts {
    /// ListenOverflows.
    pub listen_overflows: u64,
    /// TCPReqQFullDrop.
    pub syn_queue_drops: u64,
    /// SyncookiesSent.
    pub syncookies: u64,
    /// TCPTimeouts: each is a connection that waited for an answer to its SYN or its data.
    pub timeouts: u64,
    /// RetransSegs.
    pub retransmits: u64,
    /// TCPMemoryPressures.
    pub memory_pressures: u64,
    /// TCPAbortOnMemory.
    pub aborts_on_memory: u64,
}
