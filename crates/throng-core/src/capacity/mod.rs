//! How many connections a machine can hold, limit by limit: question × host in, capacity out.
//!
//! Each limit is a row with what it allows, where that number comes from and what lifts it. The rows are
//! worked out in files of their own, one subject each; this one has question and answer, and puts them together.
//! [`crate::plan`] makes the plan of a run from the same rows, so that `throng plan` and `throng load`
//! can't disagree. docs/limits.md explains them to people.

mod accept;
mod clients;
mod files;
mod limit;
mod memory;
mod proxies;
mod target;
mod tuples;
mod warnings;

use crate::engine::{Engine, EngineChoice};
use crate::host::Host;
use crate::human::count;
use crate::scenario::{LoadScenario, Repeat, ServeScenario};
use crate::units::Rate;
pub use clients::Clients;
pub(crate) use files::ring_slots;
pub use limit::{Lift, Limit, LimitKind, Measure};
pub(crate) use memory::reserve;
pub use memory::{
    Bytes, CLIENT_BYTES_PER_END, SERVER_BYTES_PER_END, TLS_BYTES_PER_END,
    UNTIL_TICKET_BYTES_PER_END,
};
pub use proxies::Proxies;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
pub use target::servers;
pub(crate) use tuples::addresses_needed;
pub use warnings::{Warning, WarningKind};

/// The version of [`Capacity`]'s form.
pub const VERSION: u32 = 1;

/// Which ends of the connections are on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The end that connects.
    Client,
    /// The end that accepts.
    Server,
    /// Both. Without a target: in one process, on loopback, as `throng load --self` has them.
    Both,
}

impl Role {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
            Role::Both => "both",
        }
    }

    /// Whether it connects.
    pub fn connects(self) -> bool {
        self != Role::Server
    }

    /// Whether it accepts.
    pub fn accepts(self) -> bool {
        self != Role::Client
    }
}

/// What is asked of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Which ends are on it.
    pub role: Role,
    /// How many connections, if it is about a number.
    pub connections: Option<u64>,
    /// Where they go to; a client without targets is taken to have one, elsewhere.
    pub targets: Vec<SocketAddr>,
    /// Source addresses; empty for the kernel's choice (on IPv4 loopback, throng's).
    pub sources: Vec<IpAddr>,
    /// Which event loop.
    pub engine: EngineChoice,
    /// Threads on each side; `None` for one a core.
    pub workers: Option<u32>,
    /// Bytes of a message; `None` for connections that stay silent.
    pub message_bytes: Option<u64>,
    /// Messages a second on each connection; `None` for as fast as they go.
    pub message_rate: Option<Rate>,
    /// Messages under way at once over all connections, if each waits for an echo.
    pub in_flight: Option<u64>,
    /// New connections a second; `None` for as fast as they go.
    pub connect_rate: Option<Rate>,
    /// Connections that one client host is to hold.
    pub per_client: Option<u64>,
    /// Reverse proxies before the targets.
    pub proxies: Option<u32>,
    /// Sockets that a server listens with.
    pub listeners: u32,
    /// Connections speak TLS.
    #[serde(default)]
    pub tls: bool,
    /// They resume sessions, if that is TLS.
    #[serde(default)]
    pub resume: bool,
}

impl Question {
    /// About nothing but a role.
    pub fn of(role: Role) -> Question {
        Question {
            role,
            connections: None,
            targets: Vec::new(),
            sources: Vec::new(),
            engine: EngineChoice::Auto,
            workers: None,
            message_bytes: None,
            message_rate: None,
            in_flight: None,
            connect_rate: None,
            per_client: None,
            proxies: None,
            listeners: 1,
            tls: false,
            resume: false,
        }
    }

    /// What a load asks of the machine that it runs on.
    pub fn of_load(scenario: &LoadScenario) -> Question {
        let message_bytes = scenario.messages.about_bytes();
        Question {
            connections: Some(scenario.connections.into()),
            targets: scenario.targets.clone(),
            sources: scenario.sources.clone(),
            engine: scenario.engine,
            workers: scenario.workers,
            message_bytes: (message_bytes > 0).then_some(message_bytes),
            message_rate: match scenario.repeat {
                Repeat::Paced(rate) => Some(rate),
                Repeat::Flood | Repeat::ClosedLoop => None,
            },
            in_flight: (scenario.repeat == Repeat::ClosedLoop)
                .then(|| scenario.in_flight.unwrap_or(scenario.connections).into()),
            connect_rate: scenario.connect_rate,
            tls: scenario.options.tls_client.is_some(),
            resume: scenario
                .options
                .tls_client
                .as_ref()
                .is_some_and(|tls| tls.resumption),
            ..Question::of(match scenario.own_server {
                Some(_) => Role::Both,
                None => Role::Client,
            })
        }
    }

    /// What a server asks of the machine that it runs on.
    pub fn of_serve(scenario: &ServeScenario) -> Question {
        Question {
            connections: scenario.max_connections.map(u64::from),
            engine: scenario.engine,
            workers: scenario.workers,
            listeners: scenario.listen.len() as u32,
            tls: scenario.options.tls_server.is_some(),
            ..Question::of(Role::Server)
        }
    }

