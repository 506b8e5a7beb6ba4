//! What the kernel knows about a connection at one of its ends (TCP_INFO, tcp(7)).

use super::fields::fields;

fields! {
    /// What the kernel knows about a connection at one of its ends.
    TcpInfo {
        /// The largest segment that this end sends, bytes, without TCP's options.
        send_segment: u64,
        /// The MSS that this end announced, bytes.
        announced_segment: u64,
        /// The path's MTU as this end knows it, bytes.
        path_mtu: u64,
        /// The scale of windows that the peer announces, as a power of two.
        send_scale: u64,
        /// The scale of windows that this end announces, as a power of two.
        receive_scale: u64,
        /// The window that the peer announced, bytes.
        send_window: u64,
        /// Smoothed round-trip time, microseconds.
        rtt_us: u64,
        /// Smallest round-trip time, microseconds.
        min_rtt_us: u64,
        /// Segments sent and not acknowledged.
        unacknowledged: u64,
        /// Segments sent again, over the life of the connection.
        retransmitted: u64,
        /// Bytes sent that the peer acknowledged.
        acknowledged_bytes: u64,
        /// Bytes received in order.
        received_bytes: u64,
        ---
        /// Timestamps (RFC 7323) are in use.
        timestamps: bool,
        /// Selective acknowledgements (RFC 2018) are in use.
        sack: bool,
        /// Windows are scaled (RFC 7323).
        window_scaling: bool,
        /// Congestion notification (RFC 3168) was agreed on.
        ecn: bool,
    }
}

/// Bytes of timestamps in each segment (RFC 7323, 3.2, with padding).
const TIMESTAMPS_BYTES: u64 = 12;

impl TcpInfo {
    /// The largest segment that this end sends, with TCP's options, as the MSS option counts it (RFC 6691).
    pub fn largest_segment(&self) -> u64 {
        let options = if self.timestamps { TIMESTAMPS_BYTES } else { 0 };
        self.send_segment + options
    }
}
