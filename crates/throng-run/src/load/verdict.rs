//! Whether a load reached what was asked, and if not, what stood in the way and what lifts it.

use super::searching::Searched;
use std::time::Duration;
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::{Diagnosis, KernelCounts};
use throng_core::human;
use throng_core::pacing::Ending;
use throng_core::protocol::tls::TlsFailure;
use throng_core::protocol::websocket::Violation;
use throng_core::scenario::LoadScenario;
use throng_core::stats::{Closed, FailCause, Tally};
use throng_core::summary::MessageRate;

/// A message rate within this part of the one asked for is reached.
const RATE_TOLERANCE: f64 = 0.01;
/// How late the last messages of the hold may be without counting as missing: a scheduler's hiccup.
const LATE_AT_END: Duration = Duration::from_millis(100);

/// What there is to judge.
pub(crate) struct Outcome<'a> {
    pub scenario: &'a LoadScenario,
    pub clients: &'a Tally,
    pub server: Option<&'a Tally>,
    pub peak: u64,
    pub open_at_end: u64,
    pub interrupted: bool,
    pub timed_out: bool,
    /// What kept it from opening all, the likeliest first.
    pub causes: &'a [Diagnosis],
    /// What the kernel counted meanwhile.
    pub kernel: KernelCounts,
    pub rate: Option<&'a MessageRate>,
    pub seconds: f64,
    /// They did not all come up in the time they had.
    pub too_slow: bool,
    /// The text that ends the run came.
    pub stop_seen: bool,
    /// What a search found.
    pub searched: Option<&'a Searched>,
    /// What was wrong with a profile that was read while the run went on.
    pub bad_profile: Option<&'a str>,
}

/// Whether all was reached, and the findings, the most important one first.
pub(crate) fn of(o: &Outcome) -> (bool, Vec<String>) {
    let mut findings = Vec::new();
    let asked = u64::from(o.scenario.connections);
    let n = human::count;
    if o.peak < asked {
        let why = match o.causes {
            _ if o.interrupted => "interrupted while opening".to_owned(),
            _ if o.stop_seen => "the text that ends the run came while they were opened".to_owned(),
            _ if o.too_slow => format!(
                "they had {} to come up",
                human::duration(o.scenario.connect.within.unwrap_or_default())
            ),
            _ if o.timed_out => format!(
                "the run's time ({}) was over before all were up",
                human::seconds(o.seconds)
            ),
            [cause, ..] => cause.to_string(),
            [] if o.clients.established == 0 => "no connection could be made".to_owned(),
            [] if o.clients.open() < o.peak.max(1) => {
                format!("they did not stay up: {}", losses(o.clients))
            }
            [] => "it got no further".to_owned(),
        };
        findings.push(format!("{} of {} connections: {why}", n(o.peak), n(asked)));
    } else if let Some((ready, what)) = unready(o) {
        findings.push(format!("{} of {} connections: {what}", n(ready), n(asked)));
    } else if o.open_at_end < asked && !churns(o) {
        findings.push(format!(
            "{} of {} connections were still up at the end: {}",
            n(o.open_at_end),
            n(asked),
            losses(o.clients)
        ));
    } else if o.clients.closed_in_all() - o.clients.closed(Closed::ByUs) > 0 {
        // All are up again: as asked, but worth knowing.
        findings.push(format!(
            "all {} connections were up at the end, but not without interruption: {}",
            n(asked),
            losses(o.clients)
        ));
    }
    // The first cause is in the first line, unless something else is.
    let told = usize::from(o.peak < asked && !o.interrupted && !o.timed_out);
    findings.extend(o.causes.iter().skip(told).map(ToString::to_string));
    let mut reached =
        o.peak >= asked && unready(o).is_none() && (o.open_at_end >= asked || churns(o));
    for kind in Violation::ALL {
        let times = o.clients.websocket.violations(kind);
        if times > 0 {
            reached = false;
            let words = kind.words();
            findings.push(format!("{} connections broke WebSocket: {words}", n(times)));
        }
    }
    for why in TlsFailure::ALL {
        let times = o.clients.tls.failed(why);
        if times > 0 {
            let words = why.words();
            findings.push(format!("{} connections failed in TLS: {words}", n(times)));
        }
    }
    if let Some(trouble) = o.bad_profile {
        reached = false;
        findings.push(trouble.to_owned());
    }
    if let Some(Searched { found, terms }) = o.searched {
        reached &= matches!(found.ending, Ending::Found | Ending::NeverBroke);
        findings.push(found.words(terms));
    } else if o.clients.messages_unsent > 0 {
        findings.push(format!(
            "{} messages were due and not sent when their connection ended",
            n(o.clients.messages_unsent)
        ));
    }
    if o.stop_seen {
        findings.push("it ended when the text of --message-stop came".to_owned());
    }
    for cause in FailCause::ALL {
        let failed = o.clients.failed(cause);
        if failed > 0 {
            let remedy = if o.causes.iter().any(|d| explains(d.limit, cause)) {
                String::new()
            } else {
                format!(". {}", remedy(cause, o.scenario))
            };
            let again = match (cause, o.kernel.retransmits) {
                (FailCause::TimedOut, segments @ 1..) => {
                    format!(
                        " (meanwhile {} segments were sent again, {} times after a timeout)",
                        n(segments),
                        n(o.kernel.timeouts)
                    )
                }
                _ => String::new(),
            };
            let (n, words) = (n(failed), cause.words());
            findings.push(format!("{n} attempts failed: {words}{again}{remedy}"));
        }
    }
    if let Some(rate) = o.rate
        && let Some(asked) = rate.asked_per_s
        && rate.seconds > 0.0
        && (rate.reached_per_s - asked).abs() > asked * RATE_TOLERANCE
        // Over a short hold what was a little late at its end, or a single message, is more than a
        // hundredth.
        && (rate.reached_per_s - asked).abs() * rate.seconds
            > (asked * LATE_AT_END.as_secs_f64()).max(1.0)
    {
        reached = false;
        findings.push(format!(
            "{} of {} messages a second were sent",
            human::short(rate.reached_per_s),
            human::short(asked)
        ));
    }
    if let Some(server) = o.server {
        // What is under way when a lifetime ends is lost, and who reads slowly is behind at the end.
        let slow = o.scenario.pace.downstream.is_some();
        let all_arrives = !churns(o) && !slow;
        if all_arrives && server.bytes_received != o.clients.bytes_sent {
            reached = false;
            findings.push(format!(
                "{} bytes were sent, {} were received by the server",
                n(o.clients.bytes_sent),
                n(server.bytes_received)
            ));
        }
        if all_arrives && server.bytes_sent != o.clients.bytes_received && !o.interrupted {
            reached = false;
            findings.push(format!(
                "{} bytes were sent by the server, {} were received",
                n(server.bytes_sent),
                n(o.clients.bytes_received)
            ));
        }
        // One whose lifetime was over before it was accepted may never be.
        if !churns(o) && server.accepted != o.clients.established {
            reached = false;
            findings.push(format!(
                "{} connections were established, {} were accepted by the server",
                n(o.clients.established),
                n(server.accepted)
            ));
        }
    }
    (reached, findings)
}

