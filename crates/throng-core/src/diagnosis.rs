//! Why a run got no further: from what was counted, what the kernel says, and the shape of the failure,
//! to the limit that was met.
//!
//! A finding is told as certain only where an error code or a counter of the kernel names the limit. A
//! plateau just under a limit that programs commonly have "looks like" it, and is told in those words.

use crate::capacity::LimitKind;
use crate::host::Process;
use crate::human::count as number;
use crate::stats::{FailCause, Tally};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// What is known of a run that got no further.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The client's counts.
    pub clients: Tally,
    /// The most connections that were up at once.
    pub plateau: u64,
    /// Where it connects to; empty if it does not, or only to itself.
    pub targets: Vec<SocketAddr>,
    /// Ports that one source address has towards one target …
    pub ports: u64,
    /// … and how many connections all sources have towards all targets. `None` if that does not bind.
    pub four_tuples: Option<u64>,
    /// This process's limit on open files.
    pub file_limit: u64,
    /// The fullest accept queue of a target on this machine.
    pub queue: Option<Queue>,
    /// Processes of this machine that accept for the targets.
    pub servers: Vec<Process>,
    /// Bytes of memory left when opening was stopped for it, and whose memory that is.
    pub memory_left: Option<(u64, LimitKind)>,
    /// Connection tracking of this namespace.
    pub conntrack: Option<Tracked>,
    /// What the kernel counted in this namespace during the run.
    pub kernel: KernelCounts,
}

/// An accept queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Whose.
    pub target: SocketAddr,
    /// Connections that wait in it.
    pub waiting: u32,
    /// How many it takes.
    pub limit: u32,
}

/// Connection tracking, during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracked {
    /// Entries now.
    pub count: u64,
    /// `net.netfilter.nf_conntrack_max`.
    pub max: u64,
    /// Packets dropped because no entry could be had.
    pub dropped: u64,
    /// The kernel's log said that the table is full.
    pub logged: bool,
}

/// Counters of /proc/net/netstat: what was added during the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// ListenOverflows.
    pub listen_overflows: u64,
    /// TCPReqQFullDrop.
    pub syn_queue_drops: u64,
    /// SyncookiesSent.
    pub syncookies: u64,
    /// TCPTimeouts: each is a connection that stood still, its SYN or its data unanswered.
    pub timeouts: u64,
    /// RetransSegs.
    pub retransmits: u64,
    /// TCPMemoryPressures.
    pub memory_pressures: u64,
    /// TCPAbortOnMemory.
    pub aborts_on_memory: u64,
}

/// A limit that was met, as far as can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Which.
    pub limit: LimitKind,
    /// The number of connections that it allows, if that can be told.
    pub allows: Option<u64>,
    /// Whether an error code or a counter names it; otherwise the shape of the failure suggests it.
    pub certain: bool,
    /// What happened, in words.
    pub what: String,
    /// What lifts it.
    pub remedy: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.remedy)
    }
}

/// The limits that were met, the likeliest first.
pub fn diagnose(e: &Evidence) -> Vec<Diagnosis> {
    let certain = [
        memory(e),
        four_tuples(e),
        own_files(e),
        conntrack_full(e),
        server_files(e),
        tcp_memory(e),
    ];
    let mut all: Vec<Diagnosis> = certain.into_iter().flatten().collect();
    if all.is_empty() && !e.targets.is_empty() {
        all.extend(closes_what_comes_beyond(e).or_else(|| plateau(e)));
    }
    // A queue is full because its server stopped taking from it: named after what stopped it.
    all.extend(accept_queue(e, all.is_empty()));
    all.extend(syn_queue(e));
    all
}

fn memory(e: &Evidence) -> Option<Diagnosis> {
    let (left, limit) = e.memory_left?;
    Some(Diagnosis {
        limit,
        allows: Some(e.plateau),
        certain: true,
        what: format!("opening stopped because only {} MiB of memory were left", left >> 20),
        remedy: "Free memory, raise the container's limit, or spread the connections over more machines.".into(),
    })
}

