//! The verdict: whether a run reached what was asked for, and if not, which limit it met and what lifts that limit. The
//! rules are in docs/verdict.md.

use super::expected::Expected;
use super::finding::{Age, ChangedTo, Finding, Handshake, Sender, WhyMissing};
use super::totals::Totals;
use super::{MessageRate, Requests, SetUp, bottleneck};
use crate::capacity::LimitKind;
use crate::diagnosis::Diagnosis;
use crate::expect::{Expectation, Scalar};
use crate::human;
use crate::pacing::Ending;
use crate::protocol::tls::TlsFailure;
use crate::protocol::{self, Sections};
use crate::record::{self, Asked, Interval, Part, Record, Role};
use crate::scenario::Allow;
use crate::stats::{Closed, FailCause, OfAddress, Tally};
use std::collections::BTreeMap;
use std::time::Duration;

/// The largest deviation from the requested message rate, as a share of it, that counts as reached.
const RATE_TOLERANCE: f64 = 0.01;
/// What peers had not read at the end of the hold is worth knowing from this share of what was sent on.
const MUCH_UNREAD: f64 = 0.1;
/// How late the last messages of the hold may be, in seconds, without counting as missing: a hiccup of the scheduler.
const LATE_AT_END_S: f64 = 0.1;

/// Whether all was reached, and the findings, the most important one first.
pub(super) fn of(
    record: &Record,
    t: &Totals,
    requests: Option<&Requests>,
    set_up: Option<&SetUp>,
    rate: Option<&MessageRate>,
    expected: &[Expected],
) -> (bool, Vec<Finding>) {
    let mut findings = Vec::new();
    let allowed = Allowed {
        allow: t.asked.allow,
        expected,
    };
    let mut reached = match t.asked.role {
        Role::Load => load(t, set_up, rate, &allowed, &mut findings),
        Role::Serve => serve(t, &mut findings),
    };
    let unsent = requests.and_then(unsent);
    reached &= unsent.is_none();
    findings.extend(unsent);
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
    for failed in expected.iter().filter(|expected| !expected.met) {
        reached = false;
        findings.push(Finding::ExpectationFailed(failed.clone()));
    }
    // The first one is the verdict: what was allowed is not.
    findings.sort_by_key(|finding| match finding {
        Finding::ConnectionsLost { lost, asked, .. } => allowed.lost(*lost, *asked),
        Finding::MessagesUnanswered { messages, of, .. } => {
            allowed.unanswered(*messages, *of) && messages < of
        }
        Finding::PingsUnanswered { pings, of, .. } => {
            allowed.pings_unanswered(*pings, *of) && pings < of
        }
        _ => false,
    });
    (reached, findings)
}

/// What may go wrong: what is allowed, and what a limit of the user's own says about the same count.
struct Allowed<'a> {
    allow: Allow,
    expected: &'a [Expected],
}

impl Allowed<'_> {
    fn lost(&self, n: u64, of: u64) -> bool {
        self.allow.lost.covers(n, of)
            || self.is_within(|e| e.is_about(Scalar::Lost) && e.op().is_upper())
    }

    fn unanswered(&self, n: u64, of: u64) -> bool {
        self.allow.unanswered.covers(n, of)
            || self.is_within(|e| {
                e.is_about(Scalar::Unanswered) && e.op().is_upper()
                    || e.is_about(Scalar::Answers) && e.op().is_lower()
            })
    }

    fn pings_unanswered(&self, n: u64, of: u64) -> bool {
        self.allow.unanswered.covers(n, of)
            || self.is_within(|e| e.is_about(Scalar::Pongs) && e.op().is_lower())
    }

    /// Whether there are such limits, and all are kept.
    fn is_within(&self, limit: impl Fn(&Expectation) -> bool) -> bool {
        let mut limits = self
            .expected
            .iter()
            .filter(|e| limit(&e.expression))
            .peekable();
        limits.peek().is_some() && limits.all(|e| e.met)
    }
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
        if let Some(limit) = ending.full {
            reached = false;
            findings.push(Finding::AcceptingFull {
                connections: ending.peak,
                limit,
            });
        }
    }
    findings.extend(t.causes().into_iter().map(Finding::LimitMet));
    reached
}

