//! What a run is doing at an instant, for observers.

use crate::record::Phase;
use crate::stats::Tally;
use std::time::Duration;

/// The whole run's state at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Time since the run began.
    pub elapsed: Duration,
    /// The phase of the run.
    pub phase: Phase,
    /// Connections asked for, if a number was.
    pub asked: Option<u64>,
    /// The most connections at once so far.
    pub peak: u64,
    /// The side that this run is about: the client of a load, the server of a serve.
    pub now: Tally,
    /// What that side counted in the last `interval`.
    pub recent: Tally,
    /// The length of that interval.
    pub interval: Duration,
    /// Median and 99th percentile of the response time in the last interval, or of the service time if messages are not
    /// due at a time; `None` if no answer was measured in it.
    pub latency: Option<(Duration, Duration)>,
    /// The 99th percentile of how late messages were sent in the last interval; `None` if none was due at a time, or it was
    /// not measured.
    pub late: Option<Duration>,
    /// The server in the same process, if there is one.
    pub server: Option<Tally>,
    /// Time until the run ends by itself, if known.
    pub left: Option<Duration>,
    /// Messages per second that are asked for now, over all connections, where keys change that.
    pub dialled_per_s: Option<f64>,
}
