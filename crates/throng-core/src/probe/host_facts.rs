//! What a host asks for in each handshake, and what it counted.

use super::fields::fields;

fields! {
    /// Settings and counters of an end's network namespace. Settings are those of `net.ipv4`.
    HostFacts {
        /// `tcp_ecn`: 0 never, 1 asks and accepts, 2 accepts; from 3 on with accurate ECN (3 and 4 ask, 5 accepts).
        ecn: u64,
        /// `tcp_syncookies`: 0 never, 1 when the SYN queue is full, 2 always.
        syncookies: u64,
        /// `tcp_mtu_probing`: 0 never, 1 after a black hole, 2 always.
        mtu_probing: u64,
        /// SYN cookies sent, since the namespace was made.
        syncookies_sent: u64,
        /// Connections that came up by a SYN cookie.
        syncookies_received: u64,
        /// Handshakes that a listener dropped.
        listen_drops: u64,
        /// Open files that the process may have.
        files: u64,
        ---
        /// `tcp_timestamps`
        timestamps: bool,
        /// `tcp_sack`
        sack: bool,
        /// `tcp_window_scaling`
        window_scaling: bool,
    }
}

impl HostFacts {
    /// Whether connections that it opens ask for ECN.
    pub fn asks_for_ecn(&self) -> bool {
        matches!(self.ecn, 1 | 3 | 4)
    }

    /// Whether it agrees to ECN if it is asked.
    pub fn accepts_ecn(&self) -> bool {
        self.ecn != 0
    }
}
