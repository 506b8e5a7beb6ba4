//! The sentences of findings.

use super::{Age, ChangedTo, Finding, Handshake, Sender, WhyMissing};
use crate::diagnosis::HalfOpen;
use crate::human::{self, count, things, verb};
use crate::protocol::tls::TlsFailure;
use crate::stats::Closed;
use crate::storm::WindowEnding;
use crate::summary::Drain;
use crate::unix_socket::Endpoint;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::ConnectionsMissing { peak, asked, why } => {
                write!(
                    f,
                    "{} of {}: {why}",
                    count(*peak),
                    things(*asked, "connection")
                )
            }
            Finding::HandshakesMissing {
                completed,
                asked,
                protocol,
                waiting,
            } => {
                let protocol = match protocol {
                    Handshake::Tunnel => "tunnel",
                    Handshake::Tls => "TLS",
                    Handshake::Protocol(kind) => kind.name(),
                };
                let (n, of) = (count(*completed), things(*asked, "connection"));
                match completed {
                    0 => write!(
                        f,
                        "0 of {of}: none completed the {protocol} handshake"
                    ),
                    _ => write!(
                        f,
                        "{n} of {of}: the others did not complete the {protocol} handshake"
                    ),
                }?;
                match waiting {
                    0 => Ok(()),
                    n => write!(
                        f,
                        "; {} waited for the peer's part of it to the end",
                        count(*n)
                    ),
                }
            }
            Finding::ConnectionsLost {
                lost,
                open,
                asked,
                closed,
                ages,
                violated,
                idle,
            } => {
                write!(
                    f,
                    "{} lost during the hold: {}",
                    things(*lost, "connection"),
                    losses(closed, ages, *lost, *violated)
                )?;
                if *idle {
                    f.write_str(", all idle")?;
                }
                match open.cmp(asked) {
                    Ordering::Less => write!(
                        f,
                        "; {} of {} could carry messages at its end",
                        count(*open),
                        count(*asked)
                    ),
                    _ => f.write_str("; others were opened in their place"),
                }
            }
            Finding::ConnectionsReopened {
                asked,
                closed,
                ages,
            } => {
                match asked {
                    1 => f.write_str("the connection was held"),
                    _ => write!(f, "all {} connections were held", count(*asked)),
                }?;
                write!(
                    f,
                    ", but before that connections had been lost and were reopened: {}",
                    losses(closed, ages, 0, 0)
                )
            }
            Finding::InAcceptQueue {
                connections,
                target,
                room,
                server,
                pid,
            } => {
                let them = verb(*connections, "it", "them");
                write!(
                    f,
                    "{} waited in the accept queue of {target} (room for {}) at the end of the hold: the kernel held {them}, not the server",
                    things(*connections, "connection"),
                    count(*room)
                )?;
                match (server, pid) {
                    _ if matches!(target, Endpoint::Unix(_)) => write!(f, ", which had not accepted {them}"),
                    (Some(name), Some(pid)) => write!(f, ", {name} (pid {pid}), which had not accepted {them}"),
                    _ => write!(f, ", which had not accepted {them}. Which process that is can't be seen by this user: run as root, outside of containers"),
                }
            }
            Finding::HalfOpen(HalfOpen {
                connections,
                unfinished,
                overflowed,
            }) => {
                let n = things(*connections, "connection");
                let why = match unfinished == connections {
                    true => "waited for the end of their handshake",
                    false => {
                        "did not have them: it had ended them, which did not arrive here, or had dropped the end of their handshake"
                    }
                };
                write!(f, "{n} open on this side only: the server's kernel {why}")?;
                match overflowed {
                    true => f.write_str(". An accept queue overflowed meanwhile: raise the server's backlog and net.core.somaxconn, or have it accept faster"),
                    false => f.write_str(". Look for a filter that drops packets (nft list ruleset), and at the server's log"),
                }
            }
            Finding::ServerStopped(stopped) => {
                let when = match (stopped.at_begin, stopped.at_end) {
                    (true, true) => "when the hold began and when it ended",
                    (true, false) => "when the hold began",
                    _ => "when the hold ended",
                };
                let pids: Vec<String> = stopped.pids.iter().map(u32::to_string).collect();
                let pids = pids.join(" ");
                write!(
                    f,
                    "{} of {} of the server ({}) stopped {when}: the kernel kept their connections, and nobody served them. Let them run: kill -CONT {pids}",
                    count(stopped.pids.len() as u64),
                    things(stopped.of, "accepting process"),
                    stopped.names.join(", "),
                )
            }
            Finding::Undelivered(all) => {
                let queued = (all.unfinished > 0).then(|| {
                    format!(
                        "{}: the server's kernel dropped the end of the handshake, as it does while the accept queue is full (raise its backlog and net.core.somaxconn, or have it accept faster)",
                        things(all.unfinished, "connection")
                    )
                });
                let silent = all.unacknowledged.saturating_sub(all.unfinished);
                let dead = (silent > 0).then(|| {
                    format!(
                        "{}: the peer acknowledged nothing more, although it was sent to again and again (look at filters, routes, the peer's machine, and whether its accept queue is full)",
                        things(silent, "connection")
                    )
                });
                let unread = (all.unread > 0).then(|| {
                    format!(
                        "{}: the peer had stopped reading",
                        things(all.unread, "connection")
                    )
                });
                let all_of_it = queued.into_iter().chain(dead).chain(unread).collect::<Vec<_>>();
                write!(
                    f,
                    "{}. {} that count as sent were not delivered",
                    all_of_it.join("; "),
                    human::bytes(all.bytes)
                )?;
                match all.others {
                    0 => Ok(()),
                    n => write!(
                        f,
                        ". Other programs had {} to the same targets, so some of these may be theirs",
                        things(n, "connection")
                    ),
                }
            }
            Finding::Unread { bytes, of, later } => {
                write!(
                    f,
                    "the peer had not read {} of {} sent when the hold ended",
                    human::bytes(*bytes),
                    human::bytes(*of)
                )?;
                match later {
                    Some(later) if *later > 0 => write!(
                        f,
                        ", and {} not even a second later: it does not keep up",
                        human::bytes(*later)
                    ),
                    _ => Ok(()),
                }
            }
            Finding::ConnectedToItself { target } => write!(
                f,
                "nothing listens on {target}: a connection to it is its own other end, because the kernel chose port {} as its local port, too. A server can't listen there while it is open. Use a target port outside of net.ipv4.ip_local_port_range",
                target.port()
            ),
            Finding::HoldCutShort { held_s, asked_s } => write!(
                f,
                "the hold ended after {} of {}",
                human::seconds(*held_s),
                human::seconds(*asked_s)
            ),
            Finding::MessagesUnanswered { messages, of, .. } if messages == of => {
                write!(f, "none of {} was answered", things(*of, "message"))
            }
            Finding::MessagesUnanswered {
                messages,
                of,
                last_answer_s,
            } => {
                write!(
                    f,
                    "{} of {} {} not answered",
                    count(*messages),
                    things(*of, "message"),
                    verb(*messages, "was", "were")
                )?;
                match last_answer_s {
                    Some(at) => write!(f, "; no answer came after {}", human::seconds(*at)),
                    None => Ok(()),
                }
            }
            Finding::PingsUnanswered { pings, of, unasked } => {
                match pings == of {
                    true => write!(f, "none of {} was answered", things(*of, "ping")),
                    false => write!(
                        f,
                        "{} of {} {} not answered",
                        count(*pings),
                        things(*of, "ping"),
                        verb(*pings, "was", "were")
                    ),
                }?;
                match unasked {
                    0 => Ok(()),
                    n => write!(
                        f,
                        "; {} had a payload that no ping waited for: a pong must return its ping's payload (RFC 6455, section 5.5.3)",
                        things(*n, "pong")
                    ),
                }
            }
            Finding::NoEcho { reads, differing } => {
                let differ = (*differing > 0).then(|| {
                    let on = things(*differing, "connection");
                    format!("the first ones on {on} are other bytes than were sent")
                });
                let more = (*reads > 0).then(|| {
                    let reads = things(*reads, "read");
                    format!("{reads} brought more bytes than were sent")
                });
                let how = [differ, more].into_iter().flatten().collect::<Vec<_>>();
                write!(
                    f,
                    "the answers are no echoes: {}. Counts and latency of answers mean nothing, and a closed loop ends there. Use --latency-marker TEXT for other answers",
                    how.join(", and ")
                )
            }
            Finding::AnswersUnasked { answers, of } => write!(
                f,
                "{} of {} came while no message waited for one: the peer sends more than answers, so which ones are answers, and how late, is not known. Use --latency-marker with a text that only answers have, or --latency-marker-skip",
                count(*answers),
                things(*of, "answer")
            ),
            Finding::AnswersWithError {
                answers,
                errors: by_name,
            } => {
                let errors: Vec<String> = by_name
                    .iter()
                    .map(|(name, n)| format!("{name} ({})", count(*n)))
                    .collect();
                let with_error: u64 = by_name.values().sum();
                match with_error < *answers {
                    true => write!(
                        f,
                        "{} of {} {} an error: {}. To count that against the run: --expect with_error=0",
                        count(with_error),
                        things(*answers, "answer"),
                        verb(with_error, "reports", "report"),
                        errors.join(", ")
                    ),
                    false => write!(
                        f,
                        "{} an error: {}. If that is what should be measured, say so: --expect 'with_error>0'",
                        match answers {
                            1 => "the only answer reports".to_owned(),
                            n => format!("each of {} answers reports", count(*n)),
                        },
                        errors.join(", ")
                    ),
                }
            }
            Finding::MarkersAhead { markers, of } => write!(
                f,
                "{} of {} {} newer than this machine's clock: the sender's clock is ahead, so the age of message markers means nothing. Synchronise the clocks, or send and receive on one machine",
                count(*markers),
                things(*of, "message marker"),
                verb(*markers, "is", "are")
            ),
            Finding::LimitMet(met) => write!(f, "{met}"),
            Finding::ProtocolViolated {
                words, connections, ..
            }
            | Finding::TunnelFailed {
                words, connections, ..
            } => write!(f, "{}: {words}", things(*connections, "connection")),
            Finding::TlsFailed {
                failure,
                connections,
            } => write!(
                f,
                "{}: TLS failed: {}{}",
                things(*connections, "connection"),
                failure.words(),
                failure.remedy()
            ),
            Finding::BadProfile { what } | Finding::Unreported { what } => f.write_str(what),
            Finding::RateSearch { words, .. }
            | Finding::Maximum { words, .. }
            | Finding::ConnectRate { words, .. } => f.write_str(words),
            Finding::NotClosedByServer { connections, of } if connections == of => write!(
                f,
                "the server closed none of {} after their last exchange (--await-close)",
                things(*of, "connection")
            ),
            Finding::NotClosedByServer { connections, of } => write!(
                f,
                "the server had not closed {} of {} 5 s after their last exchange (--await-close): this side closed them",
                count(*connections),
                things(*of, "connection")
            ),
            Finding::MessagesUnsent { messages: 1 } => {
                f.write_str("1 message was due but unsent when its connection closed")
            }
            Finding::MessagesUnsent { messages } => write!(
                f,
                "{} messages were due but unsent when their connections closed",
                count(*messages)
            ),
            Finding::RequestsUnsent { unsent, asked } => write!(
                f,
                "{} of {} {} not sent before the run ended",
                count(*unsent),
                things(*asked, "request"),
                verb(*unsent, "was", "were")
            ),
            Finding::StoppedByText => f.write_str("the text of --message-stop ended the run"),
            Finding::AttemptsFailed {
                cause,
                attempts,
                retransmits,
                timeouts,
                remedy,
            } => {
                let attempts = things(*attempts, "attempt");
                write!(f, "{attempts} failed: {}", cause.words())?;
                if let (Some(segments), Some(timeouts)) = (retransmits, timeouts) {
                    let segments = things(*segments, "segment");
                    let timeouts = things(*timeouts, "timeout");
                    write!(
                        f,
                        " (meanwhile the kernel retransmitted {segments}, after {timeouts})"
                    )?;
                }
                match remedy {
                    Some(remedy) => write!(f, ". {remedy}"),
                    None => Ok(()),
                }
            }
            Finding::AddressDead {
                address,
                target,
                attempts,
                cause,
            } => {
                let address = address.to_string();
                match address == *target {
                    true => write!(f, "{address}: ")?,
                    false => write!(f, "{address}, an address of {target}: ")?,
                }
                write!(
                    f,
                    "none of {} to connect succeeded",
                    things(*attempts, "attempt")
                )?;
                match cause {
                    Some(cause) => write!(f, " ({})", cause.words()),
                    None => Ok(()),
                }
            }
            Finding::RateMissed {
                reached_per_s,
                asked_per_s,
            } => write!(
                f,
                "{} of {} messages per second were sent",
                human::short(*reached_per_s),
                human::short(*asked_per_s)
            ),
            Finding::OpeningPaused { seconds, at_end } => {
                let seconds = human::seconds(*seconds);
                match at_end {
                    true => write!(
                        f,
                        "opening was paused by hand when the run ended, for {seconds} in all: what was not opened was not refused"
                    ),
                    false => write!(
                        f,
                        "opening was paused by hand for {seconds}, which its time and its rate include"
                    ),
                }
            }
            Finding::ClientBottleneck(b) => write!(f, "{b}"),
            Finding::RateChanged {
                from_per_s,
                changes,
            } => rate_changed(f, *from_per_s, changes),
            Finding::ReceiveDrops {
                segments,
                of,
                server_here,
            } => {
                let share = human::percent(*segments as f64, *of as f64);
                write!(
                    f,
                    "this machine's kernel dropped {} that it had received{}, because a socket had no room for them: ",
                    things(*segments, "segment"),
                    share.map_or(String::new(), |share| format!(", {share} of all"))
                )?;
                f.write_str(match server_here {
                    true => "this client, the server on this machine or another program in this network namespace",
                    false => "this client or another program in this network namespace",
                })?;
                f.write_str(" did not read as fast as data came. It was sent again, which latencies include; more workers (-w) or a larger --rcvbuf may help")
            }
            Finding::FastOpenUnused { ignored: 0 } => f.write_str(
                "TCP Fast Open had no effect: no data went with a SYN, because there was no cookie of the server. It may give none (throng serve has --fastopen), or all connections were begun before the first one had it: then a second run has it",
            ),
            Finding::FastOpenUnused { ignored } => write!(
                f,
                "TCP Fast Open had no effect: the data that went with the SYN of {} was ignored and sent again. A server must allow it (net.ipv4.tcp_fastopen=3) and listen for it (throng serve has --fastopen), it may want a cookie, and a firewall may drop such SYNs",
                things(*ignored, "connection"),
            ),
            Finding::ClientPaused { agent, seconds } => write!(
                f,
                "{} did not run for {} (it was stopped, or its machine was): what is measured then is its own delay",
                agent.as_deref().unwrap_or("this client"),
                human::seconds(*seconds)
            ),
            Finding::BytesMissing {
                sender,
                sent,
                received,
            } => {
                let (by, of) = match sender {
                    Sender::Client => ("", " by the server"),
                    Sender::Server => (" by the server", ""),
                };
                write!(
                    f,
                    "{} {} sent{by}, {} {} received{of}",
                    things(*sent, "byte"),
                    verb(*sent, "was", "were"),
                    count(*received),
                    verb(*received, "was", "were")
                )
            }
            Finding::NotAccepted {
                established,
                accepted,
            } => write!(
                f,
                "{} {} established, {} {} accepted by the server",
                things(*established, "connection"),
                verb(*established, "was", "were"),
                count(*accepted),
                verb(*accepted, "was", "were")
            ),
            Finding::HeadersRefused { closed, of } => write!(
                f,
                "{} of {} {} closed by the peer before it sent a byte: a server that does not expect a PROXY header takes it for garbage. Have it expect one (nginx: listen ... proxy_protocol; HAProxy: accept-proxy), or leave out --proxy-protocol",
                count(*closed),
                things(*of, "connection"),
                verb(*closed, "was", "were")
            ),
            Finding::ClientsToItself { clients } => write!(
                f,
                "{} {} closed: connected to the proxy's own address. With --to original, clients connect to a backend, and rules lead their packets here; --print-rules prints them",
                things(*clients, "client"),
                verb(*clients, "was", "were")
            ),
            Finding::ClientsUnidentified { clients } => write!(
                f,
                "{} {} closed at once: this process had no file left to find out who they are, as --send-proxy, --transparent, --to original and --balance source-hash ask for. Raise its limit: ulimit -Hn",
                things(*clients, "client"),
                verb(*clients, "was", "were")
            ),
            Finding::BackendsUnsecured { failure, clients } => write!(
                f,
                "{} {} closed: TLS with the backend failed: {}{}",
                things(*clients, "client"),
                verb(*clients, "was", "were"),
                failure.words(),
                TlsFailure::for_backends(failure.remedy())
            ),
            Finding::ClientsCut { clients } => write!(
                f,
                "{} still had {} backend when the proxy ended, and {} closed: more time to drain (--drain-timeout) lets them finish",
                things(*clients, "client"),
                verb(*clients, "its", "their"),
                verb(*clients, "was", "were")
            ),
            Finding::ClientsTurnedAway { clients, failed } => {
                let causes: Vec<String> = failed
                    .iter()
                    .map(|(cause, n)| format!("{} {}", count(*n), cause.words()))
                    .collect();
                write!(
                    f,
                    "{} turned away: no backend could be reached. Of the attempts to connect to backends, {}",
                    match clients {
                        1 => "1 client was".to_owned(),
                        n => format!("{} clients were", count(*n)),
                    },
                    match causes.is_empty() {
                        true => "none was made: no source address had a free port".to_owned(),
                        false => causes.join(", "),
                    }
                )
            }
            Finding::ClientsUnannounced {
                headers,
                of,
                clients,
            } => {
                let names: Vec<String> = clients.iter().map(ToString::to_string).collect();
                let verb = if *headers == 1 { "names a client" } else { "name clients" };
                write!(
                    f,
                    "{} of {} {verb} outside --proxy-source: {}. What is in front of this server does not pass on who its clients are, or there are others",
                    count(*headers),
                    things(*of, "PROXY header"),
                    names.join(", ")
                )
            }
            Finding::AcceptingStopped {
                connections,
                memory_left,
            } => write!(
                f,
                "accepting stopped at {} because only {} MiB of memory were left",
                things(*connections, "connection"),
                memory_left >> 20
            ),
            Finding::AcceptingFull { connections, limit } => write!(
                f,
                "accepting stopped at {}, the most that this machine's {} allows (throng plan shows it, and what raises it)",
                things(*connections, "connection"),
                limit.words()
            ),
            Finding::LifetimesOver { connections } => write!(
                f,
                "--channel-lifetime closed {} before the hold was over, and --no-reconnect opened none in their place",
                things(*connections, "connection")
            ),
            Finding::Storm {
                at_s,
                lost,
                before,
                dropped,
                back_50_s,
                back_100_s,
            } => write!(
                f,
                "storm at {}: {}; half of them were back after {}, all after {}",
                human::seconds(*at_s),
                storm(*lost, *before, *dropped),
                human::seconds(*back_50_s),
                human::seconds(*back_100_s)
            ),
            Finding::StormNotOver {
                at_s,
                lost,
                before,
                dropped,
                missing,
                seconds,
            } => write!(
                f,
                "storm at {}: {}; {} of {} {} still missing after {}",
                human::seconds(*at_s),
                storm(*lost, *before, *dropped),
                count(*missing),
                count(*before),
                verb(*missing, "was", "were"),
                human::seconds(*seconds)
            ),
            Finding::Drained { moved: 0 } => {
                f.write_str("--drain: the server closed no connection during the hold")
            }
            Finding::Drained { moved } => write!(
                f,
                "drained: {} moved, each between messages",
                things(*moved, "connection")
            ),
            Finding::DrainBroke(drain) => drain_broke(f, drain),
            Finding::WindowSearch {
                ending,
                held_ms,
                broke_ms,
                storms,
            } => window(f, *ending, *held_ms, *broke_ms, *storms),
            Finding::ExpectationFailed(failed) => {
                write!(f, "{} was not met: {}", failed.expression, failed.measured)
            }
            Finding::ServerEnded {
                processes,
                of,
                names,
                at_s,
            } => {
                let (names, at) = (names.join(", "), human::seconds(*at_s));
                match (processes, of) {
                    (1, 1) => write!(
                        f,
                        "the server's process ({names}) had ended by {at} after the run began"
                    ),
                    (n, of) => write!(
                        f,
                        "{} of {} processes of the server ({names}) ended, the first by {at} after the run began",
                        count(*n),
                        count(*of)
                    ),
                }
            }
            Finding::SourceLost {
                source, seconds: 0.0, ..
            } => write!(
                f,
                "{source} was lost before its first report: whether it had opened connections is not known, and its results are missing"
            ),
            Finding::SourceLost {
                source,
                seconds,
                connections,
                messages_per_s,
            } => {
                write!(
                    f,
                    "{source} was lost after {}, with {} open",
                    human::seconds(*seconds),
                    things(*connections, "connection")
                )?;
                if *messages_per_s > 0.0 {
                    write!(f, " and {} messages", human::rate(*messages_per_s))?;
                }
                f.write_str(
                    ": what became of these is not known, and later results are missing",
                )
            }
            Finding::AgentDiffers {
                agent,
                p99_us,
                median_us,
            } => write!(
                f,
                "{agent} is an outlier: its p99 is {}, the median of all agents {}",
                human::seconds(p99_us / 1e6),
                human::seconds(median_us / 1e6)
            ),
        }
    }
}

