//! Whether a run reached what was asked, and if not, what stood in the way and what lifts it.

use super::MessageRate;
use super::finding::{Finding, Handshake, Sender, WhyMissing};
use super::totals::Totals;
use crate::capacity::LimitKind;
use crate::diagnosis::Diagnosis;
use crate::human;
use crate::pacing::Ending;
use crate::protocol::tls::TlsFailure;
use crate::protocol::{ProtocolKind, Sections};
use crate::record::{Asked, Part, Record, Role};
use crate::stats::{Closed, FailCause, Tally};
use std::collections::BTreeMap;

/// A message rate within this part of the one asked for is reached.
const RATE_TOLERANCE: f64 = 0.01;
/// How late the last messages of the hold may be without counting as missing, in seconds: a scheduler's hiccup.
const LATE_AT_END_S: f64 = 0.1;

/// Whether all was reached, and the findings, the most important one first.
pub(super) fn of(record: &Record, t: &Totals, rate: Option<&MessageRate>) -> (bool, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut reached = match t.asked.role {
        Role::Load => load(t, rate, &mut findings),
        Role::Serve => serve(t, &mut findings),
    };
    for ending in t.endings() {
        for what in &ending.unreported {
            reached = false;
            findings.push(Finding::Unreported { what: what.clone() });
        }
    }
    let lost = record.sources.iter().filter(|(_, p)| p.ending.is_none());
    for (name, part) in lost {
        reached = false;
        findings.push(Finding::SourceLost {
            source: name.to_string(),
            seconds: part.over().as_secs_f64(),
        });
    }
    (reached, findings)
}

fn serve(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let mut reached = true;
    for ending in t.endings() {
        if let Some(memory_left) = ending.memory_left {
            reached = false;
            findings.push(Finding::AcceptingStopped {
                connections: ending.peak,
                memory_left,
            });
        }
    }
    findings.extend(t.causes().into_iter().map(Finding::LimitMet));
    reached
}

fn load(t: &Totals, rate: Option<&MessageRate>, findings: &mut Vec<Finding>) -> bool {
    let causes = t.causes();
    let mut reached = connections(t, &causes, findings);
    reached &= protocols(t, findings);
    for what in t.endings().filter_map(|e| e.bad_profile.clone()) {
        reached = false;
        findings.push(Finding::BadProfile { what });
    }
    let searches = || t.endings().filter_map(|e| e.search.as_ref());
    for search in searches() {
        reached &= matches!(search.ending, Ending::Found | Ending::NeverBroke);
        findings.push(Finding::RateSearch {
            ending: search.ending,
            words: search.words.clone(),
        });
    }
    if searches().next().is_none() && t.opened.messages_unsent > 0 {
        findings.push(Finding::MessagesUnsent {
            messages: t.opened.messages_unsent,
        });
    }
    if stopped_by_text(t) {
        findings.push(Finding::StoppedByText);
    }
    failed_attempts(t, &causes, findings);
    if let Some(missed) = rate.and_then(missed) {
        reached = false;
        findings.push(missed);
    }
    reached & ends_agree(t, findings)
}

fn stopped_by_text(t: &Totals) -> bool {
    t.opened.stops_seen + t.accepted.map_or(0, |a| a.stops_seen) > 0
}

/// Whether as many connections as were asked for came up and stayed.
fn connections(t: &Totals, causes: &[Diagnosis], findings: &mut Vec<Finding>) -> bool {
    let asked = t.asked.connections.unwrap_or(0);
    let interrupted = t.any(|e| e.interrupted);
    let timed_out = t.any(|e| e.timed_out);
    let at_end = |p: &&Part| {
        let held = p.ending.as_ref().and_then(|e| e.held);
        let held = held.map_or(0, |mark| mark.opened.open());
        p.opened().open().max(held)
    };
    let open_at_end: u64 = t.parts.iter().map(at_end).sum();
    let churns = t.asked.lifetime;
    let unready = unready(t);
    let lost = t.opened.closed_in_all() - t.opened.closed(Closed::ByUs) > 0;
    if t.peak < asked {
        findings.push(Finding::ConnectionsMissing {
            peak: t.peak,
            asked,
            why: why_missing(t, causes, interrupted, timed_out),
        });
    } else if let Some(missing) = &unready {
        findings.push(missing.clone());
    } else if open_at_end < asked && !churns {
        findings.push(Finding::ConnectionsLost {
            open: open_at_end,
            asked,
            closed: losses(&t.opened),
        });
    } else if lost {
        // All are open again: as asked, but worth knowing.
        findings.push(Finding::ConnectionsReopened {
            asked,
            closed: losses(&t.opened),
        });
    }
    // The first cause is in the first finding, unless something else is.
    let told = usize::from(t.peak < asked && !interrupted && !timed_out);
    let others = causes.iter().skip(told);
    findings.extend(others.cloned().map(Finding::LimitMet));
    t.peak >= asked && unready.is_none() && (open_at_end >= asked || churns)
}