fn four_tuples(e: &Evidence) -> Option<Diagnosis> {
    // If not even one came up, the source address is not of this machine.
    if e.clients.failed(FailCause::NoAddress) == 0 || e.plateau == 0 {
        return None;
    }
    let ports = number(e.ports);
    Some(Diagnosis {
        limit: LimitKind::FourTuples,
        allows: e.four_tuples,
        certain: true,
        what: match e.four_tuples {
            Some(allows) => format!(
                "the four-tuples ran out at {} connections: {ports} local ports for each source address and target, {} in all",
                number(e.plateau),
                number(allows)
            ),
            None => format!("no local port was left, of {ports} for each source address and target"),
        },
        remedy: "Add source addresses (--source-ip), targets (more ports or addresses), or ports (sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\").".into(),
    })
}

fn own_files(e: &Evidence) -> Option<Diagnosis> {
    (e.clients.failed(FailCause::FileLimit) > 0).then(|| Diagnosis {
        limit: LimitKind::OpenFiles,
        allows: None,
        certain: true,
        what: format!(
            "this process ran into a limit on open files at {} connections (ulimit -Hn is {})",
            number(e.plateau),
            number(e.file_limit)
        ),
        remedy: "Use --engine uring, which the process's limit does not bind; or raise it (ulimit -Hn N as root, LimitNOFILE= in systemd), and the machine's (sysctl -w fs.file-max=N).".into(),
    })
}

/// A table counts as full within this part of its maximum: entries of other traffic come and go.
const NEARLY_FULL: f64 = 0.99;

fn conntrack_full(e: &Evidence) -> Option<Diagnosis> {
    let t = e.conntrack?;
    let full = t.count as f64 >= t.max as f64 * NEARLY_FULL;
    (t.dropped > 0 || t.logged || full && t.max > 0).then(|| Diagnosis {
        limit: LimitKind::Conntrack,
        allows: Some(t.max),
        certain: true,
        what: format!(
            "the conntrack table is full: {} of {} entries, {} packets dropped for want of one{}",
            number(t.count),
            number(t.max),
            number(t.dropped),
            if t.logged { " (the kernel's log has it too)" } else { "" }
        ),
        remedy: "Raise it (sysctl -w net.netfilter.nf_conntrack_max=N), or don't track this traffic (nftables notrack, iptables -t raw -j CT --notrack).".into(),
    })
}

/// Files that a program at its limit may have left: it closes the connection that it could not take, or
/// keeps one in reserve for that.
const SPARE_FILES: u64 = 4;

fn server_files(e: &Evidence) -> Option<Diagnosis> {
    let full = |p: &&Process| p.files_open + SPARE_FILES >= p.file_limit;
    // One of several workers that is full stops only its own share.
    if e.servers.is_empty() || !e.servers.iter().all(|p| full(&p)) {
        return None;
    }
    let p = &e.servers[0];
    let accepted = e.plateau.saturating_sub(waiting(e));
    Some(Diagnosis {
        limit: LimitKind::TargetFiles,
        allows: Some(accepted),
        certain: true,
        what: format!(
            "the target stopped at {} connections: its process {} (pid {}) has {} of the {} files open that it may have",
            number(accepted),
            p.name,
            p.pid,
            number(p.files_open),
            number(p.file_limit)
        ),
        remedy: "Raise the server's limit: LimitNOFILE= in its systemd unit, ulimit -n in what starts it, or prlimit --pid.".into(),
    })
}

fn tcp_memory(e: &Evidence) -> Option<Diagnosis> {
    let k = &e.kernel;
    let failed = e.clients.failed(FailCause::NoMemory);
    (k.aborts_on_memory > 0 || failed > 0).then(|| Diagnosis {
        limit: LimitKind::TcpMemory,
        allows: None,
        certain: true,
        what: format!(
            "the kernel had no memory for sockets: {} attempts failed, {} connections were reset for it, TCP's buffers were under pressure {} times",
            number(failed),
            number(k.aborts_on_memory),
            number(k.memory_pressures)
        ),
        remedy: "Raise net.ipv4.tcp_mem, or the container's memory limit; look at ulimit -l.".into(),
    })
}

fn waiting(e: &Evidence) -> u64 {
    e.queue.map_or(0, |q| q.waiting.into())
}

/// A queue counts as full from this part on: throng itself fills those that it can see only to half.
const QUEUE_PART: u32 = 2;

