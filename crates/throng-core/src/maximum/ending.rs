//! How a search for the most connections ends.

use serde::{Deserialize, Serialize};

/// How a search for the most connections ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It got no further at the same number twice; or the most are known that keep objectives.
    Found,
    /// As many were held as the user allowed: no limit was met.
    Bound,
    /// This client can open no more: what the target can hold is not known.
    Client,
    /// It got no further at numbers that differ, or what was held did not stay, or did not keep objectives.
    Unstable,
    /// No connection was held, or not even one keeps objectives.
    None,
    /// The run ended before.
    Unfinished,
}
