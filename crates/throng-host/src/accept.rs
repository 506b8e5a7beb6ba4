//! The sysctls that bound a server's accept path.

use throng_core::host::Accept;

use crate::reader::{Reader, number};

/// Reads the sysctls of this network namespace.
pub(crate) fn read(reader: &mut Reader) -> Accept {
    Accept {
        somaxconn: reader.number("/proc/sys/net/core/somaxconn"),
        syn_backlog: reader.number("/proc/sys/net/ipv4/tcp_max_syn_backlog"),
        syncookies: reader.number("/proc/sys/net/ipv4/tcp_syncookies"),
        abort_on_overflow: reader
            .number::<u8>("/proc/sys/net/ipv4/tcp_abort_on_overflow")
            .map(|set| set != 0),
        netdev_backlog: reader.machine_wide("/proc/sys/net/core/netdev_max_backlog", number),
    }
}
