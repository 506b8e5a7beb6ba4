//! What a worker counts and measures, and what that adds up to.
//!
//! Each worker has [`Counters`] of its own, which it alone writes and anybody may read at any time; a
//! [`Tally`] is such a reading, or the sum of several. Each count is of one thing, so that they can
//! be checked against each other: attempted = established + failed + in flight, and
//! established (or accepted) = open + closed by somebody.

use crate::time::Time;
use crate::tls_failure::TlsFailure;
use crate::websocket::Violation;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::ops::{Add, AddAssign};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Why an attempt to connect came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailCause {
    /// A reset answered the SYN: nobody listens there (ECONNREFUSED).
    Refused,
    /// No answer within the connect timeout (or the kernel's own, ETIMEDOUT).
    TimedOut,
    /// Reset while connecting (ECONNRESET).
    Reset,
    /// No route, or a router said so (EHOSTUNREACH, ENETUNREACH).
    Unreachable,
    /// No free local port for the source address and target (EADDRNOTAVAIL), or no such address.
    NoAddress,
    /// The process's or the system's file limit (EMFILE, ENFILE).
    FileLimit,
    /// The kernel had no memory or buffer (ENOMEM, ENOBUFS).
    NoMemory,
    /// A firewall or a security module forbade it (EPERM, EACCES).
    Forbidden,
    /// Anything else.
    Other,
}

impl FailCause {
    /// Every cause, in the order in which they are counted and told.
    pub const ALL: [FailCause; 9] = [
        FailCause::Refused,
        FailCause::TimedOut,
        FailCause::Reset,
        FailCause::Unreachable,
        FailCause::NoAddress,
        FailCause::FileLimit,
        FailCause::NoMemory,
        FailCause::Forbidden,
        FailCause::Other,
    ];

    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            FailCause::Refused => "refused",
            FailCause::TimedOut => "timed out",
            FailCause::Reset => "reset while connecting",
            FailCause::Unreachable => "unreachable",
            FailCause::NoAddress => "no free local address and port",
            FailCause::FileLimit => "file limit",
            FailCause::NoMemory => "out of kernel memory",
            FailCause::Forbidden => "forbidden by firewall or policy",
            FailCause::Other => "other error",
        }
    }
}

/// Who or what ended an established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// The peer closed it (FIN).
    ByPeer,
    /// The peer reset it (RST), or was found gone when we wrote (EPIPE, ECONNRESET).
    ResetByPeer,
    /// The peer stopped acknowledging (ETIMEDOUT).
    TimedOut,
    /// We closed it.
    ByUs,
    /// An error on our side.
    Error,
}

impl Closed {
    /// Every cause, in the order in which they are counted.
    pub const ALL: [Closed; 5] = [
        Closed::ByPeer,
        Closed::ResetByPeer,
        Closed::TimedOut,
        Closed::ByUs,
        Closed::Error,
    ];
}

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
    /// Answers that say that something is wrong (DNS: an rcode other than 0).
    answers_with_error,
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

/// The longest span a histogram tells apart; longer ones count as this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long things took: nanoseconds with two significant digits in an HdrHistogram, up to an hour. One
/// that recorded nothing takes no memory; the first record takes 60 KB.
#[derive(Clone, Debug, Default)]
pub struct Durations(Option<Box<Histogram<u64>>>);

