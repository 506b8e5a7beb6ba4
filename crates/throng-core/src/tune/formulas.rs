//! What each setting should be for N connections, and why. docs/tune.md says the same at more length.

use super::{
    Ask, Extra, FILE_LIMIT, Kind, NOTRACK, Now, PortSet, Reading, Rule, Scope, Setting, Status,
    words,
};

/// Files of the whole machine besides the sockets: a desktop has some 20,000 open, a busy server more.
pub(super) const OTHER_FILES_OF_MACHINE: u64 = 65_536;
/// Files of a process besides its sockets: logs, libraries, epoll descriptors, rings, its listeners.
pub(super) const OTHER_FILES_OF_PROCESS: u64 = 1024;
/// The longest queue that helps. Connections wait in it only until accept(); with 100,000 new ones a
/// second this is more than half a second. Before Linux 4.1 the kernel kept the length in 16 bits.
pub(super) const LONGEST_QUEUE: u64 = 65_535;
/// Packets that may wait for one core. Each connection over loopback puts its packets there; the kernel's
/// 1,000 is less than a burst of 400 handshakes.
const LONGEST_PACKET_QUEUE: u64 = 16_384;
/// Pages of socket buffers for each end: one for what has come and was not read, one for what was sent
/// and is not confirmed. An idle connection has none; messages of up to 4 KB fit.
const BUFFER_PAGES: u64 = 2;
/// The share of the memory that socket buffers may take at most: the sockets themselves need some 4 KB
/// each, and programs need theirs.
const BUFFERS_OF_MEMORY: u64 = 2;
/// Connections that are tracked besides: others', and our own earlier ones, which conntrack remembers
/// for two minutes after their end.
const OTHER_TRACKED: u64 = 65_536;
/// Bytes of a bucket of conntrack's hash table; the kernel rounds their number up to whole pages.
const BUCKET_BYTES: u64 = 8;
/// The lowest port for outgoing connections: below are the privileged ones.
const FIRST_PORT: u16 = 1024;
/// The share of a port range that one source may use towards one target before connect() gets slow: it
/// tries ports of one parity first, and once half are taken it looks through thousands each time.
const PORT_FILL: f64 = 0.4;
/// `net.ipv4.ip_local_port_range` where nobody changed it: a listener in there mostly got its port from
/// the kernel, and it is not one that somebody will want again.
const KERNELS_RANGE: (u16, u16) = (32_768, 60_999);
/// Seconds to wait for the peer's FIN after ours, when asked to shorten that. A quarter of the kernel's;
/// four lost segments are still made good (RFC 6298: 1 + 2 + 4 + 8 s).
const FIN_TIMEOUT_S: u64 = 15;

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

/// The sysctls whose values [`settings`] wants to know.
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

/// RLIMIT_NOFILE for a process that holds its end of all connections (with role both: both ends).
pub fn wanted_files(ask: &Ask) -> u64 {
    ask.ends() + OTHER_FILES_OF_PROCESS
}

