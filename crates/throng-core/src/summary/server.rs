//! What the target's server used, where it is on the machine of the run.

use crate::record::ServerUsed;
use serde::{Deserialize, Serialize};

/// What the target's server used: all its processes together. Values that could not be read are `None`, and `unread` says
/// why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// The names of the processes that accept connections.
    pub names: Vec<String>,
    /// The most processes at once.
    pub processes: Option<u64>,
    /// Resident memory before the first connection: a sum over processes, in which shared pages count several times.
    pub rss_bytes_before: Option<u64>,
    /// The most at an instant.
    pub rss_bytes_peak: Option<u64>,
    /// The difference of both per connection of this run; `None` below 1000 connections, where it says nothing.
    pub rss_bytes_per_connection: Option<f64>,
    /// Proportional memory before the first connection: a sum over processes, in which shared pages count once.
    pub pss_bytes_before: Option<u64>,
    /// The greater one of those at the end of opening and at the end of the hold.
    pub pss_bytes_peak: Option<u64>,
    /// The difference of both per connection of this run.
    pub pss_bytes_per_connection: Option<f64>,
    /// CPU time in user mode during the run, seconds.
    pub cpu_user_s: Option<f64>,
    /// CPU time in the kernel during the run, seconds.
    pub cpu_system_s: Option<f64>,
    /// Open files of the process that came nearest to its limit.
    pub files_open: Option<u64>,
    /// Its limit; `None` also if it has none.
    pub file_limit: Option<u64>,
    /// Processes that accept connections, or supervise those that do, and that ended during the run.
    pub ended: u64,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

impl Server {
    /// From what was recorded. Memory is divided by `connections`, if those are enough to divide by.
    pub(super) fn of(used: &ServerUsed, connections: Option<u64>) -> Server {
        let (before, peak) = (used.before.as_ref(), used.peak.as_ref());
        let each = |before: Option<u64>, peak: Option<u64>| {
            let grown = peak?.saturating_sub(before?);
            Some(grown as f64 / connections? as f64)
        };
        let rss = (before.map(|m| m.rss_bytes), peak.map(|m| m.rss_bytes));
        let pss = (
            before.and_then(|m| m.pss_bytes),
            peak.and_then(|m| m.pss_bytes),
        );
        Server {
            names: used.names.clone(),
            processes: peak.map(|m| m.processes),
            rss_bytes_before: rss.0,
            rss_bytes_peak: rss.1,
            rss_bytes_per_connection: each(rss.0, rss.1),
            pss_bytes_before: pss.0,
            pss_bytes_peak: pss.1,
            pss_bytes_per_connection: each(pss.0, pss.1),
            cpu_user_s: before.map(|_| used.cpu_user.as_secs_f64()),
            cpu_system_s: before.map(|_| used.cpu_system.as_secs_f64()),
            files_open: used.files.map(|f| f.open),
            file_limit: used.files.map(|f| f.limit).filter(|n| *n < u64::MAX),
            ended: used.ended.len() as u64,
            unread: used.unread.clone(),
        }
    }
}
