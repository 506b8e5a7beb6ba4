//! Guesses a limit from the number of connections at which a run stopped: the target's, or of something on the way.

use super::cause::Diagnosis;
use super::evidence::Evidence;
use super::own;
use crate::capacity::LimitKind;
use crate::human::{count as number, things};
use crate::stats::{Closed, FailCause, Tally};
use std::time::Duration;

/// Closed connections per open one from which on a server is assumed to close connections beyond its limit.
const MANY_CLOSED: f64 = 0.02;

/// A connection that a peer closes within this time of its establishment was not wanted. One that is closed later was
/// held: by a timeout, at random, or when the server ended.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// What is open once a peer has had the time to close what it does not want is 1/`STANDING_PART` of the peak or more,
/// where it holds some. The peak includes what was not closed yet.
const STANDING_PART: u64 = 5;

/// Failures for which a server that has met a limit is not the cause: it leaves connections in its queue, or closes them.
/// It neither refuses them, nor does a router report that it is unreachable.
const NOT_BY_A_SERVER: [FailCause; 4] = [
    FailCause::Refused,
    FailCause::Unreachable,
    FailCause::Forbidden,
    FailCause::NoAddress,
];

/// Whether attempts failed for a reason of which no server is the cause.
fn failed_without_a_server(counted: &Tally) -> bool {
    let mut reasons = NOT_BY_A_SERVER.into_iter();
    reasons.any(|why| counted.failed(why) > 0)
}

/// A server that holds a number of connections and closes further ones.
pub fn closes_what_comes_beyond(e: &Evidence) -> Option<Diagnosis> {
    let closed = e.clients.closed(Closed::ByPeer) + e.clients.closed(Closed::ResetByPeer);
    if e.plateau == 0 || (closed as f64) < (e.plateau as f64 * MANY_CLOSED).max(1.0) {
        return None;
    }
    if e.clients.open() * STANDING_PART < e.plateau {
        // What is left is about to be closed, too: it closes every connection.
        return None;
    }
    // Such a server goes on to listen.
    if failed_without_a_server(&e.clients) {
        return None;
    }
    if e.closed_aged.is_none_or(|p90| p90 > AT_ONCE) {
        return None;
    }
    let (target, setting) = own::named(e);
    Some(Diagnosis {
        limit: LimitKind::TargetConnections,
        // How many it would hold of connections that are in use is another question.
        allows: None,
        certain: false,
        what: format!(
            "{target} holds about {} and closes further ones at once: looks like a limit of its own{setting}",
            things(e.clients.open(), "connection")
        ),
        remedy: "Raise it in the server's configuration, and its limit on open files with it."
            .into(),
    })
}

/// How many more of its connections than of new ones a server may have closed, or fewer, to have made room for these: 1/`ROOM_PART`,
/// as it closes several at a time.
const ROOM_PART: u64 = 4;
/// New connections, at the same number, that show that each takes the place of another.
const ENOUGH_REPLACED: u64 = 8;

/// A server that holds a number of connections, and closes older ones to make room for new ones. That it does so shows where more
/// are opened all the time: as many were closed as were accepted. Where a server closes connections for another reason, such as a
/// timeout, their number grows as long as they are opened faster.
pub fn makes_room(e: &Evidence) -> Option<Diagnosis> {
    let counted = e.without_growth?;
    let closed = counted.closed(Closed::ByPeer) + counted.closed(Closed::ResetByPeer);
    let accepted = counted.established;
    let replaced = accepted >= ENOUGH_REPLACED && accepted.abs_diff(closed) <= accepted / ROOM_PART;
    if !replaced && e.closes_beyond.is_none() {
        return None;
    }
    if failed_without_a_server(&counted) {
        return None;
    }
    let (target, setting) = own::named(e);
    let of_nginx = match setting.contains("worker_connections") {
        true => {
            "; nginx closes idle connections when 15/16 of its worker_connections are in use, and logs that they \"are not enough\""
        }
        false => "",
    };
    // The number alone decides what it closes, and its end of the connections is here.
    let certain = e.closes_beyond.is_some() && own::server(e).is_some();
    let counted = format!(
        "{} accepted meanwhile, {} closed",
        number(accepted),
        number(closed)
    );
    Some(Diagnosis {
        limit: LimitKind::TargetConnections,
        allows: e.closes_beyond,
        certain,
        what: match e.closes_beyond {
            Some(n) => format!(
                "{target} holds {} and closes none of them, but some once there are more ({counted}): {} a limit of its own{setting}",
                things(n, "connection"),
                if certain { "that is" } else { "looks like" },
            ),
            None => format!(
                "{target} holds about {} and closes older ones for new ones ({counted}): looks like a limit of its own{setting}",
                things(e.clients.open(), "connection"),
            ),
        },
        remedy: format!(
            "Raise it in the server's configuration, and its limit on open files with it{of_nginx}."
        ),
    })
}

