//! What is recorded of a storm: many connections were lost at once, and came back.

use super::nanos;
use crate::stats::{Closed, Tally};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A storm, from when the first connection was lost, or dropped. A connection is held while it can carry messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// When it began, since the run did.
    #[serde(rename = "began_ns", with = "nanos")]
    pub began: Duration,
    /// Connections that were held then.
    pub before: u64,
    /// What was counted until it was over, or the hold was.
    pub counts: Tally,
    /// The most connections that were missing at once.
    pub missing_most: u64,
    /// Connections that were missing in the end; 0 if it is over.
    pub missing: u64,
    /// Since when at least half of the most that were missing at once have been held again, without a break, since it began;
    /// `None` if they were not in the end.
    #[serde(rename = "back_50_ns", with = "nanos::maybe", default)]
    pub back_50: Option<Duration>,
    /// The same of 90 %.
    #[serde(rename = "back_90_ns", with = "nanos::maybe", default)]
    pub back_90: Option<Duration>,
    /// The same of 99 %.
    #[serde(rename = "back_99_ns", with = "nanos::maybe", default)]
    pub back_99: Option<Duration>,
    /// The same of all: when it was over.
    #[serde(rename = "back_100_ns", with = "nanos::maybe", default)]
    pub back_100: Option<Duration>,
    /// How long it was watched.
    #[serde(rename = "watched_ns", with = "nanos")]
    pub watched: Duration,
    /// The highest rate of new connections over 100 ms (or between two looks that were further apart), per second.
    pub peak_per_s: f64,
    /// SYNs, and last segments of handshakes, that listeners in this network namespace dropped meanwhile, as their queues were
    /// full (ListenDrops), whosever they are; `None` if the kernel's count could not be read.
    pub syns_dropped: Option<u64>,
    /// How it went.
    pub curve: Vec<StormPoint>,
}

/// A stretch of a storm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StormPoint {
    /// Its end, since the storm began. It begins where the one before ends.
    #[serde(rename = "at_ns", with = "nanos")]
    pub at: Duration,
    /// Connections held then.
    pub held: u64,
    /// Connections lost in it.
    pub lost: u64,
    /// Attempts to connect that were begun in it.
    pub attempted: u64,
    /// Connections established in it.
    pub established: u64,
    /// Attempts that failed in it.
    pub failed: u64,
}

/// Connections that were lost: those that ended without this side's doing, or that it was to drop.
pub fn losses(counts: &Tally) -> u64 {
    let ended = counts.closed_in_all() - counts.closed(Closed::ByUs);
    ended + counts.dropped
}

impl Storm {
    /// Whether all connections are back.
    pub fn is_over(&self) -> bool {
        self.back_100.is_some()
    }

    /// Connections that were lost in it, whether they are back or not.
    pub fn lost(&self) -> u64 {
        losses(&self.counts)
    }

    /// Whether this side caused all of it (`--drop`).
    pub fn was_asked_for(&self) -> bool {
        self.counts.dropped > 0 && self.lost() == self.counts.dropped
    }
}
