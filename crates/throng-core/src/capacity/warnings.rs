//! Problems that do not bound the number of connections, but hurt at some size.

use super::case::Case;
use super::files::raised;
use super::question::Role;
use crate::host::DEFAULT_PORT_RANGE;
use crate::human::{count, things, verb};
use serde::{Deserialize, Serialize};

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// Something could not be read.
    Unread,
    /// The soft file limit binds other programs.
    SoftFileLimit,
    /// Connections closed at the same time become orphans.
    Orphans,
    /// Connections closed at the same time go to TIME_WAIT.
    TimeWaitBuckets,
    /// Ports of servers are in the range of outgoing connections.
    PortCollision,
    /// The limit on processes and threads.
    Tasks,
    /// Long chains in the table of established connections.
    EstablishedBuckets,
    /// Long chains in the table of connection tracking.
    ConntrackBuckets,
    /// The queue of packets that wait for a core.
    NetdevBacklog,
    /// The accept queue is full now.
    AcceptQueueFull,
    /// A target is IPv6, and the machine has no IPv6.
    NoIpv6,
}

/// A problem that may occur, with figures, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Its kind.
    pub kind: WarningKind,
    /// The problem, with figures.
    pub text: String,
    /// What to do.
    pub remedy: Option<String>,
    /// The command for it, if there is one.
    pub command: Option<String>,
}

/// The longest chain with a negligible cost: a cache line or two per packet.
const CHAIN: u64 = 2;
/// The largest table that a network namespace may have of its own (`tcp_child_ehash_entries`, Linux 6.1).
const MOST_CHILD_BUCKETS: u64 = 1 << 24;
/// How long a core may be busy elsewhere, in seconds: a timer tick.
const AWAY_S: f64 = 0.01;
/// Packets of a handshake that one end receives or sends.
const PACKETS: f64 = 3.0;
/// Ports that servers commonly listen on, above 1023.
const COMMON: [u16; 12] = [
    1433, 1883, 3000, 3306, 5000, 5432, 6379, 8000, 8080, 8443, 9000, 27017,
];

