//! What was measured at a rate, as the search is told of it.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A part of the time in which a rate was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// How many answers came.
    pub samples: u64,
    /// How many of them came later than the bound allows.
    pub over: u64,
    /// Their mean latency; zero without answers.
    pub mean: Duration,
}

/// What was measured in the time that an [`Next::Run`](super::Next::Run) gave for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Messages that were due, a second.
    pub asked_per_s: f64,
    /// Messages that were sent, a second.
    pub sent_per_s: f64,
    /// Answers that came, a second.
    pub answered_per_s: f64,
    /// Latency at the percentile asked for, counted from when messages were due; `None` if no answer came.
    pub latency: Option<Duration>,
    /// How many answers that latency is from.
    pub samples: u64,
    /// The same time in slices, in order. At least two; a drain needs none.
    pub slices: Vec<Slice>,
}
