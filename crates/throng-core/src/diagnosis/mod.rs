//! Why a run stopped short: finds the limit that was met from the counts, the kernel's counters and the shape of the
//! failure.
//!
//! A diagnosis is certain only if an error code or a kernel counter names the limit (`named`). A plateau just below a
//! common limit "looks like" that limit, and is reported in those words (`plateau`).

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
    // A queue is full because its server stopped accepting, so it comes after what stopped the server.
    all.extend(named::accept_queue(e, all.is_empty()));
    all.extend(named::syn_queue(e));
    all
}
