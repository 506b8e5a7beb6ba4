//! The accept path of a server on this machine: how many connections may be established at the same moment. It bounds
//! the speed, not the number of connections held.

use super::case::Case;
use super::limit::{Lift, Limit, LimitKind, Measure};
use super::target::listeners;
use crate::host::DEFAULT_SOMAXCONN;
use crate::human::{count, seconds};

/// A round trip over a long path, in seconds: how long a handshake waits in the SYN queue.
const LONG_PATH_S: f64 = 0.1;

pub(super) fn limits(case: &Case) -> Vec<Limit> {
    if !case.accepts() {
        return Vec::new();
    }
    match case.question.unix {
        // Their connections have no handshake.
        true => vec![queue(case)],
        false => vec![queue(case), syn_backlog(case)],
    }
}

/// Connections that the queue has room for while the server does not accept. Linux admits one more than its length
/// (`sk_acceptq_is_full` compares with >).
fn queue(case: &Case) -> Limit {
    const KIND: LimitKind = LimitKind::AcceptQueue;
    let somaxconn = case.host.accept.somaxconn;
    let target = case
        .question
        .targets
        .iter()
        .flat_map(|t| listeners(case.host, *t))
        .min_by_key(|l| l.backlog);
    let (length, queued, whose) = match (target, somaxconn) {
        (Some(l), _) => (
            l.backlog,
            l.queued,
            format!(
                "{}'s backlog in listen(), capped by net.core.somaxconn",
                l.address
            ),
        ),
        (None, Some(n)) => (n, 0, "net.core.somaxconn".into()),
        (None, None) => return Limit::unread(KIND, case.host, "net.core.somaxconn"),
    };
    let room = u64::from(length.saturating_add(1).saturating_sub(queued));
    let mut value = format!("{} may wait to be accepted", count(length.into()));
    if queued > 0 {
        value += &format!(", {} wait now", count(queued.into()));
    }
    if let Some(rate) = case.question.connect_rate {
        value += &format!(
            "; at {}/s that covers a pause of {}",
            count(rate.get() as u64),
            seconds(room as f64 / rate.get())
        );
    } else {
        value += &format!("; that covers pauses of 100 ms at {}/s", count(room * 10));
    }
    let to = 65_535;
    let mut lifts = Vec::new();
    if somaxconn.unwrap_or(DEFAULT_SOMAXCONN) < to {
        lifts.push(
            Lift::by("a longer queue, if the server asks for one too (--backlog, listen())")
                .command(format!("sudo sysctl -w net.core.somaxconn={to}")),
        );
    } else {
        lifts.push(Lift::by("a longer backlog in the server's listen()"));
    }
    lifts.push(Lift::by("open more slowly").command("--connect-rate R"));
    Limit {
        measure: Measure::AtOnce,
        ..Limit::held(KIND, room, value, whose).unsure().lifted(lifts)
    }
}

/// Unfinished handshakes. With SYN cookies the queue is as long as the accept queue, and further handshakes are
/// answered without a place in it. Without SYN cookies, a quarter of `tcp_max_syn_backlog` is reserved for known
/// addresses (tcp_conn_request()).
fn syn_backlog(case: &Case) -> Limit {
    const KIND: LimitKind = LimitKind::SynBacklog;
    let accept = &case.host.accept;
    let (Some(somaxconn), Some(backlog)) = (accept.somaxconn, accept.syn_backlog) else {
        return Limit::unread(KIND, case.host, "net.ipv4.tcp_max_syn_backlog");
    };
    let source = "net.ipv4.tcp_max_syn_backlog, net.core.somaxconn, net.ipv4.tcp_syncookies";
    let per_s = |n: u32| count((f64::from(n) / LONG_PATH_S) as u64);
    match accept.syncookies {
        Some(0) => {
            let room = somaxconn.min(backlog - backlog / 4);
            let value = format!(
                "{} handshakes at once; {}/s over a round trip of 100 ms; beyond that SYNs are dropped (no SYN cookies)",
                count(room.into()),
                per_s(room)
            );
            Limit {
                measure: Measure::AtOnce,
                ..Limit::held(KIND, room.into(), value, source)
                    .unsure()
                    .lifted([
                        Lift::by("a longer one").command(
                            "sudo sysctl -w net.ipv4.tcp_max_syn_backlog=65535 net.core.somaxconn=65535",
                        ),
                        Lift::by("SYN cookies").command("sudo sysctl -w net.ipv4.tcp_syncookies=1"),
                    ])
            }
        }
        _ => Limit {
            measure: Measure::AtOnce,
            ..Limit::free(
                KIND,
                format!(
                    "{} handshakes at once, {}/s over a round trip of 100 ms; beyond that SYN cookies answer, which need no room but lose TCP options",
                    count(somaxconn.into()),
                    per_s(somaxconn)
                ),
                source,
            )
        },
    }
}
