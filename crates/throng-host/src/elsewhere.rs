//! What the kernel counts in another network namespace of this machine: where a server is, or something on the way to it.

use crate::conntrack::{self, ConntrackDrops};
use crate::netstat::NetStat;
use std::net::SocketAddr;
use throng_core::diagnosis::{ConntrackTable, Elsewhere};

/// The network namespace of a process, and what was counted there before a run.
#[derive(Clone, Debug)]
pub struct Namespace {
    place: String,
    pid: u32,
    drops: Option<ConntrackDrops>,
    netstat: Option<NetStat>,
}

impl Namespace {
    /// Reads the counters of the namespace of process `pid`, before a run. People know it as `place`. What can't be read is
    /// missing from what is [seen](Namespace::seen) later.
    #[must_use]
    pub fn of(place: impl Into<String>, pid: u32) -> Namespace {
        Namespace {
            place: place.into(),
            pid,
            drops: ConntrackDrops::of_process(pid).ok(),
            netstat: NetStat::of_process(pid).ok(),
        }
    }

    /// This process' own namespace, if that is another one: where its machine keeps this one behind a bridge or NAT, as of a container,
    /// what comes from other machines passes through it.
    #[must_use]
    pub fn around(&self) -> Option<Namespace> {
        let is = |whose: &str| std::fs::read_link(format!("/proc/{whose}/ns/net"));
        let (here, there) = (is("self").ok()?, is(&self.pid.to_string()).ok()?);
        let place = format!("the host of {}", self.place);
        (here != there).then(|| Namespace::of(place, std::process::id()))
    }

    /// What was counted there since; `None` if nothing in it may have kept connections to `targets` from being established.
    #[must_use]
    pub fn seen(&self, targets: &[SocketAddr]) -> Option<Elsewhere> {
        let netstat = NetStat::of_process(self.pid).ok().zip(self.netstat);
        let mut seen = Elsewhere {
            place: self.place.clone(),
            conntrack: self.table(),
            listen_overflows: netstat
                .map_or(0, |(now, before)| now.since(&before).listen_overflows),
        };
        if let Some(table) = &mut seen.conntrack
            && table.overflowed()
        {
            table.has_target = conntrack::has_target(self.pid, targets);
        }
        seen.says_something().then_some(seen)
    }

    fn table(&self) -> Option<ConntrackTable> {
        let (now, before) = ConntrackDrops::of_process(self.pid).ok().zip(self.drops)?;
        let during = now.since(&before);
        Some(ConntrackTable {
            count: conntrack::entries(self.pid).ok()?,
            max: conntrack::max().ok()?,
            // A packet whose entry clashed is counted as dropped, too.
            dropped: during.drop.saturating_sub(during.insert_failed),
            has_target: false,
        })
    }
}
