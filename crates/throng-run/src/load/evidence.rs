//! Gathers the evidence of a run that stopped short, while its connections are still open.

use crate::kernel_counts::KernelCounter;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use throng_core::capacity::{self, LimitKind};
use throng_core::diagnosis::{
    self, Diagnosis, Elsewhere, Evidence, KernelCounts, Queue, Stopped, Target, Unaccepted,
};
use throng_core::host::{Host, Process};
use throng_core::plan::LoadPlan;
use throng_core::scenario::LoadScenario;
use throng_core::stats::Tally;
use throng_core::unix_socket::{Endpoint, UnixAddress};
use throng_host::elsewhere::Namespace;
use throng_host::listen::accept_queue;
use throng_host::survey::{Wanted, source_for, survey};
use throng_host::{serving, unix_queues};

/// The most targets whose servers are looked at.
const MOST_TARGETS: usize = 64;
/// A process that is stopped in so many looks, this far apart, is not just traced by a debugger.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What was read and counted before the first connection.
pub(crate) struct Before<'a> {
    host: &'a Host,
    counted: KernelCounter,
    /// The targets, without those that are not looked at, and without duplicates.
    targets: Vec<SocketAddr>,
    /// The Unix sockets that connections go to instead.
    unix: Vec<UnixAddress>,
    /// The source addresses of the connections to each.
    sources: Vec<Vec<IpAddr>>,
    /// Packets that each listener on this machine had dropped, by the inode of its socket.
    drops: HashMap<u64, u64>,
    /// The targets that others had connected to themselves.
    to_themselves: Vec<SocketAddr>,
    /// Other network namespaces that may say why attempts time out.
    elsewhere: Vec<Namespace>,
}

