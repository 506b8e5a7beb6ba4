//! What the target's server used, where it is on the machine of the run.

use super::nanos;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the processes of the target's server used: those that accept its connections, those that supervise them, and all
/// that these started. Sums over processes are sums at an instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerUsed {
    /// The names of the processes that accept connections, without duplicates; empty if they could not be seen.
    pub names: Vec<String>,
    /// Before the first connection; `None` if they could not be seen.
    pub before: Option<ServerMemory>,
    /// At the peak: the most of each value at any instant.
    pub peak: Option<ServerMemory>,
    /// CPU time in user mode during the run. Processes that ended and that no other one took note of are missing.
    #[serde(rename = "cpu_user_ns", with = "nanos")]
    pub cpu_user: Duration,
    /// The same in the kernel.
    #[serde(rename = "cpu_system_ns", with = "nanos")]
    pub cpu_system: Duration,
    /// Open files of the process that came nearest to its limit, when it did.
    pub files: Option<ServerFiles>,
    /// Processes that accept connections or supervise those that do: how many there were at first.
    pub accepting: u64,
    /// Those of them that ended during the run.
    pub ended: Vec<ServerEnded>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// The processes of a server at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMemory {
    /// How many there are.
    pub processes: u64,
    /// The sum of their resident memory. Pages that several of them share count several times.
    pub rss_bytes: u64,
    /// The sum of their proportional memory: what they take together. `None` if it could not be read.
    pub pss_bytes: Option<u64>,
}

/// The open files of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFiles {
    /// How many.
    pub open: u64,
    /// Its soft limit; `u64::MAX` if there is none.
    pub limit: u64,
}

impl ServerFiles {
    /// Whether it is nearer to its limit than `other`.
    pub fn is_fuller(&self, other: &ServerFiles) -> bool {
        u128::from(self.open) * u128::from(other.limit)
            > u128::from(other.open) * u128::from(self.limit)
    }
}

/// A process of a server that ended during the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerEnded {
    /// Its process id.
    pub pid: u32,
    /// When that was noticed, since the run began. It may have been a second before.
    #[serde(rename = "at_ns", with = "nanos")]
    pub at: Duration,
}