fn accept_queue(e: &Evidence, alone: bool) -> Option<Diagnosis> {
    let overflows = e.kernel.listen_overflows;
    let full = e
        .queue
        .filter(|q| q.waiting >= (q.limit / QUEUE_PART).max(1));
    let (what, allows) = match full {
        Some(q) => (
            format!(
                "{} connections wait in the accept queue of {}, which takes {}: its server accepts no more, or not fast enough",
                number(q.waiting.into()),
                q.target,
                // The kernel lets one more in than was asked for.
                number(u64::from(q.limit) + 1),
            ),
            // Where nothing else explains it, all that is up is in the queue or was accepted before.
            alone.then_some(e.plateau),
        ),
        None if overflows > 0 => (
            format!(
                "accept queues on this machine overflowed {} times: each is a handshake that was dropped",
                number(overflows)
            ),
            None,
        ),
        None => return None,
    };
    Some(Diagnosis {
        limit: LimitKind::AcceptQueue,
        allows,
        certain: true,
        what,
        remedy: "More room: the server's backlog and net.core.somaxconn; or connect more slowly (--connect-rate).".into(),
    })
}

fn syn_queue(e: &Evidence) -> Option<Diagnosis> {
    let k = &e.kernel;
    let what = match (k.syn_queue_drops, k.syncookies) {
        (0, 0) => return None,
        (0, cookies) => format!(
            "the queue of unfinished handshakes on this machine was full: {} were answered with SYN cookies, without window scaling and other options if the client sends no timestamps",
            number(cookies)
        ),
        (drops, _) => format!(
            "{} handshakes were dropped on this machine because the queue of unfinished ones was full",
            number(drops)
        ),
    };
    Some(Diagnosis {
        limit: LimitKind::SynBacklog,
        allows: None,
        certain: true,
        what,
        remedy: "Raise net.ipv4.tcp_max_syn_backlog and the server's backlog, and leave SYN cookies on (net.ipv4.tcp_syncookies=1).".into(),
    })
}

/// Closings for each connection that stayed up, from which on a server is taken to close what comes beyond
/// its limit.
const MANY_CLOSED: f64 = 0.02;

fn closes_what_comes_beyond(e: &Evidence) -> Option<Diagnosis> {
    use crate::stats::Closed;
    let closed = e.clients.closed(Closed::ByPeer) + e.clients.closed(Closed::ResetByPeer);
    if e.plateau == 0 || (closed as f64) < (e.plateau as f64 * MANY_CLOSED).max(1.0) {
        return None;
    }
    if e.clients.open() * 2 < e.plateau {
        // It does not hold them: it closes each.
        return None;
    }
    Some(Diagnosis {
        limit: LimitKind::TargetConnections,
        allows: Some(e.plateau),
        certain: false,
        what: format!(
            "the target holds {} connections and closes those that come beyond: looks like a limit of its own (nginx worker_connections, HAProxy maxconn, max_connections)",
            number(e.plateau)
        ),
        remedy: "Raise it in the server's configuration, and its limit on open files with it."
            .into(),
    })
}

/// Limits on open files that are common.
const FILE_LIMITS: [u64; 20] = [
    256, 512, 1024, 2048, 4096, 8192, 10_000, 10_240, 16_384, 20_000, 32_768, 40_000, 50_000,
    65_535, 65_536, 100_000, 131_072, 262_144, 524_288, 1_048_576,
];
/// Files that a server has open besides its connections.
const OTHER_FILES: std::ops::RangeInclusive<u64> = 3..=40;
/// Fewer than this, where the guess takes in an accept queue too: more would fit too many numbers.
const FEW_FILES: u64 = 16;
/// Lengths that accept queues commonly have: old and new somaxconn, nginx, the round ones. The kernel
/// lets one more in.
const BACKLOGS: [u64; 4] = [128, 511, 1024, 4096];
/// Ports of Linux's own range, of which an address behind a proxy has as many towards one backend.
const DEFAULT_PORTS: u64 = 28_232;
/// Maxima that conntrack tables commonly have.
const CONNTRACK_MAXIMA: [u64; 5] = [32_768, 65_536, 131_072, 262_144, 524_288];
/// A plateau within this part of a number is taken for it.
const NEAR: f64 = 0.01;

