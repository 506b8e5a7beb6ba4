//! Scenario and host in, plan out: which engine, how many workers, which routes. Or the limits that are too low, each
//! with its remedy, before any socket is opened.

mod beside;
mod maximum;
mod ports;
mod proxy;
mod routes;
mod shortfall;
#[cfg(test)]
mod tests;

pub use beside::{Beside, beside};
pub use maximum::{Most, most};
pub use ports::PortsRest;
pub use proxy::{ProxyPlan, proxy};
pub use routes::Routes;
pub use shortfall::Shortfall;

use crate::capacity::{self, Capacity, Limit, LimitKind, Question};
use crate::engine::Engine;
use crate::host::{DEFAULT_SOMAXCONN, Host};
use crate::scenario::{LoadScenario, ServeScenario};

/// Attempts in flight in the whole run. Enough for 10,000 connections per second at a round trip of 100 ms, and a
/// quarter of the usual accept queue (somaxconn 4096).
const ATTEMPTS_IN_FLIGHT: u32 = 1024;

/// How to carry out a [`LoadScenario`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// The event loop.
    pub engine: Engine,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why_epoll: Option<String>,
    /// Threads that connect. With `--self`, as many more serve.
    pub workers: u32,
    /// Where connections go. With `--self`, the port is 0.
    pub routes: Routes,
    /// Whether they take so many of the local ports that each is to choose from a part of them.
    pub crowded: bool,
    /// Attempts in flight on one worker, at most.
    pub window: u32,
    /// Slots in one ring's file table.
    pub ring_slots: u32,
    /// Memory in bytes below which no more connections are opened.
    pub memory_reserve: u64,
    /// Limits that are too low but disregarded (`--force`), and limits that may be too low.
    pub warnings: Vec<Shortfall>,
    /// All limits, the one that binds first in front. A run that stops short is compared with them.
    pub limits: Vec<Limit>,
    /// What bounds the rate of new connections, where each is closed by this side in its turn, unless fewer were asked for.
    pub ports: Option<PortsRest>,
    /// How many ends of each connection are sockets of this machine: 2 if the target's address is its own. `None` if
    /// that differs from target to target.
    pub ends_here: Option<u64>,
}

/// How to carry out a [`ServeScenario`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServePlan {
    /// The event loop.
    pub engine: Engine,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why_epoll: Option<String>,
    /// Threads.
    pub workers: u32,
    /// The accept queue's length.
    pub backlog: u32,
    /// The most connections at once: the number asked for, or as many as fit.
    pub max_connections: u32,
    /// The limit that bounds `max_connections`, unless the user did.
    pub bound_by: Option<LimitKind>,
    /// Slots in one ring's file table.
    pub ring_slots: u32,
    /// Memory in bytes below which no more connections are accepted.
    pub memory_reserve: u64,
    /// Limits that are too low but disregarded (`--force`), and limits that may be too low.
    pub warnings: Vec<Shortfall>,
    /// All limits, the one that binds first in front.
    pub limits: Vec<Limit>,
}

/// The limits that only warrant a warning for `asked` connections, of those that the run `heeds`. With `force`, only what can't
/// be tried is refused.
///
/// # Errors
/// All limits that are too low.
fn judge(
    capacity: &Capacity,
    asked: u64,
    force: bool,
    more: Option<Shortfall>,
    heeds: impl Fn(LimitKind) -> bool,
) -> Result<Vec<Shortfall>, Vec<Shortfall>> {
    let (mut refused, mut warned): (Vec<_>, Vec<_>) = (more.into_iter().collect(), Vec::new());
    for limit in capacity.short_of(asked).filter(|l| heeds(l.kind)) {
        let can_be_tried = force && limit.kind != LimitKind::Engine;
        match limit.sure && !can_be_tried {
            true => refused.push(Shortfall::of(limit)),
            false => warned.push(Shortfall::of(limit)),
        }
    }
    if refused.is_empty() {
        Ok(warned)
    } else {
        Err(refused)
    }
}

