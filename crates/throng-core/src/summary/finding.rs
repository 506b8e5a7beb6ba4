//! Findings: what is worth knowing about a run. Each has a kind that scripts can rely on and a sentence for people.

use super::expected::Expected;
use crate::capacity::LimitKind;
use crate::diagnosis::Diagnosis;
use crate::human::{self, count, things};
use crate::pacing::Ending;
use crate::protocol::ProtocolKind;
use crate::protocol::tls::TlsFailure;
use crate::stats::{Closed, FailCause};
use serde::{Deserialize, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// One fact worth knowing about a run. It displays as a sentence for people. In JSON it has a `kind`, its data, and the
/// sentence as `text`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// Fewer connections were open at once than were asked for.
    ConnectionsMissing {
        /// The most that were open at once.
        peak: u64,
        /// Asked for.
        asked: u64,
        /// Why.
        #[serde(flatten)]
        why: WhyMissing,
    },
    /// Connections were established, but not all of them completed their protocol's handshake.
    HandshakesMissing {
        /// Completed handshakes.
        completed: u64,
        /// Connections asked for.
        asked: u64,
        /// The protocol of the handshake.
        protocol: Handshake,
        /// Connections that were still open at the end of the hold, and waited for the peer's part of it.
        waiting: u64,
    },
    /// Connections were lost during the hold, whether or not others were opened in their place.
    ConnectionsLost {
        /// How many.
        lost: u64,
        /// Open, and able to carry messages, at the end of the hold.
        open: u64,
        /// Asked for.
        asked: u64,
        /// What ended them. Those that are missing here could no longer carry messages: a peer announced that it would
        /// close, or violated the protocol.
        closed: BTreeMap<Closed, u64>,
        /// Their ages, over the whole run.
        ages: BTreeMap<Closed, Age>,
        /// No byte was sent or received during the hold.
        idle: bool,
    },
    /// Connections were lost while others were opened, and opened again: all were open at once, and held.
    ConnectionsReopened {
        /// Asked for.
        asked: u64,
        /// What ended those that were opened again.
        closed: BTreeMap<Closed, u64>,
        /// Their ages.
        ages: BTreeMap<Closed, Age>,
    },
    /// Established connections were still in an accept queue at the end of the hold: the kernel held them, their server
    /// did not.
    InAcceptQueue {
        /// How many.
        connections: u64,
        /// The target whose queue it is.
        target: SocketAddr,
        /// How many connections the queue has room for.
        room: u64,
        /// The name of the process that should accept them; `None` if none can be seen.
        server: Option<String>,
        /// Its pid.
        pid: Option<u32>,
    },
    /// The hold was shorter than was asked for.
    HoldCutShort {
        /// How long it was, seconds.
        held_s: f64,
        /// Asked for, seconds.
        asked_s: f64,
    },
    /// Messages were not answered.
    MessagesUnanswered {
        /// How many.
        messages: u64,
        /// Messages whose answers were looked for.
        of: u64,
        /// When the last answer came, seconds since the start, if messages were sent for long after it in vain.
        last_answer_s: Option<f64>,
    },
    /// Answers were to be echoes, and were not.
    NoEcho {
        /// Reads that brought more bytes than all messages under way had.
        reads: u64,
        /// Connections on which what was received first was not what had been sent first.
        differing: u64,
    },
    /// A limit was met.
    LimitMet(Diagnosis),
    /// Peers violated the protocol that connections speak, or refused to speak it.
    ProtocolViolated {
        /// Which protocol.
        protocol: ProtocolKind,
        /// What they did: a name that is stable within the protocol.
        violation: String,
        /// The same in a clause for people.
        words: String,
        /// On how many connections.
        connections: u64,
    },
    /// TLS failed.
    TlsFailed {
        /// Why.
        failure: TlsFailure,
        /// On how many connections.
        connections: u64,
    },
    /// The profile could not be followed to its end.
    BadProfile {
        /// What is wrong.
        what: String,
    },
    /// What a search for a rate found.
    RateSearch {
        /// How it ended.
        ending: Ending,
        /// The result in a sentence.
        words: String,
    },
    /// Messages were due and unsent when their connection closed.
    MessagesUnsent {
        /// How many.
        messages: u64,
    },
    /// The text of `--message-stop` ended the run.
    StoppedByText,
    /// Attempts to connect failed.
    AttemptsFailed {
        /// Why.
        cause: FailCause,
        /// How many.
        attempts: u64,
        /// Segments that the kernel sent again meanwhile, if that may be why.
        retransmits: Option<u64>,
        /// Retransmission timeouts meanwhile, if that may be why.
        timeouts: Option<u64>,
        /// What to do, unless a limit that was met says it.
        remedy: Option<String>,
    },
    /// The message rate was not as asked.
    RateMissed {
        /// Messages per second that were sent.
        reached_per_s: f64,
        /// Asked for.
        asked_per_s: f64,
    },
    /// The two ends of the connections, both in this process, disagree on the bytes.
    BytesMissing {
        /// Who sent them.
        sender: Sender,
        /// Bytes that were sent.
        sent: u64,
        /// Bytes that the other end received.
        received: u64,
    },
    /// The server in the same process did not accept as many connections as were established.
    NotAccepted {
        /// Connections established.
        established: u64,
        /// Connections accepted.
        accepted: u64,
    },
    /// A server stopped accepting for want of memory.
    AcceptingStopped {
        /// Connections then.
        connections: u64,
        /// Bytes of memory that were left.
        memory_left: u64,
    },
    /// A server accepted as many connections as the machine allows, and no more.
    AcceptingFull {
        /// Connections then.
        connections: u64,
        /// The limit that bounds them.
        limit: LimitKind,
    },
    /// All connections were closed when their lifetime was over, before the hold was, and none was opened again.
    LifetimesOver {
        /// How many.
        connections: u64,
    },
    /// An expectation was not met.
    ExpectationFailed(Expected),
    /// Processes of the target's server, on this machine, ended during the run.
    ServerEnded {
        /// How many of those that accept connections, or supervise those that do.
        processes: u64,
        /// How many of those there were.
        of: u64,
        /// The names of those that accept.
        names: Vec<String>,
        /// When that was first noticed, in seconds since the run began.
        at_s: f64,
    },
    /// Measurements could not be written or sent.
    Unreported {
        /// What happened.
        what: String,
    },
    /// A source was lost before its run ended: its later results are missing.
    SourceLost {
        /// The source.
        source: String,
        /// Its last sign of life: seconds since its run began.
        seconds: f64,
    },
}

