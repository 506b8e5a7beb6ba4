//! The kernel's counters during a run, for events that keep connections from being established.

use std::net::SocketAddr;
use throng_core::diagnosis::{KernelCounts, Tracked};
use throng_core::host::{Conntrack, Host};
use throng_host::conntrack::{self, ConntrackDrops};
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
            window_probes: added.window_probes,
            timeouts: added.timeouts,
            retransmits: added.retrans_segs,
            memory_pressures: added.memory_pressures,
            aborts_on_memory: added.abort_on_memory,
            receive_drops: added.backlog_drops + added.receive_queue_drops,
            received_segments: added.in_segs,
            fastopen_accepted: added.fastopen_active,
            fastopen_ignored: added.fastopen_active_fail,
        }
    }

    /// Connection tracking `now`, of connections to `targets`, unless they were found to be untracked `before`.
    pub fn tracked(
        &self,
        before: &Host,
        now: &Conntrack,
        targets: &[SocketAddr],
    ) -> Option<Tracked> {
        let active = before.conntrack.as_ref()?.active;
        if active == Some(false) {
            return None;
        }
        let drops = ConntrackDrops::read().ok().zip(self.drops);
        let during = drops.map(|(now, before)| now.since(&before));
        let clashed = during.map_or(0, |d| d.insert_failed);
        Some(Tracked {
            active,
            count: now.count,
            max: now.max,
            // A packet whose entry clashed is counted as dropped, too.
            dropped: during.map(|d| d.drop.saturating_sub(d.insert_failed)),
            clashed,
            translated: clashed > 0 && conntrack::translates(targets),
            logged: self.log.conntrack_full(),
        })
    }
}
