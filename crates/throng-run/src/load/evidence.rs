//! Gathers the evidence of a run that stopped short, while its connections are still open.

use crate::admission;
use crate::kernel_counts::KernelCounter;
use std::time::Duration;
use throng_core::capacity::{self, LimitKind};
use throng_core::diagnosis::{Evidence, KernelCounts};
use throng_core::host::{Host, Process};
use throng_core::plan::LoadPlan;
use throng_core::scenario::LoadScenario;
use throng_core::stats::Tally;
use throng_host::survey::{Processes, Wanted, survey};

/// What was read and counted before the first connection.
pub(crate) struct Before<'a> {
    host: &'a Host,
    counted: KernelCounter,
}

impl<'a> Before<'a> {
    /// Reads the kernel's counters. `host` was read for the plan.
    pub fn read(host: &'a Host) -> Before<'a> {
        Before {
            host,
            counted: KernelCounter::begin(),
        }
    }

    /// The increase of the kernel's counters since then.
    pub fn kernel(&self) -> KernelCounts {
        self.counted.kernel()
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
        let now = survey(&Wanted {
            targets: scenario.addresses(),
            processes: Processes::OfTargets,
            skip_self: true,
            ..Wanted::default()
        });
        let mut servers: Vec<Process> = scenario
            .addresses()
            .into_iter()
            .flat_map(|target| capacity::servers(&now, target))
            .cloned()
            .collect();
        servers.sort_by_key(|p| p.pid);
        servers.dedup_by_key(|p| p.pid);
        Evidence {
            clients: *clients,
            plateau,
            closed_aged,
            targets: scenario.addresses(),
            ports: self.host.ports.usable().into(),
            four_tuples: allows(LimitKind::FourTuples),
            file_limit: self.host.files.hard,
            queue: admission::fullest_queue(&scenario.addresses()),
            servers,
            memory_left,
            conntrack: now
                .conntrack
                .and_then(|now| self.counted.tracked(self.host, &now)),
            kernel: self.counted.kernel(),
        }
    }
}