/// Why connections are missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum WhyMissing {
    /// The run was interrupted.
    Interrupted,
    /// The text of `--message-stop` was received.
    StoppedByText,
    /// Opening took longer than allowed.
    OpeningTooLong {
        /// How long opening was allowed to take.
        seconds: f64,
    },
    /// The run's time limit was reached.
    TimeOver {
        /// How long the run lasted.
        seconds: f64,
    },
    /// A limit was met.
    Limit(Diagnosis),
    /// No connection was established.
    NoneEstablished,
    /// Connections closed as others were opened.
    Lost {
        /// What ended them.
        closed: BTreeMap<Closed, u64>,
        /// Their ages.
        ages: BTreeMap<Closed, Age>,
    },
    /// Their lifetime was over before all were established.
    LifetimesOver,
    /// Each source held its own, but not at the same time.
    NotAtOnce,
    /// No progress, for an unknown reason.
    Stalled,
}

/// The ages of connections that ended, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Age {
    /// The youngest.
    pub min_s: f64,
    /// The median.
    pub p50_s: f64,
    /// The oldest.
    pub max_s: f64,
}

impl Age {
    /// Whether `n` connections that ended at these ages look as if a timeout ended them.
    fn is_a_timeout(self, n: u64) -> bool {
        const FEW: u64 = 3;
        const SHORTEST_S: f64 = 0.5;
        const EQUAL: f64 = 0.05;
        n >= FEW && self.min_s >= SHORTEST_S && self.max_s - self.min_s <= self.p50_s * EQUAL
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

/// A handshake after TCP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// TLS.
    Tls,
    /// That of the protocol that connections speak.
    #[serde(untagged)]
    Protocol(ProtocolKind),
}

/// An end of the connections of a run with a server in the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// The end that opened them.
    Client,
    /// The end that accepted them.
    Server,
}

