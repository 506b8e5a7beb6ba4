//! The terms of a search for a rate, or for a number that brings one: what to find, and how long trials take.

use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The usual length of a search in trials, drains included, if it starts at a hundredth of the limit.
const USUAL_TRIALS: f64 = 50.0;
/// How long a trial settles, in bounds of latency.
const SETTLE_BOUNDS: f64 = 10.0;
/// How long a trial is measured, in bounds of latency.
const MEASURE_BOUNDS: f64 = 20.0;
/// The shortest times when there is little time. A message may take one bound to its answer, so less says nothing.
const LEAST_SETTLE_BOUNDS: f64 = 3.0;
const LEAST_MEASURE_BOUNDS: f64 = 5.0;
/// The fewest trials of a search.
const FEWEST_TRIALS: f64 = 10.0;

/// What is searched for, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The bound: latency must not exceed it.
    pub bound: Duration,
    /// The percentile of latency that the bound is for.
    pub percentile: f64,
    /// The first rate that is tried, of the whole run.
    pub start: Rate,
    /// The lowest rate worth trying.
    pub least: Rate,
    /// The highest rate worth trying.
    pub most: Rate,
    /// The width of the range at which the rate counts as found: 0.02 is 2 %.
    pub tolerance: f64,
    /// Whether only whole numbers are tried, as of connections.
    pub whole: bool,
    /// Messages per second for each unit of the rate: 1, unless what is searched for is a number that brings messages.
    pub messages_per_unit: f64,
    /// Whether messages wait for the answers to those before, so that no queue grows longer than what is searched for.
    pub closed_loop: bool,
    /// How long a new rate runs before it is measured.
    pub settle: Duration,
    /// How long a rate is measured; longer if that gives too few samples.
    pub measure: Duration,
    /// How long all trials together may take; `None` for no limit but the most trials.
    pub at_most: Option<Duration>,
}

impl Terms {
    /// Terms for the highest rate whose 95th percentile does not exceed `bound`, to 2 %, starting at 100/s.
    pub fn new(bound: Duration) -> Terms {
        let rate = |n| Rate::per_second(n).expect("a constant above zero");
        Terms {
            bound,
            percentile: 95.0,
            start: rate(100.0),
            least: rate(1.0),
            most: rate(1e9),
            tolerance: 0.02,
            whole: false,
            messages_per_unit: 1.0,
            closed_loop: false,
            settle: Duration::from_millis(500).max(bound.mul_f64(SETTLE_BOUNDS)),
            measure: Duration::from_secs(1).max(bound.mul_f64(MEASURE_BOUNDS)),
            at_most: None,
        }
    }

    /// These terms for a search that takes at most `run`. If that is too short for its trials, they become shorter, at
    /// the cost of more noise: at least 50 ms to settle and 100 ms to measure, and at least what the bound needs.
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

    /// The rate, or the next whole number.
    pub(super) fn at_least(&self, rate: f64) -> f64 {
        if self.whole { rate.ceil() } else { rate }
    }

    /// The rate in the middle between two, by ratio; `None` if they are neighbours.
    pub(super) fn between(&self, from: f64, to: f64) -> Option<f64> {
        let middle = (from * to).sqrt();
        match self.whole {
            false => Some(middle),
            true if to - from <= 1.0 => None,
            true => Some(middle.round().clamp(from + 1.0, to - 1.0)),
        }
    }

    /// The allowed share of answers over the bound.
    pub(super) fn allowed(&self) -> f64 {
        (1.0 - self.percentile / 100.0).max(1e-5)
    }

    /// How long a search with `bound` takes as a rule, if it has as long as it needs.
    pub fn usual(bound: Duration) -> Duration {
        let terms = Terms::new(bound);
        (terms.settle + terms.measure).mul_f64(USUAL_TRIALS)
    }

    /// The shortest time in which a search with `bound` can have a result.
    pub fn shortest(bound: Duration) -> Duration {
        bound.mul_f64((LEAST_SETTLE_BOUNDS + LEAST_MEASURE_BOUNDS) * FEWEST_TRIALS)
    }
}