fn drain_broke(f: &mut fmt::Formatter, drain: &Drain) -> fmt::Result {
    let parts = [
        (drain.cut, "cut with a message under way"),
        (drain.reset, "reset"),
        (drain.timed_out, "no longer acknowledged"),
        (drain.lost_by_error, "ended by an error on this side"),
        (drain.given_up, "given up without an answer in time"),
        (drain.stuck.unwrap_or(0), "stuck with a message unanswered"),
        (drain.missing, "not opened again"),
    ];
    let parts = parts.into_iter().filter(|(n, _)| *n > 0);
    let mut parts: Vec<String> = parts
        .map(|(n, how)| format!("{} {how}", count(n)))
        .collect();
    if drain.answers_unasked > 0 {
        let answers = things(drain.answers_unasked, "answer");
        parts.push(format!("{answers} that no message asked for"));
    }
    write!(f, "draining broke connections: {}", parts.join(", "))?;
    match drain.moved {
        0 => Ok(()),
        moved => write!(f, "; {} moved between messages", count(moved)),
    }
}

fn window(
    f: &mut fmt::Formatter,
    ending: WindowEnding,
    held_ms: Option<u64>,
    broke_ms: Option<u64>,
    storms: u64,
) -> fmt::Result {
    let s = |ms: u64| human::seconds(ms as f64 / 1e3);
    let after = format!("after {}", things(storms, "storm"));
    match (ending, held_ms, broke_ms) {
        (WindowEnding::NoneNeeded, ..) => write!(
            f,
            "the server takes all connections at once, without a window, {after}"
        ),
        (WindowEnding::Found, Some(held), Some(broke)) => write!(
            f,
            "connections have to come back over {}: then the server takes all without a drop; over {} it did not, {after}",
            s(held),
            s(broke)
        ),
        (WindowEnding::NoneHeld, _, Some(broke)) => write!(
            f,
            "no window was found: even over {} the server did not take all connections without a drop, {after}",
            s(broke)
        ),
        (WindowEnding::NotRecovered, ..) => write!(
            f,
            "the search for a window ended {after}: not all connections came back"
        ),
        (_, held, broke) => {
            write!(f, "the search for a window was not finished, {after}")?;
            if let Some(held) = held {
                write!(f, "; over {} the server took all without a drop", s(held))?;
            }
            broke.map_or(Ok(()), |broke| {
                write!(f, "; over {} it did not take all without a drop", s(broke))
            })
        }
    }
}