fn load(
    t: &Totals,
    set_up: Option<&SetUp>,
    rate: Option<&MessageRate>,
    allowed: &Allowed,
    findings: &mut Vec<Finding>,
) -> bool {
    let causes = t.causes();
    let mut reached = connections(t, allowed, &causes, findings);
    reached &= answered(t, allowed, findings);
    reached &= pongs(t, allowed, findings);
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
    let ahead = t.markers_ahead();
    if ahead > 0 {
        findings.push(Finding::MarkersAhead {
            markers: ahead,
            of: ahead + t.measured.marked.count(),
        });
    }
    if stopped_by_text(t) {
        findings.push(Finding::StoppedByText);
    }
    failed_attempts(t, &causes, findings);
    findings.extend(dead_addresses(t));
    findings.extend(server_ended(t));
    let missed = rate.and_then(missed);
    reached &= missed.is_none();
    let bounded = bottleneck::of(t, set_up, rate, missed.is_some());
    findings.extend(missed);
    findings.extend(
        bounded
            .into_iter()
            .map(Box::new)
            .map(Finding::ClientBottleneck),
    );
    findings.extend(t.endings().filter_map(rate_changed));
    let paused = bottleneck::paused(t);
    findings.extend(paused.map(|seconds| Finding::ClientPaused { seconds }));
    reached & ends_agree(t, findings)
}

fn stopped_by_text(t: &Totals) -> bool {
    t.opened.stops_seen + t.accepted.map_or(0, |a| a.stops_seen) > 0
}

/// Whether as many connections as were asked for were ready at one instant, and held from then on for as long as was
/// asked: rules 1 to 3.
fn connections(
    t: &Totals,
    allowed: &Allowed,
    causes: &[Diagnosis],
    findings: &mut Vec<Finding>,
) -> bool {
    let asked = t.asked.connections.unwrap_or(0);
    let interrupted = t.any(|e| e.interrupted);
    let timed_out = t.any(|e| e.timed_out);
    let churns = churns(t, asked);
    let missing = t.peak < asked && !churns;
    let unready = unready(t).filter(|_| !churns);
    let lost = t.lost();
    // A tolerance never covers all: with nobody left there is nothing that was held.
    let none_left = lost > 0 && t.held.up() == 0 && ended_by_lifetime(t) == 0;
    let allowed = allowed.lost(lost, asked) && !none_left;
    // Those that never could carry messages say more than how many were open at once.
    let refused = unready.is_some() && t.held.ready < t.held.established && causes.is_empty();
    let none_ready = t.held.ready == 0 && t.held.established > 0;
    if missing && (!refused || (interrupted || timed_out) && !none_ready) {
        findings.push(Finding::ConnectionsMissing {
            peak: t.peak,
            asked,
            why: why_missing(t, causes, interrupted, timed_out),
        });
    } else if let Some(missing) = &unready {
        findings.push(missing.clone());
    } else if lost > 0 {
        let hold = t.hold(|e| e.opened).opened;
        findings.push(Finding::ConnectionsLost {
            lost,
            open: t.held.open().min(t.held.ready_now()),
            asked,
            closed: losses(&hold),
            ages: ages(t),
            violated: violated(&hold),
            idle: hold.bytes_sent + hold.bytes_received == 0,
        });
    } else if losses(&t.held).values().sum::<u64>() > 0 {
        // All are open again, as asked for; still, this is worth knowing.
        findings.push(Finding::ConnectionsReopened {
            asked,
            closed: losses(&t.held),
            ages: ages(t),
        });
    }
    let ended = ended_by_lifetime(t);
    if !missing && ended > 0 && t.held.open() == 0 {
        findings.push(Finding::LifetimesOver { connections: ended });
    }
    let cut_short = (!missing && unready.is_none())
        .then(|| cut_short(t))
        .flatten();
    let complete = cut_short.is_none();
    findings.extend(cut_short);
    let accepted = accepted(t, findings) & served(t, findings) & ran(t, findings);
    // What can't be delivered is not read either.
    let delivered = delivered(t, findings) && read(t, findings);
    // The first finding names the first cause, unless it names something else.
    let named = usize::from(missing && !interrupted && !timed_out);
    let others = causes.iter().skip(named);
    findings.extend(others.cloned().map(Finding::LimitMet));
    !missing && unready.is_none() && allowed && complete && accepted && delivered
}

