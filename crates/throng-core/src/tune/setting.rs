//! What to tune for, what was found, and a setting: the data that everything else here works on.

use super::ports::PortSet;
use crate::capacity::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A setting that takes something away, and so is only changed on request (`--with`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// Switch SYN cookies off.
    SyncookiesOff,
    /// Take the ports out of connection tracking.
    Notrack,
    /// Shorten `tcp_fin_timeout`.
    FinTimeout,
}

impl Extra {
    /// As on the command line.
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
    /// Which end is here.
    pub role: Role,
    /// How many connections.
    pub connections: u32,
    /// The ports that the server listens on, here or, for a client, at the target.
    pub ports: Vec<u16>,
    /// Settings that are only changed on request, and were asked for.
    pub with: Vec<Extra>,
}

impl Ask {
    /// Sockets on this machine.
    pub fn ends(&self) -> u64 {
        u64::from(self.connections) * if self.role == Role::Both { 2 } else { 1 }
    }
}

/// A value as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Current {
    /// It says this.
    Value(String),
    /// There is none here, and why.
    Absent(String),
    /// There is one, but it can't be read, and why.
    Unread(String),
}

/// Everything that [`settings`] wants to know of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// The values of [`SYSCTLS`], by name.
    pub sysctls: BTreeMap<String, Current>,
    /// RLIMIT_NOFILE, soft and hard; `u64::MAX` is unlimited.
    pub files: Option<(u64, u64)>,
    /// Whether they are another process's, which was chosen: then its soft limit must do. Else a
    /// program is taken to raise its own soft limit.
    pub of_another: bool,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of a page.
    pub page: u64,
    /// Ports that a TCP socket listens on, or that a UDP socket has bound.
    pub listened: PortSet,
    /// Ports that throng has taken out of connection tracking.
    pub untracked: Current,
}

impl Now {
    /// Of a machine of which nothing is known: a container that is not there yet.
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

/// What kind of thing a setting is: it decides how it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file below `/proc/sys`.
    Sysctl,
    /// RLIMIT_NOFILE, which each process has for itself.
    FileLimit,
    /// Rules of the packet filter.
    Firewall,
}

/// For whom it holds.
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

/// How a value now and a value wanted compare, and so what "raise" means.
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
    /// Just this value.
    Exactly,
}

/// How a setting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As wanted, or better.
    Enough,
    /// To be changed.
    Short,
    /// Could be changed, if asked for by name.
    OnRequest,
    /// Not there: nothing to change from here.
    Absent,
    /// It can't be read, so nobody knows.
    Unread,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The sysctl's name, `RLIMIT_NOFILE` or `NOTRACK`.
    pub name: String,
    /// What kind of thing it is.
    pub kind: Kind,
    /// For whom it holds.
    pub scope: Scope,
    /// How values compare.
    pub rule: Rule,
    /// The value now.
    pub now: Current,
    /// The value wanted, as it would be written. Never less than the one now.
    pub wanted: String,
    /// How it stands.
    pub status: Status,
    /// Why it is wanted.
    pub why: String,
    /// What may go wrong with it; empty if nothing is known to.
    pub risk: String,
    /// The name to ask for it by, if it is only changed on request.
    pub with: Option<Extra>,
}

/// The name of the row for RLIMIT_NOFILE.
pub const FILE_LIMIT: &str = "RLIMIT_NOFILE";
/// The name of the row for rules that take ports out of connection tracking.
pub const NOTRACK: &str = "NOTRACK";

impl fmt::Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Current::Value(text) => f.write_str(&words(text)),
            Current::Absent(why) | Current::Unread(why) => write!(f, "({why})"),
        }
    }
}

/// A value with one blank between its words: the kernel prints tabs and a newline, people write blanks.
/// Two texts that agree in this are the same value.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The numbers of a value such as `4096`, or the three of `tcp_mem`.
pub(super) fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|w| w.parse().ok()).collect()
}