/// What the number at which it stopped looks like.
fn plateau(e: &Evidence) -> Option<Diagnosis> {
    let n = e.plateau.saturating_sub(waiting(e));
    let near = |limit: u64| n.abs_diff(limit) as f64 <= limit as f64 * NEAR;
    let guess = |limit, allows, what: String, remedy: &str| {
        Some(Diagnosis {
            limit,
            allows: Some(allows),
            certain: false,
            what: format!("the target stopped at {} connections: {what}", number(n)),
            remedy: remedy.into(),
        })
    };
    if let Some((limit, backlog)) = file_limit_under(n, e.queue.is_some()) {
        let queue = backlog.map_or(String::new(), |b| {
            format!(
                ", {} more being in its accept queue of {}",
                number(b + 1),
                number(b)
            )
        });
        return guess(
            LimitKind::TargetFiles,
            n,
            format!("looks like its own file limit of {limit}{queue}"),
            "Raise the server's limit on open files: LimitNOFILE= in its systemd unit, or ulimit -n in what starts it.",
        );
    }
    let remote = e.targets.iter().any(|t| !t.ip().is_loopback());
    if remote && near(DEFAULT_PORTS) {
        return guess(
            LimitKind::FourTuples,
            DEFAULT_PORTS,
            format!(
                "looks like a proxy on the way that ran out of ports ({DEFAULT_PORTS}) towards its server"
            ),
            "Give the proxy more source addresses, ports (net.ipv4.ip_local_port_range), or backends.",
        );
    }
    if let Some(limit) = CONNTRACK_MAXIMA.into_iter().find(|m| remote && near(*m)) {
        return guess(
            LimitKind::Conntrack,
            limit,
            format!("looks like a conntrack table of {limit} entries on the target or on the way"),
            "Look there: dmesg for \"nf_conntrack: table full\", sysctl net.netfilter.nf_conntrack_max.",
        );
    }
    None
}

