//! What a machine allows and what is in use there, as data. throng-host reads it, `plan --survey` and `plan --host`
//! write and read it as JSON, and tests make it up. A plan depends on nothing else, so it can be made for another
//! machine.
//!
//! A value that could not be read is `None`, and [`Host::unread`] has the reason. Network values are those of the
//! surveyed network namespace.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// The version of the JSON form. Readers refuse other versions.
pub const VERSION: u32 = 1;

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// [`VERSION`].
    pub version: u32,
    /// The host name.
    pub name: Option<String>,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// Cores that the surveying process may use.
    pub cores: u32,
    /// Addresses of its interfaces that are up, without loopback and link-local ones.
    pub addresses: Vec<IpAddr>,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// The ports that the kernel assigns to outgoing connections.
    pub ports: Ports,
    /// Open files.
    pub files: Files,
    /// Memory.
    pub memory: Memory,
    /// The accept path.
    pub accept: Accept,
    /// Connection tracking; `None` if it is not loaded, or unknown.
    pub conntrack: Option<Conntrack>,
    /// Limits of TCP itself.
    pub tcp: Tcp,
    /// Processes and threads.
    pub tasks: Tasks,
    /// io_uring.
    pub uring: Uring,
    /// Sockets that listen here.
    pub listeners: Vec<Listener>,
    /// What is in use to the targets that were asked about.
    #[serde(alias = "towards")]
    pub targets: Vec<TargetUse>,
    /// Source addresses that were asked about and that no socket here can be bound to.
    #[serde(default)]
    pub foreign_sources: Vec<IpAddr>,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

/// Ports for outgoing connections. Both sysctls also apply to IPv6.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// `net.ipv4.ip_local_port_range`, both ends included.
    pub range: Option<(u16, u16)>,
    /// `net.ipv4.ip_local_reserved_ports`: sorted, disjoint ranges, inside the range or not.
    pub reserved: Vec<(u16, u16)>,
    /// Ports in the range, not reserved, that connect() skips for every target: a socket there listens or was bound to
    /// the port before it connected. Kernels before 6.3 can't be asked for those of connections, and kernels before 6.8
    /// not for those of sockets that are bound only.
    pub bound: u32,
    /// `net.ipv4.tcp_tw_reuse`: 0 no, 1 yes, 2 on loopback only.
    pub tw_reuse: Option<u8>,
    /// `net.ipv4.tcp_timestamps`: 0 no, 1 yes, 2 without random offsets. Ports in TIME_WAIT can't be used again without.
    #[serde(default)]
    pub timestamps: Option<u8>,
}

/// Open files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// RLIMIT_NOFILE, soft. `u64::MAX` is unlimited.
    pub soft: u64,
    /// RLIMIT_NOFILE, hard.
    pub hard: u64,
    /// Files that the surveying process has open.
    pub open: u64,
    /// `fs.nr_open`: how far root can raise the hard limit.
    pub nr_open: Option<u64>,
    /// `fs.file-max`: open files of the whole machine. Sockets in io_uring's tables count.
    pub file_max: Option<u64>,
    /// Files open on the whole machine (`fs.file-nr`).
    pub file_nr: Option<u64>,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Bytes of the machine (`MemTotal`).
    pub total: u64,
    /// Bytes available without swapping (`MemAvailable`).
    pub available: u64,
    /// The tightest cgroup around the surveying process, if it leaves less than the machine does.
    pub cgroup: Option<CgroupMemory>,
    /// Bytes of a page.
    pub page: u64,
    /// Sizes of the kernel's objects for one socket, from `/proc/slabinfo` (which only root may read).
    pub objects: Option<SocketObjects>,
}

/// The memory limit of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CgroupMemory {
    /// Its directory.
    pub path: String,
    /// 1 or 2.
    pub version: u8,
    /// Bytes allowed, if known.
    pub limit: Option<u64>,
    /// Bytes that are left.
    pub available: u64,
}

/// The kernel's object for a Unix socket (`UNIX-STREAM`) on Linux 6.18, in bytes. Its slab cache is often merged with others of that
/// size, and has no line of its own in `/proc/slabinfo` then.
pub const UNIX_SOCKET: u32 = 1152;

