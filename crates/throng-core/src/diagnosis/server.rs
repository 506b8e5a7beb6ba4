//! Limits of servers on this machine: their processes, their files and their queues.

use super::cause::Diagnosis;
use super::evidence::{Evidence, Listening, Queue, Target};
use super::own;
use super::plateau::AT_ONCE;
use crate::capacity::LimitKind;
use crate::host::Process;
use crate::human::{count as number, things, verb};
use crate::stats::{Closed, FailCause};

/// The servers whose processes ended during the run.
pub fn ended(targets: &[Target]) -> impl Iterator<Item = Diagnosis> {
    let mut told = Vec::new();
    let first = targets.iter().filter(move |t| {
        let pid = t.ended.first().map(|p| p.pid);
        pid.is_some_and(|pid| {
            !told.contains(&pid) && {
                told.push(pid);
                true
            }
        })
    });
    first.map(|t| {
        let p = &t.ended[0];
        let who = match t.ended.len() {
            1 => format!("its process {} (pid {}) has", p.name, p.pid),
            n => format!(
                "its {} processes, {} (pid {}) among them, have",
                number(n as u64),
                p.name,
                p.pid
            ),
        };
        Diagnosis {
            limit: LimitKind::TargetProcess,
            allows: None,
            certain: true,
            what: format!("the server of {} ended during the run: {who} gone", t.address),
            remedy: "Look at the server's own log, at dmesg (the kernel kills processes for lack of memory) and at coredumpctl.".into(),
        }
    })
}

/// Servers that have no file left. Each target counts by itself, and each listener of an SO_REUSEPORT group.
pub fn files(e: &Evidence) -> Vec<Diagnosis> {
    let mut told: Vec<u32> = Vec::new();
    let mut all = Vec::new();
    for target in &e.targets {
        let out: Vec<&Listening> = target
            .listeners
            .iter()
            .filter(|l| !l.processes.is_empty() && l.processes.iter().all(|p| is_full(p, e)))
            .collect();
        let Some(first) = out.first() else { continue };
        let process = &first.processes[0];
        if told.contains(&process.pid) {
            continue;
        }
        told.push(process.pid);
        let whole = out.len() == target.listeners.len();
        let only = whole && e.targets.len() == 1;
        let accepted = match only {
            true => e.accepted(),
            false => target.established.saturating_sub(target.waiting()),
        };
        // A server may keep what this side has given up, or miss what this side has: then nothing says how many it holds.
        let agrees = target.served == Some(accepted + target.waiting());
        let stopped = match (only, whole) {
            (true, _) if agrees => {
                format!("the target stopped at {}", things(accepted, "connection"))
            }
            (true, _) => "the target has no file left".into(),
            (_, true) if agrees => format!(
                "the server of {} stopped at {}",
                target.address,
                things(accepted, "connection")
            ),
            (_, true) => format!("the server of {} has no file left", target.address),
            _ => format!(
                "{} of the {} listeners of {} stopped",
                out.len(),
                target.listeners.len(),
                target.address
            ),
        };
        all.push(Diagnosis {
            limit: LimitKind::TargetFiles,
            allows: (only && agrees).then_some(accepted),
            certain: true,
            what: format!(
                "{stopped}: its process {} (pid {}) has {} of at most {} files open",
                process.name,
                process.pid,
                // An accept() that is about to fail counts for a moment.
                number(process.files_open.min(process.file_limit)),
                number(process.file_limit)
            ),
            remedy: "Raise the server's limit: LimitNOFILE= in its systemd unit, ulimit -n in what starts it, or prlimit --pid.".into(),
        });
    }
    all
}

/// Whether `process` has no file left for a further connection. A program that accepts and closes connections beyond its
/// limit has one left in between.
fn is_full(process: &Process, e: &Evidence) -> bool {
    if process.uring {
        // Its sockets may be in io_uring's tables.
        return false;
    }
    let closes = e.clients.closed(Closed::ByPeer) + e.clients.closed(Closed::ResetByPeer) > 0
        && e.closed_aged.is_some_and(|p90| p90 <= AT_ONCE);
    process.files_open + u64::from(closes) >= process.file_limit
}