/// The settings for what is asked, on a machine as it is now, in the order in which they should be set:
/// ports are reserved before the range grows over them, `fs.nr_open` comes before the limits it bounds.
pub fn settings(ask: &Ask, now: &Now) -> Vec<Setting> {
    let list = Lister { ask, now };
    let n = u64::from(ask.connections);
    let mut all = vec![list.file_max(), list.nr_open(), list.file_limit()];
    if ask.role.accepts() {
        all.push(list.number(
            SOMAXCONN,
            Scope::Namespace,
            n.min(LONGEST_QUEUE),
            "It cuts the accept queue of every listener. Where connections come faster than the server \
             accepts them, the queue takes them up; when it is full, handshakes are dropped and the client \
             tries again after a second.",
            "A server that stands still is noticed later: more clients wait for it.",
        ));
        all.push(list.number(
            SYN_BACKLOG,
            Scope::Namespace,
            n.min(LONGEST_QUEUE),
            "Handshakes under way on each listener. With SYN cookies off, SYNs are dropped beyond three \
             quarters of it.",
            "Under a SYN flood each entry costs some 300 bytes.",
        ));
        all.push(list.syncookies());
        all.push(list.number(
            NETDEV_BACKLOG,
            Scope::Machine,
            n.min(LONGEST_PACKET_QUEUE),
            "Packets that wait for one core: those over loopback, and those that another core received. \
             Beyond it they are dropped without a word (second column of /proc/net/softnet_stat).",
            "",
        ));
    }
    all.push(list.tcp_mem());
    all.push(list.number(
        TW_BUCKETS,
        Scope::Namespace,
        n,
        "Whoever closes first keeps the connection in TIME_WAIT for a minute. Beyond this many the kernel \
         skips that, and a late segment may meet a new connection.",
        "Some 256 bytes each while they wait.",
    ));
    if ask.role.connects() {
        all.push(list.reserved_ports());
        all.push(list.port_range());
        all.push(list.tw_reuse());
        all.push(list.fin_timeout());
        all.push(list.number(
            ORPHANS,
            Scope::Machine,
            ask.ends(),
            "Connections that were closed here and whose end the peer has not confirmed yet. When all are \
             closed at once, those beyond it are reset.",
            "Each may hold up to 64 KB of unsent data in memory that can't be swapped.",
        ));
    } else if !ask.ports.is_empty() {
        all.push(list.reserved_ports());
    }
    if ask.with.contains(&Extra::Notrack) {
        all.push(list.notrack());
    } else {
        all.extend(list.conntrack());
        all.push(list.notrack());
    }
    all
}

struct Lister<'a> {
    ask: &'a Ask,
    now: &'a Now,
}

/// The numbers of a value such as `4096`, or the three of `tcp_mem`.
pub(super) fn numbers(text: &str) -> Option<Vec<u64>> {
    text.split_whitespace().map(|w| w.parse().ok()).collect()
}

/// Not what the kernel documents.
fn unexpected(text: &str) -> Reading {
    let shown: String = words(text).chars().take(60).collect();
    Reading::Unread(format!("unexpected content '{shown}'"))
}

/// How a reading stands that has no value.
fn valueless(reading: &Reading) -> Status {
    match reading {
        Reading::Absent(_) => Status::Absent,
        _ => Status::Unread,
    }
}

