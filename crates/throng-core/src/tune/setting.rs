//! What to tune for, what was found, and the settings: the data of tuning.

use super::ports::PortSet;
use crate::capacity::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A setting with a cost, which is only changed on request (`--with`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// Switch SYN cookies off.
    SyncookiesOff,
    /// Exempt the ports from connection tracking.
    Notrack,
    /// Shorten `tcp_fin_timeout`.
    FinTimeout,
}

impl Extra {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Extra::SyncookiesOff => "syncookies-off",
            Extra::Notrack => "notrack",
            Extra::FinTimeout => "fin-timeout",
        }
    }
}

/// What to tune for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which end is on this machine.
    pub role: Role,
    /// How many connections.
    pub connections: u32,
    /// The ports that the server listens on, here or, for a client, at the target.
    pub ports: Vec<u16>,
    /// Settings on request that were asked for.
    pub with: Vec<Extra>,
}

impl Ask {
    /// Sockets on this machine.
    pub fn ends(&self) -> u64 {
        u64::from(self.connections) * if self.role == Role::Both { 2 } else { 1 }
    }
}

/// A value, as found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Current {
    /// The value.
    Value(String),
    /// It does not exist here, for this reason.
    Absent(String),
    /// It can't be read, for this reason.
    Unread(String),
}

/// Everything that [`settings`](super::settings) needs to know about the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// The values of [`SYSCTLS`](super::SYSCTLS), by name.
    pub sysctls: BTreeMap<String, Current>,
    /// RLIMIT_NOFILE, soft and hard; `u64::MAX` is unlimited.
    pub files: Option<(u64, u64)>,
    /// Whether these are the limits of a chosen process, whose soft limit must suffice. Otherwise a program is assumed
    /// to raise its own soft limit.
    pub of_another: bool,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of a page.
    pub page: u64,
    /// Ports that a TCP socket listens on, or that a UDP socket has bound.
    pub listened: PortSet,
    /// Ports that throng has exempted from connection tracking.
    pub untracked: Current,
}

impl Now {
    /// An unknown machine, such as a container that does not exist yet.
    pub fn unknown() -> Now {
        Now {
            sysctls: BTreeMap::new(),
            files: None,
            of_another: false,
            memory: None,
            page: 4096,
            listened: PortSet::default(),
            untracked: Current::Unread("not known".into()),
        }
    }

    /// A sysctl's value.
    pub fn sysctl(&self, name: &str) -> Current {
        let unknown = || Current::Unread("not read".into());
        self.sysctls.get(name).cloned().unwrap_or_else(unknown)
    }
}

/// The kind of a setting, which decides how it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file below `/proc/sys`.
    Sysctl,
    /// RLIMIT_NOFILE of a process.
    FileLimit,
    /// Rules of the packet filter.
    Firewall,
}

/// The scope of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The process and those that it starts.
    Process,
    /// This network namespace (a container has its own).
    Namespace,
    /// The whole machine.
    Machine,
}

/// How the present and the wanted value compare, and so what raising means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Each number at least as large as wanted.
    AtLeast,
    /// One number, at most as large as wanted.
    AtMost,
    /// A range of ports that contains the wanted one.
    Around,
    /// A set of ports that contains the wanted ones.
    Including,
    /// Exactly this value.
    Exactly,
}

/// The status of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It suffices.
    Enough,
    /// It is insufficient.
    Short,
    /// It is changed only if asked for by name.
    OnRequest,
    /// It does not exist here.
    Absent,
    /// It can't be read.
    Unread,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The sysctl's name, `RLIMIT_NOFILE` or `NOTRACK`.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its scope.
    pub scope: Scope,
    /// How values compare.
    pub rule: Rule,
    /// The value now.
    pub now: Current,
    /// The wanted value, as it would be written. Never less than the present one.
    pub wanted: String,
    /// Its status.
    pub status: Status,
    /// Why it is wanted.
    pub why: String,
    /// The risk of changing it; empty if none is known.
    pub risk: String,
    /// The name to ask for it, if it is only changed on request.
    pub with: Option<Extra>,
}

/// The name of the row for RLIMIT_NOFILE.
pub const FILE_LIMIT: &str = "RLIMIT_NOFILE";
/// The name of the row for rules that exempt ports from connection tracking.
pub const NOTRACK: &str = "NOTRACK";

impl fmt::Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Current::Value(text) => f.write_str(&words(text)),
            Current::Absent(why) | Current::Unread(why) => write!(f, "({why})"),
        }
    }
}

/// A value with one blank between its words: the kernel prints tabs and a newline, people write blanks. Texts that
/// agree in this form are the same value.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The numbers of a value such as `4096`, or the three of `tcp_mem`.
pub(super) fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|w| w.parse().ok()).collect()
}
