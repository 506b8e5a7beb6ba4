//! The phases of a run.

use serde::{Deserialize, Serialize};

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connections are being opened.
    Opening,
    /// All connections that could be opened are established, and held.
    Holding,
    /// No new message is begun; messages under way arrive.
    Draining,
    /// Connections are being closed.
    Closing,
    /// A server: it accepts until it is stopped.
    Serving,
}