/// The run itself fills accept queues that it can see only to 1/`QUEUE_PART`.
const QUEUE_PART: u64 = 2;

/// The fullest queue of a target whose queue is full, and how many targets are in that state. `alone` says that nothing else is known
/// to explain where the run stopped.
fn full_queue(e: &Evidence, alone: bool) -> Option<(&Target, &Listening, usize)> {
    let targets = e.targets.iter();
    let mut full: Vec<(&Target, &Listening)> = targets
        .filter_map(|target| fullest(target, e, alone))
        .collect();
    let others = full.len();
    full.sort_by_key(|(_, l)| std::cmp::Reverse(l.queue.waiting));
    full.first().map(|(t, l)| (*t, *l, others - 1))
}

/// The fullest queue of `target`, if it keeps connections from being established.
fn fullest<'a>(
    target: &'a Target,
    e: &Evidence,
    alone: bool,
) -> Option<(&'a Target, &'a Listening)> {
    let l = target.listeners.iter().max_by_key(|l| l.queue.waiting)?;
    let limit: u64 = target
        .listeners
        .iter()
        .map(|l| u64::from(l.queue.limit))
        .sum();
    let full = l.queue.waiting >= l.queue.limit.max(1);
    let held_back = e.holds_back && target.waiting() >= (limit / QUEUE_PART).max(1);
    // Few are opened beyond a limit that is looked for, and these would have been accepted meanwhile.
    let left = alone && e.without_growth.is_some() && l.queue.waiting > 0;
    (full || held_back || left).then_some((target, l))
}

/// Accept queues of the targets that are full, or overflowed. `alone` says that nothing else is known to explain where
/// the run stopped.
pub fn accept_queues(e: &Evidence, alone: bool) -> Option<Diagnosis> {
    let found = |certain, allows, what| {
        Some(Diagnosis {
            limit: LimitKind::AcceptQueue,
            allows,
            certain,
            what,
            remedy: "More room: the server's backlog and net.core.somaxconn; or connect more slowly (--connect-rate).".into(),
        })
    };
    if let Some((target, l, others)) = full_queue(e, alone) {
        let group = target.listeners.len();
        let which = match group {
            1 => format!("the accept queue of {}", l.queue.target),
            n => format!(
                "one of the {n} accept queues of {} (SO_REUSEPORT)",
                l.queue.target
            ),
        };
        let also = match others {
            0 => String::new(),
            n => format!("; the same for {}", things(n as u64, "other target")),
        };
        // If nothing else explains it, each connection is in the queue or was accepted, and the queue would have filled.
        let one = alone && group == 1 && e.targets.len() == 1;
        let allows = one.then(|| match e.without_growth {
            Some(_) => e.accepted(),
            None => e.accepted() + room(&l.queue),
        });
        return found(
            true,
            allows,
            format!(
                "{} {} in {which}, which has room for {}: {}{also}",
                things(l.queue.waiting.into(), "connection"),
                verb(l.queue.waiting.into(), "waits", "wait"),
                number(room(&l.queue)),
                not_accepted(l, e),
            ),
        );
    }
    let overflowed = e.kernel.listen_overflows > 0;
    let (l, certain) = dropped(e, e.kernel.syn_queue_drops == 0)?;
    overflowed.then_some(())?;
    let queue = &l.queue;
    let unfinished = e.unfinished();
    let what = match certain {
        true if unfinished > 0 => format!(
            "the accept queue of {} overflowed: {} {} dropped, and {} {} open on this side only, since the end of their handshake was dropped",
            queue.target,
            things(l.dropped, "packet"),
            verb(l.dropped, "was", "were"),
            things(unfinished, "connection"),
            verb(unfinished, "is", "are")
        ),
        true => format!(
            "the accept queue of {} overflowed: {} {} dropped",
            queue.target,
            things(l.dropped, "packet"),
            verb(l.dropped, "was", "were")
        ),
        false => format!(
            "perhaps the accept queue of {}: {} {} dropped there, but it has room now ({} of {})",
            queue.target,
            things(l.dropped, "packet"),
            verb(l.dropped, "was", "were"),
            number(queue.waiting.into()),
            number(room(queue))
        ),
    };
    found(certain, None, what)
}

