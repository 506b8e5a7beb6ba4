//! What is counted: by one worker, and in all.

use super::{Closed, FailCause};
use crate::protocol::dns::RCODES;
use crate::protocol::websocket::Violation;
use crate::tls_failure::TlsFailure;
use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that one thread writes and others read. Relaxed and without a locked instruction: what
/// readers get may be a moment old, never torn.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this: a second writer's additions would be lost.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed) + n, Relaxed);
    }

    /// Sets it to `n`, for what is a time and not a count.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The count as it is now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counts of one worker. Aligned so that no two workers share a cache line (or a pair of
        /// them, which is what the adjacent-line prefetcher fetches).
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
            failed: [Counter; FailCause::ALL.len()],
            closed: [Counter; Closed::ALL.len()],
            tls_failed: [Counter; TlsFailure::ALL.len()],
            violated: [Counter; Violation::ALL.len()],
            rcodes: [Counter; RCODES],
            /// When the last connection came up: nanoseconds since the run began. No part of a tally,
            /// since times don't add up.
            pub last_up_ns: Counter,
            /// The same of the last TLS handshake that was done.
            pub last_secured_ns: Counter,
        }

        /// A reading of one worker's [`Counters`], or the sum of several.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Tally {
            $($(#[$doc])* pub $name: u64,)*
            failed: [u64; FailCause::ALL.len()],
            closed: [u64; Closed::ALL.len()],
            tls_failed: [u64; TlsFailure::ALL.len()],
            violated: [u64; Violation::ALL.len()],
            rcodes: [u64; RCODES],
        }

        impl Counters {
            /// A reading. Counts of one event may be read before and after it.
            pub fn read(&self) -> Tally {
                Tally {
                    $($name: self.$name.get(),)*
                    failed: std::array::from_fn(|i| self.failed[i].get()),
                    closed: std::array::from_fn(|i| self.closed[i].get()),
                    tls_failed: std::array::from_fn(|i| self.tls_failed[i].get()),
                    violated: std::array::from_fn(|i| self.violated[i].get()),
                    rcodes: std::array::from_fn(|i| self.rcodes[i].get()),
                }
            }
        }

        impl Add for Tally {
            type Output = Tally;
            fn add(self, other: Tally) -> Tally {
                Tally {
                    $($name: self.$name + other.$name,)*
                    failed: std::array::from_fn(|i| self.failed[i] + other.failed[i]),
                    closed: std::array::from_fn(|i| self.closed[i] + other.closed[i]),
                    tls_failed: std::array::from_fn(|i| self.tls_failed[i] + other.tls_failed[i]),
                    violated: std::array::from_fn(|i| self.violated[i] + other.violated[i]),
                    rcodes: std::array::from_fn(|i| self.rcodes[i] + other.rcodes[i]),
                }
            }
        }

        impl Tally {
            /// What was counted since `earlier`, a reading of the same counters.
            pub fn since(&self, earlier: &Tally) -> Tally {
                Tally {
                    $($name: self.$name.saturating_sub(earlier.$name),)*
                    failed: std::array::from_fn(|i| self.failed[i].saturating_sub(earlier.failed[i])),
                    closed: std::array::from_fn(|i| self.closed[i].saturating_sub(earlier.closed[i])),
                    tls_failed: std::array::from_fn(|i| self.tls_failed[i].saturating_sub(earlier.tls_failed[i])),
                    violated: std::array::from_fn(|i| self.violated[i].saturating_sub(earlier.violated[i])),
                    rcodes: std::array::from_fn(|i| self.rcodes[i].saturating_sub(earlier.rcodes[i])),
                }
            }
        }
    };
}

counted! {
    /// Attempts to connect that were started.
    attempted,
    /// Connections that this side opened and that came up.
    established,
    /// Connections that this side accepted.
    accepted,
    /// Bytes that the kernel took for sending.
    bytes_sent,
    /// Bytes read.
    bytes_received,
    /// Sends that completed.
    writes,
    /// Reads that gave bytes: the "messages" of a side that does not know the protocol.
    reads,
    /// Whole messages that the kernel took for sending; a first message is not counted here.
    messages_sent,
    /// Whole messages received, where the behaviour knows what a message is (replies, when echoed).
    messages_received,
    /// Messages that were due, at the rate asked for, and had not been sent when their connection ended.
    messages_unsent,
    /// TLS handshakes that were completed.
    secured,
    /// Those among them that resumed an earlier session.
    resumed,
    /// Secured connections that a fatal alert or a broken record ended. Their [`TlsFailure`] is counted with
    /// those of the handshakes: secured + failed - broken + handshakes under way = established + accepted.
    tls_broken,
    /// Secured connections that the peer closed without saying so in TLS first (close_notify): what came last
    /// may be missing.
    tls_truncated,
    /// Connections that became WebSocket connections.
    upgraded,
    /// Messages that were sent and had no answer when their connection ended, where answers are looked
    /// for.
    messages_unanswered,
    /// Answers to nothing that was asked.
    answers_unasked,
    /// Connections on which something came that can't be DNS.
    not_dns,
    /// Times that the text that ends the run was seen.
    stops_seen,
}

