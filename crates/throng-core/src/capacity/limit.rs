//! A row: a limit, what it allows, the source of that number, and what lifts it.

use crate::host::Host;
use crate::human::count;
use serde::{Deserialize, Serialize};

/// The kind of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// An engine that was asked for and can't be used.
    Engine,
    /// A source address that can't be used for a target.
    SourceAddress,
    /// Local ports × source addresses × targets.
    FourTuples,
    /// The ports of reverse proxies to their backends.
    ProxyPorts,
    /// RLIMIT_NOFILE of throng's process.
    OpenFiles,
    /// `fs.file-max` of the whole machine.
    SystemFiles,
    /// The machine's memory.
    Memory,
    /// A cgroup's memory.
    CgroupMemory,
    /// `net.ipv4.tcp_mem`: the memory for all socket buffers.
    TcpMemory,
    /// Entries of connection tracking.
    Conntrack,
    /// The file limit of the target's process, if it is on this machine.
    TargetFiles,
    /// The target's own limit, beyond which it closes connections. Only a run can find it.
    TargetConnections,
    /// The target's process, which ended. Only a run can find it.
    TargetProcess,
    /// The ports of source NAT on this machine. Only a run can find it.
    NatPorts,
    /// The path to the target, on which nothing comes back. Only a run can find it.
    Path,
    /// The queue of connections that wait to be accepted.
    AcceptQueue,
    /// The queue of unfinished handshakes.
    SynBacklog,
}

impl LimitKind {
    /// The label of its row.
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
            LimitKind::TargetProcess => "target's process",
            LimitKind::NatPorts => "NAT's ports",
            LimitKind::Path => "path",
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
    /// Connections established at the same moment: these limits bound the speed.
    AtOnce,
}

/// A limit: what it allows, why, and what lifts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Its kind.
    pub kind: LimitKind,
    /// What `allows` counts.
    pub measure: Measure,
    /// How many connections it allows. `None` if it does not bind, or, with `unread`, if that is unknown.
    pub allows: Option<u64>,
    /// Why it is unknown what it allows.
    pub unread: Option<String>,
    /// Whether more connections are sure to fail. Otherwise that depends on what is unknown: privileges, traffic.
    pub sure: bool,
    /// Its value, in words.
    pub value: String,
    /// The files and sysctls that the numbers come from.
    pub source: String,
    /// Ways to lift it, the most useful first.
    pub lifts: Vec<Lift>,
}

/// A way to lift a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// What to do.
    pub what: String,
    /// The command for it, if there is one.
    pub command: Option<String>,
    /// What the limit allows then, if that is known.
    pub allows: Option<u64>,
}

impl Lift {
    pub(super) fn by(what: impl Into<String>) -> Lift {
        Lift {
            what: what.into(),
            command: None,
            allows: None,
        }
    }

    pub(super) fn command(mut self, command: impl Into<String>) -> Lift {
        self.command = Some(command.into());
        self
    }

    pub(super) fn allowing(mut self, n: u64) -> Lift {
        self.allows = Some(n);
        self
    }
}

impl Limit {
    /// A limit on the connections held. More are sure to fail.
    pub(super) fn held(
        kind: LimitKind,
        allows: u64,
        value: String,
        source: impl Into<String>,
    ) -> Limit {
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

    /// A limit that does not bind.
    pub(super) fn free(
        kind: LimitKind,
        value: impl Into<String>,
        source: impl Into<String>,
    ) -> Limit {
        Limit {
            allows: None,
            sure: false,
            ..Limit::held(kind, 0, value.into(), source)
        }
    }

    /// A limit that is unknown, because `what` was not read.
    pub(super) fn unread(kind: LimitKind, host: &Host, what: &str) -> Limit {
        let why = host.why_unread(what);
        Limit {
            unread: Some(why),
            ..Limit::free(kind, "not known", what)
        }
    }

    pub(super) fn unsure(mut self) -> Limit {
        self.sure = false;
        self
    }

    pub(super) fn lifted(mut self, lifts: impl IntoIterator<Item = Lift>) -> Limit {
        self.lifts.extend(lifts);
        self
    }

    /// Whether it allows less than `asked`.
    pub fn is_short_of(&self, asked: u64) -> bool {
        self.measure == Measure::Held && self.allows.is_some_and(|n| n < asked)
    }

    /// The first two ways to lift it, in one line. [`Limit::lifts`] has them all.
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

/// `1 target`, `2 targets`; `1 address`, `2 addresses`.
pub(super) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}