/// Common limits on open files.
const FILE_LIMITS: [u64; 20] = [
    256, 512, 1024, 2048, 4096, 8192, 10_000, 10_240, 16_384, 20_000, 32_768, 40_000, 50_000,
    65_535, 65_536, 100_000, 131_072, 262_144, 524_288, 1_048_576,
];
/// Files that a server has open besides its connections.
const OTHER_FILES: std::ops::RangeInclusive<u64> = 3..=40;
/// The most other files if the guess includes an accept queue: a wider range would fit too many numbers.
const FEW_FILES: u64 = 16;
/// Common lengths of accept queues: old and new somaxconn, nginx, round numbers. The kernel accepts one connection
/// more.
const BACKLOGS: [u64; 4] = [128, 511, 1024, 4096];
/// Ports in Linux's default range: how many a proxy's address has to one backend.
const DEFAULT_PORTS: u64 = 28_232;
/// Common maxima of conntrack tables.
const CONNTRACK_MAXIMA: [u64; 5] = [32_768, 65_536, 131_072, 262_144, 524_288];
/// How close a plateau must be to a number, as a share of it.
const NEAR: f64 = 0.01;

/// The common limit just above the number at which the run stopped.
pub fn looks_like(e: &Evidence) -> Option<Diagnosis> {
    // A peak that did not stand is no limit.
    if (e.clients.open() as f64) < e.plateau as f64 * (1.0 - MANY_CLOSED) {
        return None;
    }
    // Where established connections are not acknowledged either, the path is silent.
    if e.targets.iter().any(|t| t.unacknowledged > 0) {
        return None;
    }
    let n = e.accepted();
    let near = |limit: u64| n.abs_diff(limit) as f64 <= limit as f64 * NEAR;
    let guess = |limit, allows, what: String, remedy: &str| {
        Some(Diagnosis {
            limit,
            allows: Some(allows),
            certain: false,
            what: format!("the target stopped at {}: {what}", things(n, "connection")),
            remedy: remedy.into(),
        })
    };
    let queues_seen = e.targets.iter().any(|t| !t.listeners.is_empty());
    let files = file_limit_under(n, queues_seen).filter(|_| may_be_files(e));
    if let Some((limit, backlog)) = files {
        let queue = backlog.map_or(String::new(), |b| {
            format!(
                ", with {} more in its accept queue of {}",
                number(b + 1),
                number(b)
            )
        });
        return guess(
            LimitKind::TargetFiles,
            n,
            format!(
                "looks like its own file limit of {limit}{queue}{}",
                doubt(e)
            ),
            "Raise the server's limit on open files: LimitNOFILE= in its systemd unit, or ulimit -n in what starts it.",
        );
    }
    let remote = e.targets.iter().any(|t| t.served_at.is_none());
    if remote && near(DEFAULT_PORTS) {
        return guess(
            LimitKind::FourTuples,
            DEFAULT_PORTS,
            format!(
                "looks like a proxy on the way that ran out of ports ({DEFAULT_PORTS}) to its server"
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

/// Whether a file limit of the server's can be why the run stopped. Where its processes can be seen, they have files left.
fn may_be_files(e: &Evidence) -> bool {
    let processes = || {
        let listeners = e.targets.iter().flat_map(|t| &t.listeners);
        listeners.flat_map(|l| &l.processes)
    };
    // Processes that it hands connections to are not seen.
    let seen = processes().next().is_some() && processes().all(|p| p.workers == 0);
    !seen && !failed_without_a_server(&e.clients)
}

/// What would look the same: on the way to another machine, if there was no traffic.
fn doubt(e: &Evidence) -> &'static str {
    let remote = e.targets.iter().any(|t| t.served_at.is_none());
    match e.clients.bytes_received {
        0 if remote => {
            " (so does a path that became silent then: no established connection received anything that would show it)"
        }
        _ => "",
    }
}

/// The common file limit that a server has reached with `n` connections, and the length of the accept queue that holds
/// some of them, if the queue can't be seen.
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
