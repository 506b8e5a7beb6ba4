//! What the other ends of connections show: servers on this machine, and the server in the same process.

use crate::summary::finding::{Finding, Sender};
use crate::summary::rate::RATE_TOLERANCE;
use crate::summary::totals::Totals;

/// What peers had not read at the end of the hold is worth knowing from this share of what was sent on.
const MUCH_UNREAD: f64 = 0.1;
/// Whether servers on this machine had accepted all connections at the end of the hold: rule 2.
pub(super) fn accepted(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().flat_map(|e| &e.unaccepted);
    findings.extend(all.map(|u| Finding::InAcceptQueue {
        connections: u.queue.waiting.into(),
        target: u.queue.target.clone(),
        // The kernel admits one more than the backlog.
        room: u64::from(u.queue.limit) + 1,
        server: u.server.as_ref().map(|(name, _)| name.clone()),
        pid: u.server.as_ref().map(|(_, pid)| *pid),
    }));
    let alone = t.endings().map(|e| e.half_open);
    findings.extend(alone.filter(|h| h.connections > 0).map(Finding::HalfOpen));
    findings.len() == before
}

/// Whether what was sent arrived, as far as this machine's kernel knows: rule 5.
pub(super) fn delivered(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().map(|e| e.undelivered);
    let some = all.filter(|u| u.connections() > 0);
    findings.extend(some.map(Finding::Undelivered));
    findings.len() == before
}

/// Whether peers read what was sent to them as fast as was asked, as far as this machine's kernel knows: rule 5.
pub(super) fn read(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let mut kept_up = true;
    for part in &t.parts {
        let Some((ending, held)) = part.ending.as_ref().and_then(|e| Some((e, e.held?))) else {
            continue;
        };
        let unread = ending.unread;
        let of = held.opened.bytes_sent;
        let share = |bytes: u64| bytes as f64 / of.max(1) as f64;
        let paced = part.about.asked.paced;
        let behind = paced
            && unread
                .later
                .is_some_and(|later| share(later) > RATE_TOLERANCE);
        kept_up &= !behind;
        if behind || share(unread.bytes) >= MUCH_UNREAD {
            findings.push(Finding::Unread {
                bytes: unread.bytes,
                of,
                later: unread.later,
            });
        }
    }
    kept_up
}

/// Whether all servers on this machine ran when the hold began and ended: rule 2.
pub(super) fn ran(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().flat_map(|e| &e.stopped);
    findings.extend(all.cloned().map(Finding::ServerStopped));
    findings.len() == before
}

/// Whether no connection was its own other end: rule 2.
pub(super) fn served(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().flat_map(|e| &e.to_themselves);
    findings.extend(all.map(|target| Finding::ConnectedToItself { target: *target }));
    findings.len() == before
}

/// The finding that processes of the server ended, for each source that saw some. What that did to connections counts, not
/// that they ended: a supervisor may have replaced them.
pub(super) fn server_ended(t: &Totals) -> impl Iterator<Item = Finding> {
    t.endings().filter_map(|ending| {
        let server = ending.server.as_ref()?;
        let first = server.ended.iter().map(|ended| ended.at).min()?;
        Some(Finding::ServerEnded {
            processes: server.ended.len() as u64,
            of: server.accepting,
            names: server.names.clone(),
            at_s: first.as_secs_f64(),
        })
    })
}

/// Whether both ends of connections in the same process agree.
pub(super) fn ends_agree(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    for part in t.parts.iter().filter(|p| p.about.asked.own_server) {
        let (Some(ending), asked) = (&part.ending, &part.about.asked) else {
            continue;
        };
        let clients = ending.over.opened;
        let Some(server) = ending.over.accepted else {
            continue;
        };
        // Data under way at the end of a lifetime is lost, and a slow reader is behind at the end of the run.
        let all_arrives = !part.renews() && asked.received_per_s.is_none();
        if all_arrives && server.bytes_received != clients.bytes_sent {
            findings.push(Finding::BytesMissing {
                sender: Sender::Client,
                sent: clients.bytes_sent,
                received: server.bytes_received,
            });
        }
        if all_arrives && server.bytes_sent != clients.bytes_received && !ending.was_stopped() {
            findings.push(Finding::BytesMissing {
                sender: Sender::Server,
                sent: server.bytes_sent,
                received: clients.bytes_received,
            });
        }
        // A connection whose lifetime ends before it is accepted may never be accepted.
        if !part.renews() && server.accepted != clients.established {
            findings.push(Finding::NotAccepted {
                established: clients.established,
                accepted: server.accepted,
            });
        }
    }
    findings.len() == before
}
