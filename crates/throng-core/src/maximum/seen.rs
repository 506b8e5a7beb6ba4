//! What a search for the most connections is told.

use std::time::Duration;

/// What is seen of a run at an instant. Counts are since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// When, since the run began.
    pub at: Duration,
    /// Connections that are open and can carry messages.
    pub open: u64,
    /// How many of them their server has not accepted, as far as that can be seen.
    pub queued: u64,
    /// Attempts that failed, and connections that ended without this side having closed them.
    pub refused: u64,
    /// Connections among these that were established and ended.
    pub ended: u64,
    /// Connections that this side has closed.
    pub closed: u64,
    /// This side opens no more: it has no memory left.
    pub stopped: bool,
}
