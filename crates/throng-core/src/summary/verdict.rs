//! The verdict: whether a run reached what was asked for, and if not, which limit it met and what lifts that limit. The
//! rules are in docs/verdict.md.

mod agents;
mod ages;
mod drains;
mod failures;
mod far_ends;
mod storms;

use super::expected::Expected;
use super::finding::{ChangedTo, Finding, Handshake, WhyMissing};
use super::rate::RATE_TOLERANCE;
use super::totals::Totals;
use super::{MessageRate, Requests, SetUp, bottleneck};
use crate::diagnosis::Diagnosis;
use crate::expect::{Expectation, Scalar};
use crate::maximum::{self, Maximum};
use crate::pacing::Ending;
use crate::protocol::tls::TlsFailure;
use crate::protocol::tunnel::TunnelSummary;
use crate::protocol::{self, Sections};
use crate::record::{self, Interval, Part, Record, Role};
use crate::scenario::Allow;
use crate::stats::{Closed, FailCause, Tally};
use crate::storm::WindowEnding;
use std::collections::BTreeMap;
use std::time::Duration;

/// Received segments that the kernel dropped are worth knowing from this share of all on, and from this many.
const MUCH_DROPPED: f64 = 0.001;
const FEW_DROPS: u64 = 10;
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
    // What a lost source had is missing in all that follows.
    let mut findings: Vec<Finding> = agents::lost(record).collect();
    let complete = findings.is_empty();
    let allowed = Allowed {
        allow: t.asked.allow,
        expected,
    };
    let mut reached = match t.asked.role {
        Role::Load => load(t, set_up, rate, &allowed, &mut findings),
        Role::Serve => serve(t, &mut findings),
        Role::Proxy => proxy(t, &mut findings),
    };
    reached &= complete;
    let unsent = requests.and_then(unsent);
    reached &= unsent.is_none();
    findings.extend(unsent);
    for ending in t.endings() {
        for what in &ending.unreported {
            reached = false;
            findings.push(Finding::Unreported { what: what.clone() });
        }
    }
    findings.extend(agents::outliers(record));
    for failed in expected.iter().filter(|expected| !expected.met) {
        reached = false;
        findings.push(Finding::ExpectationFailed(failed.clone()));
    }
    // The first one is the verdict: what was allowed is not, and what follows from no echoes is not either.
    let in_vain = t.any(|e| e.in_vain);
    findings.sort_by_key(|finding| !(in_vain && matches!(finding, Finding::NoEcho { .. })));
    findings.sort_by_key(|finding| match finding {
        Finding::ConnectionsLost { lost, asked, .. } => allowed.lost(*lost, *asked),
        Finding::Storm { .. } | Finding::Drained { .. } => true,
        Finding::RateMissed { .. } => t.opened.dropped > 0,
        Finding::MessagesUnanswered { messages, of, .. } => {
            allowed.unanswered(*messages, *of) && messages < of
        }
        // Where there is an answer, something else is why the run fell short; and where none was held, that says why.
        Finding::Maximum { ending, .. } => {
            use maximum::Ending::{Bound, Found, None};
            !reached && matches!(ending, Bound | Found | None)
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
                connections: match t.asked.role {
                    Role::Proxy => ending.pairs_peak,
                    Role::Load | Role::Serve => ending.peak,
                },
                limit,
            });
        }
    }
    findings.extend(t.causes().into_iter().map(Finding::LimitMet));
    reached & identities(t, findings)
}

/// Whether the headers of the PROXY protocol named none but clients that were announced.
fn identities(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let Some(named) = t.named() else {
        return true;
    };
    let Some(strange @ 1..) = named.unannounced else {
        return true;
    };
    findings.push(Finding::ClientsUnannounced {
        headers: strange,
        of: t.accepted.map_or(0, |a| a.proxy_protocol.taken),
        clients: named.strangers,
    });
    false
}

