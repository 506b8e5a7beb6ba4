//! The sysctls that bound a server's accept path.

use throng_core::host::Accept;

use crate::reading::{Reading, number};

/// Reads them, of this network namespace.
pub(crate) fn read(reading: &mut Reading) -> Accept {
    Accept {
        somaxconn: reading.number("/proc/sys/net/core/somaxconn"),
        syn_backlog: reading.number("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
        syncookies: reading.number("/proc/sys/net/ipv4/tcp_syncookies"),
        abort_on_overflow: reading
            .number::<u8>("/proc/sys/net/ipv4/tcp_abort_on_overflow")
            .map(|set| set != 0),
        netdev_backlog: reading.machine_wide("/proc/sys/net/core/netdev_max_backlog", number),
    }
}