/// How many connections could be used, if those are fewer than asked for, and what the others came to.
fn unready(o: &Outcome) -> Option<(u64, &'static str)> {
    let asked = u64::from(o.scenario.connections);
    if o.scenario.tls.is_some() && o.clients.tls.secured < asked {
        return Some((
            o.clients.tls.secured,
            "the others did not get through the TLS handshake",
        ));
    }
    if o.scenario.protocol.websocket().is_some() && o.clients.websocket.upgraded < asked {
        let words = "the others did not get through the WebSocket handshake";
        return Some((o.clients.websocket.upgraded, words));
    }
    None
}

/// Whether connections are closed and opened again all the time because that was asked for, so that some are
/// always missing.
fn churns(o: &Outcome) -> bool {
    o.scenario.connect.lifetime.is_some()
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

fn losses(tally: &Tally) -> String {
    let lost = [
        (Closed::ByPeer, "closed by the peer"),
        (Closed::ResetByPeer, "reset by the peer"),
        (Closed::TimedOut, "no longer acknowledged by the peer"),
        (Closed::Error, "ended by an error on our side"),
    ];
    let parts: Vec<String> = lost
        .into_iter()
        .filter(|(why, _)| tally.closed(*why) > 0)
        .map(|(why, words)| format!("{} {words}", human::count(tally.closed(why))))
        .collect();
    if parts.is_empty() {
        "not all were opened again in time".into()
    } else {
        parts.join(", ")
    }
}

fn remedy(cause: FailCause, scenario: &LoadScenario) -> String {
    match cause {
        FailCause::Refused => "Nothing listens on the target, or it no longer does: check address, port and server.".into(),
        FailCause::TimedOut => format!(
            "No answer within {}: a full accept queue on the target (ss -ltn there; raise its backlog and net.core.somaxconn), a firewall that drops, or a slow path (--connect-timeout, --connect-rate).",
            human::seconds(scenario.connect.timeout.as_secs_f64())
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
