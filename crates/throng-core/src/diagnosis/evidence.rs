//! The evidence: what is known about a run that stopped short.

use crate::capacity::LimitKind;
use crate::host::Process;
use crate::stats::Tally;
use crate::unix_socket::{Endpoint, UnixAddress};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What is known about a run that stopped short.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The client's counts, after opening had stopped.
    pub clients: Tally,
    /// The most connections that were open at once.
    pub plateau: u64,
    /// The age that nine of ten of the connections did not exceed that a peer closed or reset; `None` if there were
    /// none.
    pub closed_aged: Option<Duration>,
    /// The client's counts since the number of connections last grew, where more were opened all the time to find out how many
    /// can be held; `None` elsewhere.
    pub without_growth: Option<Tally>,
    /// The most connections of which the peer closed none, where it closed some of any greater number that was tried; `None` if that
    /// was not tried.
    pub closes_beyond: Option<u64>,
    /// The targets; empty if the run opens no connections, or only to itself.
    pub targets: Vec<Target>,
    /// The Unix sockets that connections go to instead of targets.
    pub unix: Vec<UnixAddress>,
    /// Whether the run leaves accept queues that it can see half empty: then it stops by itself where a server does not
    /// accept.
    pub holds_back: bool,
    /// Source addresses of the run that this machine no longer has.
    pub sources_gone: Vec<IpAddr>,
    /// Ports that one source address has to one target.
    pub ports: u64,
    /// Connections that all source addresses together can have to all targets; `None` without a limit.
    pub four_tuples: Option<u64>,
    /// This process's limit on open files.
    pub file_limit: u64,
    /// Bytes of memory left when the run stopped opening for lack of it, and the limit that bounds that memory.
    pub memory_left: Option<(u64, LimitKind)>,
    /// Connection tracking of this namespace.
    pub conntrack: Option<Tracked>,
    /// The kernel's counters in this namespace during the run.
    pub kernel: KernelCounts,
}

impl Evidence {
    /// Connections that stayed established and were accepted by their server, as far as that can be seen.
    pub(super) fn accepted(&self) -> u64 {
        // One listener may serve several targets.
        let listeners = self.targets.iter().flat_map(|t| &t.listeners);
        let queues: BTreeMap<u64, u64> = listeners
            .map(|l| (l.inode, l.queue.waiting.into()))
            .collect();
        // A server without files may accept connections and close them at once.
        let open = self.clients.open().min(self.plateau);
        open.saturating_sub(queues.values().sum::<u64>() + self.unfinished())
    }

    /// Connections that are open on this side, and whose server's kernel waits for the end of their handshake.
    pub(super) fn unfinished(&self) -> u64 {
        self.targets.iter().map(|t| t.unfinished).sum()
    }
}

/// A target, as it is seen from this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address and port.
    pub address: SocketAddr,
    /// Connections that the run's source addresses can have to it.
    pub tuples: u64,
    /// How many of those are open, being opened, or in TIME_WAIT.
    pub tuples_in_use: u64,
    /// Connections from this machine to it that are established.
    pub established: u64,
    /// How many of those the server's kernel, on this machine, has not established: it has dropped the end of their handshake.
    pub unfinished: u64,
    /// How many of the others have sent data again, more than once, and not received an acknowledgement yet.
    pub unacknowledged: u64,
    /// On how many of those that sent again the peer had acknowledged data before: it did have the connection.
    pub heard_before: u64,
    /// Where its connections end on this machine: the address itself, or another one if destination NAT leads there.
    /// `None` if they end elsewhere, or if that is unknown.
    pub served_at: Option<SocketAddr>,
    /// Connections at that end, those that wait to be accepted included; `None` if that is unknown.
    pub served: Option<u64>,
    /// The sockets that listen at `served_at`.
    pub listeners: Vec<Listening>,
    /// The server's processes, if all that were there before the run have ended.
    pub ended: Vec<Process>,
}

