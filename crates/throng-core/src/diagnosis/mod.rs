//! Why a run got no further: from what was counted, what the kernel says, and the shape of the failure,
//! to the limit that was met.
//!
//! A finding is told as certain only where an error code or a counter of the kernel names the limit
//! (`named`). A plateau just under a limit that programs commonly have "looks like" it, and is told in those
//! words (`plateau`).

mod cause;
mod evidence;
mod named;
mod plateau;
#[cfg(test)]
mod tests;

pub use cause::Diagnosis;
pub use evidence::{Evidence, KernelCounts, Queue, Tracked};

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
