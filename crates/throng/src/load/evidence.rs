//! What is known of a run that got no further, gathered while its connections are still up.

use crate::admission;
use std::net::SocketAddr;
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::{Evidence, KernelCounts};
use throng_core::host::Host;
use throng_core::plan::LoadPlan;
use throng_core::stats::Tally;
use throng_host::netstat::NetStat;

/// What was counted before the first connection.
pub(super) struct Before {
    netstat: Option<NetStat>,
}

impl Before {
    /// Takes note of it.
    pub fn read() -> Before {
        Before {
            netstat: NetStat::read().ok(),
        }
    }

    /// What happened since, to a load of `targets` that has got to `clients`, `plateau` at once.
    pub fn evidence(
        &self,
        host: &Host,
        plan: &LoadPlan,
        targets: &[SocketAddr],
        clients: &Tally,
        plateau: u64,
        memory_left: Option<u64>,
    ) -> Evidence {
        let allows = |kind| plan.limits.iter().find(|l| l.kind == kind)?.allows;
        Evidence {
            clients: *clients,
            plateau,
            targets: targets.to_vec(),
            ports: host.ports.usable().into(),
            four_tuples: allows(LimitKind::FourTuples),
            file_limit: host.files.hard,
            queue: admission::fullest_queue(targets),
            servers: Vec::new(),
            memory_left,
            conntrack: None,
            kernel: self.kernel_counts(),
        }
    }

    fn kernel_counts(&self) -> KernelCounts {
        let Some((now, before)) = NetStat::read().ok().zip(self.netstat) else {
            return KernelCounts::default();
        };
        let added = now.since(&before);
        KernelCounts {
            listen_overflows: added.listen_overflows,
            syn_queue_drops: added.req_q_full_drop,
            syncookies: added.syncookies_sent,
            memory_pressures: added.memory_pressures,
            aborts_on_memory: added.abort_on_memory,
        }
    }
}