impl Target {
    /// A target of which nothing is known.
    pub fn at(address: SocketAddr) -> Target {
        Target {
            address,
            tuples: 0,
            tuples_in_use: 0,
            established: 0,
            unfinished: 0,
            unacknowledged: 0,
            heard_before: 0,
            served_at: None,
            served: None,
            listeners: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Connections in its accept queues.
    pub(super) fn waiting(&self) -> u64 {
        let waiting = self.listeners.iter().map(|l| u64::from(l.queue.waiting));
        waiting.sum()
    }
}

/// A listening socket on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The inode of the socket.
    pub inode: u64,
    /// Its accept queue.
    pub queue: Queue,
    /// Packets of handshakes that it has dropped during the run, because a queue of it was full, or for lack of memory.
    pub dropped: u64,
    /// The processes that accept from it; empty if they can't be seen.
    pub processes: Vec<Process>,
}

/// An accept queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// What its listener serves.
    pub target: Endpoint,
    /// Connections that wait in it.
    pub waiting: u32,
    /// The smaller of the listener's backlog and somaxconn. The kernel admits one more.
    pub limit: u32,
}

/// Connections that were established, but that their server had not accepted at the end of the hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unaccepted {
    /// The accept queue that they were in.
    pub queue: Queue,
    /// The name and the pid of a process that should accept them; `None` if none can be seen.
    pub server: Option<(String, u32)>,
}

/// Processes of servers on this machine that accept connections to targets, and that were stopped: what they have is held
/// by the kernel, and served by nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Their names, each once.
    pub names: Vec<String>,
    /// Their pids.
    pub pids: Vec<u32>,
    /// How many accept connections.
    pub of: u64,
    /// They were stopped when the hold began.
    pub at_begin: bool,
    /// They were stopped when it ended.
    pub at_end: bool,
}

/// What was sent to targets and not read by them, as far as this machine's kernel knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Bytes, at the end of the hold.
    pub bytes: u64,
    /// Bytes of which that was so a second later, too, or after more time; `None` if that was not looked at.
    pub later: Option<u64>,
}

/// Connections that were open at this end alone at the end of the hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfOpen {
    /// How many.
    pub connections: u64,
    /// For how many of those the server's kernel waited for the end of the handshake. It had ended the others, or never had
    /// them.
    pub unfinished: u64,
    /// Whether an accept queue overflowed during the run: then the end of a handshake is dropped.
    pub overflowed: bool,
}

/// Connections on which messages could no longer be delivered after the hold, as this machine's kernel had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undelivered {
    /// Connections whose peer acknowledged nothing, although data was sent to it again.
    pub unacknowledged: u64,
    /// For how many of those the server's kernel, on this machine, had not completed the handshake: it had dropped its end.
    #[serde(default)]
    pub unfinished: u64,
    /// Connections whose peer had no room for more (a window of zero), and got none while throng waited.
    pub unread: u64,
    /// Bytes on all of these that were sent as far as the program knows, and that the peers have not acknowledged.
    pub bytes: u64,
    /// Connections that other programs had to the same targets: whose those above are is not visible, then.
    pub others: u64,
}

impl Undelivered {
    /// How many connections these are.
    pub fn connections(&self) -> u64 {
        self.unacknowledged + self.unread
    }
}

/// Connection tracking, during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Whether the run's connections are tracked, if that is known.
    pub active: Option<bool>,
    /// Entries now.
    pub count: u64,
    /// `net.netfilter.nf_conntrack_max`.
    pub max: u64,
    /// Packets dropped because there was no room for their entry; `None` if the kernel does not say.
    pub dropped: Option<u64>,
    /// Packets dropped because another connection had their entry already, as when NAT has no port left.
    pub clashed: u64,
    /// Connections to a target go out from another address or port than the one that they have here: NAT.
    pub translated: bool,
    /// The kernel's log said that the table of this namespace is full.
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
    /// TCPWinProbe: each is a connection whose peer had no room for what was to be sent.
    pub window_probes: u64,
    /// TCPTimeouts: each is a connection that waited for an answer to its SYN or its data.
    pub timeouts: u64,
    /// RetransSegs.
    pub retransmits: u64,
    /// TCPMemoryPressures.
    pub memory_pressures: u64,
    /// TCPAbortOnMemory.
    pub aborts_on_memory: u64,
    /// TCPBacklogDrop and TCPRcvQDrop: received segments that were dropped because their socket was full.
    #[serde(default)]
    pub receive_drops: u64,
    /// InSegs: received segments.
    #[serde(default)]
    pub received_segments: u64,
    /// TCPFastOpenActive: connections that were opened and whose peer accepted the data that went with the SYN.
    #[serde(default)]
    pub fastopen_accepted: u64,
    /// TCPFastOpenActiveFail: those whose peer left that data unacknowledged, so that it was sent again.
    #[serde(default)]
    pub fastopen_ignored: u64,
}
