//! Limits of TCP, and how much of them is in use.

use throng_core::host::Tcp;

use crate::reader::{Reader, number, numbers};
use crate::sockets::SockStat;

/// Reads the limits of this network namespace, and those of the whole machine.
pub(crate) fn read(reader: &mut Reader) -> Tcp {
    let sockets = reader.kept("/proc/self/net/sockstat", SockStat::read());
    Tcp {
        mem_pages: reader.machine_wide("/proc/sys/net/ipv4/tcp_mem", numbers),
        mem_used_pages: sockets.map(|s| s.tcp_mem_pages),
        rmem: reader.parsed("/proc/sys/net/ipv4/tcp_rmem", numbers),
        wmem: reader.parsed("/proc/sys/net/ipv4/tcp_wmem", numbers),
        max_orphans: reader.machine_wide("/proc/sys/net/ipv4/tcp_max_orphans", number),
        orphans: sockets.map(|s| s.tcp_orphan),
        max_time_wait: reader.number("/proc/sys/net/ipv4/tcp_max_tw_buckets"),
        time_wait: sockets.map(|s| s.tcp_tw),
        fin_timeout_s: reader.number("/proc/sys/net/ipv4/tcp_fin_timeout"),
        // Negative in a namespace that uses the machine's table (Linux 6.1 and later).
        established_buckets: reader
            .number("/proc/sys/net/ipv4/tcp_ehash_entries")
            .map(i64::unsigned_abs),
        in_use: sockets.map(|s| s.tcp_inuse + s.tcp6_inuse),
    }
}