impl Finding {
    /// The stable name of its kind, as in the JSON form.
    pub fn kind(&self) -> &'static str {
        match self {
            Finding::ConnectionsMissing { .. } => "connections_missing",
            Finding::HandshakesMissing { .. } => "handshakes_missing",
            Finding::ConnectionsLost { .. } => "connections_lost",
            Finding::ConnectionsReopened { .. } => "connections_reopened",
            Finding::InAcceptQueue { .. } => "in_accept_queue",
            Finding::HoldCutShort { .. } => "hold_cut_short",
            Finding::MessagesUnanswered { .. } => "messages_unanswered",
            Finding::NoEcho { .. } => "no_echo",
            Finding::LimitMet(_) => "limit_met",
            Finding::ProtocolViolated { .. } => "protocol_violated",
            Finding::TlsFailed { .. } => "tls_failed",
            Finding::BadProfile { .. } => "bad_profile",
            Finding::RateSearch { .. } => "rate_search",
            Finding::MessagesUnsent { .. } => "messages_unsent",
            Finding::StoppedByText => "stopped_by_text",
            Finding::AttemptsFailed { .. } => "attempts_failed",
            Finding::RateMissed { .. } => "rate_missed",
            Finding::BytesMissing { .. } => "bytes_missing",
            Finding::NotAccepted { .. } => "not_accepted",
            Finding::AcceptingStopped { .. } => "accepting_stopped",
            Finding::AcceptingFull { .. } => "accepting_full",
            Finding::LifetimesOver { .. } => "lifetimes_over",
            Finding::ExpectationFailed(_) => "expectation_failed",
            Finding::ServerEnded { .. } => "server_ended",
            Finding::Unreported { .. } => "unreported",
            Finding::SourceLost { .. } => "source_lost",
        }
    }

    /// The limit that the finding names, if any.
    pub fn limit(&self) -> Option<LimitKind> {
        match self {
            Finding::LimitMet(met) => Some(met.limit),
            Finding::ConnectionsMissing {
                why: WhyMissing::Limit(met),
                ..
            } => Some(met.limit),
            _ => None,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::ConnectionsMissing { peak, asked, why } => {
                write!(
                    f,
                    "{} of {} connections: {why}",
                    count(*peak),
                    count(*asked)
                )
            }
            Finding::HandshakesMissing {
                completed,
                asked,
                protocol,
                waiting,
            } => {
                let protocol = match protocol {
                    Handshake::Tls => "TLS",
                    Handshake::Protocol(kind) => kind.name(),
                };
                let (n, of) = (count(*completed), count(*asked));
                match completed {
                    0 => write!(
                        f,
                        "0 of {of} connections: none completed the {protocol} handshake"
                    ),
                    _ => write!(
                        f,
                        "{n} of {of} connections: the others did not complete the {protocol} handshake"
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
                idle,
            } => {
                write!(
                    f,
                    "{} lost during the hold: {}",
                    things(*lost, "connection"),
                    losses(closed, ages, *lost)
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
            } => write!(
                f,
                "all {} connections were held, but before that connections had been lost and were reopened: {}",
                count(*asked),
                losses(closed, ages, 0)
            ),
            Finding::InAcceptQueue {
                connections,
                target,
                room,
                server,
                pid,
            } => {
                write!(
                    f,
                    "{} waited in the accept queue of {target} (room for {}) at the end of the hold: the kernel held them, not the server",
                    things(*connections, "connection"),
                    count(*room)
                )?;
                match (server, pid) {
                    (Some(name), Some(pid)) => write!(f, ", {name} (pid {pid}), which had not accepted them"),
                    _ => f.write_str(", which had not accepted them. Which process that is can't be seen by this user: run as root, outside of containers"),
                }
            }
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
                    "{} of {} were not answered",
                    count(*messages),
                    things(*of, "message")
                )?;
                match last_answer_s {
                    Some(at) => write!(f, "; no answer came after {}", human::seconds(*at)),
                    None => Ok(()),
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
                    "the answers are no echoes: {}. Counts and latency of answers mean nothing. Use --latency-marker TEXT for other answers",
                    how.join(", and ")
                )
            }
            Finding::LimitMet(met) => write!(f, "{met}"),
            Finding::ProtocolViolated {
                words, connections, ..
            } => write!(f, "{}: {words}", things(*connections, "connection")),
            Finding::TlsFailed {
                failure,
                connections,
            } => write!(
                f,
                "{}: TLS failed: {}",
                things(*connections, "connection"),
                failure.words()
            ),
            Finding::BadProfile { what } | Finding::Unreported { what } => f.write_str(what),
            Finding::RateSearch { words, .. } => f.write_str(words),
            Finding::MessagesUnsent { messages: 1 } => {
                f.write_str("1 message was due but unsent when its connection closed")
            }
            Finding::MessagesUnsent { messages } => write!(
                f,
                "{} messages were due but unsent when their connections closed",
                count(*messages)
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
            Finding::RateMissed {
                reached_per_s,
                asked_per_s,
            } => write!(
                f,
                "{} of {} messages per second were sent",
                human::short(*reached_per_s),
                human::short(*asked_per_s)
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
                let (sent, received) = (count(*sent), count(*received));
                write!(
                    f,
                    "{sent} bytes were sent{by}, {received} were received{of}"
                )
            }
            Finding::NotAccepted {
                established,
                accepted,
            } => write!(
                f,
                "{} connections were established, {} were accepted by the server",
                count(*established),
                count(*accepted)
            ),
            Finding::AcceptingStopped {
                connections,
                memory_left,
            } => write!(
                f,
                "accepting stopped at {} connections because only {} MiB of memory were left",
                count(*connections),
                memory_left >> 20
            ),
            Finding::AcceptingFull { connections, limit } => write!(
                f,
                "accepting stopped at {} connections, the most that this machine's {} allows (throng plan shows it, and what raises it)",
                count(*connections),
                limit.words()
            ),
            Finding::LifetimesOver { connections } => write!(
                f,
                "--channel-lifetime closed {} before the hold was over, and --no-reconnect opened none in their place",
                things(*connections, "connection")
            ),
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
                        "the server's process ({names}) ended {at} after the run began"
                    ),
                    (n, of) => write!(
                        f,
                        "{} of {} processes of the server ({names}) ended, the first {at} after the run began",
                        count(*n),
                        count(*of)
                    ),
                }
            }
            Finding::SourceLost { source, seconds } => write!(
                f,
                "{source} was lost after {}: its later results are missing",
                human::seconds(*seconds)
            ),
        }
    }
}

