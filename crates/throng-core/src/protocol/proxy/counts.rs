//! What is counted of a proxy.

use crate::protocol::tls::TlsFailure;
use crate::stats::counter::counts;
use crate::stats::kinds;

kinds! {
    /// Who or what ended a pair: the first of the two sides that did.
    pub enum EndedBy {
        /// The client closed its connection.
        Client: "client", "by the client";
        /// The backend closed its connection.
        Backend: "backend", "by the backend";
        /// The client reset its connection.
        ClientReset: "client_reset", "by the client's reset";
        /// The backend reset its connection.
        BackendReset: "backend_reset", "by the backend's reset";
        /// The client no longer answered.
        ClientLost: "client_lost", "the client no longer answered";
        /// The backend no longer answered.
        BackendLost: "backend_lost", "the backend no longer answered";
        /// The proxy closed both.
        Proxy: "proxy", "by the proxy";
    }
}

counts! {
    /// One worker's counts of a proxy. They add up: paired = ended + pairs that stand. Its connections to clients are counted as
    /// accepted, those to backends as established.
    pub struct Counters {
        /// Pairs that have ended.
        parted,
        /// Clients with a connection to a backend.
        paired,
        /// Clients that were closed because no backend could be reached.
        turned_away,
        /// Clients that were closed because they connected to the proxy's own address, where they are to be sent on to the one that they
        /// connected to.
        to_itself,
        /// Clients that were closed because this process had no file left to find out who they are.
        unidentified,
        /// Bytes received from clients.
        from_clients,
        /// Bytes received from backends.
        from_backends,
    }
    by kind {
        /// Pairs that ended, by who or what ended them.
        ended: EndedBy,
        /// Clients that were closed because the TLS handshake with their backend failed, by cause.
        unsecured: TlsFailure,
    }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts a pair that ended.
    pub(super) fn ended(&self, by: EndedBy) {
        self.ended[by as usize].add(1);
        self.parted.add(1);
    }

    /// Counts a client that was closed because the TLS handshake with its backend failed.
    pub(super) fn unsecured(&self, why: TlsFailure) {
        self.unsecured[why as usize].add(1);
    }
}

impl Tally {
    /// Pairs that ended this way.
    pub fn ended(&self, by: EndedBy) -> u64 {
        self.ended[by as usize]
    }

    /// Clients that were closed because the TLS handshake with their backend failed this way.
    pub fn unsecured(&self, why: TlsFailure) -> u64 {
        self.unsecured[why as usize]
    }

    /// Pairs that stand.
    pub fn pairs(&self) -> u64 {
        self.paired.saturating_sub(self.parted)
    }
}