/// Whether connections come and go all the time as the protocol allows, so that how many are open at an instant says nothing,
/// and every attempt so far has brought one.
fn churns(t: &Totals, asked: u64) -> bool {
    let all = !t.parts.is_empty() && t.parts.iter().all(|part| part.churns());
    all && t.held.ready >= asked && t.held.failed_in_all() == 0
}

/// The finding that not all messages were sent of the number that was asked for, if so.
fn unsent(requests: &Requests) -> Option<Finding> {
    (requests.unsent > 0).then_some(Finding::RequestsUnsent {
        unsent: requests.unsent,
        asked: requests.asked,
    })
}

/// Fewer connections than this that ended at equal ages may be chance.
const FEW: u64 = 3;
/// A timeout that is shorter than this can't be told from a server that closes at once.
const SHORTEST_TIMEOUT_S: f64 = 0.5;
/// The largest difference of equal ages, as a share of them.
const EQUAL_AGES: f64 = 0.05;

/// The ages at which connections ended without this side's doing.
fn ages(t: &Totals) -> BTreeMap<Closed, Age> {
    let opened_over_s = opened_over(t).as_secs_f64();
    let age = |why: Closed| {
        let all = t.measured.age(why)?;
        let s = |d: Duration| d.as_secs_f64();
        let (min_s, p50_s, max_s) = (
            s(all.min()?),
            s(all.percentile(50.0)?),
            s(all.percentile(100.0)?),
        );
        let (n, apart_s) = (all.count(), max_s - min_s);
        // Connections that were opened together and ended together have equal ages, too.
        let generations = t.asked.connections.is_some_and(|asked| n > asked);
        let equal = apart_s <= p50_s * EQUAL_AGES;
        let alike = n >= FEW
            && min_s >= SHORTEST_TIMEOUT_S
            && equal
            && (generations || opened_over_s > 2.0 * apart_s);
        let age = Age {
            min_s,
            p50_s,
            max_s,
            alike,
        };
        Some((why, age))
    };
    Closed::ALL.into_iter().filter_map(age).collect()
}

/// The least time that passed between the first connection that was established and the last one, to within an interval.
fn opened_over(t: &Totals) -> Duration {
    let over = |part: &&Part| {
        let up = |i: &&Interval| i.opened.is_some_and(|r| r.counts.established > 0);
        let first = part.intervals.iter().find(up)?;
        let last = part.ending.as_ref()?.established;
        Some(last.saturating_sub(first.to))
    };
    t.parts.iter().filter_map(over).max().unwrap_or_default()
}

/// The finding that the hold was shorter than was asked for, if it was.
fn cut_short(t: &Totals) -> Option<Finding> {
    let cut = |part: &&Part| {
        let asked_s = part.about.asked.hold_s?;
        let ending = part.ending.as_ref()?;
        let held = ending.held?.at.saturating_sub(ending.opened?.at);
        let short = (ending.timed_out || ending.interrupted) && held.as_secs_f64() < asked_s;
        short.then_some((held.as_secs_f64(), asked_s))
    };
    let shortest = t.parts.iter().filter_map(cut);
    shortest
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(held_s, asked_s)| Finding::HoldCutShort { held_s, asked_s })
}

