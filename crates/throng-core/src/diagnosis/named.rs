//! Limits that an error code, a kernel counter or /proc names: these are certain.

use super::cause::Diagnosis;
use super::evidence::Evidence;
use crate::capacity::LimitKind;
use crate::host::Process;
use crate::human::count as number;
use crate::stats::FailCause;

/// The limits that stop a run by themselves, the likeliest first.
pub fn all(e: &Evidence) -> impl Iterator<Item = Diagnosis> {
    let all = [
        memory(e),
        four_tuples(e),
        own_files(e),
        conntrack_full(e),
        server_files(e),
        tcp_memory(e),
    ];
    all.into_iter().flatten()
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
    // If no connection was established, the source address is not of this machine.
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
            "this process reached a limit on open files at {} connections (ulimit -Hn is {})",
            number(e.plateau),
            number(e.file_limit)
        ),
        remedy: "Use --engine uring, which the process's limit does not bind; or raise that limit (ulimit -Hn N as root, LimitNOFILE= in systemd), and the machine's (sysctl -w fs.file-max=N).".into(),
    })
}

/// The share of its maximum from which on a table counts as full: entries of other traffic come and go.
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
            if t.logged { " (the kernel's log says so, too)" } else { "" }
        ),
        remedy: "Raise it (sysctl -w net.netfilter.nf_conntrack_max=N), or don't track this traffic (nftables notrack, iptables -t raw -j CT --notrack).".into(),
    })
}

/// Files that a program at its limit may have left: it closes a connection that it could not accept, or keeps one file
/// in reserve for that.
const SPARE_FILES: u64 = 4;

fn server_files(e: &Evidence) -> Option<Diagnosis> {
    let full = |p: &&Process| p.files_open + SPARE_FILES >= p.file_limit;
    // If only one of several workers is full, only its share of the connections stops.
    if e.servers.is_empty() || !e.servers.iter().all(|p| full(&p)) {
        return None;
    }
    let p = &e.servers[0];
    let accepted = e.accepted();
    Some(Diagnosis {
        limit: LimitKind::TargetFiles,
        allows: Some(accepted),
        certain: true,
        what: format!(
            "the target stopped at {} connections: its process {} (pid {}) has {} of at most {} files open",
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
            "the kernel had no memory for sockets: {} attempts failed, {} connections were reset for it, and TCP's buffers were under pressure {} times",
            number(failed),
            number(k.aborts_on_memory),
            number(k.memory_pressures)
        ),
        remedy: "Raise net.ipv4.tcp_mem, or the container's memory limit; look at ulimit -l.".into(),
    })
}

/// A queue counts as full from 1/`QUEUE_PART` on: throng itself fills queues that it can see only to half.
const QUEUE_PART: u32 = 2;

/// An accept queue that is full or overflowed. `alone` says that nothing else explains where the run stopped.
pub fn accept_queue(e: &Evidence, alone: bool) -> Option<Diagnosis> {
    let overflows = e.kernel.listen_overflows;
    let full = e
        .queue
        .filter(|q| q.waiting >= (q.limit / QUEUE_PART).max(1));
    let (what, allows) = match full {
        Some(q) => (
            format!(
                "{} connections wait in the accept queue of {}, which has room for {}: its server does not accept, or not fast enough",
                number(q.waiting.into()),
                q.target,
                // The kernel accepts one more than the backlog.
                number(u64::from(q.limit) + 1),
            ),
            // If nothing else explains it, every connection is in the queue or was accepted before.
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

/// Handshakes that found no room in the SYN queue.
pub fn syn_queue(e: &Evidence) -> Option<Diagnosis> {
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