impl Durations {
    fn histogram(&mut self) -> &mut Histogram<u64> {
        self.0.get_or_insert_with(|| {
            // The bounds are constants that HdrHistogram accepts: 1 ns to an hour, two digits.
            Box::new(
                Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 2)
                    .expect("constant bounds are valid"),
            )
        })
    }

    /// Takes note of one.
    #[inline]
    pub fn record(&mut self, took: Duration) {
        let ns = took.as_nanos().min(LONGEST.as_nanos()) as u64;
        self.histogram().saturating_record(ns);
    }

    /// Adds another worker's.
    pub fn merge(&mut self, other: &Durations) {
        if let Some(other) = &other.0 {
            *self.histogram() += &**other;
        }
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |h| h.len())
    }

    /// The duration under or at which `percent` (0 to 100) of them lie; `None` if there are none.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let all = self.recorded()?;
        Some(Duration::from_nanos(all.value_at_percentile(percent)))
    }

    /// How many took longer than `limit`, to the histogram's precision.
    pub fn longer_than(&self, limit: Duration) -> u64 {
        let limit = limit.as_nanos().min(LONGEST.as_nanos()) as u64;
        self.recorded()
            .map_or(0, |h| h.len() - h.count_between(0, limit))
    }

    /// The shortest; `None` if there are none.
    pub fn min(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.recorded()?.min()))
    }

    /// The mean; `None` if there are none.
    pub fn mean(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.recorded()?.mean() as u64))
    }

    /// The histogram itself, in nanoseconds, for who writes it down; `None` if there is nothing in it.
    pub fn recorded(&self) -> Option<&Histogram<u64>> {
        self.0.as_deref().filter(|h| !h.is_empty())
    }
}

/// One round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the query was handed to the kernel.
    pub sent: Time,
    /// From then to when its answer was there.
    pub took: Duration,
    /// The connection's number.
    pub connection: u32,
    /// The query's id.
    pub query: u16,
    /// How it went (DNS rcode).
    pub rcode: u8,
    /// Whether the server left something out.
    pub truncated: bool,
}

macro_rules! measured {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a worker measured.
        #[derive(Clone, Debug, Default)]
        pub struct Measured {
            $($(#[$doc])* pub $name: Durations,)*
            /// Each round trip, where they are kept one by one.
            pub samples: Vec<Sample>,
        }

        impl Measured {
            /// Adds another worker's, or another interval's.
            pub fn merge(&mut self, other: Measured) {
                $(self.$name.merge(&other.$name);)*
                if self.samples.is_empty() {
                    self.samples = other.samples;
                } else {
                    self.samples.extend(other.samples);
                }
            }
        }
    };
}

measured! {
    /// From the start of an attempt to connect to its success.
    connect,
    /// From when a connection came up to the first byte that came on it.
    first_byte,
    /// From when a message was due to when the kernel had taken it.
    lateness,
    /// From when a message was due to its answer.
    response,
    /// From when a message was sent to its answer: what the response time is without the wait before
    /// sending. A closed loop has only this.
    service,
    /// From when a message that says when it was sent was sent to when it came here.
    marked,
    /// From when a connection was up to when its TLS handshake was done.
    handshake,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_took_longer_are_counted() {
        let mut durations = Durations::default();
        assert_eq!(durations.longer_than(Duration::ZERO), 0);
        for ms in 1..=100 {
            durations.record(Duration::from_millis(ms));
        }
        let longer = |ms| durations.longer_than(Duration::from_millis(ms));
        assert_eq!((longer(0), longer(60), longer(100)), (100, 40, 0));
        assert_eq!(durations.longer_than(LONGEST * 2), 0);
    }

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

    #[test]
    fn durations_keep_two_digits_and_never_overflow() {
        let mut d = Durations::default();
        assert_eq!(d.percentile(50.0), None);
        d.record(Duration::ZERO);
        d.record(Duration::from_millis(5));
        d.record(Duration::from_secs(1_000_000));
        assert_eq!(d.min(), Some(Duration::ZERO));
        let mut other = Durations::default();
        other.record(Duration::from_millis(6));
        d.merge(&other);
        assert_eq!(d.count(), 4);
        let p50 = d.percentile(50.0).unwrap();
        assert!(
            p50 >= Duration::from_millis(5) && p50 < Duration::from_micros(5100),
            "{p50:?}"
        );
        assert!(d.percentile(100.0).unwrap() >= LONGEST);
    }
}