impl Lister<'_> {
    /// A sysctl of as many numbers as `target`, each of which should be at least that.
    fn at_least(
        &self,
        name: &str,
        scope: Scope,
        target: &[u64],
        why: impl Into<String>,
        risk: impl Into<String>,
    ) -> Setting {
        let mut now = self.now.reading(name);
        let mut wanted = target.to_vec();
        let mut status = valueless(&now);
        if let Reading::Value(text) = &now {
            match numbers(text).filter(|v| v.len() == target.len()) {
                Some(values) => {
                    wanted = target.iter().zip(&values).map(|(t, v)| *t.max(v)).collect();
                    status = if wanted == values {
                        Status::Enough
                    } else {
                        Status::Short
                    };
                }
                None => {
                    now = unexpected(text);
                    status = Status::Unread;
                }
            }
        }
        let wanted: Vec<String> = wanted.iter().map(u64::to_string).collect();
        Setting {
            name: name.into(),
            kind: Kind::Sysctl,
            scope,
            rule: Rule::AtLeast,
            now,
            wanted: wanted.join(" "),
            status,
            why: why.into(),
            risk: risk.into(),
            with: None,
        }
    }

    fn number(&self, name: &str, scope: Scope, target: u64, why: &str, risk: &str) -> Setting {
        self.at_least(name, scope, &[target], why, risk)
    }

    /// A sysctl of one number, as it is now; `None` if it can't be told.
    fn value(&self, name: &str) -> Option<u64> {
        match self.now.reading(name) {
            Reading::Value(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn file_max(&self) -> Setting {
        self.number(
            FILE_MAX,
            Scope::Machine,
            self.ask.ends() + OTHER_FILES_OF_MACHINE,
            "Open files of the whole machine; each socket is one, also in an io_uring table. Beyond it \
             programs that are not root's get ENFILE.",
            "",
        )
    }

    fn nr_open(&self) -> Setting {
        self.number(
            NR_OPEN,
            Scope::Machine,
            wanted_files(self.ask),
            "How far a process's file limit can be raised, even by root.",
            "A program that goes through all possible descriptors when it starts takes longer.",
        )
    }

    fn file_limit(&self) -> Setting {
        let target = wanted_files(self.ask);
        let show = |n: u64| match n {
            u64::MAX => "unlimited".to_owned(),
            n => n.to_string(),
        };
        let (now, wanted, status) = match self.now.files {
            Some((soft, hard)) => (
                Reading::Value(format!("{} {}", show(soft), show(hard))),
                (target.max(soft), target.max(hard)),
                // A process raises its own soft limit; the hard one is what binds.
                match if self.now.of_another { soft } else { hard } >= target {
                    true => Status::Enough,
                    false => Status::Short,
                },
            ),
            None => (
                Reading::Unread("not read".into()),
                (target, target),
                Status::Unread,
            ),
        };
        Setting {
            name: FILE_LIMIT.into(),
            kind: Kind::FileLimit,
            scope: Scope::Process,
            rule: Rule::AtLeast,
            now,
            wanted: format!("{} {}", show(wanted.0), show(wanted.1)),
            status,
            why: "Open files of one process, soft and hard limit (`ulimit -Sn`, `ulimit -Hn`): beyond the soft \
                  one it gets EMFILE. What is wanted is the hard one; a program, and throng, raises the soft one \
                  itself. throng's io_uring engine is not bound by it."
                .into(),
            risk: "Old programs that use select(), or close all descriptors there could be when they start, \
                   crash or get slow under a high soft limit."
                .into(),
            with: None,
        }
    }

    fn syncookies(&self) -> Setting {
        let mut now = self.now.reading(SYNCOOKIES);
        let status = match &now {
            Reading::Value(text) => match words(text).as_str() {
                "0" => Status::Enough,
                "1" | "2" if self.ask.with.contains(&Extra::SyncookiesOff) => Status::Short,
                "1" | "2" => Status::OnRequest,
                _ => {
                    now = unexpected(text);
                    Status::Unread
                }
            },
            other => valueless(other),
        };
        Setting {
            name: SYNCOOKIES.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Exactly,
            now,
            wanted: "0".into(),
            status,
            why: "When an accept queue is full of handshakes, the kernel answers with cookies and takes a load test \
                  for a SYN flood; a connection that came by cookie has lost some of its TCP options. Off, the SYN \
                  is dropped and sent again."
                .into(),
            risk: "Off, the server has no protection against SYN floods: anybody can fill its queue. Only for tests \
                   in a network that you trust."
                .into(),
            with: Some(Extra::SyncookiesOff),
        }
    }

    fn tcp_mem(&self) -> Setting {
        let pages = self.ask.ends() * BUFFER_PAGES;
        let bound = self.now.memory.map_or(u64::MAX, |bytes| {
            bytes / self.now.page.max(1) / BUFFERS_OF_MEMORY
        });
        // As the kernel sets them at boot: low three quarters of pressure, high one and a half times.
        let high = (pages * 3 / 2).min(bound);
        let pressure = high * 2 / 3;
        self.at_least(
            TCP_MEM,
            Scope::Machine,
            &[pressure * 3 / 4, pressure, high],
            "Pages of socket buffers of all TCP connections: below the first the kernel saves nothing, from \
             the second on it shrinks windows, at the third it drops segments. Two pages for each connection here, \
             so that small messages flow on all at once, and at most half of the memory.",
            format!(
                "Buffers may then take up to {} of memory that can't be swapped.",
                size(high.saturating_mul(self.now.page))
            ),
        )
    }

    /// Ports to keep out of outgoing connections: the server's, and those that somebody listens on and
    /// that did not come from the kernel's own range.
    fn reserved_ports(&self) -> Setting {
        let mut now = self.now.reading(RESERVED);
        let mut wanted = PortSet::default();
        if self.ask.role.connects() {
            let below = self.now.listened.within(FIRST_PORT, KERNELS_RANGE.0 - 1);
            let above = self.now.listened.within(KERNELS_RANGE.1 + 1, u16::MAX);
            wanted = below.and(&above);
        }
        if self.ask.role.accepts() {
            let served: PortSet = self.ask.ports.iter().copied().collect();
            wanted = wanted.and(&served.within(FIRST_PORT, u16::MAX));
        }
        let mut status = valueless(&now);
        if let Reading::Value(text) = &now {
            match text.parse::<PortSet>() {
                Ok(reserved) => {
                    let missing = !reserved.contains(&wanted);
                    wanted = reserved.and(&wanted);
                    status = if missing {
                        Status::Short
                    } else {
                        Status::Enough
                    };
                }
                Err(_) => {
                    now = unexpected(text);
                    status = Status::Unread;
                }
            }
        }
        Setting {
            name: RESERVED.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Including,
            now,
            wanted: wanted.to_string(),
            status,
            why: "Ports that are listened on, or will be (--port): an outgoing connection that sits on one keeps a \
                  server from starting there. Reserved ones are never handed out; bind() still gets them."
                .into(),
            risk: String::new(),
            with: None,
        }
    }

    fn port_range(&self) -> Setting {
        let mut now = self.now.reading(RANGE);
        // The kernel refuses a range that begins below the first unprivileged port.
        let first = self.value(UNPRIVILEGED).map_or(FIRST_PORT, |p| {
            FIRST_PORT.max(p.min(u16::MAX.into()) as u16)
        });
        let mut wanted = (first, u16::MAX);
        let mut status = valueless(&now);
        if let Reading::Value(text) = &now {
            match numbers(text).as_deref() {
                Some(&[low, high]) if low <= high && high <= u16::MAX.into() => {
                    let (low, high) = (low as u16, high as u16);
                    let reserved = match self.now.reading(RESERVED) {
                        Reading::Value(text) => text.parse::<PortSet>().unwrap_or_default(),
                        _ => PortSet::default(),
                    };
                    let size = u32::from(high) - u32::from(low) + 1;
                    let usable = size - reserved.within(low, high).count();
                    let comfortable = f64::from(usable) * PORT_FILL;
                    wanted = (first.min(low), u16::MAX);
                    let enough = f64::from(self.ask.connections) <= comfortable;
                    if enough {
                        wanted = (low, high);
                    }
                    status = if wanted == (low, high) {
                        Status::Enough
                    } else {
                        Status::Short
                    };
                }
                _ => {
                    now = unexpected(text);
                    status = Status::Unread;
                }
            }
        }
        Setting {
            name: RANGE.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Around,
            now,
            wanted: format!("{} {}", wanted.0, wanted.1),
            status,
            why: "Ports for outgoing connections, IPv6 too: as many connections fit between one source \
                  address and one target, and opening gets slow when more than 40 % are taken."
                .into(),
            risk: "A server that starts later may find its port taken by an outgoing connection, unless the \
                   port is reserved (see ip_local_reserved_ports; --port)."
                .into(),
            with: None,
        }
    }

    fn tw_reuse(&self) -> Setting {
        let mut now = self.now.reading(TW_REUSE);
        let status = match &now {
            Reading::Value(text) => match words(text).as_str() {
                "1" => Status::Enough,
                "0" | "2" => Status::Short,
                _ => {
                    now = unexpected(text);
                    Status::Unread
                }
            },
            other => valueless(other),
        };
        Setting {
            name: TW_REUSE.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::Exactly,
            now,
            wanted: "1".into(),
            status,
            why: "connect() may take a port that is in TIME_WAIT for a second or more; else ports come back only after \
                  a minute. 2, the kernel's own choice, allows that on loopback only."
                .into(),
            risk: "Late segments of the old connection are told apart by TCP timestamps; a middlebox that removes \
                   those removes that protection."
                .into(),
            with: None,
        }
    }

    fn fin_timeout(&self) -> Setting {
        let mut now = self.now.reading(FIN_TIMEOUT);
        let mut wanted = FIN_TIMEOUT_S;
        let mut status = valueless(&now);
        if let Reading::Value(text) = &now {
            match text.trim().parse::<u64>() {
                Ok(seconds) => {
                    wanted = wanted.min(seconds);
                    status = match () {
                        () if seconds <= FIN_TIMEOUT_S => Status::Enough,
                        () if self.ask.with.contains(&Extra::FinTimeout) => Status::Short,
                        () => Status::OnRequest,
                    };
                }
                Err(_) => {
                    now = unexpected(text);
                    status = Status::Unread;
                }
            }
        }
        Setting {
            name: FIN_TIMEOUT.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::AtMost,
            now,
            wanted: wanted.to_string(),
            status,
            why: "Seconds that a closed connection waits for its peer to close too (FIN_WAIT_2); its port is taken so \
                  long. It does not shorten TIME_WAIT, which is a minute whatever this says."
                .into(),
            risk: "The one setting that is lowered: a peer that takes longer to close gets a reset.".into(),
            with: Some(Extra::FinTimeout),
        }
    }

    fn conntrack(&self) -> [Setting; 2] {
        let target = u64::from(self.ask.connections) + OTHER_TRACKED;
        let per_page = (self.now.page / BUCKET_BYTES).max(1);
        let max = self.number(
            CONNTRACK_MAX,
            Scope::Machine,
            target,
            "Connections that the firewall remembers, once for both ends if both are here. When the table is full, \
             packets of new connections are dropped (\"nf_conntrack: table full\").",
            "Some 320 bytes each while they are tracked.",
        );
        let buckets = self.number(
            CONNTRACK_BUCKETS,
            Scope::Machine,
            target.next_multiple_of(per_page),
            "Buckets of that table: with one for each connection a look-up for a packet stays short. By default the two \
             numbers are equal.",
            "8 bytes each; the table stands still for a moment while it is made anew.",
        );
        [max, buckets]
    }

    fn notrack(&self) -> Setting {
        let ports: PortSet = self.ask.ports.iter().copied().collect();
        let requested = self.ask.with.contains(&Extra::Notrack);
        let mut wanted = ports.clone();
        let mut now = self.now.untracked.clone();
        let status = match &now {
            Reading::Value(text) => match text.parse::<PortSet>() {
                Ok(untracked) => {
                    wanted = untracked.and(&ports);
                    match () {
                        () if !wanted.is_empty() && wanted == untracked => Status::Enough,
                        () if requested => Status::Short,
                        () => Status::OnRequest,
                    }
                }
                Err(_) => {
                    now = unexpected(text);
                    Status::Unread
                }
            },
            // Whether there are rules can be told by root only. As long as nobody wants any, that is no
            // fault.
            Reading::Unread(_) if !requested => Status::OnRequest,
            other => valueless(other),
        };
        Setting {
            name: NOTRACK.into(),
            kind: Kind::Firewall,
            scope: Scope::Namespace,
            rule: Rule::Including,
            now,
            wanted: match wanted.is_empty() {
                true => "the ports of --port".into(),
                false => wanted.to_string(),
            },
            status,
            why: "Instead of a larger conntrack table: rules that keep connections to these TCP ports out of it, through \
                  nftables, else iptables. That saves memory and time for each packet."
                .into(),
            risk: "It changes the firewall: for these ports rules on connection state (ct state established, \
                   NAT, port forwarding to containers) match no more, so that a firewall may drop their packets or let \
                   through what it kept out."
                .into(),
            with: Some(Extra::Notrack),
        }
    }
}

/// Bytes, roughly, for a sentence.
fn size(bytes: u64) -> String {
    match bytes >> 20 {
        mib @ 0..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}
