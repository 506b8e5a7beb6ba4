//! What a search for a rate is to find, and how long its trials take.

use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many trials' time a search takes that begins at a hundredth of the limit, drains included.
const USUAL_TRIALS: f64 = 50.0;
/// How long a trial settles and is measured, in bounds of latency …
const SETTLE_BOUNDS: f64 = 10.0;
const MEASURE_BOUNDS: f64 = 20.0;
/// … and when time is short. A message may take one bound to its answer, so less says nothing.
const LEAST_SETTLE_BOUNDS: f64 = 3.0;
const LEAST_MEASURE_BOUNDS: f64 = 5.0;
/// No search gets by with fewer trials.
const FEWEST_TRIALS: f64 = 10.0;

/// What is searched for, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Latency must stay at or under this.
    pub bound: Duration,
    /// At this percentile.
    pub percentile: f64,
    /// The first rate that is tried, of the whole run.
    pub start: Rate,
    /// The lowest rate worth trying.
    pub least: Rate,
    /// The highest rate worth trying.
    pub most: Rate,
    /// It has found its rate when the range in which it lies is at most this wide: 0.02 is 2 %.
    pub tolerance: f64,
    /// How long a new rate runs before it is measured.
    pub settle: Duration,
    /// How long it is measured; longer if that gives too few samples.
    pub measure: Duration,
    /// How long all trials may take together; `None` as long as it needs, within reason.
    pub at_most: Option<Duration>,
}

impl Terms {
    /// The highest rate whose 95th percentile is at or under `bound`, within 2 %, beginning with 100/s.
    pub fn new(bound: Duration) -> Terms {
        let rate = |n| Rate::per_second(n).expect("a constant above zero");
        Terms {
            bound,
            percentile: 95.0,
            start: rate(100.0),
            least: rate(1.0),
            most: rate(1e9),
            tolerance: 0.02,
            settle: Duration::from_millis(500).max(bound.mul_f64(SETTLE_BOUNDS)),
            measure: Duration::from_secs(1).max(bound.mul_f64(MEASURE_BOUNDS)),
            at_most: None,
        }
    }

    /// The same, to be done within `run`. If that is too short for trials as long as those asked for they are
    /// shorter, at the cost of more noise. Not below a twentieth of a second to settle and a tenth to
    /// measure, nor below what the bound needs.
    pub fn within(mut self, run: Duration) -> Terms {
        let fit = run.as_secs_f64() / (self.settle + self.measure).as_secs_f64() / USUAL_TRIALS;
        if fit < 1.0 {
            let least_settle = self.bound.mul_f64(LEAST_SETTLE_BOUNDS);
            let least_measure = self.bound.mul_f64(LEAST_MEASURE_BOUNDS);
            self.settle = (self.settle.mul_f64(fit))
                .max(Duration::from_millis(50))
                .max(least_settle);
            self.measure = (self.measure.mul_f64(fit))
                .max(Duration::from_millis(100))
                .max(least_measure);
        }
        self.at_most = Some(run);
        self
    }

    /// The share of answers that may be over the bound.
    pub(super) fn allowed(&self) -> f64 {
        (1.0 - self.percentile / 100.0).max(1e-5)
    }

    /// The shortest time in which a search under `bound` can come to anything.
    pub fn shortest(bound: Duration) -> Duration {
        bound.mul_f64((LEAST_SETTLE_BOUNDS + LEAST_MEASURE_BOUNDS) * FEWEST_TRIALS)
    }
}