impl<'a> Before<'a> {
    /// Reads the kernel's counters. `host` was read for the plan, and counters `elsewhere` by whoever attached them.
    pub fn read(
        host: &'a Host,
        scenario: &LoadScenario,
        plan: &LoadPlan,
        elsewhere: Vec<Namespace>,
    ) -> Before<'a> {
        let mut targets: Vec<SocketAddr> = Vec::new();
        let mut sources = Vec::new();
        if scenario.own_server.is_none() {
            for (target, bound) in plan.routes.targets().zip(plan.routes.sources_by_target()) {
                if targets.len() == MOST_TARGETS {
                    break;
                }
                if !targets.contains(&target) {
                    targets.push(target);
                    sources.push(match bound {
                        [] => source_for(target).into_iter().collect(),
                        bound => bound.to_vec(),
                    });
                }
            }
        }
        Before {
            host,
            counted: KernelCounter::begin(),
            drops: serving::drops(&targets).unwrap_or_default(),
            to_themselves: serving::to_themselves(&targets).unwrap_or_default(),
            elsewhere,
            targets,
            unix: plan.routes.unix().to_vec(),
            sources,
        }
    }

    /// The increase of the kernel's counters since then.
    pub fn kernel(&self) -> KernelCounts {
        self.counted.kernel()
    }

    /// What other network namespaces have counted since then that may explain attempts that timed out.
    pub fn elsewhere(&self) -> Vec<Elsewhere> {
        let seen = self.elsewhere.iter().map(|there| there.seen(&self.targets));
        seen.flatten().collect()
    }

    /// The evidence so far. `clients` are the counts now, `plateau` is the most connections at once, `closed_aged` how old
    /// nine of ten were at most that a peer ended.
    pub fn evidence(
        &self,
        scenario: &LoadScenario,
        plan: &LoadPlan,
        clients: &Tally,
        plateau: u64,
        closed_aged: Option<Duration>,
        memory_left: Option<(u64, LimitKind)>,
    ) -> Evidence {
        let allows = |kind| plan.limits.iter().find(|l| l.kind == kind)?.allows;
        let mut sources = self.sources.concat();
        sources.sort_unstable();
        sources.dedup();
        let now = survey(&Wanted {
            targets: self.targets.clone(),
            sources,
            ..Wanted::default()
        });
        Evidence {
            clients: *clients,
            plateau,
            closed_aged,
            without_growth: None,
            closes_beyond: None,
            targets: self.targets(&now),
            unix: self.unix.clone(),
            holds_back: !scenario.force,
            ports: now.ports.usable().into(),
            four_tuples: allows(LimitKind::FourTuples),
            file_limit: self.host.files.hard,
            memory_left,
            conntrack: now
                .conntrack
                .as_ref()
                .and_then(|c| self.counted.tracked(self.host, c, &self.targets)),
            kernel: self.counted.kernel(),
            sources_gone: self.gone(now.foreign_sources),
        }
    }

    /// The source addresses among `foreign` that were this machine's before.
    fn gone(&self, mut foreign: Vec<IpAddr>) -> Vec<IpAddr> {
        foreign.retain(|ip| !self.host.foreign_sources.contains(ip));
        foreign
    }

    /// The targets as they are `now`.
    fn targets(&self, now: &Host) -> Vec<Target> {
        let seen = serving::see(&self.targets, Some(std::process::id()));
        let mut all =
            seen.unwrap_or_else(|_| self.targets.iter().copied().map(Target::at).collect());
        for (target, sources) in all.iter_mut().zip(&self.sources) {
            target.tuples = u64::from(now.ports.usable()) * sources.len().max(1) as u64;
            let used = now.targets.iter().find(|t| t.target == target.address);
            target.tuples_in_use = used.map_or(0, |used| used.in_use + used.time_wait);
            target.ended = self.ended(target.address);
            for listener in &mut target.listeners {
                let before = self.drops.get(&listener.inode).copied().unwrap_or(0);
                listener.dropped = listener.dropped.saturating_sub(before);
            }
        }
        all
    }

    /// The processes that accepted connections to `target` before the run, if all of them have ended.
    fn ended(&self, target: SocketAddr) -> Vec<Process> {
        let before = capacity::servers(self.host, target);
        match before.iter().any(|p| serving::runs(p)) {
            true => Vec::new(),
            false => before.into_iter().cloned().collect(),
        }
    }

    /// The servers that ended since then.
    pub fn servers_that_ended(&self) -> Vec<Diagnosis> {
        let targets = self.targets.iter().map(|address| Target {
            ended: self.ended(*address),
            ..Target::at(*address)
        });
        let targets: Vec<Target> = targets.collect();
        diagnosis::servers_that_ended(&targets).collect()
    }

    /// The processes of servers on this machine that are stopped: the same ones in several looks, as a debugger that
    /// traces a process stops it for moments.
    pub fn stopped(&self) -> Stopped {
        let targets = self.targets.iter().copied();
        let mut all: Vec<&Process> = targets
            .flat_map(|target| capacity::servers(self.host, target))
            .collect();
        all.sort_unstable_by_key(|process| process.pid);
        all.dedup_by_key(|process| process.pid);
        let of = all.len() as u64;
        for look in 0..LOOKS {
            all.retain(|process| serving::is_stopped(process));
            if all.is_empty() {
                return Stopped::default();
            }
            if look + 1 < LOOKS {
                std::thread::sleep(BETWEEN_LOOKS);
            }
        }
        let mut names: Vec<String> = all.iter().map(|process| process.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        Stopped {
            names,
            pids: all.iter().map(|process| process.pid).collect(),
            of,
            ..Stopped::default()
        }
    }

    /// The servers on this machine that have no file left, where `clients` are the counts now.
    pub fn servers_without_files(&self, clients: &Tally) -> Vec<Diagnosis> {
        let targets = serving::see(&self.targets, Some(std::process::id()));
        diagnosis::servers_without_files(&Evidence {
            clients: *clients,
            plateau: clients.open(),
            targets: targets.unwrap_or_default(),
            ..Evidence::default()
        })
    }

    /// Connections to targets on this machine that are open at their client's end alone; all other ends are known to be
    /// `here`, or not.
    pub fn half_open(&self, here: bool) -> serving::HalfOpen {
        serving::half_open(&self.targets, here).unwrap_or_default()
    }

    /// Connections to targets that deliver nothing, of whichever program.
    pub fn stuck(&self) -> serving::Stuck {
        serving::stuck(&self.targets).unwrap_or_default()
    }

    /// The near ends of those in `stuck` whose handshake their server's kernel, on this machine, has not completed.
    pub fn unfinished(&self, stuck: &serving::Stuck) -> HashSet<SocketAddr> {
        let near = |end: &SocketAddr| stuck.waiting.contains_key(end);
        serving::unfinished(&self.targets, near).unwrap_or_default()
    }

    /// What was sent to the targets and not read yet, by whichever program.
    pub fn unread(&self) -> Option<serving::Unread> {
        serving::unread(&self.targets).ok()
    }

    /// The targets that connections of this run have connected to themselves, since nothing listens there.
    pub fn to_themselves(&self) -> Vec<SocketAddr> {
        let mut all = serving::to_themselves(&self.targets).unwrap_or_default();
        all.retain(|target| !self.to_themselves.contains(target));
        all
    }

    /// Whether the accept queues of all targets can be seen: they are on this machine.
    pub fn sees_queues(&self) -> bool {
        let here = |target: &SocketAddr| matches!(accept_queue(*target), Ok(Some(_)));
        !self.unix.is_empty() || !self.targets.is_empty() && self.targets.iter().all(here)
    }

    /// How many of our `open` connections wait to be accepted, as far as that is certain.
    pub fn queued(&self, open: u64) -> u64 {
        let waiting = self.unaccepted(open);
        waiting.iter().map(|w| u64::from(w.queue.waiting)).sum()
    }

    /// Those of our `open` connections to targets on this machine that wait to be accepted, as far as that is certain.
    pub fn unaccepted(&self, open: u64) -> Vec<Unaccepted> {
        let waiting = serving::unaccepted(&self.targets, open).unwrap_or_default();
        let server = |target: &Endpoint| match target {
            Endpoint::Unix(_) => None,
            Endpoint::Address(target) => {
                let before = capacity::servers(self.host, *target);
                before.first().map(|p| (p.name.clone(), p.pid))
            }
        };
        let of = |queue: Queue| Unaccepted {
            server: server(&queue.target),
            queue,
        };
        let mut waiting = waiting;
        for queue in unix_queues::waiting(&self.unix).unwrap_or_default() {
            // Others may wait there, too.
            let waits = u64::from(queue.waiting).min(open) as u32;
            waiting.push(Queue {
                waiting: waits,
                ..queue
            });
        }
        waiting.into_iter().map(of).collect()
    }
}
