//! What a watched system's readings say: what a connection costs it, and which limit binds at how many. `line.rs` fits a line through
//! readings, `costs.rs` decides which numbers they support, `words.rs` says it in a sentence.

mod costs;
mod line;
#[cfg(test)]
mod tests;
mod words;

pub use costs::{Binds, LEAST_CONNECTIONS, LEAST_READINGS, WatchedSummary};
pub use line::Line;

use crate::record::Watched;

impl WatchedSummary {
    /// What `watched` says, which `agent` has watched, if it was one.
    pub fn of(watched: &Watched, agent: Option<&str>) -> WatchedSummary {
        let told = costs::summed(watched, agent);
        WatchedSummary {
            text: words::sentence(&told),
            ..told
        }
    }
}
