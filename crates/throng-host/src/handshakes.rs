//! What this host asks for in TCP's handshakes, and what it counted of them.

use crate::limits::FileLimits;
use crate::netstat::NetStat;
use crate::proc_text;
use throng_core::probe::HostFacts;

/// Reads the settings and counters of this network namespace. What can't be read is 0.
#[must_use]
pub fn read() -> HostFacts {
    let sysctl = |name: &str| {
        let path = format!("/proc/sys/net/ipv4/{name}");
        proc_text::read_number::<u64>(path).unwrap_or(0)
    };
    let counted = NetStat::read().unwrap_or_default();
    HostFacts {
        ecn: sysctl("tcp_ecn"),
        syncookies: sysctl("tcp_syncookies"),
        mtu_probing: sysctl("tcp_mtu_probing"),
        syncookies_sent: counted.syncookies_sent,
        syncookies_received: counted.syncookies_received,
        listen_drops: counted.listen_drops,
        files: FileLimits::read().map_or(0, |limits| limits.soft),
        timestamps: sysctl("tcp_timestamps") != 0,
        sack: sysctl("tcp_sack") != 0,
        window_scaling: sysctl("tcp_window_scaling") != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_asks_for_what_every_kernel_has() {
        let facts = read();
        assert!(facts.window_scaling && facts.files > 0, "{facts:?}");
    }
}
