//! What a search is asked for, in the terms of MLRsearch (IETF, draft-ietf-bmwg-mlrsearch). "Loss" is a trial that does not meet the
//! objective.

use serde::{Deserialize, Serialize};

/// How many times trials grow longer between the first and the last ones.
const GROWTHS: u32 = 2;
/// The rounding of lengths, relative to them.
const ROUNDING: f64 = 1e-6;

/// What a search is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The least load.
    pub low: u32,
    /// The greatest load.
    pub high: u32,
    /// Goal Width: how far the bounds may lie apart, relative to the upper one.
    pub width: f64,
    /// Goal Initial Trial Duration, seconds.
    pub initial_s: f64,
    /// Goal Final Trial Duration, seconds.
    pub final_s: f64,
    /// Goal Duration Sum: how long trials of a load take together before the load is judged, seconds.
    pub sum_s: f64,
    /// Goal Exceed Ratio: the share of that time for which the objective may be missed, 0 to below 1.
    pub exceed: f64,
}

/// The shortest step in the length of trials, per second: a length that is written and read stays the same.
const STEPS: f64 = 1e3;

/// What a stage of a search asks for. Each stage has longer trials and narrower bounds than the one before; the last one has those
/// of the goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stage {
    pub duration_s: f64,
    pub sum_s: f64,
    pub width: f64,
}

impl Stage {
    /// Whether a trial of this length is as long as those of the stage, but for the rounding of lengths.
    pub(super) fn is_full(&self, seconds: f64) -> bool {
        seconds >= self.duration_s * (1.0 - ROUNDING)
    }

    /// Whether a trial of this length is longer than those of the stage.
    pub(super) fn is_passed(&self, seconds: f64) -> bool {
        seconds > self.duration_s * (1.0 + ROUNDING)
    }

    /// Whether trials of this length together are enough to judge a load.
    pub(super) fn is_full_sum(&self, seconds: f64) -> bool {
        seconds >= self.sum_s * (1.0 - ROUNDING)
    }
}

impl Terms {
    /// The stages, in order.
    pub(super) fn stages(&self) -> impl Iterator<Item = Stage> {
        let terms = *self;
        (0..=GROWTHS).map(move |n| {
            let share = f64::from(n) / f64::from(GROWTHS);
            let between = terms.initial_s * (terms.final_s / terms.initial_s).powf(share);
            let duration_s = match n {
                0 => terms.initial_s,
                GROWTHS => terms.final_s,
                _ => (between * STEPS).ceil() / STEPS,
            };
            Stage {
                duration_s,
                sum_s: if n == GROWTHS {
                    terms.sum_s
                } else {
                    duration_s
                },
                width: terms.width * f64::from(1 << (GROWTHS - n)),
            }
        })
    }

    /// Why no search can have these terms, in one line; `None` if one can.
    pub fn refused(&self) -> Option<&'static str> {
        let times = [self.initial_s, self.final_s, self.sum_s];
        let sound = |s: &f64| s.is_finite() && *s > 0.0;
        match () {
            () if self.low < 1 || self.high <= self.low => {
                Some("the range must lead upwards, from 1 or more")
            }
            () if !(self.width > 0.0 && self.width < 1.0) => {
                Some("the width must be between 0 and 1")
            }
            () if !times.iter().all(sound) => Some("durations must be above 0"),
            () if self.initial_s > self.final_s => {
                Some("the first trials must not be longer than the last ones")
            }
            () if self.final_s > self.sum_s => Some(
                "a load is judged by at least one of the last trials, so their sum must not be shorter",
            ),
            () if !(0.0..1.0).contains(&self.exceed) => {
                Some("the exceed ratio must be from 0 to below 1")
            }
            () => None,
        }
    }
}