/// Works out how to carry out `scenario` on `host`.
///
/// # Errors
/// All limits that are too low, each with its remedy; with [`LoadScenario::force`], only what can't be tried.
pub fn load(scenario: &LoadScenario, host: &Host) -> Result<LoadPlan, Vec<Shortfall>> {
    let capacity = capacity::capacity(&Question::of_load(scenario), host);
    let (routes, no_route) = match Routes::of(scenario, host) {
        Ok(routes) => (Some(routes), None),
        Err(short) => (None, Some(short)),
    };
    let asked = u64::from(scenario.own_connections());
    // Limits that are to be found are not warned of.
    let heeds = |kind| !scenario.connections.is_max() || maximum::is_own(kind);
    let mut warnings = judge(&capacity, asked, scenario.force, no_route, heeds)?;
    if scenario.force && !scenario.connections.is_max() {
        // Then a full queue does not slow the run down, so it may overflow.
        let at_once = |l: &&Limit| l.measure == capacity::Measure::AtOnce;
        let short = capacity.limits.iter().filter(at_once);
        let short = short.filter(|l| l.allows.is_some_and(|n| n < asked));
        warnings.extend(short.map(Shortfall::of));
    }
    let Some(routes) = routes else {
        return Err(Vec::new());
    };
    Ok(LoadPlan {
        ports: ports::rest(scenario, &routes, host),
        crowded: scenario.own_server.is_none()
            && routes.are_crowded(scenario.own_connections(), host.ports.usable()),
        engine: capacity.engine,
        why_epoll: capacity.why_epoll,
        workers: capacity.workers,
        routes,
        window: (ATTEMPTS_IN_FLIGHT / capacity.workers).max(1),
        ring_slots: capacity::ring_slots(host),
        memory_reserve: capacity::reserve(host),
        warnings,
        limits: capacity.limits,
        ends_here: ends_here(scenario, host),
    })
}

/// How many ends of each connection are on `host`, if that is the same for all targets.
fn ends_here(scenario: &LoadScenario, host: &Host) -> Option<u64> {
    let targets = scenario.addresses();
    if !scenario.unix_sockets().is_empty() {
        // Counts of TCP sockets have none of them.
        return None;
    }
    let own = targets.iter().filter(|t| host.has_address(t.ip())).count();
    match (scenario.own_server, own) {
        (Some(_), _) => Some(2),
        (None, 0) => Some(1),
        (None, own) => (own == targets.len()).then_some(2),
    }
}

/// Works out how to carry out `scenario` on `host`.
///
/// # Errors
/// All limits that are too low for the number of connections asked for, each with its remedy; with
/// [`ServeScenario::force`], only what can't be tried.
pub fn serve(scenario: &ServeScenario, host: &Host) -> Result<ServePlan, Vec<Shortfall>> {
    let capacity = capacity::capacity(&Question::of_serve(scenario), host);
    let asked = scenario.max_connections;
    accepting(
        capacity,
        asked,
        scenario.backlog,
        scenario.force,
        None,
        host,
    )
}

/// The plan of a run that accepts connections: `asked` at once, or as many as fit.
fn accepting(
    capacity: Capacity,
    asked: Option<u32>,
    backlog: Option<u32>,
    force: bool,
    more: Option<Shortfall>,
    host: &Host,
) -> Result<ServePlan, Vec<Shortfall>> {
    let least = asked.map_or(1, u64::from);
    let warnings = judge(&capacity, least, force, more, |_| true)?;
    // Without a number asked for, only limits that are sure bound it.
    let bound = capacity
        .limits
        .iter()
        .find(|l| l.sure && l.measure == capacity::Measure::Held && l.allows.is_some());
    let fits = bound.and_then(|l| l.allows).unwrap_or(u64::MAX);
    let most = u64::from(u32::MAX) / 2;
    let max_connections = asked.unwrap_or(fits.min(most) as u32);
    Ok(ServePlan {
        engine: capacity.engine,
        why_epoll: capacity.why_epoll,
        workers: capacity.workers.clamp(1, max_connections.max(1)),
        backlog: backlog.unwrap_or(host.accept.somaxconn.unwrap_or(DEFAULT_SOMAXCONN)),
        max_connections,
        bound_by: match asked {
            Some(_) => None,
            None => bound.map(|l| l.kind),
        },
        ring_slots: capacity::ring_slots(host),
        memory_reserve: capacity::reserve(host),
        warnings,
        limits: capacity.limits,
    })
}
