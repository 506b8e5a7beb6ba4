//! The outcome of connections, and of opening them.

use super::Percentiles;
use crate::stats::{Closed, FailCause, OfAddress, Tally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The outcome of connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Asked for; `None` for a server without a maximum.
    pub asked: Option<u64>,
    /// Attempts started. attempted = established + failed + those under way at the end.
    pub attempted: u64,
    /// How long a connection that failed or closed waited until it was tried again, as `--reconnect-policy` writes it; `None`
    /// if none was.
    pub reconnect_policy: Option<String>,
    /// Attempts that succeeded.
    pub established: u64,
    /// Accepted: by the server in the same process, or by this server. `None` if there is none.
    pub accepted: Option<u64>,
    /// The most that were open at once.
    pub peak: u64,
    /// Open at the end of the hold (a server's: of the run), without those whose peer had announced that it would close.
    pub open_at_end: u64,
    /// Attempts that failed, by cause; causes that did not occur are left out.
    pub failed: BTreeMap<FailCause, u64>,
    /// Closed by the peer's FIN, or as was awaited (`--await-close`).
    pub closed_by_peer: u64,
    /// Reset by the peer.
    pub reset_by_peer: u64,
    /// Lost because the peer no longer acknowledged.
    pub timed_out: u64,
    /// Ended by an error on this side.
    pub lost_by_error: u64,
    /// Closed by this side: during the run, or at its end those that were still open. So established (or
    /// accepted) = closed_by_peer + reset_by_peer + timed_out + lost_by_error + closed_by_us + unknown.
    pub closed_by_us: u64,
    /// Open when their source was last heard of, which was lost then: what became of them is not known.
    #[serde(default)]
    pub unknown: u64,
    /// TCP sockets in use in this network namespace at the peak, less those from before, by the kernel's own count. On
    /// loopback, both ends of a connection are sockets of this machine.
    pub kernel_sockets: Option<u64>,
    /// How many sockets that should be by throng's count.
    pub expected_sockets: Option<u64>,
    /// What became of data that went with the SYN; `None` if that was not asked for, or is not known.
    pub fast_open: Option<FastOpened>,
    /// The same by address, until the end of the hold; empty with one address.
    pub by_address: Vec<OfAddress>,
}

/// What became of data that went with the SYN (TCP Fast Open), by the kernel's count. That is the network namespace's, so
/// connections of other programs are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FastOpened {
    /// Connections whose peer accepted it (TCPFastOpenActive).
    pub accepted: u64,
    /// Connections whose peer ignored it, so that it was sent again (TCPFastOpenActiveFail).
    pub ignored: u64,
}

impl Connections {
    /// From the counts of the side that the run is about, taken when the run was over and before it closed the
    /// remaining connections.
    pub fn of(tally: &Tally, asked: Option<u64>, peak: u64) -> Connections {
        // Counts are not read at one instant: where connections come and go, more may seem to be open.
        let places = asked.filter(|asked| *asked > 0).unwrap_or(u64::MAX);
        Connections {
            asked,
            attempted: tally.attempted,
            reconnect_policy: None,
            established: tally.established,
            accepted: None,
            peak,
            open_at_end: tally.up().min(places),
            failed: FailCause::ALL
                .into_iter()
                .filter(|c| tally.failed(*c) > 0)
                .map(|c| (c, tally.failed(c)))
                .collect(),
            closed_by_peer: tally.closed(Closed::ByPeer) + tally.closed_as_awaited,
            reset_by_peer: tally.closed(Closed::ResetByPeer),
            timed_out: tally.closed(Closed::TimedOut),
            lost_by_error: tally.closed(Closed::Error),
            closed_by_us: (tally.closed(Closed::ByUs) + tally.open())
                .saturating_sub(tally.closed_as_awaited),
            unknown: 0,
            kernel_sockets: None,
            expected_sockets: None,
            fast_open: None,
            by_address: Vec::new(),
        }
    }

    /// The same, where of the counts `all` those that are `unheard` are of sources that were lost: what these had open when they
    /// were last heard of is neither open nor closed.
    pub(super) fn without(self, all: &Tally, unheard: &Tally) -> Connections {
        let places = self.asked.filter(|asked| *asked > 0).unwrap_or(u64::MAX);
        Connections {
            open_at_end: all.since(unheard).up().min(places),
            closed_by_us: self.closed_by_us.saturating_sub(unheard.open()),
            unknown: unheard.open(),
            ..self
        }
    }

    /// The same with what was opened until the run was `over`; none of it was lost to the peer while all were held.
    pub(super) fn opened_until(self, over: &Tally) -> Connections {
        let more = over.established.saturating_sub(self.established);
        Connections {
            attempted: self.attempted.max(over.attempted),
            established: self.established + more,
            closed_by_us: self.closed_by_us + more,
            ..self
        }
    }

    /// Whether the run is about connections that it accepted.
    pub fn is_of_server(&self) -> bool {
        self.attempted == 0 && self.accepted.is_some()
    }

    /// Connections established on the side that the run is about.
    pub fn came_up(&self) -> u64 {
        match self.accepted {
            Some(accepted) if self.is_of_server() => accepted,
            _ => self.established,
        }
    }
}

/// The outcome of opening.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetUp {
    /// From the first attempt to the peak (the last connection established).
    pub seconds: f64,
    /// Connections established per second in that time.
    pub per_s: f64,
    /// Attempts per second asked for; `None` without a rate.
    pub asked_per_s: Option<f64>,
    /// From the start of an attempt to its success.
    pub latency: Option<Percentiles>,
    /// CPU time of the process in that time (both ends with a server in the same process), in microseconds per
    /// connection.
    pub cpu_us_per_connection: Option<f64>,
}