fn proxy(t: &Totals, findings: &mut Vec<Finding>) -> bool {
    let turned_away = t.accepted.map_or(0, |a| a.proxy.turned_away);
    if turned_away > 0 {
        findings.push(Finding::ClientsTurnedAway {
            clients: turned_away,
            failed: failures(&t.accepted.unwrap_or_default()),
        });
    }
    let to_itself = t.accepted.map_or(0, |a| a.proxy.to_itself);
    if to_itself > 0 {
        findings.push(Finding::ClientsToItself { clients: to_itself });
    }
    let unidentified = t.accepted.map_or(0, |a| a.proxy.unidentified);
    if unidentified > 0 {
        findings.push(Finding::ClientsUnidentified {
            clients: unidentified,
        });
    }
    let mut unsecured = 0;
    for failure in TlsFailure::ALL {
        let clients = t.accepted.map_or(0, |a| a.proxy.unsecured(failure));
        unsecured += clients;
        if clients > 0 {
            findings.push(Finding::BackendsUnsecured { failure, clients });
        }
    }
    let served = serve(t, findings);
    let cut = t.accepted.map_or(0, |a| a.proxy.pairs());
    if cut > 0 {
        findings.push(Finding::ClientsCut { clients: cut });
    }
    served && turned_away + to_itself + unidentified + unsecured == 0
}

/// Failed attempts by cause, without causes that did not occur.
fn failures(tally: &Tally) -> BTreeMap<FailCause, u64> {
    let all = FailCause::ALL.into_iter();
    all.map(|cause| (cause, tally.failed(cause)))
        .filter(|(_, n)| *n > 0)
        .collect()
}

