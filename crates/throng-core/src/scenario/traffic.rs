//! What is sent, how fast, and what goes for the bytes of each connection.

use crate::pacing::{Profile, Spacing};
use crate::units::{Bandwidth, Rate};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Once, when the connection opens.
    First,
    /// Again and again, in turn with the others.
    Repeated,
}

/// What bounds the traffic of one connection, besides [`Repeat`](super::Repeat).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// How fast it sends. Excludes a message rate; message boundaries don't matter to it.
    pub upstream: Option<Bandwidth>,
    /// How fast it is read from; nothing at all a second means that it is never read from.
    pub downstream: Option<Bandwidth>,
    /// How long after it came up it begins to send.
    pub delay_send: Duration,
    /// How long after it came up it is closed.
    pub lifetime: Option<Duration>,
    /// The run ends when this is seen in what is received.
    pub stop_at: Option<Vec<u8>>,
    /// Each message is a write of its own, however many are due (`--write-combine off`).
    pub write_each: bool,
}

/// Messages of the whole run, over whichever connection is next (`--rate`, `--profile`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WholeRun {
    /// How many.
    pub rate: RunRate,
    /// How they are spread.
    pub spacing: Spacing,
}

/// The message rate of a whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunRate {
    /// The same from beginning to end.
    Constant(Rate),
    /// Steps and ramps.
    Profile(Profile),
    /// Lines `<duration_ms> <rate>`, read from stdin while the run goes on.
    Stdin,
}

/// A search for the highest message rate at which message latency stays under a bound (`-r @10ms`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// The bound.
    pub under: Duration,
    /// The percentile of latency that is to stay under it.
    pub percentile: f64,
    /// The bound as it was written, for the result's line.
    pub written: String,
    /// How long to search at most, once all connections are up; `None` until it is found.
    pub at_most: Option<Duration>,
}