/// What was lost in a storm.
fn storm(lost: u64, before: u64, dropped: u64) -> String {
    let (n, of) = (count(lost), things(before, "connection"));
    if lost > before {
        // Some came back, and were lost again.
        let all = format!("{n} losses of {of}");
        return match dropped {
            0 => all,
            _ => format!("{all}, {} of them dropped", count(dropped)),
        };
    }
    match dropped {
        0 => format!("{n} of {of} lost"),
        _ if dropped == lost => format!("{n} of {of} dropped"),
        _ => format!("{n} of {of} lost, {} of them dropped", count(dropped)),
    }
}

impl fmt::Display for WhyMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyMissing::Interrupted => f.write_str("interrupted while opening"),
            WhyMissing::Abandoned => f.write_str("opening was stopped because an agent was lost"),
            WhyMissing::StoppedByText => {
                f.write_str("the text of --message-stop was received while they were opened")
            }
            WhyMissing::NoEcho => {
                f.write_str("the answers are no echoes, which ended the run while they were opened")
            }
            WhyMissing::OpeningTooLong { seconds } => write!(
                f,
                "they could not be opened within {}",
                human::seconds(*seconds)
            ),
            WhyMissing::TimeOver { seconds } => write!(
                f,
                "the time limit ({}) was reached before all were established",
                human::seconds(*seconds)
            ),
            WhyMissing::Limit(met) => write!(f, "{met}"),
            WhyMissing::NoneEstablished => f.write_str("no connection could be established"),
            WhyMissing::Lost { closed, ages } => match closed.is_empty() {
                true => f.write_str("they did not stay open"),
                false => write!(f, "they did not stay open: {}", losses(closed, ages, 0, 0)),
            },
            WhyMissing::LifetimesOver => f.write_str(
                "--channel-lifetime closed the first ones before the last ones were established",
            ),
            WhyMissing::SourceLost => f.write_str("an agent was lost, with what it had"),
            WhyMissing::NotAtOnce => f.write_str(
                "each source held its own, but not at the same time, by their own clocks",
            ),
            WhyMissing::Stalled => f.write_str("no further connection was established"),
        }
    }
}