/// Why connections wait in the queue of `listener`.
fn not_accepted(listener: &Listening, e: &Evidence) -> String {
    let server = match listener.processes.as_slice() {
        [p] => format!("its server {} (pid {})", p.name, p.pid),
        _ => "its server".into(),
    };
    // More was opened all the time.
    let none = e
        .without_growth
        .is_some_and(|counted| counted.closed_in_all() == 0);
    match listener.processes.first().and_then(own::setting) {
        Some(setting) if none && own::has_files_left(listener) => format!(
            "{server} has files left and accepts no more, which looks like a limit of its own ({setting})"
        ),
        _ if none && own::has_files_left(listener) => format!(
            "{server} has files left and accepts no more: it has a limit of its own, or is busy or stuck"
        ),
        _ => format!("{server} does not accept, or not fast enough"),
    }
}

/// How many connections `queue` holds at most: the kernel admits one more than the backlog.
fn room(queue: &Queue) -> u64 {
    u64::from(queue.limit) + 1
}

/// The listener that dropped most handshakes of this run, if they are as many as half of those that timed out, and whether
/// these are all that did: each attempt that timed out has lost at least one packet. `of_one_kind` says that all drops
/// have the same reason.
fn dropped(e: &Evidence, of_one_kind: bool) -> Option<(&Listening, bool)> {
    let all = e.targets.iter().flat_map(|t| &t.listeners);
    let failed = e.clients.failed(FailCause::TimedOut);
    let most = all.max_by_key(|l| l.dropped)?;
    if most.dropped == 0 || most.dropped * 2 < failed {
        return None;
    }
    // The kernel also counts packets that belong to no connection any more, such as resets. Where each attempt succeeded,
    // nothing that mattered was dropped.
    let clients = &e.clients;
    let unfinished = e.unfinished();
    if clients.attempted > 0 && clients.failed_in_all() + clients.in_flight() + unfinished == 0 {
        return None;
    }
    // A server does not see which attempts fail: that packets were dropped is all there is to say.
    let lost = failed + unfinished;
    // Nor which of the drops in this namespace were its own, unless all may be.
    let queues = e.kernel.listen_overflows + e.kernel.syn_queue_drops;
    let all_failed = match e.clients.attempted {
        0 => queues >= most.dropped,
        _ => lost > 0 && most.dropped >= lost,
    };
    Some((most, of_one_kind && all_failed))
}

/// Handshakes that found no room in the SYN queue of a target. `alone` says that nothing else is known to explain where the
/// run stopped.
pub fn syn_queue(e: &Evidence, alone: bool) -> Option<Diagnosis> {
    let k = &e.kernel;
    let (certain, what) = match dropped(e, k.listen_overflows == 0) {
        Some((l, certain)) if k.syn_queue_drops > 0 => (
            certain,
            format!(
                "{}the queue of unfinished handshakes of {}: {} were dropped there",
                if certain { "" } else { "perhaps " },
                l.queue.target,
                number(l.dropped)
            ),
        ),
        // A cookie answers a handshake, so it explains little.
        _ if alone && k.syncookies > 0 && e.targets.iter().any(|t| !t.listeners.is_empty()) => (
            false,
            format!(
                "perhaps the queue of unfinished handshakes: on this machine {} were answered with SYN cookies, without window scaling and other options if the client sends no timestamps",
                number(k.syncookies)
            ),
        ),
        _ => return None,
    };
    Some(Diagnosis {
        limit: LimitKind::SynBacklog,
        allows: None,
        certain,
        what,
        remedy: "Raise net.ipv4.tcp_max_syn_backlog and the server's backlog, and leave SYN cookies on (net.ipv4.tcp_syncookies=1).".into(),
    })
}