/// Whether servers on this machine had accepted all connections at the end of the hold: rule 2.
fn accepted(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().flat_map(|e| &e.unaccepted);
    findings.extend(all.map(|u| Finding::InAcceptQueue {
        connections: u.queue.waiting.into(),
        target: u.queue.target,
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
fn delivered(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().map(|e| e.undelivered);
    let some = all.filter(|u| u.connections() > 0);
    findings.extend(some.map(Finding::Undelivered));
    findings.len() == before
}

/// Whether peers read what was sent to them as fast as was asked, as far as this machine's kernel knows: rule 5.
fn read(t: &Totals, findings: &mut Vec<Finding>) -> bool {
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
fn ran(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().flat_map(|e| &e.stopped);
    findings.extend(all.cloned().map(Finding::ServerStopped));
    findings.len() == before
}

/// Whether no connection was its own other end: rule 2.
fn served(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    let all = t.endings().flat_map(|e| &e.to_themselves);
    findings.extend(all.map(|target| Finding::ConnectedToItself { target: *target }));
    findings.len() == before
}

/// Whether messages were answered, where answers are looked for, and by their echoes, where those are: rule 4.
fn answered(t: &Totals, allowed: &Allowed, findings: &mut Vec<Finding>) -> bool {
    let of = t.closed.questions;
    let messages = t.unanswered.count();
    if messages > 0 {
        findings.push(Finding::MessagesUnanswered {
            messages,
            of,
            last_answer_s: answers_stopped(t).map(|at| at.as_secs_f64()),
        });
    }
    // Of the instant of all other reads.
    let (reads, differing) = (t.opened.excess_echoes, t.opened.differing_echoes);
    let echoes = reads + differing == 0;
    if !echoes {
        findings.push(Finding::NoEcho { reads, differing });
    }
    // By ids, what nobody asked for does no harm.
    let by_id = t.asked.protocol.answers() == protocol::Answers::Ids;
    let unasked = t.closed.answers_unasked;
    if unasked > 0 && !by_id {
        findings.push(Finding::AnswersUnasked {
            answers: unasked,
            of: unasked + t.closed.answers,
        });
    }
    let mostly_unasked = !by_id && unasked > t.closed.answers;
    let none = of > 0 && messages == of;
    !none && echoes && !mostly_unasked && allowed.unanswered(messages, of)
}

/// Whether pings were answered: rule 4.
fn pongs(t: &Totals, allowed: &Allowed, findings: &mut Vec<Finding>) -> bool {
    let (pings, of) = (t.closed.pings_unanswered, t.closed.pings);
    if pings > 0 {
        findings.push(Finding::PingsUnanswered {
            pings,
            of,
            unasked: t.closed.pongs_unasked,
        });
    }
    let none = of > 0 && pings == of;
    !none && allowed.pings_unanswered(pings, of)
}

/// When the last answer came, to within an interval, if that was a second or more before the hold ended and most of the
/// unanswered messages waited then or were sent later.
fn answers_stopped(t: &Totals) -> Option<Duration> {
    let counts = |i: &Interval| {
        let both = i.opened.into_iter().chain(i.accepted);
        both.map(|reading| reading.counts).sum::<Tally>()
    };
    let (mut stopped, mut in_vain) = (Duration::ZERO, 0);
    for part in &t.parts {
        let held = part.ending.as_ref()?.held?.at;
        let answered = |i: &&Interval| counts(i).answers > 0;
        let at = part.intervals.iter().rfind(answered)?.to;
        let (until, later): (Vec<_>, Vec<_>) = part.intervals.iter().partition(|i| i.to <= at);
        if later.len() < 2 || held < at + Duration::from_secs(1) {
            return None;
        }
        stopped = stopped.max(at);
        let waited = until.into_iter().map(counts).sum::<Tally>().waiting();
        in_vain += waited + later.into_iter().map(|i| counts(i).questions).sum::<u64>();
    }
    (2 * in_vain >= t.unanswered.count()).then_some(stopped)
}

/// The addresses that took no connection, where others did.
fn dead_addresses(t: &Totals) -> Vec<Finding> {
    let all = t.by_address();
    let takes = |of: &OfAddress| of.established > 0;
    if !all.iter().any(takes) {
        return Vec::new();
    }
    let dead = all.into_iter().filter(|of| !takes(of) && of.attempted > 0);
    dead.map(|of| Finding::AddressDead {
        cause: of.failed.iter().max_by_key(|(_, n)| **n).map(|(c, _)| *c),
        address: of.address,
        target: of.target,
        attempts: of.attempted,
    })
    .collect()
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
        [] if t.held.established == 0 => WhyMissing::NoneEstablished,
        [] if t.parts.iter().map(|p| p.peak()).sum::<u64>() > t.peak => WhyMissing::NotAtOnce,
        [] if t.held.open() < t.peak.max(1) || ended_by_lifetime(t) > 0 => did_not_stay(t),
        [] => WhyMissing::Stalled,
    }
}

/// Why connections are missing that had been established.
fn did_not_stay(t: &Totals) -> WhyMissing {
    let closed = losses(&t.held);
    match ended_by_lifetime(t) > closed.values().sum() {
        true => WhyMissing::LifetimesOver,
        false => WhyMissing::Lost {
            closed,
            ages: ages(t),
        },
    }
}

/// Connections that this side closed by the end of the hold since their lifetime was over.
fn ended_by_lifetime(t: &Totals) -> u64 {
    match t.asked.lifetime {
        true => t.held.closed(Closed::ByUs),
        false => 0,
    }
}

/// The finding that fewer connections than were asked for were ready at once, if so: some never were, or did not stay so.
fn unready(t: &Totals) -> Option<Finding> {
    // Of a source that was lost it is not known.
    let ready = |p: &Part| {
        let asked = p.about.asked.connections.unwrap_or(0);
        let ready = |e: &record::Ending| {
            let peak = e.ready_peak.min(asked);
            // With a lifetime some are always missing.
            let opened = e.opened.filter(|_| !p.renews());
            opened.map_or(peak, |mark| peak.min(mark.opened.ready_now()))
        };
        p.ending.as_ref().map_or(asked, ready)
    };
    let short = |p: &&&Part| ready(p) < p.about.asked.connections.unwrap_or(0);
    let part = t.parts.iter().find(short)?;
    let asked = &part.about.asked;
    // All completed it, but some were gone when others did.
    if t.held.ready >= t.asked.connections.unwrap_or(0) {
        return Some(Finding::ConnectionsMissing {
            peak: t.parts.iter().map(|p| ready(p)).sum(),
            asked: t.asked.connections.unwrap_or(0),
            why: did_not_stay(t),
        });
    }
    // What is still under way, or failed, is TLS until the protocol has its turn.
    let secured = part.opened().tls.secured;
    let protocol = match asked.tls_client && secured < asked.connections.unwrap_or(0) {
        true => Handshake::Tls,
        false => Handshake::Protocol(asked.protocol),
    };
    Some(Finding::HandshakesMissing {
        completed: t.parts.iter().map(|p| ready(p)).sum(),
        asked: t.asked.connections.unwrap_or(0),
        protocol,
        // One that could carry messages once, and no longer can, has closed in the meantime or not.
        waiting: t
            .held
            .open()
            .saturating_sub(t.held.ready_now() + t.held.unready),
    })
}

/// Connections on which the peer violated the protocol, among what was counted.
fn violated(counted: &Tally) -> u64 {
    let all = Sections::of(|_| true, counted).violations();
    all.iter().map(|(_, violated)| violated.connections).sum()
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
        let attempts = t.held.failed(cause);
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
            remedy: (!explained).then(|| remedy(cause, &t.asked, t.peak)),
        });
    }
}

/// The finding that processes of the server ended, for each source that saw some. What that did to connections counts, not
/// that they ended: a supervisor may have replaced them.
fn server_ended(t: &Totals) -> impl Iterator<Item = Finding> {
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

/// The finding that the rate was not as asked, if it was not.
fn missed(rate: &MessageRate) -> Option<Finding> {
    let asked_per_s = rate.asked_per_s?;
    let off = (rate.reached_per_s - asked_per_s).abs();
    // In a short hold, a single message, or those that are a little late at its end, are more than a hundredth.
    let tolerated = (asked_per_s * LATE_AT_END_S).max(1.0);
    let missed =
        rate.seconds > 0.0 && off > asked_per_s * RATE_TOLERANCE && off * rate.seconds > tolerated;
    missed.then_some(Finding::RateMissed {
        reached_per_s: rate.reached_per_s,
        asked_per_s,
    })
}

/// The finding that a source's rate was changed by hand, if it was.
fn rate_changed(ending: &record::Ending) -> Option<Finding> {
    let changes = ending.rate_changes.iter();
    Some(Finding::RateChanged {
        from_per_s: ending.rate_changes.first()?.from_per_s,
        changes: changes
            .map(|change| ChangedTo {
                at_s: change.at.as_secs_f64(),
                per_s: change.to_per_s,
            })
            .collect(),
    })
}

/// Whether both ends of connections in the same process agree.
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
        // Data under way at the end of a lifetime is lost, and a slow reader is behind at the end of the run.
        let all_arrives = !part.renews() && asked.received_per_s.is_none();
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

/// Whether `limit` explains attempts that failed by `cause`, so that its remedy is the one to give.
fn explains(limit: LimitKind, cause: FailCause) -> bool {
    match cause {
        FailCause::NoAddress => {
            matches!(limit, LimitKind::FourTuples | LimitKind::SourceAddress)
        }
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
                | LimitKind::NatPorts
                | LimitKind::Path
                | LimitKind::SourceAddress
        ),
        FailCause::Refused => limit == LimitKind::TargetProcess,
        FailCause::Unreachable => limit == LimitKind::SourceAddress,
        _ => false,
    }
}

/// What ended connections, without those that this side closed.
fn losses(tally: &Tally) -> BTreeMap<Closed, u64> {
    let all = Closed::ALL.into_iter().filter(|why| *why != Closed::ByUs);
    all.map(|why| (why, tally.closed(why)))
        .filter(|(_, n)| *n > 0)
        .collect()
}

/// What to do about attempts that failed by `cause`. `peak` connections were open at once: what kept attempts from being
/// established was not always so, or not for all targets.
fn remedy(cause: FailCause, asked: &Asked, peak: u64) -> String {
    let others = human::things(peak, "connection");
    match cause {
        FailCause::Refused if peak > 0 => format!(
            "For a time nothing listened on the target, or never on one of several, or a firewall refused: {others} were established otherwise. Check whether its server ended or closed its listener, and look for a connection limit (nft list ruleset)."
        ),
        FailCause::Unreachable if peak > 0 => format!(
            "For a time there was no route to the target, or never to one of several, or its machine did not answer (ARP): {others} were established otherwise. Check what changed: ip route get ADDRESS, ip neigh."
        ),
        FailCause::Forbidden if peak > 0 => format!(
            "A firewall rule or security policy forbade it for a time, or beyond a number: {others} were established otherwise. Look for a limit: nft list ruleset."
        ),
        FailCause::NoAddress if peak > 0 => format!(
            "No local port was left to the target, or its source address was gone for a time: {others} were established otherwise. Add source addresses or targets, or widen net.ipv4.ip_local_port_range."
        ),
        FailCause::Refused => "Nothing listens on the target, or no longer: check the address, the port and the server.".into(),
        FailCause::TimedOut => format!(
            "No answer within {}: a full accept queue on the target (ss -ltn there; raise its backlog and net.core.somaxconn), a firewall that drops, or a slow path (--connect-timeout, --connect-rate).",
            human::seconds(asked.connect_timeout_s)
        ),
        FailCause::Reset => "The target, or something in front of it, resets new connections: look for a connection limit there.".into(),
        FailCause::Unreachable => "There is no route to the target: ip route get ADDRESS.".into(),
        FailCause::NoAddress => "No local port is left to the target, or a --source-ip does not belong to this machine: add source addresses or targets, or widen net.ipv4.ip_local_port_range.".into(),
        FailCause::FileLimit => "A file limit: ulimit -n for the process, sysctl fs.file-max for the system.".into(),
        FailCause::NoMemory => "The kernel had no memory for a socket: net.ipv4.tcp_mem, the container's memory limit, ulimit -l.".into(),
        FailCause::Forbidden => "A firewall rule or security policy forbids it: nft list ruleset.".into(),
        FailCause::Other => "An error that throng does not know: please report it, with the command line.".into(),
    }
}
