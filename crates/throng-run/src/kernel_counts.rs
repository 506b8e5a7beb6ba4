//! The kernel's counters during a run, for events that keep connections from being established.

use throng_core::diagnosis::{KernelCounts, Tracked};
use throng_core::host::{Conntrack, Host};
use throng_host::conntrack::ConntrackDrops;
use throng_host::kernel_log::KernelLog;
use throng_host::netstat::NetStat;

/// The counters at the start of the run.
pub(crate) struct KernelCounter {
    netstat: Option<NetStat>,
    drops: Option<ConntrackDrops>,
    log: KernelLog,
}

impl KernelCounter {
    /// Reads the counters at the start of the run.
    pub fn begin() -> KernelCounter {
        KernelCounter {
            netstat: NetStat::read().ok(),
            drops: ConntrackDrops::read().ok(),
            log: KernelLog::from_now(),
        }
    }

    /// The increase since then.
    pub fn kernel(&self) -> KernelCounts {
        let Some((now, before)) = NetStat::read().ok().zip(self.netstat) else {
            return KernelCounts::default();
        };
        let added = now.since(&before);
        KernelCounts {
            listen_overflows: added.listen_overflows,
            syn_queue_drops: added.req_q_full_drop,
            syncookies: added.syncookies_sent,
            timeouts: added.timeouts,
            retransmits: added.retrans_segs,
            memory_pressures: added.memory_pressures,
            aborts_on_memory: added.abort_on_memory,
        }
    }

    /// Connection tracking `now`, unless it was found to be inactive `before`.
    pub fn tracked(&self, before: &Host, now: &Conntrack) -> Option<Tracked> {
        before
            .conntrack
            .as_ref()
            .filter(|c| c.active != Some(false))?;
        let drops = ConntrackDrops::read().ok().zip(self.drops);
        Some(Tracked {
            count: now.count,
            max: now.max,
            dropped: drops.map_or(0, |(now, before)| now.since(&before).drop),
            logged: self.log.says("nf_conntrack: table full"),
        })
    }
}
