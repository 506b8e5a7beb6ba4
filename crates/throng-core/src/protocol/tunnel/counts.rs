//! What is counted of tunnels.

use crate::protocol::http::Status;
use crate::stats::counter::counts;
use crate::stats::kinds;

kinds! {
    /// Why a tunnel was not opened, where the proxy did not refuse it with a status.
    pub enum TunnelFailure {
        /// The proxy closed or reset the connection instead of answering.
        Closed: "closed", "the proxy closed the connection instead of opening a tunnel";
        /// There was no answer in time.
        TimedOut: "timed_out", "the proxy did not answer CONNECT in time (--connect-timeout)";
        /// The answer is no HTTP.
        NotHttp: "not_http", "what answered CONNECT speaks no HTTP";
    }
}

counts! {
    /// One worker's counts of tunnels. They add up: opened + refused + failed + those under way = established.
    pub struct Counters {
        /// Tunnels that the proxy opened.
        opened,
    }
    by kind {
        /// Tunnels that proxies refused, by status.
        refused: Status,
        /// Tunnels that were not opened, by cause.
        failed: TunnelFailure,
    }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts a tunnel that the proxy refused with this status code.
    pub(super) fn refused(&self, code: u16) {
        self.refused[Status::of(code) as usize].add(1);
    }

    /// Counts a tunnel that was not opened.
    pub(super) fn failed(&self, why: TunnelFailure) {
        self.failed[why as usize].add(1);
    }
}

impl Tally {
    /// Tunnels that proxies refused with this status.
    pub fn refused(&self, status: Status) -> u64 {
        self.refused[status as usize]
    }

    /// Tunnels that were not opened for this reason.
    pub fn failed(&self, why: TunnelFailure) -> u64 {
        self.failed[why as usize]
    }
}