fn load(
    t: &Totals,
    set_up: Option<&SetUp>,
    rate: Option<&MessageRate>,
    allowed: &Allowed,
    findings: &mut Vec<Finding>,
) -> bool {
    let causes = t.causes();
    for found in t.endings().filter_map(|e| e.maximum.as_deref()) {
        findings.push(Finding::Maximum {
            ending: found.ending,
            connections: found.connections,
            whose: found.whose,
            limit: found.limit,
            words: found.words.clone(),
        });
    }
    let mut reached = connections(t, allowed, &causes, findings);
    findings.extend(headers_refused(t));
    let not_closed = not_closed_by_server(t);
    reached &= not_closed.is_none();
    findings.extend(not_closed);
    reached &= t.maximum().is_none_or(Maximum::is_found);
    reached &= answered(t, allowed, findings);
    reached &= pongs(t, allowed, findings);
    reached &= protocols(t, findings);
    for what in t.endings().filter_map(|e| e.bad_profile.clone()) {
        reached = false;
        findings.push(Finding::BadProfile { what });
    }
    for found in t.endings().filter_map(|e| e.window.as_ref()) {
        let ending = found.ending;
        reached &= matches!(ending, WindowEnding::Found | WindowEnding::NoneNeeded);
        findings.push(Finding::WindowSearch {
            ending,
            held_ms: found.held_ms,
            broke_ms: found.broke_ms,
            storms: found.trials.len() as u64,
        });
    }
    for found in t.endings().filter_map(|e| e.connect_rate.as_deref()) {
        reached &= found.is_found();
        findings.push(Finding::ConnectRate {
            ending: found.ending,
            per_s: found.per_s,
            broke_per_s: found.broke_per_s,
            broke_by: found.broke_by,
            words: found.words.clone(),
        });
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
    // Of connections that are opened again and again, each is one that was asked for.
    reached &= t.asked.exchanges.is_none() || t.held.failed_in_all() == 0;
    // Attempts beyond a maximum are to fail.
    if t.maximum().is_none() {
        failures::failed_attempts(t, &causes, findings);
    }
    findings.extend(failures::dead_addresses(t));
    findings.extend(far_ends::server_ended(t).filter(|_| !t.asked.drain));
    let missed = rate.and_then(missed);
    // While a connection is dropped, as was asked for, nothing is sent on it.
    let dropped = t.opened.dropped > 0;
    reached &= missed.is_none() || dropped;
    let bounded = bottleneck::of(t, set_up, rate, missed.is_some());
    findings.extend(missed);
    findings.extend(
        bounded
            .into_iter()
            .map(Box::new)
            .map(Finding::ClientBottleneck),
    );
    findings.extend(t.endings().filter_map(rate_changed));
    findings.extend(t.endings().filter_map(opening_paused));
    // What the kernel counts of TCP is about others then.
    if !t.asked.unix {
        findings.extend(t.endings().filter_map(receive_drops));
    }
    findings.extend(fast_open_unused(t));
    let paused = bottleneck::paused(t);
    findings.extend(paused.map(|(part, seconds)| Finding::ClientPaused {
        agent: part.about.agent.clone(),
        seconds,
    }));
    reached & far_ends::ends_agree(t, findings)
}

/// The finding that the peer seems not to expect headers of the PROXY protocol: it closed most connections without a word.
fn headers_refused(t: &Totals) -> Option<Finding> {
    let closed = t.opened.closed(Closed::ByPeer) + t.opened.closed(Closed::ResetByPeer);
    let of = t.opened.established;
    let refused = t.asked.sends_headers && t.opened.bytes_received == 0 && closed > 0;
    (refused && 2 * closed >= of).then_some(Finding::HeadersRefused { closed, of })
}

/// The finding that the server did not close connections as it was to: some in time, or none at all before the end of the hold.
fn not_closed_by_server(t: &Totals) -> Option<Finding> {
    t.asked.exchanges.filter(|asked| asked.await_close)?;
    let of = t.held.exchanged;
    let connections = match t.held.closed_as_awaited {
        0 => of,
        _ => t.held.awaited_in_vain,
    };
    (connections > 0).then_some(Finding::NotClosedByServer { connections, of })
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
    let interrupted = t.any(|e| e.was_stopped());
    let timed_out = t.any(|e| e.timed_out);
    let churns = churns(t, asked);
    let missing = t.peak < asked && !churns;
    let unready = unready(t).filter(|_| !churns);
    let lost = t.lost();
    // A tolerance never covers all: with nobody left there is nothing that was held.
    let none_left = lost > 0 && t.held.up() == 0 && ended_by_lifetime(t) == 0;
    let tolerates = |lost| allowed.lost(lost, asked);
    let tolerated = tolerates(lost) && !none_left;
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
            ages: ages::ages(t),
            violated: violated(&hold),
            idle: hold.bytes_sent + hold.bytes_received == 0,
        });
    } else if !t.asked.drain
        && !t.asked.find_window
        && t.maximum().is_none()
        && losses(&t.held).values().sum::<u64>() > 0
    {
        // All are open again, as asked for; still, this is worth knowing.
        findings.push(Finding::ConnectionsReopened {
            asked,
            closed: losses(&t.held),
            ages: ages::ages(t),
        });
    }
    let drained = !t.asked.drain || drains::drained(t, tolerates, findings);
    let back = storms::storms(t, tolerates, findings);
    let ended = ended_by_lifetime(t);
    // With exchanges others are opened, if they can be.
    let for_good = has_lifetime(t) && t.asked.exchanges.is_none();
    if !missing && ended > 0 && for_good && t.held.open() == 0 {
        findings.push(Finding::LifetimesOver { connections: ended });
    }
    let cut_short = (!missing && unready.is_none())
        .then(|| cut_short(t))
        .flatten();
    let complete = cut_short.is_none();
    findings.extend(cut_short);
    let accepted = far_ends::accepted(t, findings)
        & far_ends::served(t, findings)
        & far_ends::ran(t, findings);
    // What can't be delivered is not read either.
    let delivered = far_ends::delivered(t, findings) && far_ends::read(t, findings);
    // The first finding names the first cause, unless it names something else.
    let named = usize::from(missing && !interrupted && !timed_out);
    // A server that is drained has processes that end, as they are to.
    let others = causes.iter().skip(named).filter(|_| !t.asked.drain);
    findings.extend(others.cloned().map(Finding::LimitMet));
    !missing
        && unready.is_none()
        && tolerated
        && drained
        && back
        && complete
        && accepted
        && delivered
}