impl fmt::Display for WhyMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyMissing::Interrupted => f.write_str("interrupted while opening"),
            WhyMissing::StoppedByText => {
                f.write_str("the text of --message-stop was received while they were opened")
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
            WhyMissing::Lost { closed, ages } => {
                write!(f, "they did not stay open: {}", losses(closed, ages, 0))
            }
            WhyMissing::LifetimesOver => f.write_str(
                "--channel-lifetime closed the first ones before the last ones were established",
            ),
            WhyMissing::NotAtOnce => {
                f.write_str("each source held its own, but not at the same time")
            }
            WhyMissing::Stalled => f.write_str("no further connection was established"),
        }
    }
}

/// What ended connections, in words. Those of `lost` that nothing ended could no longer carry messages.
fn losses(closed: &BTreeMap<Closed, u64>, ages: &BTreeMap<Closed, Age>, lost: u64) -> String {
    let words = |why: &Closed| match why {
        Closed::ByPeer => "closed by the peer",
        Closed::ResetByPeer => "reset by the peer",
        Closed::TimedOut => "no longer acknowledged by the peer",
        Closed::Error => "ended by an error on this side",
        Closed::ByUs => "closed by this side",
    };
    let one = |(why, n): (&Closed, &u64)| {
        let age = ages.get(why).map(|age| {
            let timeout = match age.is_a_timeout(*n) {
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
        parts.push(format!(
            "{said} by their protocol (a peer announced that it would close, or violated the protocol)"
        ));
    }
    match parts.is_empty() {
        true => "no longer open at the end".into(),
        false => parts.join("; "),
    }
}

/// Writes findings with their sentences.
pub(super) fn with_text<S: Serializer>(all: &[Finding], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Told<'a> {
        #[serde(flatten)]
        finding: &'a Finding,
        text: String,
    }
    to.collect_seq(all.iter().map(|finding| Told {
        finding,
        text: finding.to_string(),
    }))
}