/// All warnings for the connections asked for, or else for as many as the machine `allows`.
pub(super) fn all(case: &Case, allows: Option<u64>) -> Vec<Warning> {
    let n = case.question.asked_here().or(allows);
    if case.question.unix {
        // The others are about TCP and IP.
        let all = [unread(case), soft_limit(case, n), tasks(case, n)];
        return all.into_iter().flatten().collect();
    }
    [
        unread(case),
        full_queue(case),
        no_ipv6(case),
        soft_limit(case, n),
        ports(case),
        orphans(case, n),
        time_wait(case, n),
        established(case, n),
        conntrack(case, n),
        tasks(case, n),
        netdev(case),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn warn(kind: WarningKind, text: String, remedy: &str, command: Option<String>) -> Option<Warning> {
    Some(Warning {
        kind,
        text,
        remedy: (!remedy.is_empty()).then(|| remedy.to_owned()),
        command,
    })
}

fn unread(case: &Case) -> Option<Warning> {
    let all = &case.host.unread;
    if all.is_empty() {
        return None;
    }
    let words: Vec<String> = all
        .iter()
        .map(|u| format!("{} ({})", u.what, u.why))
        .collect();
    warn(
        WarningKind::Unread,
        format!("not read: {}", words.join(", ")),
        "run it as root to read more",
        None,
    )
}

fn full_queue(case: &Case) -> Option<Warning> {
    let mut all = case
        .question
        .targets
        .iter()
        .flat_map(|t| super::target::listeners(case.host, *t));
    let full = all.find(|l| l.queued > l.backlog)?;
    warn(
        WarningKind::AcceptQueueFull,
        format!(
            "{} {} in the accept queue of {}, which has room for {}: its server does not accept, or not fast enough",
            things(full.queued.into(), "connection"),
            verb(full.queued.into(), "waits", "wait"),
            full.address,
            count(full.backlog.into())
        ),
        "check the server",
        None,
    )
}

fn no_ipv6(case: &Case) -> Option<Warning> {
    if !case.v6 || case.host.ipv6 {
        return None;
    }
    warn(
        WarningKind::NoIpv6,
        "a target is IPv6, but this machine has no IPv6".into(),
        "enable it",
        Some("sudo sysctl -w net.ipv6.conf.all.disable_ipv6=0".into()),
    )
}

fn soft_limit(case: &Case, n: Option<u64>) -> Option<Warning> {
    let (n, soft, hard) = (n?, case.host.files.soft, case.host.files.hard);
    if case.engine.files_per_end() > 0 || soft >= n {
        return None;
    }
    // Such a program has files of its own, too.
    let needed = n.saturating_add(1000);
    let command = match n < hard {
        true => format!("ulimit -n {}", needed.min(hard)),
        false => raised(case.host, needed).1,
    };
    warn(
        WarningKind::SoftFileLimit,
        format!(
            "a program with one descriptor per connection, as most have, stops at this shell's soft limit of {} files; throng does not",
            count(soft)
        ),
        "for such a program",
        Some(command),
    )
}

fn ports(case: &Case) -> Option<Warning> {
    let (low, high) = case.host.ports.range.unwrap_or(DEFAULT_PORT_RANGE);
    if !case.connects() {
        return None;
    }
    let reserved = |port: &u16| {
        let mut all = case.host.ports.reserved.iter();
        all.any(|(from, to)| (*from..=*to).contains(port))
    };
    let mut inside: Vec<u16> = case
        .host
        .listeners
        .iter()
        .map(|l| l.address.port())
        .filter(|p| (low..=high).contains(p) && !reserved(p))
        .collect();
    inside.sort_unstable();
    inside.dedup();
    let common: Vec<u16> = COMMON
        .into_iter()
        .filter(|p| (low..=high).contains(p) && !reserved(p) && !inside.contains(p))
        .collect();
    let list = |ports: &[u16]| {
        let all: Vec<String> = ports.iter().map(u16::to_string).collect();
        all.join(",")
    };
    let (text, ports) = match (inside.is_empty(), common.is_empty()) {
        (false, _) => (
            format!(
                "servers here listen on ports inside the range of outgoing connections ({low}-{high}): {}; a server that restarts may find its port taken",
                list(&inside)
            ),
            [&inside[..], &common[..]].concat(),
        ),
        (true, false) => (
            format!(
                "ports that servers commonly listen on lie inside the range of outgoing connections ({low}-{high}): {}",
                list(&common)
            ),
            common,
        ),
        (true, true) => return None,
    };
    let kept = case.host.ports.reserved.iter().map(|(a, b)| match a == b {
        true => a.to_string(),
        false => format!("{a}-{b}"),
    });
    let all: Vec<String> = kept.chain(ports.iter().map(u16::to_string)).collect();
    warn(
        WarningKind::PortCollision,
        text,
        "reserve them",
        Some(format!(
            "sudo sysctl -w net.ipv4.ip_local_reserved_ports={}",
            all.join(",")
        )),
    )
}

fn orphans(case: &Case, n: Option<u64>) -> Option<Warning> {
    let (n, max) = (n?, case.host.tcp.max_orphans?);
    let now = case.host.tcp.orphans.unwrap_or(0);
    let left = max.saturating_sub(now);
    if n <= left {
        return None;
    }
    warn(
        WarningKind::Orphans,
        format!(
            "if all {} are closed at once, they are orphans until the peer closes, too; beyond {} orphans ({} now) the kernel resets them",
            count(n),
            count(max),
            count(now)
        ),
        "allow more",
        Some(format!(
            "sudo sysctl -w net.ipv4.tcp_max_orphans={}",
            (n + now).next_multiple_of(1000)
        )),
    )
}

fn time_wait(case: &Case, n: Option<u64>) -> Option<Warning> {
    let (n, max) = (n?, case.host.tcp.max_time_wait?);
    let now = case.host.tcp.time_wait.unwrap_or(0);
    if n <= max.saturating_sub(now) {
        return None;
    }
    warn(
        WarningKind::TimeWaitBuckets,
        format!(
            "if all {} are closed at once from here, {} go to TIME_WAIT; the rest are dropped immediately (TCPTimeWaitOverflow), so that a late segment may reach a new connection",
            count(n),
            count(max.saturating_sub(now))
        ),
        "allow more",
        Some(format!(
            "sudo sysctl -w net.ipv4.tcp_max_tw_buckets={}",
            (n + now).next_multiple_of(1000)
        )),
    )
}

fn established(case: &Case, n: Option<u64>) -> Option<Warning> {
    let buckets = case.host.tcp.established_buckets.filter(|b| *b > 0)?;
    let sockets = n?
        .saturating_mul(case.ends_here)
        .saturating_add(case.host.tcp.in_use.unwrap_or(0));
    let tenths = sockets.saturating_mul(10) / buckets;
    if tenths <= CHAIN * 10 {
        return None;
    }
    warn(
        WarningKind::EstablishedBuckets,
        format!(
            "{} sockets in the {} buckets of the kernel's table make chains of {}.{}; the kernel walks one for each packet",
            count(sockets),
            count(buckets),
            tenths / 10,
            tenths % 10
        ),
        &format!(
            "boot with thash_entries={buckets}, or use a network namespace (a container) that is created after this (Linux 6.1 or newer)",
            buckets = sockets.next_power_of_two()
        ),
        Some(format!(
            "sudo sysctl -w net.ipv4.tcp_child_ehash_entries={}",
            sockets.next_power_of_two().min(MOST_CHILD_BUCKETS)
        )),
    )
}

fn conntrack(case: &Case, n: Option<u64>) -> Option<Warning> {
    let c = case
        .host
        .conntrack
        .as_ref()
        .filter(|c| c.active != Some(false))?;
    let buckets = c.buckets.filter(|b| *b > 0)?;
    // An entry is in the table twice: once for each direction.
    let entries = n?.saturating_add(c.count).saturating_mul(2);
    if entries / buckets <= 8 {
        return None;
    }
    warn(
        WarningKind::ConntrackBuckets,
        format!(
            "{} tuples in the {} buckets of connection tracking make chains of {}",
            count(entries),
            count(buckets),
            count(entries / buckets)
        ),
        "use one bucket per four entries",
        Some(format!(
            "sudo sysctl -w net.netfilter.nf_conntrack_buckets={}",
            (entries / 8).next_power_of_two()
        )),
    )
}

fn tasks(case: &Case, n: Option<u64>) -> Option<Warning> {
    let max = case.host.tasks.max?;
    if case.question.role == Role::Client || max >= n? {
        return None;
    }
    warn(
        WarningKind::Tasks,
        format!(
            "a server with one thread or process per connection stops at {} ({}); throng has one thread per core",
            count(max),
            case.host
                .tasks
                .bound_by
                .as_deref()
                .unwrap_or("the limit on tasks")
        ),
        "",
        None,
    )
}

fn netdev(case: &Case) -> Option<Warning> {
    let rate = case.question.connect_rate?;
    let Some(backlog) = case.host.accept.netdev_backlog else {
        return warn(
            WarningKind::NetdevBacklog,
            case.host.why_unread("net.core.netdev_max_backlog"),
            "",
            None,
        );
    };
    let packets = rate.get() * PACKETS * AWAY_S / f64::from(case.host.cores.max(1));
    if packets <= f64::from(backlog) {
        return None;
    }
    warn(
        WarningKind::NetdevBacklog,
        format!(
            "at {} connections per second, about {} packets arrive while a core is busy elsewhere for 10 ms, and {} may wait; the rest are dropped (second column of /proc/net/softnet_stat)",
            count(rate.get() as u64),
            count(packets as u64),
            count(backlog.into())
        ),
        "allow more",
        Some(format!(
            "sudo sysctl -w net.core.netdev_max_backlog={}",
            (packets as u64).next_power_of_two()
        )),
    )
}