/// Whether connections come and go all the time as the protocol allows, so that how many are open at an instant says nothing,
/// and every attempt so far has brought one.
fn churns(t: &Totals, asked: u64) -> bool {
    let all = !t.parts.is_empty() && t.parts.iter().all(|part| part.churns());
    // Where that was asked for, failed attempts are judged as such.
    let failed = t.held.failed_in_all() > 0 && t.asked.exchanges.is_none();
    all && t.held.ready >= asked && !failed
}

/// The finding that not all messages were sent of the number that was asked for, if so.
fn unsent(requests: &Requests) -> Option<Finding> {
    (requests.unsent > 0).then_some(Finding::RequestsUnsent {
        unsent: requests.unsent,
        asked: requests.asked,
    })
}

/// The finding that the hold was shorter than was asked for, if it was.
fn cut_short(t: &Totals) -> Option<Finding> {
    let cut = |part: &&Part| {
        let asked_s = part.about.asked.hold_s?;
        let ending = part.ending.as_ref()?;
        let held = ending.held?.at.saturating_sub(ending.opened?.at);
        let short = (ending.timed_out || ending.was_stopped()) && held.as_secs_f64() < asked_s;
        short.then_some((held.as_secs_f64(), asked_s))
    };
    let shortest = t.parts.iter().filter_map(cut);
    shortest
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(held_s, asked_s)| Finding::HoldCutShort { held_s, asked_s })
}

/// Whether messages were answered, where answers are looked for, and by their echoes, where those are: rule 4.
fn answered(t: &Totals, allowed: &Allowed, findings: &mut Vec<Finding>) -> bool {
    let of = t.closed.questions;
    // What was sent on connections beyond a maximum, which the search closed again, or the server, is answered by nobody.
    let shed = t.maximum().map_or(0, |_| {
        let opened = t.endings().filter_map(|e| e.opened);
        opened.map(|mark| mark.opened.messages_unanswered).sum()
    });
    let messages = t.unanswered.count().saturating_sub(shed);
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
    let any = succeeded(t, allowed, findings);
    !none && any && echoes && !mostly_unasked && allowed.unanswered(messages, of)
}

