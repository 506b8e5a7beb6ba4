//! Why a run stopped short: finds the limit that was met from the counts, the kernel's counters and the shape of the
//! failure.
//!
//! A diagnosis is certain only if an error code, a counter or the state of a socket or process names the limit *of this
//! run* (`named`, `server`, `tracking`): a counter of the whole namespace is not enough, as other programs have sockets
//! there, too. Everything else is a guess and says so ("perhaps", "looks like"). A plateau just below a common limit
//! "looks like" that limit (`plateau`), unless what is known contradicts it.
//!
//! What other network namespaces counted (`elsewhere`) is joined once the records of all sources are known: attempts time out at one
//! of them, and another one sees why.

mod cause;
mod elsewhere;
mod evidence;
mod named;
mod own;
mod plateau;
mod server;
#[cfg(test)]
mod tests;
mod tracking;

pub use cause::Diagnosis;
pub use elsewhere::{ConntrackTable, Elsewhere, elsewhere};
pub use evidence::{
    Evidence, HalfOpen, KernelCounts, Listening, Queue, Stopped, Target, Tracked, Unaccepted,
    Undelivered, Unread,
};
pub use server::{ended as servers_that_ended, files as servers_without_files};

/// The limits that were met: the certain ones first, and the likeliest of each first.
pub fn diagnose(e: &Evidence) -> Vec<Diagnosis> {
    if !e.unix.is_empty() {
        // Nothing else is of Unix sockets.
        return named::of_unix(e).collect();
    }
    let mut all: Vec<Diagnosis> = named::all(e).collect();
    all.extend(tracking::all(e));
    all.extend(server::ended(&e.targets));
    all.extend(server::files(e));
    let known = all.iter().any(|d| d.certain);
    if !known && e.clients.attempted > 0 && !e.targets.is_empty() {
        let closes = match e.closes_beyond {
            Some(_) => plateau::makes_room(e),
            None => plateau::closes_what_comes_beyond(e).or_else(|| plateau::makes_room(e)),
        };
        all.extend(closes.or_else(|| plateau::looks_like(e)));
    }
    // A queue is full because its server stopped accepting, so it comes after what stopped the server.
    all.extend(server::accept_queues(e, all.is_empty()));
    all.extend(server::syn_queue(e, all.is_empty()));
    all.sort_by_key(|d| !d.certain);
    all
}