/// Bytes that the slab allocator takes for each object: the pages of a slab divided by its objects, which is a little
/// more than the size of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketObjects {
    /// `TCP`.
    pub tcp: u32,
    /// `TCPv6`; `None` without IPv6.
    pub tcp6: Option<u32>,
    /// `sock_inode_cache`.
    pub inode: u32,
    /// `dentry`.
    pub dentry: u32,
    /// `filp`.
    pub file: u32,
    /// `tcp_bind_bucket` and `tcp_bind2_bucket` together, if they have caches of their own.
    pub bind: Option<u32>,
    /// `io_kiocb`: an armed io_uring operation.
    pub uring_op: Option<u32>,
    /// `eventpoll_epi`, `eventpoll_pwq` together.
    pub epoll_item: Option<u32>,
    /// `nf_conntrack`: an entry.
    pub conntrack: Option<u32>,
    /// `tw_sock_TCP`: a connection in TIME_WAIT.
    pub time_wait: Option<u32>,
    /// `request_sock_TCP`: a handshake that has not ended.
    pub request: Option<u32>,
}

/// The accept path of a server on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// `net.core.somaxconn`.
    pub somaxconn: Option<u32>,
    /// `net.ipv4.tcp_max_syn_backlog`.
    pub syn_backlog: Option<u32>,
    /// `net.ipv4.tcp_syncookies`: 0 never, 1 when the queue is full, 2 always.
    pub syncookies: Option<u8>,
    /// `net.ipv4.tcp_abort_on_overflow`.
    pub abort_on_overflow: Option<bool>,
    /// `net.core.netdev_max_backlog`: packets that wait for a core.
    pub netdev_backlog: Option<u32>,
}

/// Connection tracking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conntrack {
    /// Whether connections are tracked in this namespace, by a test with connections over loopback. `None` if that is
    /// unknown, or was not tested.
    pub active: Option<bool>,
    /// `net.netfilter.nf_conntrack_max`. It is the whole machine's, but each namespace counts separately.
    pub max: u64,
    /// Entries now.
    pub count: u64,
    /// `net.netfilter.nf_conntrack_buckets`.
    pub buckets: Option<u64>,
}

/// Limits of TCP itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// `net.ipv4.tcp_mem`, in pages: low, pressure, high. Of the whole machine.
    pub mem_pages: Option<[u64; 3]>,
    /// Pages in use now.
    pub mem_used_pages: Option<u64>,
    /// `net.ipv4.tcp_rmem`, in bytes: least, default, most.
    pub rmem: Option<[u64; 3]>,
    /// `net.ipv4.tcp_wmem`, likewise.
    pub wmem: Option<[u64; 3]>,
    /// `net.ipv4.tcp_max_orphans`.
    pub max_orphans: Option<u64>,
    /// Orphans now, on the whole machine.
    pub orphans: Option<u64>,
    /// `net.ipv4.tcp_max_tw_buckets`.
    pub max_time_wait: Option<u64>,
    /// Connections in TIME_WAIT now.
    pub time_wait: Option<u64>,
    /// `net.ipv4.tcp_fin_timeout`, in seconds.
    pub fin_timeout_s: Option<u32>,
    /// Buckets of the table of established connections (`net.ipv4.tcp_ehash_entries`, made positive).
    pub established_buckets: Option<u64>,
    /// TCP sockets in use in this namespace now, IPv6 included.
    pub in_use: Option<u64>,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tasks {
    /// The least of `kernel.threads-max`, `kernel.pid_max` and the cgroup's `pids.max`.
    pub max: Option<u64>,
    /// The one of them that is the least.
    pub bound_by: Option<String>,
}

/// io_uring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uring {
    /// Why it can't be used here; `None` if it can.
    pub unusable: Option<String>,
    /// Whether it can bind a socket to a source address (Linux 6.11).
    pub binds: bool,
}

/// A listening socket. Each socket of an SO_REUSEPORT group is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The length of the accept queue: the backlog of listen(), capped by somaxconn.
    pub backlog: u32,
    /// Connections that wait in the queue now.
    pub queued: u32,
    /// The processes that accept from it; empty if they are not visible (another user's) or were not asked for.
    pub processes: Vec<Process>,
}

