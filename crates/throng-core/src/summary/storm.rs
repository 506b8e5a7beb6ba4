//! The storms of a run: many connections were lost at once, and came back.

use crate::record::{Storm, StormPoint};
use crate::stats::{Closed, FailCause};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A storm. A connection is held while it can carry messages; one that was lost is back once as many are held as before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StormSummary {
    /// When it began, in seconds since the run did.
    pub at_s: f64,
    /// How long it was watched: until all had been back for a second, or to the end of the hold.
    pub seconds: f64,
    /// Connections held when it began.
    pub before: u64,
    /// Connections lost in it. lost = dropped + closed_by_peer + reset_by_peer + timed_out + lost_by_error.
    pub lost: u64,
    /// Those that this side closed or reset because it was asked to (`--drop`).
    pub dropped: u64,
    /// Those that the peer closed (FIN).
    pub closed_by_peer: u64,
    /// Those that the peer reset (RST).
    pub reset_by_peer: u64,
    /// Those whose peer no longer acknowledged.
    pub timed_out: u64,
    /// Those that ended by an error on this side.
    pub lost_by_error: u64,
    /// The most that were missing at once.
    pub missing_most: u64,
    /// Those that were missing in the end; 0 if all are back.
    pub missing: u64,
    /// Since when half of the most that were missing have been back, in seconds since the storm began; `None` if they were
    /// not in the end.
    pub back_50_s: Option<f64>,
    /// The same of 90 %.
    pub back_90_s: Option<f64>,
    /// The same of 99 %.
    pub back_99_s: Option<f64>,
    /// The same of all.
    pub back_100_s: Option<f64>,
    /// The highest rate of new connections over 100 ms, per second.
    pub peak_per_s: f64,
    /// Attempts to connect in it.
    pub attempted: u64,
    /// Connections established in it.
    pub established: u64,
    /// Attempts that failed in it, by cause; causes that did not occur are left out.
    pub failed: BTreeMap<FailCause, u64>,
    /// SYNs and last segments of handshakes that listeners in this network namespace dropped meanwhile, by the kernel's count;
    /// `None` if it could not be read.
    pub syns_dropped: Option<u64>,
    /// Connections that were established only after their SYN was sent again: 900 ms or more after their attempt began.
    pub syns_retried: u64,
    /// How it went.
    pub over_time: Vec<StormSample>,
}

/// A stretch of a storm. It begins where the one before ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StormSample {
    /// Its end, in seconds since the storm began.
    pub at_s: f64,
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

impl StormSummary {
    /// The summary of `storm`, of a source that began `later_s` after the first one.
    pub(super) fn of(storm: &Storm, later_s: f64) -> StormSummary {
        let counts = &storm.counts;
        let s = |since: Option<Duration>| since.map(|since| since.as_secs_f64());
        StormSummary {
            at_s: later_s + storm.began.as_secs_f64(),
            seconds: storm.watched.as_secs_f64(),
            before: storm.before,
            lost: storm.lost(),
            dropped: counts.dropped,
            closed_by_peer: counts.closed(Closed::ByPeer),
            reset_by_peer: counts.closed(Closed::ResetByPeer),
            timed_out: counts.closed(Closed::TimedOut),
            lost_by_error: counts.closed(Closed::Error),
            missing_most: storm.missing_most,
            missing: storm.missing,
            back_50_s: s(storm.back_50),
            back_90_s: s(storm.back_90),
            back_99_s: s(storm.back_99),
            back_100_s: s(storm.back_100),
            peak_per_s: storm.peak_per_s,
            attempted: counts.attempted,
            established: counts.established,
            failed: FailCause::ALL
                .into_iter()
                .map(|cause| (cause, counts.failed(cause)))
                .filter(|(_, n)| *n > 0)
                .collect(),
            syns_dropped: storm.syns_dropped,
            syns_retried: counts.syns_again,
            over_time: storm.curve.iter().map(StormSample::of).collect(),
        }
    }

    /// Whether all connections are back.
    pub fn is_over(&self) -> bool {
        self.back_100_s.is_some()
    }
}

impl StormSample {
    fn of(point: &StormPoint) -> StormSample {
        StormSample {
            at_s: point.at.as_secs_f64(),
            held: point.held,
            lost: point.lost,
            attempted: point.attempted,
            established: point.established,
            failed: point.failed,
        }
    }
}