fn why_missing(t: &Totals, causes: &[Diagnosis], interrupted: bool, timed_out: bool) -> WhyMissing {
    match causes {
        _ if interrupted => WhyMissing::Interrupted,
        _ if stopped_by_text(t) => WhyMissing::StoppedByText,
        _ if t.any(|e| e.too_slow) => WhyMissing::OpeningTooLong {
            seconds: t.asked.ramp_limit_s.unwrap_or(0.0),
        },
        _ if timed_out => WhyMissing::TimeOver {
            seconds: t.latest(Part::over),
        },
        [cause, ..] => WhyMissing::Limit(cause.clone()),
        [] if t.opened.established == 0 => WhyMissing::NoneEstablished,
        [] if t.parts.iter().map(|p| p.peak()).sum::<u64>() > t.peak => WhyMissing::NotAtOnce,
        [] if t.opened.open() < t.peak.max(1) => WhyMissing::Lost {
            closed: losses(&t.opened),
        },
        [] => WhyMissing::Stalled,
    }
}

/// The finding that fewer handshakes were completed than connections were asked for, if so.
fn unready(t: &Totals) -> Option<Finding> {
    let asked = t.asked.connections.unwrap_or(0);
    let tls = (Handshake::Tls, t.opened.tls.secured, asked);
    let protocols = ProtocolKind::ALL.iter().filter_map(|kind| {
        let opened: Tally = t.speaking(*kind).map(|p| p.opened()).sum();
        let asked = t.speaking(*kind).filter_map(|p| p.about.asked.connections);
        Some((
            Handshake::Protocol(*kind),
            kind.ready(&opened)?,
            asked.sum(),
        ))
    });
    let all = t
        .asked
        .tls_client
        .then_some(tls)
        .into_iter()
        .chain(protocols);
    let mut missing = all.filter(|(_, completed, asked)| completed < asked);
    missing
        .next()
        .map(|(protocol, completed, asked)| Finding::HandshakesMissing {
            completed,
            asked,
            protocol,
        })
}

/// What went wrong in protocols. Returns whether nothing did that counts against the run.
fn protocols(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let mut reached = true;
    for (protocol, violated) in Sections::of(|_| true, &t.opened).violations() {
        reached = false;
        findings.push(Finding::ProtocolViolated {
            protocol,
            violation: violated.violation.into(),
            words: violated.words,
            connections: violated.connections,
        });
    }
    for failure in TlsFailure::ALL {
        let connections = t.opened.tls.failed(failure);
        if connections > 0 {
            findings.push(Finding::TlsFailed {
                failure,
                connections,
            });
        }
    }
    reached
}

fn failed_attempts(t: &Totals, causes: &[Diagnosis], findings: &mut Vec<Finding>) {
    for cause in FailCause::ALL {
        let attempts = t.opened.failed(cause);
        if attempts == 0 {
            continue;
        }
        let explained = causes.iter().any(|d| explains(d.limit, cause));
        let of_kernel = |of: fn(&crate::diagnosis::KernelCounts) -> u64| {
            t.endings().map(|e| of(&e.kernel)).sum::<u64>()
        };
        let again = of_kernel(|k| k.retransmits);
        let again = (cause == FailCause::TimedOut && again > 0).then_some(again);
        findings.push(Finding::AttemptsFailed {
            cause,
            attempts,
            retransmits: again,
            timeouts: again.map(|_| of_kernel(|k| k.timeouts)),
            remedy: (!explained).then(|| remedy(cause, &t.asked)),
        });
    }
}

