//! The names of the sysctls that are set, or that say what others may be set to.

pub(super) const FILE_MAX: &str = "fs.file-max";
pub(super) const NR_OPEN: &str = "fs.nr_open";
pub(super) const SOMAXCONN: &str = "net.core.somaxconn";
pub(super) const NETDEV_BACKLOG: &str = "net.core.netdev_max_backlog";
pub(super) const SYN_BACKLOG: &str = "net.ipv4.tcp_max_syn_backlog";
pub(super) const SYNCOOKIES: &str = "net.ipv4.tcp_syncookies";
pub(super) const TCP_MEM: &str = "net.ipv4.tcp_mem";
pub(super) const TW_BUCKETS: &str = "net.ipv4.tcp_max_tw_buckets";
pub(super) const ORPHANS: &str = "net.ipv4.tcp_max_orphans";
pub(super) const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
pub(super) const RANGE: &str = "net.ipv4.ip_local_port_range";
pub(super) const UNPRIVILEGED: &str = "net.ipv4.ip_unprivileged_port_start";
pub(super) const TW_REUSE: &str = "net.ipv4.tcp_tw_reuse";
pub(super) const FIN_TIMEOUT: &str = "net.ipv4.tcp_fin_timeout";
pub(super) const CONNTRACK_MAX: &str = "net.netfilter.nf_conntrack_max";
pub(super) const CONNTRACK_BUCKETS: &str = "net.netfilter.nf_conntrack_buckets";

/// The sysctls whose values [`settings`](super::settings) wants to know.
pub const SYSCTLS: &[&str] = &[
    FILE_MAX,
    NR_OPEN,
    SOMAXCONN,
    NETDEV_BACKLOG,
    SYN_BACKLOG,
    SYNCOOKIES,
    TCP_MEM,
    TW_BUCKETS,
    ORPHANS,
    RESERVED,
    RANGE,
    UNPRIVILEGED,
    TW_REUSE,
    FIN_TIMEOUT,
    CONNTRACK_MAX,
    CONNTRACK_BUCKETS,
];