impl Counters {
    /// Counts an attempt that failed.
    pub fn failed(&self, cause: FailCause) {
        self.failed[cause as usize].add(1);
    }

    /// Counts a TLS handshake that failed, or a secured connection that was broken.
    pub fn tls_failed(&self, why: TlsFailure) {
        self.tls_failed[why as usize].add(1);
    }

    /// TLS handshakes that have begun and neither succeeded nor failed, on a worker all of whose connections
    /// speak TLS.
    pub fn handshakes_under_way(&self) -> u64 {
        let failed: u64 = self.tls_failed.iter().map(Counter::get).sum();
        // Those that broke later were secured first.
        let done = self.secured.get() + failed - self.tls_broken.get().min(failed);
        (self.established.get() + self.accepted.get()).saturating_sub(done)
    }

    /// Counts `n` connections that ended.
    pub fn closed(&self, why: Closed, n: u64) {
        self.closed[why as usize].add(n);
    }

    /// Counts a WebSocket peer that broke the protocol.
    pub fn violation(&self, kind: Violation) {
        self.violated[kind as usize].add(1);
    }

    /// Counts a DNS answer that says that something is wrong: with an rcode other than 0.
    pub fn answered_with_error(&self, rcode: u8) {
        self.rcodes[usize::from(rcode) % RCODES].add(1);
    }
}

impl Tally {
    /// Attempts that failed of this cause.
    pub fn failed(&self, cause: FailCause) -> u64 {
        self.failed[cause as usize]
    }

    /// Attempts that failed.
    pub fn failed_in_all(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// TLS handshakes that failed, or secured connections that were broken, of this kind.
    pub fn tls_failed(&self, why: TlsFailure) -> u64 {
        self.tls_failed[why as usize]
    }

    /// TLS handshakes that failed, and secured connections that were broken.
    pub fn tls_failed_in_all(&self) -> u64 {
        self.tls_failed.iter().sum()
    }

    /// Connections that ended this way.
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed[why as usize]
    }

    /// Connections that ended.
    pub fn closed_in_all(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// WebSocket peers that broke the protocol in this way.
    pub fn violations(&self, kind: Violation) -> u64 {
        self.violated[kind as usize]
    }

    /// WebSocket peers that broke the protocol.
    pub fn violations_in_all(&self) -> u64 {
        self.violated.iter().sum()
    }

    /// DNS answers with this rcode, which is not 0.
    pub fn answers_with(&self, rcode: u8) -> u64 {
        self.rcodes[usize::from(rcode) % RCODES]
    }

    /// Answers that say that something is wrong.
    pub fn answers_with_error(&self) -> u64 {
        self.rcodes.iter().sum()
    }

    /// Connections that are up. Never negative, although the counts are read one after another.
    pub fn open(&self) -> u64 {
        (self.established + self.accepted).saturating_sub(self.closed_in_all())
    }

    /// Attempts that have neither succeeded nor failed yet.
    pub fn in_flight(&self) -> u64 {
        self.attempted
            .saturating_sub(self.established + self.failed_in_all())
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(all: I) -> Tally {
        all.fold(Tally::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_to_open_and_in_flight() {
        let counters = Counters::default();
        counters.attempted.add(10);
        counters.established.add(6);
        counters.failed(FailCause::Refused);
        counters.closed(Closed::ByPeer, 2);
        let tally = counters.read();
        assert_eq!(
            (tally.open(), tally.in_flight(), tally.failed_in_all()),
            (4, 3, 1)
        );
        let both = tally + tally;
        assert_eq!(
            (
                both.open(),
                both.failed(FailCause::Refused),
                both.closed(Closed::ByPeer)
            ),
            (8, 2, 4)
        );
        assert_eq!(both.since(&tally), tally);
    }

    #[test]
    fn handshakes_under_way_are_those_without_an_outcome() {
        let counters = Counters::default();
        counters.established.add(10);
        counters.secured.add(4);
        counters.tls_failed(TlsFailure::Expired);
        assert_eq!(counters.handshakes_under_way(), 5);
        // One of the four is broken later.
        counters.tls_failed(TlsFailure::Violation);
        counters.tls_broken.add(1);
        assert_eq!(counters.handshakes_under_way(), 5);
    }
}
