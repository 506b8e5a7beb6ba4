//! How many connections a machine can hold, limit by limit: question × host in, capacity out.
//!
//! Each limit is a row with what it allows, where that number comes from and what lifts it. The rows are
//! worked out in files of their own, one subject each; this one has the types and puts them together.
//! [`crate::plan`] makes the plan of a run from the same rows, so that `throng plan` and `throng load`
//! can't disagree. docs/limits.md explains them to people.

mod accept;
mod clients;
mod files;
mod memory;
mod proxies;
mod target;
mod tuples;
mod warnings;

use crate::host::Host;
use crate::human::count;
use crate::plan::Engine;
use crate::scenario::{EngineChoice, LoadScenario, Repeat, ServeScenario};
use crate::units::Rate;
pub use clients::Clients;
pub(crate) use files::ring_slots;
pub(crate) use memory::reserve;
pub use memory::{
    Bytes, EPOLL_KERNEL_BYTES_PER_END, KERNEL_BYTES_PER_END, TLS_BYTES_PER_END, USER_BYTES_PER_END,
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

/// What a limit bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// The engine that was asked for can't be used.
    Engine,
    /// A source address that can't be used for a target.
    SourceAddress,
    /// Local ports × source addresses × targets.
    FourTuples,
    /// The ports of reverse proxies towards their backends.
    ProxyPorts,
    /// RLIMIT_NOFILE of throng's own process.
    OpenFiles,
    /// `fs.file-max`, of the whole machine.
    SystemFiles,
    /// The machine's memory.
    Memory,
    /// A cgroup's memory.
    CgroupMemory,
    /// `net.ipv4.tcp_mem`: the memory of all socket buffers.
    TcpMemory,
    /// Entries of connection tracking.
    Conntrack,
    /// The file limit of the target's own process, if that is here.
    TargetFiles,
    /// A limit of the target's own, at which it closes what comes beyond. Only a run can find it.
    TargetConnections,
    /// Connections that wait to be accepted.
    AcceptQueue,
    /// Handshakes that have not ended.
    SynBacklog,
}

impl LimitKind {
    /// In words, as a row's label.
    pub fn words(self) -> &'static str {
        match self {
            LimitKind::Engine => "engine",
            LimitKind::SourceAddress => "source address",
            LimitKind::FourTuples => "four-tuples",
            LimitKind::ProxyPorts => "proxies' ports",
            LimitKind::OpenFiles => "open files",
            LimitKind::SystemFiles => "system's files",
            LimitKind::Memory => "memory",
            LimitKind::CgroupMemory => "cgroup's memory",
            LimitKind::TcpMemory => "TCP's memory",
            LimitKind::Conntrack => "conntrack",
            LimitKind::TargetFiles => "target's files",
            LimitKind::TargetConnections => "target's connections",
            LimitKind::AcceptQueue => "accept queue",
            LimitKind::SynBacklog => "SYN backlog",
        }
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Connections held: these limits bound the capacity.
    Held,
    /// Connections that come up at the same moment: these bound the speed.
    AtOnce,
}

/// A limit: what it allows, why, and what lifts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Which one.
    pub kind: LimitKind,
    /// What `allows` counts.
    pub measure: Measure,
    /// How many connections it allows. `None` if it does not bind, or, with `unread`, if that can't be
    /// told.
    pub allows: Option<u64>,
    /// Why it can't be told what it allows.
    pub unread: Option<String>,
    /// Whether more is sure to fail. Else it depends on what is not known: privileges, traffic.
    pub sure: bool,
    /// Its value, in words.
    pub value: String,
    /// Where the numbers come from: files, sysctls.
    pub source: String,
    /// What lifts it, the most useful first.
    pub lifts: Vec<Lift>,
}

/// A way to lift a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// What to do, in words.
    pub what: String,
    /// The command, if there is one.
    pub command: Option<String>,
    /// What the limit allows then, if that can be told.
    pub allows: Option<u64>,
}

impl Lift {
    fn by(what: impl Into<String>) -> Lift {
        Lift {
            what: what.into(),
            command: None,
            allows: None,
        }
    }

    fn command(mut self, command: impl Into<String>) -> Lift {
        self.command = Some(command.into());
        self
    }

    fn allowing(mut self, n: u64) -> Lift {
        self.allows = Some(n);
        self
    }
}

impl Limit {
    /// A bound on the connections held; more is sure to fail.
    fn held(kind: LimitKind, allows: u64, value: String, source: impl Into<String>) -> Limit {
        Limit {
            kind,
            measure: Measure::Held,
            allows: Some(allows),
            unread: None,
            sure: true,
            value,
            source: source.into(),
            lifts: Vec::new(),
        }
    }

    /// One that does not bind.
    fn free(kind: LimitKind, value: impl Into<String>, source: impl Into<String>) -> Limit {
        Limit {
            allows: None,
            sure: false,
            ..Limit::held(kind, 0, value.into(), source)
        }
    }

    /// One that can't be told, because `what` was not read.
    fn unread(kind: LimitKind, host: &Host, what: &str) -> Limit {
        let why = why_unread(host, what);
        Limit {
            unread: Some(why),
            ..Limit::free(kind, "not known", what)
        }
    }

    fn unsure(mut self) -> Limit {
        self.sure = false;
        self
    }

    fn lifted(mut self, lifts: impl IntoIterator<Item = Lift>) -> Limit {
        self.lifts.extend(lifts);
        self
    }

    /// Whether it allows less than `asked`.
    pub fn is_short_of(&self, asked: u64) -> bool {
        self.measure == Measure::Held && self.allows.is_some_and(|n| n < asked)
    }

    /// What lifts it, in one line: the first two ways. [`Limit::lifts`] has them all.
    pub fn remedy(&self) -> String {
        let all: Vec<String> = self
            .lifts
            .iter()
            .take(2)
            .map(|lift| match &lift.command {
                Some(command) => format!("{}: {command}", lift.what),
                None => lift.what.clone(),
            })
            .collect();
        match all.len() {
            0 => "Nothing lifts it here.".into(),
            _ => format!("To lift it: {}.", all.join("; or ")),
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
