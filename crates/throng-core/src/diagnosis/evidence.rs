//! What is known of a run that got no further.

use crate::capacity::LimitKind;
use crate::host::Process;
use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What is known of a run that got no further.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The client's counts.
    pub clients: Tally,
    /// The most connections that were up at once.
    pub plateau: u64,
    /// Where it connects to; empty if it does not, or only to itself.
    pub targets: Vec<SocketAddr>,
    /// Ports that one source address has to one target.
    pub ports: u64,
    /// Connections that all source addresses can have to all targets; `None` if that is no limit.
    pub four_tuples: Option<u64>,
    /// This process's limit on open files.
    pub file_limit: u64,
    /// The fullest accept queue of a target on this machine.
    pub queue: Option<Queue>,
    /// Processes of this machine that accept for the targets.
    pub servers: Vec<Process>,
    /// Bytes of memory left when opening was stopped for it, and whose memory that is.
    pub memory_left: Option<(u64, LimitKind)>,
    /// Connection tracking of this namespace.
    pub conntrack: Option<Tracked>,
    /// What the kernel counted in this namespace during the run.
    pub kernel: KernelCounts,
}

impl Evidence {
    /// Connections that came up and that their server took from its accept queue, as far as that can be seen.
    pub(super) fn accepted(&self) -> u64 {
        let waiting = self.queue.map_or(0, |q| q.waiting.into());
        self.plateau.saturating_sub(waiting)
    }
}

/// An accept queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Whose.
    pub target: SocketAddr,
    /// Connections that wait in it.
    pub waiting: u32,
    /// How many it takes.
    pub limit: u32,
}

/// Connection tracking, during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Entries now.
    pub count: u64,
    /// `net.netfilter.nf_conntrack_max`.
    pub max: u64,
    /// Packets dropped because no entry could be had.
    pub dropped: u64,
    /// The kernel's log said that the table is full.
    pub logged: bool,
}

/// Counters of /proc/net/netstat: what was added during the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCounts {
    /// ListenOverflows.
    pub listen_overflows: u64,
    /// TCPReqQFullDrop.
    pub syn_queue_drops: u64,
    /// SyncookiesSent.
    pub syncookies: u64,
    /// TCPTimeouts: each is a connection that stood still, its SYN or its data unanswered.
    pub timeouts: u64,
    /// RetransSegs.
    pub retransmits: u64,
    /// TCPMemoryPressures.
    pub memory_pressures: u64,
    /// TCPAbortOnMemory.
    pub aborts_on_memory: u64,
}