/// What ended connections, in words. Those of `lost` that nothing ended could no longer carry messages: on `violated` the
/// peer violated the protocol.
fn losses(
    closed: &BTreeMap<Closed, u64>,
    ages: &BTreeMap<Closed, Age>,
    lost: u64,
    violated: u64,
) -> String {
    let words = |why: &Closed| match why {
        Closed::ByPeer => "closed by the peer",
        Closed::ResetByPeer => "reset by the peer",
        Closed::TimedOut => "no longer acknowledged by the peer",
        Closed::Error => "ended by an error on this side",
        Closed::ByUs => "closed by this side",
    };
    let one = |(why, n): (&Closed, &u64)| {
        let age = ages.get(why).map(|age| {
            let timeout = match age.alike {
                true => " (equal ages look like a timeout)",
                false => "",
            };
            format!(", {age}{timeout}")
        });
        format!("{} {}{}", count(*n), words(why), age.unwrap_or_default())
    };
    let mut parts: Vec<String> = closed.iter().map(one).collect();
    let counted: u64 = closed.values().sum();
    if lost > counted {
        let said = count(lost - counted);
        let how = match violated {
            0 => "because the peer announced that it would close",
            _ => {
                "that could no longer carry messages, for what the peer did (told below), or because it announced that it would close"
            }
        };
        parts.push(format!("{said} {how}"));
    }
    match parts.is_empty() {
        true => "they were no longer open at the end".into(),
        false => parts.join("; "),
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (human::seconds(self.min_s), human::seconds(self.max_s));
        match min == max {
            true => write!(f, "aged {min}"),
            false => write!(f, "aged {min} to {max}"),
        }
    }
}

fn rate_changed(f: &mut fmt::Formatter, from: f64, changes: &[ChangedTo]) -> fmt::Result {
    let (Some(first), Some(last)) = (changes.first(), changes.last()) else {
        return Ok(());
    };
    f.write_str("the rate was changed by hand")?;
    match changes.len() {
        1 => write!(f, " after {}", human::seconds(first.at_s)),
        n => write!(
            f,
            " {n} times, from {} to {} after the start",
            human::seconds(first.at_s),
            human::seconds(last.at_s)
        ),
    }?;
    write!(
        f,
        ": from {} to {}; what was asked for is what each rate had in its time",
        human::rate(from),
        human::rate(last.per_s)
    )
}
