//! What a run is doing at an instant, for whoever watches.

use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connections are being opened.
    Opening,
    /// All that could be opened are up, and held.
    Holding,
    /// No new message is begun; what is under way arrives.
    Draining,
    /// Connections are being closed.
    Closing,
    /// A server: it accepts until told to stop.
    Serving,
}

/// The whole run's state at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Since the run began.
    pub elapsed: Duration,
    /// What it is doing.
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
    /// Median and 99th percentile of the response time of the last interval, or of the service time where
    /// nothing is due at a time; `None` if no answer was measured in it.
    pub latency: Option<(Duration, Duration)>,
    /// The server in the same process, if there is one.
    pub server: Option<Tally>,
    /// Until the run ends by itself, if that is known.
    pub left: Option<Duration>,
}
