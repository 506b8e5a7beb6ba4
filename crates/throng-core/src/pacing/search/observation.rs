//! What was measured at a rate: the input of the search.

use super::found::Limit;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A part of the time in which a rate was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Number of answers.
    pub samples: u64,
    /// Number of answers with a latency over the bound.
    pub over: u64,
    /// Their mean latency; zero without answers.
    pub mean: Duration,
}

/// What was measured in the measuring time of a [`Next::Run`](super::Next::Run).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Messages that were due, per second.
    pub asked_per_s: f64,
    /// Messages that were sent, per second.
    pub sent_per_s: f64,
    /// Answers that were received, per second, without those that were not what was asked for.
    pub answered_per_s: f64,
    /// Answers that were received and not what was asked for, such as an error's, per second.
    pub unwanted_per_s: f64,
    /// Latency at the percentile of the search, from when messages were due; `None` without an answer.
    pub latency: Option<Duration>,
    /// The number of answers behind that latency.
    pub samples: u64,
    /// The measuring time in slices, in order: at least two, none for a drain.
    pub slices: Vec<Slice>,
    /// What broke besides, as far as only the caller sees it.
    pub broke: Option<Limit>,
}
