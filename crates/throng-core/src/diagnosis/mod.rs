//! Why a run got no further: from what was counted, what the kernel says, and the shape of the failure,
//! to the limit that was met.
//!
//! A finding is told as certain only where an error code or a counter of the kernel names the limit
//! (`named`). A plateau just under a limit that programs commonly have "looks like" it, and is told in those
//! words (`plateau`).

mod evidence;
mod named;
mod plateau;
#[cfg(test)]
mod tests;

pub use evidence::{Evidence, KernelCounts, Queue, Tracked};

use crate::capacity::LimitKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A limit that was met, as far as can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Which.
    pub limit: LimitKind,
    /// The number of connections that it allows, if that can be told.
    pub allows: Option<u64>,
    /// Whether an error code or a counter names it; otherwise the shape of the failure suggests it.
    pub certain: bool,
    /// What happened, in words.
    pub what: String,
    /// What lifts it.
    pub remedy: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.remedy)
    }
}

/// The limits that were met, the likeliest first.
pub fn diagnose(e: &Evidence) -> Vec<Diagnosis> {
    let mut all: Vec<Diagnosis> = named::all(e).collect();
    if all.is_empty() && !e.targets.is_empty() {
        all.extend(plateau::closes_what_comes_beyond(e).or_else(|| plateau::looks_like(e)));
    }
    // A queue is full because its server stopped taking from it: named after what stopped it.
    all.extend(named::accept_queue(e, all.is_empty()));
    all.extend(named::syn_queue(e));
    all
}