    /// How many connections this machine is asked to hold: with proxies it is one of them, and with
    /// client hosts, as a client, one of those.
    pub fn asked_here(&self) -> Option<u64> {
        match (self.proxies, self.role, self.per_client) {
            (Some(proxies), ..) => Some(self.connections?.div_ceil(u64::from(proxies.max(1)))),
            (None, Role::Client, Some(each)) => Some(self.connections.unwrap_or(each).min(each)),
            _ => self.connections,
        }
    }
}

fn why_unread(host: &Host, what: &str) -> String {
    let name = what.rsplit(['.', '/', ' ']).next().unwrap_or(what);
    host.unread
        .iter()
        .find(|u| u.what == what || u.what.ends_with(name))
        .map_or_else(
            || format!("{what} could not be read"),
            |u| format!("{}: {}", u.what, u.why),
        )
}

/// What a machine can hold in a role, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which ends are on it.
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
    /// Its kernel's release.
    pub kernel: String,
    /// What was asked.
    pub question: Question,
    /// The event loop that throng would use.
    pub engine: Engine,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why_epoll: Option<String>,
    /// Threads on each side.
    pub workers: u32,
    /// How many connections it can hold; `None` if no limit that could be read binds.
    pub allows: Option<u64>,
    /// The limit that binds first.
    pub bound_by: Option<LimitKind>,
    /// Whether what was asked fits; `None` if no number was asked for.
    pub fits: Option<bool>,
    /// All limits: those that bind first, by what they allow; then those that don't; then those that
    /// could not be read.
    pub limits: Vec<Limit>,
    /// What a connection takes in memory here.
    pub bytes: Bytes,
    /// What may go wrong besides.
    pub warnings: Vec<Warning>,
    /// The same machine in the other roles, if none was asked for in particular.
    pub others: Vec<Answer>,
    /// How many client hosts that is.
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

/// What all rows start from.
struct Case<'a> {
    question: &'a Question,
    host: &'a Host,
    engine: Engine,
    workers: u32,
    /// Ends of each connection in throng's own process.
    ends_own: u64,
    /// Ends of each connection on this machine.
    ends_here: u64,
    /// Whether any end is IPv6.
    v6: bool,
    /// The machine is a reverse proxy: a program of its own, with both ends of what goes through it.
    proxy: bool,
}

impl<'a> Case<'a> {
    fn new(question: &'a Question, host: &'a Host, engine: Engine) -> Case<'a> {
        let proxy = question.proxies.is_some();
        let own_server = question.role == Role::Both && question.targets.is_empty();
        let local = question.role == Role::Client
            && question.targets.iter().any(|t| is_local(t.ip(), host));
        let workers = question.workers.unwrap_or(host.cores).max(1);
        let asked = question.asked_here().unwrap_or(u64::MAX).max(1);
        Case {
            question,
            host,
            engine,
            // No more workers than connections: an idle one would only make the figures harder to read.
            workers: u64::from(workers).min(asked) as u32,
            ends_own: if own_server || proxy { 2 } else { 1 },
            ends_here: match local || proxy || question.role == Role::Both {
                true => 2,
                false => 1,
            },
            v6: question.targets.iter().any(SocketAddr::is_ipv6),
            proxy,
        }
    }

    /// Whether the client's end is spread over so many targets that they share ports.
    fn spreads(&self) -> bool {
        self.question.role == Role::Both && self.question.targets.is_empty() && !self.proxy
    }

    fn connects(&self) -> bool {
        self.question.role != Role::Server || self.proxy
    }

    fn accepts(&self) -> bool {
        self.ends_here == 2 || self.question.role == Role::Server
    }

    /// What lifts are worked out for: what was asked, else `or`.
    fn goal(&self, or: u64) -> u64 {
        self.question.asked_here().unwrap_or(or)
    }
}

/// Whether `ip` is an address of `host`.
pub(crate) fn is_local(ip: IpAddr, host: &Host) -> bool {
    ip.is_loopback()
        || host.addresses.contains(&ip)
        || host.towards.iter().any(|t| t.target.ip() == ip && t.local)
}

/// Which event loop it will be, why not io_uring, and what stands in the way of the one asked for.
fn engine(question: &Question, host: &Host) -> (Engine, Option<String>, Option<Limit>) {
    if question.proxies.is_some() {
        // Whatever the proxy is, it most likely has a descriptor for each end.
        return (Engine::Epoll, None, None);
    }
    let must_bind = tuples::must_bind(question, host);
    let unusable = host.uring.unusable.clone().or_else(|| {
        (must_bind && !host.uring.binds)
            .then(|| "binding a source address through io_uring needs Linux 6.11".into())
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

/// What `host` allows.
pub fn capacity(question: &Question, host: &Host) -> Capacity {
    let mut all = of(question, host);
    let unasked = question.role == Role::Both
        && question.targets.is_empty()
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

/// `1 target`, `2 targets`; `1 address`, `2 addresses`.
fn things(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

#[cfg(test)]
pub(crate) mod tests;