/// The common file limit that a server has reached with `n` connections; with the accept queue that
/// holds some of them, if that can't be seen.
fn file_limit_under(n: u64, queue_seen: bool) -> Option<(u64, Option<u64>)> {
    let under = |n: u64, most: u64| {
        FILE_LIMITS.into_iter().find(|limit| {
            let spare = limit.checked_sub(n);
            spare.is_some_and(|spare| OTHER_FILES.contains(&spare) && spare <= most)
        })
    };
    if let Some(limit) = under(n, u64::MAX) {
        return Some((limit, None));
    }
    if queue_seen {
        return None;
    }
    BACKLOGS.into_iter().rev().find_map(|backlog| {
        let limit = under(n.checked_sub(backlog + 1)?, FEW_FILES)?;
        Some((limit, Some(backlog)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Closed, Counters};

    fn stopped_at(plateau: u64) -> Evidence {
        Evidence {
            plateau,
            targets: vec!["10.0.0.1:80".parse().unwrap()],
            ports: 28_232,
            four_tuples: Some(28_232),
            file_limit: 20_000,
            ..Evidence::default()
        }
    }

    fn with_failures(mut e: Evidence, cause: FailCause) -> Evidence {
        let counters = Counters::default();
        counters.failed(cause);
        e.clients = counters.read();
        e
    }

    /// The first diagnosis: limit, number, whether it is certain.
    fn first(e: &Evidence) -> Option<(LimitKind, Option<u64>, bool)> {
        diagnose(e).first().map(|d| (d.limit, d.allows, d.certain))
    }

    #[test]
    fn a_plateau_is_told_for_what_it_looks_like() {
        use LimitKind::*;
        for (plateau, limit, allows) in [
            (1013, TargetFiles, 1013),
            (1020, TargetFiles, 1020),
            (65_523, TargetFiles, 65_523),
            (28_232, FourTuples, 28_232),
            (28_230, FourTuples, 28_232),
            (65_536, Conntrack, 65_536),
            (262_144, Conntrack, 262_144),
            // 1,013 accepted and 512 in a queue of 511.
            (1013 + 512, TargetFiles, 1525),
        ] {
            let e = stopped_at(plateau);
            assert_eq!(first(&e), Some((limit, Some(allows), false)), "{plateau}");
        }
        for plateau in [0, 1, 700, 5_000, 30_000, 77_777] {
            assert_eq!(diagnose(&stopped_at(plateau)), [], "{plateau}");
        }
    }

    #[test]
    fn a_file_limit_of_1024_is_named_as_such() {
        let said = diagnose(&stopped_at(1013))[0].to_string();
        assert!(
            said.starts_with(
                "the target stopped at 1,013 connections: looks like its own file limit of 1024"
            ),
            "{said}"
        );
    }

    #[test]
    fn connections_in_a_queue_that_can_be_seen_are_no_part_of_what_was_accepted() {
        let mut e = stopped_at(1013 + 65);
        e.queue = Some(Queue {
            target: "127.0.0.1:80".parse().unwrap(),
            waiting: 65,
            limit: 128,
        });
        let all = diagnose(&e);
        assert_eq!(
            (all[0].limit, all[0].allows),
            (LimitKind::TargetFiles, Some(1013))
        );
        assert_eq!(all[1].limit, LimitKind::AcceptQueue);
        // By itself the queue is the limit.
        e.plateau = 17;
        e.queue = e.queue.map(|q| Queue {
            waiting: 17,
            limit: 16,
            ..q
        });
        assert_eq!(first(&e), Some((LimitKind::AcceptQueue, Some(17), true)));
    }

    #[test]
    fn what_an_error_code_or_a_counter_names_is_certain_and_comes_first() {
        let ran_out = with_failures(stopped_at(28_232), FailCause::NoAddress);
        assert_eq!(
            first(&ran_out),
            Some((LimitKind::FourTuples, Some(28_232), true))
        );
        let files = with_failures(stopped_at(1013), FailCause::FileLimit);
        assert_eq!(first(&files), Some((LimitKind::OpenFiles, None, true)));
        let mut tracked = stopped_at(1013);
        tracked.conntrack = Some(Tracked {
            count: 1024,
            max: 1024,
            dropped: 3,
            logged: false,
        });
        assert_eq!(
            first(&tracked),
            Some((LimitKind::Conntrack, Some(1024), true))
        );
        let mut memory = stopped_at(9_000);
        memory.memory_left = Some((1 << 30, LimitKind::Memory));
        assert_eq!(first(&memory), Some((LimitKind::Memory, Some(9_000), true)));
        let mut queue = stopped_at(700);
        queue.kernel.listen_overflows = 7;
        assert_eq!(first(&queue), Some((LimitKind::AcceptQueue, None, true)));
        queue.kernel = KernelCounts {
            syncookies: 9,
            ..KernelCounts::default()
        };
        let said = &diagnose(&queue)[0];
        assert_eq!((said.limit, said.certain), (LimitKind::SynBacklog, true));
        assert!(
            said.what.contains("9 were answered with SYN cookies"),
            "{said}"
        );
    }

    #[test]
    fn a_server_process_is_the_cause_only_if_all_that_accept_are_full() {
        let process = |files_open| Process {
            pid: 12,
            name: "nginx".into(),
            file_limit: 512,
            files_open,
            uring: false,
        };
        let mut e = stopped_at(502);
        e.servers = vec![process(512)];
        let said = diagnose(&e);
        assert!(
            said[0].certain && said[0].what.contains("nginx (pid 12)"),
            "{said:?}"
        );
        e.servers = vec![process(512), process(100)];
        assert!(!diagnose(&e).iter().any(|d| d.certain));
    }

    #[test]
    fn a_server_that_closes_what_comes_beyond_has_a_limit_of_its_own() {
        let counters = Counters::default();
        counters.established.add(1313);
        counters.closed(Closed::ByPeer, 300);
        let mut e = stopped_at(1013);
        e.clients = counters.read();
        let limit = LimitKind::TargetConnections;
        assert_eq!(first(&e), Some((limit, Some(1013), false)));
        // One that closes each connection after a while holds none.
        counters.closed(Closed::ByPeer, 900);
        e.clients = counters.read();
        assert!(diagnose(&e).iter().all(|d| d.limit != limit));
    }
}