/// The finding that the rate was not as asked, if it was not.
fn missed(rate: &MessageRate) -> Option<Finding> {
    let asked_per_s = rate.asked_per_s?;
    let off = (rate.reached_per_s - asked_per_s).abs();
    // Over a short hold what was a little late at its end, or a single message, is more than a hundredth.
    let tolerated = (asked_per_s * LATE_AT_END_S).max(1.0);
    let missed =
        rate.seconds > 0.0 && off > asked_per_s * RATE_TOLERANCE && off * rate.seconds > tolerated;
    missed.then_some(Finding::RateMissed {
        reached_per_s: rate.reached_per_s,
        asked_per_s,
    })
}

/// Whether both ends of connections agree, where both are in the same process.
fn ends_agree(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    for part in t.parts.iter().filter(|p| p.about.asked.own_server) {
        let (Some(ending), asked) = (&part.ending, &part.about.asked) else {
            continue;
        };
        let clients = ending.over.opened;
        let Some(server) = ending.over.accepted else {
            continue;
        };
        // What is under way when a lifetime ends is lost, and who reads slowly is behind at the end.
        let all_arrives = !asked.lifetime && asked.received_per_s.is_none();
        if all_arrives && server.bytes_received != clients.bytes_sent {
            findings.push(Finding::BytesMissing {
                sender: Sender::Client,
                sent: clients.bytes_sent,
                received: server.bytes_received,
            });
        }
        if all_arrives && server.bytes_sent != clients.bytes_received && !ending.interrupted {
            findings.push(Finding::BytesMissing {
                sender: Sender::Server,
                sent: server.bytes_sent,
                received: clients.bytes_received,
            });
        }
        // One whose lifetime was over before it was accepted may never be.
        if !asked.lifetime && server.accepted != clients.established {
            findings.push(Finding::NotAccepted {
                established: clients.established,
                accepted: server.accepted,
            });
        }
    }
    findings.len() == before
}

/// Whether meeting `limit` is why attempts failed so, and its remedy the one to give.
fn explains(limit: LimitKind, cause: FailCause) -> bool {
    match cause {
        FailCause::NoAddress => limit == LimitKind::FourTuples,
        FailCause::FileLimit => limit == LimitKind::OpenFiles,
        FailCause::NoMemory => matches!(
            limit,
            LimitKind::TcpMemory | LimitKind::Memory | LimitKind::CgroupMemory
        ),
        FailCause::TimedOut => matches!(
            limit,
            LimitKind::TargetFiles
                | LimitKind::AcceptQueue
                | LimitKind::SynBacklog
                | LimitKind::Conntrack
        ),
        _ => false,
    }
}

/// What ended connections, but for this side's own doing.
fn losses(tally: &Tally) -> BTreeMap<Closed, u64> {
    let all = Closed::ALL.into_iter().filter(|why| *why != Closed::ByUs);
    all.map(|why| (why, tally.closed(why)))
        .filter(|(_, n)| *n > 0)
        .collect()
}

fn remedy(cause: FailCause, asked: &Asked) -> String {
    match cause {
        FailCause::Refused => "Nothing listens on the target, or it no longer does: check address, port and server.".into(),
        FailCause::TimedOut => format!(
            "No answer within {}: a full accept queue on the target (ss -ltn there; raise its backlog and net.core.somaxconn), a firewall that drops, or a slow path (--connect-timeout, --connect-rate).",
            human::seconds(asked.connect_timeout_s)
        ),
        FailCause::Reset => "The target, or something before it, resets new connections: look for a connection limit there.".into(),
        FailCause::Unreachable => "There is no route to the target: ip route get ADDRESS.".into(),
        FailCause::NoAddress => "No local port is left towards the target, or a --source-ip is not of this machine: add source addresses or targets, or widen net.ipv4.ip_local_port_range.".into(),
        FailCause::FileLimit => "A file limit: ulimit -n for the process, sysctl fs.file-max for the system.".into(),
        FailCause::NoMemory => "The kernel had no memory for a socket: net.ipv4.tcp_mem, the container's memory limit, ulimit -l.".into(),
        FailCause::Forbidden => "A firewall rule or security policy forbids it: nft list ruleset.".into(),
        FailCause::Other => "An error that throng does not know: please report it, with the command line.".into(),
    }
}
