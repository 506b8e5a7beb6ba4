//! What is counted of WebSocket.

use super::close::CloseCode;
use super::subprotocol::Choice;
use super::violation::Violation;
use crate::protocol::http::Status;
use crate::stats::counter::counts;

counts! {
    /// One worker's counts of WebSocket.
    pub struct Counters {
        /// Connections whose opening handshake is complete.
        upgraded,
    }
    by kind {
        /// Connections on which the peer violated the protocol, by how it did.
        violations: Violation,
        /// Upgrades that servers refused, by status.
        refused: Status,
        /// Peers that began to close, by their code.
        closes: CloseCode,
        /// Connections whose upgrade is complete, by the subprotocol that the server chose.
        subprotocols: Choice,
    }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts a server that answered the upgrade with this status code.
    pub fn refused(&self, code: u16) {
        self.refused[Status::of(code) as usize].add(1);
    }

    /// Counts a peer that began to close, with this code.
    pub fn close(&self, code: Option<u16>) {
        self.closes[CloseCode::of(code) as usize].add(1);
    }

    /// Counts the subprotocol of a connection whose handshake is complete: its place among those of this side.
    pub fn subprotocol(&self, place: Option<usize>) {
        self.subprotocols[Choice::of(place) as usize].add(1);
    }

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

    /// Servers that refused the upgrade with this status.
    pub fn refused(&self, status: Status) -> u64 {
        self.refused[status as usize]
    }

    /// Peers that began to close, with this code.
    pub fn closes(&self, code: CloseCode) -> u64 {
        self.closes[code as usize]
    }

    /// Connections on which the server chose so.
    pub fn subprotocols(&self, choice: Choice) -> u64 {
        self.subprotocols[choice as usize]
    }

    /// Peers that violated the protocol.
    pub fn violations_in_all(&self) -> u64 {
        self.violations.iter().sum()
    }
}
