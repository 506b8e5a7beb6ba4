//! What is counted of TLS.

use super::failure::TlsFailure;
use crate::stats::counter::counts;

counts! {
    /// One worker's counts of TLS. They add up: secured + failed - broken + handshakes under way =
    /// established + accepted.
    pub struct Counters {
        /// Completed handshakes.
        secured,
        /// Those among them that resumed an earlier session.
        resumed,
        /// Secured connections that a fatal alert or a broken record ended. Their [`TlsFailure`] is counted
        /// with those of the handshakes.
        broken,
        /// Secured connections that the peer closed without a close_notify: the last data may be missing.
        truncated,
    }
    by kind {
        /// Handshakes that failed, and secured connections that broke, by cause.
        failed: TlsFailure,
    }
    parts {}
    times {
        /// When the last handshake completed.
        last_secured_ns,
    }

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts a handshake that failed, or a secured connection that broke.
    pub fn failed(&self, why: TlsFailure) {
        self.failed[why as usize].add(1);
    }

    /// Handshakes that succeeded, or failed.
    pub(crate) fn completed(&self) -> u64 {
        let failed: u64 = self.failed.iter().map(|count| count.get()).sum();
        // Connections that broke later were secured first.
        self.secured.get() + failed - self.broken.get().min(failed)
    }
}

impl Tally {
    /// Handshakes that failed, or secured connections that broke, of this kind.
    pub fn failed(&self, why: TlsFailure) -> u64 {
        self.failed[why as usize]
    }

    /// Handshakes that failed, and secured connections that broke.
    pub fn failed_in_all(&self) -> u64 {
        self.failed.iter().sum()
    }
}