impl Listener {
    /// Whose it is, in words: `nginx (process 12)`.
    pub fn owner(&self) -> String {
        match &self.processes[..] {
            [] => "a socket of a process that this user can't see".to_owned(),
            [one] => format!("{} (process {})", one.name, one.pid),
            [one, others @ ..] => format!(
                "{} (process {} and {} more)",
                one.name,
                one.pid,
                others.len()
            ),
        }
    }
}

/// A process that has a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Its soft limit on open files.
    pub file_limit: u64,
    /// Files that it has open now.
    pub files_open: u64,
    /// Whether it has io_uring instances. Its sockets may then be in their tables, which its file limit does not bound.
    #[serde(default)]
    pub uring: bool,
    /// Whether it has an epoll instance or several threads, as a server has that keeps many connections. One without
    /// may start a process for each connection.
    #[serde(default)]
    pub keeps_many: bool,
    /// Its child processes that run the same program: it may hand them the connections that it accepts.
    #[serde(default)]
    pub workers: u32,
}

/// The ports in use to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetUse {
    /// The target.
    pub target: SocketAddr,
    /// Connections to it that are established or being opened, from the source addresses asked about; without such,
    /// from the address that the kernel chooses.
    pub in_use: u64,
    /// Connections to it in TIME_WAIT, likewise.
    pub time_wait: u64,
    /// Whether its address is one of this machine's.
    pub local: bool,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unread {
    /// A path or the name of a limit.
    pub what: String,
    /// The reason.
    pub why: String,
}

impl Default for Host {
    /// An unknown machine with one core.
    fn default() -> Host {
        Host {
            version: VERSION,
            name: None,
            kernel: String::new(),
            cores: 1,
            addresses: Vec::new(),
            ipv6: false,
            ports: Ports::default(),
            files: Files::default(),
            memory: Memory::default(),
            accept: Accept::default(),
            conntrack: None,
            tcp: Tcp::default(),
            tasks: Tasks::default(),
            uring: Uring::default(),
            listeners: Vec::new(),
            targets: Vec::new(),
            foreign_sources: Vec::new(),
            unread: Vec::new(),
        }
    }
}

impl Host {
    /// Whether `ip` is an address of the machine, as far as the survey shows.
    pub fn has_address(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
            || self.addresses.contains(&ip)
            || self.targets.iter().any(|t| t.target.ip() == ip && t.local)
    }

    /// Why `what` (a path or the name of a limit) is unknown.
    pub fn why_unread(&self, what: &str) -> String {
        let name = what.rsplit(['.', '/', ' ']).next().unwrap_or(what);
        self.unread
            .iter()
            .find(|u| u.what == what || u.what.ends_with(name))
            .map_or_else(
                || format!("{what} could not be read"),
                |u| format!("{}: {}", u.what, u.why),
            )
    }
}

impl Ports {
    /// Ports in the range that are neither reserved nor bound: what one source address has to one target. Linux's
    /// default if the range could not be read.
    pub fn usable(&self) -> u32 {
        let (low, high) = self.range.unwrap_or(DEFAULT_PORT_RANGE);
        let size = |low: u16, high: u16| (u32::from(high) + 1).saturating_sub(low.into());
        let reserved: u32 = self
            .reserved
            .iter()
            .map(|(from, to)| size(low.max(*from), high.min(*to)))
            .sum();
        size(low, high)
            .saturating_sub(reserved)
            .saturating_sub(self.bound)
    }
}

impl Memory {
    /// Bytes that are left: the machine's or the cgroup's, whichever is less.
    pub fn left(&self) -> u64 {
        let cgroup = self.cgroup.as_ref().map_or(u64::MAX, |c| c.available);
        self.available.min(cgroup)
    }

    /// Bytes in all, for this process.
    pub fn bound(&self) -> u64 {
        // If the limit is unknown, what is left of it is a bound, too.
        let cgroup = self.cgroup.as_ref();
        let cgroup = cgroup.map_or(u64::MAX, |c| c.limit.unwrap_or(c.available));
        self.total.min(cgroup)
    }
}

/// Linux's default of `net.ipv4.ip_local_port_range`.
pub const DEFAULT_PORT_RANGE: (u16, u16) = (32_768, 60_999);
/// `net.core.somaxconn` since Linux 5.4.
pub const DEFAULT_SOMAXCONN: u32 = 4096;
