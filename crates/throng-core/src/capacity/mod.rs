//! How many connections a machine can hold, limit by limit: question × host in, capacity out.
//!
//! Each limit is a row with what it allows, the source of that number and what lifts it. Each file calculates the rows
//! of one subject; this one puts them together. [`crate::plan`] makes the plan of a run from the same rows, so that
//! `throng plan` and `throng load` can't disagree. docs/limits.md explains the limits to people.

mod accept;
mod case;
mod clients;
mod files;
mod limit;
mod memory;
mod proxies;
mod question;
mod target;
mod tuples;
mod warnings;

use crate::engine::{Engine, EngineChoice};
use crate::host::Host;
use case::Case;
pub use clients::Clients;
pub(crate) use files::ring_slots;
pub use limit::{Lift, Limit, LimitKind, Measure};
pub(crate) use memory::reserve;
pub use memory::{
    Bytes, CLIENT_BYTES_PER_END, SERVER_BYTES_PER_END, TLS_BYTES_PER_END,
    UNTIL_TICKET_BYTES_PER_END,
};
pub use proxies::Proxies;
pub use question::{Question, Role};
use serde::{Deserialize, Serialize};
pub use target::{listeners, servers};
pub(crate) use tuples::{addresses_needed, each_target_gets, reuses_time_wait};
pub use warnings::{Warning, WarningKind};

/// The version of the JSON form of [`Capacity`].
pub const VERSION: u32 = 1;

/// What a machine can hold in a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which ends of the connections are on the machine.
    pub role: Role,
    /// How many connections; `None` if no limit that could be read binds.
    pub allows: Option<u64>,
    /// The limit that binds first.
    pub bound_by: Option<LimitKind>,
}

/// What a machine can hold, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// [`VERSION`].
    pub version: u32,
    /// The machine's name.
    pub host: Option<String>,
    /// The machine's kernel release.
    pub kernel: String,
    /// The question.
    pub question: Question,
    /// The engine that throng would use.
    pub engine: Engine,
    /// Why the engine is not io_uring, unless the user chose so.
    pub why_epoll: Option<String>,
    /// Threads on each side.
    pub workers: u32,
    /// How many connections the machine can hold; `None` if no limit that could be read binds.
    pub allows: Option<u64>,
    /// The limit that binds first.
    pub bound_by: Option<LimitKind>,
    /// Whether the number asked for fits; `None` without such a number.
    pub fits: Option<bool>,
    /// All limits: first those that bind, by what they allow; then those that don't; then those that could not be read.
    pub limits: Vec<Limit>,
    /// The memory that a connection takes on the machine.
    pub bytes: Bytes,
    /// Further problems that may occur.
    pub warnings: Vec<Warning>,
    /// The answers for the other roles, if the question names none.
    pub others: Vec<Answer>,
    /// The client hosts that the connections need.
    pub clients: Option<Clients>,
    /// The layer behind reverse proxies.
    pub proxies: Option<Proxies>,
}

impl Capacity {
    /// Limits that allow less than `asked`.
    pub fn short_of(&self, asked: u64) -> impl Iterator<Item = &Limit> {
        self.limits.iter().filter(move |l| l.is_short_of(asked))
    }

    /// The row of `kind`.
    pub fn limit(&self, kind: LimitKind) -> Option<&Limit> {
        self.limits.iter().find(|l| l.kind == kind)
    }
}

/// The engine; why it is not io_uring; and the limit if the one asked for can't be used.
fn engine(question: &Question, host: &Host) -> (Engine, Option<String>, Option<Limit>) {
    if question.proxies.is_some() {
        // A proxy most likely has a descriptor for each end.
        return (Engine::Epoll, None, None);
    }
    let must_bind = tuples::must_bind(question, host);
    let unusable = host.uring.unusable.clone().or_else(|| {
        (must_bind && !host.uring.binds)
            .then(|| "binding a source address through io_uring needs Linux 6.11".into())
    });
    let unusable = unusable.or_else(|| {
        // Its operation is older (Linux 6.8); which of both there are is found out together.
        (question.asks_who && !host.uring.binds)
            .then(|| "finding out through io_uring who has connected needs Linux 6.11".into())
    });
    match (question.engine, unusable) {
        (EngineChoice::Epoll, _) => (Engine::Epoll, None, None),
        (_, None) => (Engine::Uring, None, None),
        (EngineChoice::Auto, why) => (Engine::Epoll, why, None),
        (EngineChoice::Uring, Some(why)) => {
            let value = format!("io_uring can't be used here: {why}");
            let limit = Limit::held(LimitKind::Engine, 0, value, "io_uring_setup(2)")
                .lifted([Lift::by("use the other engine").command("--engine epoll")]);
            (Engine::Uring, None, Some(limit))
        }
    }
}

/// What `host` allows, as an answer to `question`.
pub fn capacity(question: &Question, host: &Host) -> Capacity {
    let mut all = of(question, host);
    let unasked = question.role == Role::Both
        && question.targets.is_empty()
        && !question.relays
        && question.connections.is_none()
        && question.proxies.is_none();
    if unasked {
        all.others = [Role::Server, Role::Client]
            .into_iter()
            .map(|role| {
                let other = of(
                    &Question {
                        role,
                        ..question.clone()
                    },
                    host,
                );
                Answer {
                    role,
                    allows: other.allows,
                    bound_by: other.bound_by,
                }
            })
            .collect();
    }
    all
}

fn of(question: &Question, host: &Host) -> Capacity {
    let (engine, why_epoll, no_engine) = engine(question, host);
    let case = Case::new(question, host, engine);
    let bytes = Bytes::of(&case);
    let mut limits: Vec<Limit> = no_engine
        .into_iter()
        .chain(tuples::foreign_sources(&case))
        .chain(match case.proxy {
            true => proxies::limit(&case, &bytes),
            false => tuples::limits(&case),
        })
        .chain(files::limits(&case))
        .chain(memory::limits(&case, &bytes))
        .chain(target::limits(&case))
        .chain(accept::limits(&case))
        .collect();
    limits.sort_by_key(|l| {
        (
            l.measure != Measure::Held,
            l.unread.is_some(),
            l.allows.unwrap_or(u64::MAX),
        )
    });
    let binding = limits
        .iter()
        .find(|l| l.measure == Measure::Held && l.allows.is_some());
    let (allows, bound_by) = (binding.and_then(|l| l.allows), binding.map(|l| l.kind));
    let fits = question
        .asked_here()
        .map(|asked| allows.is_none_or(|n| n >= asked));
    Capacity {
        version: VERSION,
        host: host.name.clone(),
        kernel: host.kernel.clone(),
        question: question.clone(),
        engine,
        why_epoll,
        workers: case.workers,
        allows,
        bound_by,
        fits,
        warnings: warnings::all(&case, allows),
        limits,
        others: Vec::new(),
        clients: clients::of(&case),
        proxies: proxies::of(&case, &bytes),
        bytes,
    }
}

#[cfg(test)]
pub(crate) mod tests;