/// Whether any answer was a success, unless the user expects errors: rule 4.
fn succeeded(t: &Totals, allowed: &Allowed, findings: &mut Vec<Finding>) -> bool {
    let protocol = t.asked.protocol;
    let answers = t.closed.answers;
    let errors: BTreeMap<_, _> = protocol.answers_with_error(&t.closed).into_iter().collect();
    let with_error: u64 = errors.values().sum();
    let judged = protocol.judges_answers() || allowed.is_within(|e| e.is_about(Scalar::WithError));
    if judged || with_error == 0 {
        return true;
    }
    findings.push(Finding::AnswersWithError { answers, errors });
    with_error < answers
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

fn why_missing(t: &Totals, causes: &[Diagnosis], interrupted: bool, timed_out: bool) -> WhyMissing {
    match causes {
        _ if t.any(|e| e.interrupted) => WhyMissing::Interrupted,
        _ if interrupted => WhyMissing::Abandoned,
        _ if stopped_by_text(t) => WhyMissing::StoppedByText,
        _ if t.any(|e| e.in_vain) => WhyMissing::NoEcho,
        _ if t.any(|e| e.too_slow) => WhyMissing::OpeningTooLong {
            seconds: t.asked.ramp_limit_s.unwrap_or(0.0),
        },
        _ if timed_out => WhyMissing::TimeOver {
            seconds: t.latest(Part::over),
        },
        [cause, ..] => WhyMissing::Limit(cause.clone()),
        [] if t.held.established == 0 => WhyMissing::NoneEstablished,
        [] if t.lost_sources().next().is_some() => WhyMissing::SourceLost,
        [] if t.parts.iter().map(|p| p.peak()).sum::<u64>() > t.peak => WhyMissing::NotAtOnce,
        [] if t.held.open() < t.peak.max(1) || ended_by_lifetime(t) > 0 => did_not_stay(t),
        [] => WhyMissing::Stalled,
    }
}

/// Why connections are missing that had been established.
fn did_not_stay(t: &Totals) -> WhyMissing {
    let closed = losses(&t.held);
    match has_lifetime(t) && ended_by_lifetime(t) > closed.values().sum() {
        true => WhyMissing::LifetimesOver,
        false => WhyMissing::Lost {
            closed,
            ages: ages::ages(t),
        },
    }
}

/// Whether the user gave connections a lifetime.
fn has_lifetime(t: &Totals) -> bool {
    t.parts.iter().any(|part| part.about.asked.lifetime)
}

/// Connections that this side closed by the end of the hold since their lifetime was over, or as an answer had announced.
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
        p.ending.as_deref().map_or(asked, ready)
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
    // What is still under way, or failed, is the tunnel, then TLS, until the protocol has its turn.
    let secured = part.opened().tls.secured;
    let lacks = |n: u64| n < asked.connections.unwrap_or(0);
    let protocol = match asked.tls_client && lacks(secured) {
        _ if asked.tunnels && lacks(part.opened().tunnel.opened) => Handshake::Tunnel,
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
    let violations = Sections::of(|_| true, &t.opened).violations();
    let shortfalls = Sections::of(|_| true, &t.closed).shortfalls();
    for (protocol, violated) in violations.into_iter().chain(shortfalls) {
        reached = false;
        findings.push(Finding::ProtocolViolated {
            protocol,
            violation: violated.violation.into(),
            words: violated.words,
            connections: violated.connections,
        });
    }
    for not in TunnelSummary::of(&t.opened).not_opened() {
        findings.push(Finding::TunnelFailed {
            cause: not.cause.into(),
            words: not.words,
            connections: not.connections,
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

/// The finding that the kernel of a source dropped what it had received, if that was a share worth knowing.
fn receive_drops(ending: &record::Ending) -> Option<Finding> {
    let (segments, of) = (ending.kernel.receive_drops, ending.kernel.received_segments);
    let many = segments >= FEW_DROPS && segments as f64 >= of as f64 * MUCH_DROPPED;
    many.then_some(Finding::ReceiveDrops {
        segments,
        of,
        server_here: ending.server.is_some() || ending.over.accepted.is_some(),
    })
}

/// The finding that no data was accepted with a SYN, if that was asked for and connections were established.
fn fast_open_unused(t: &Totals) -> Option<Finding> {
    let all = |of: fn(&record::Ending) -> u64| t.endings().map(of).sum::<u64>();
    let unused = all(|e| e.kernel.fastopen_accepted) == 0 && t.opened.established > 0;
    (t.asked.fastopen && unused).then(|| Finding::FastOpenUnused {
        ignored: all(|e| e.kernel.fastopen_ignored),
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

/// The finding that a source's opening was paused by hand, if it was.
fn opening_paused(ending: &record::Ending) -> Option<Finding> {
    let paused = !ending.opening_paused.is_zero();
    paused.then_some(Finding::OpeningPaused {
        seconds: ending.opening_paused.as_secs_f64(),
        at_end: ending.paused_at_end,
    })
}

/// What ended connections, without those that this side closed.
fn losses(tally: &Tally) -> BTreeMap<Closed, u64> {
    let all = Closed::ALL.into_iter().filter(|why| *why != Closed::ByUs);
    all.map(|why| (why, tally.closed(why)))
        .filter(|(_, n)| *n > 0)
        .collect()
}
