//! What is counted of WebSocket.

use super::violation::Violation;
use crate::stats::counter::counts;

counts! {
    /// One worker's counts of WebSocket.
    pub struct Counters {
        /// Connections whose opening handshake is complete.
        upgraded,
    }
    by kind { violations: Violation, }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts a peer that violated the protocol.
    pub fn violation(&self, kind: Violation) {
        self.violations[kind as usize].add(1);
    }
}

impl Tally {
    /// Peers that violated the protocol in this way.
    pub fn violations(&self, kind: Violation) -> u64 {
        self.violations[kind as usize]
    }

    /// Peers that violated the protocol.
    pub fn violations_in_all(&self) -> u64 {
        self.violations.iter().sum()
    }
}
