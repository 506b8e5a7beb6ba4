//! What must be true of each run: docs/verdict.md and docs/summary.md in terms of what can be seen from outside.

use crate::common::lost;
use crate::common::process::Ran;
use crate::scene::Scene;
use serde::Deserialize;
use std::time::Duration;
use throng_core::protocol::tls::TlsFailure;
use throng_core::record::{Ending, Mark, Part, Record};
use throng_core::stats::{Closed, FailCause, Tally};
use throng_core::summary::{Finding, Percentiles, Summary};
use throng_report::text;

/// How far instants of two processes on a busy machine may be apart, in seconds.
const SLACK_S: f64 = 0.5;
/// How long throng may take at the end of the hold: half a second until servers on this machine have accepted all; and to
/// count the kernel's sockets and read the server's memory, which is slow on a busy machine. A drain takes up to ten.
const READING_S: f64 = 2.5;
/// How long throng may wait for the peers' FINs when it closes, and more for a busy machine.
const CLOSING: Duration = Duration::from_secs(5 + 3);

/// What the peer counted.
#[derive(Debug, Deserialize)]
pub struct Peer {
    /// Connections that it accepted.
    pub accepted: u64,
    /// Bytes that it read.
    pub received: u64,
    /// Bytes that its kernel took.
    pub sent: u64,
    /// When it ended a connection that was up, in seconds since 1970.
    pub ends: Vec<f64>,
}

/// What could be seen of a run.
pub struct Seen<'a> {
    /// What was asked for.
    pub scene: &'a Scene,
    /// Exit code, output and time.
    pub ran: &'a Ran,
    /// What `throng merge` made of the output; `None` if there was none.
    pub merged: Option<Ran>,
    /// What the peer counted; `None` without one.
    pub peer: Option<Peer>,
    /// When the signals came, after the start.
    pub signalled: Vec<Duration>,
    /// What was left behind.
    pub left: Vec<String>,
}

/// Promises that were broken.
struct Broken(Vec<String>);

impl Broken {
    /// Notes `promise` with what was seen instead, unless it was kept.
    fn unless(&mut self, kept: bool, promise: &str, seen: impl std::fmt::Debug) {
        if !kept {
            self.0.push(format!("{promise}; seen: {seen:?}"));
        }
    }
}

/// The promises that a run has broken.
pub fn broken(seen: &Seen) -> Vec<String> {
    let (scene, ran) = (seen.scene, seen.ran);
    let mut b = Broken(Vec::new());
    b.unless(
        seen.left.is_empty(),
        "Nothing is left behind: no file, process or socket",
        &seen.left,
    );
    b.unless(
        ran.code != 2,
        "A run with options that go together is not refused",
        &ran.stderr,
    );
    if ran.code == -1 {
        // The signal came before throng was there to see it.
        let early = !seen.signalled.is_empty() && ran.stderr.is_empty() && ran.stdout.is_empty();
        b.unless(early, "A signal ends a run with a summary", &ran.stderr);
        return b.0;
    }
    if ran.stdout.is_empty() {
        let twice = ran.code == 130 && seen.signalled.len() == 2;
        let hint = "Only a second signal ends a run without a summary";
        b.unless(twice || ran.code == 2, hint, (ran.code, &ran.stderr));
        return b.0;
    }
    // Is as the schema says, and its connections add up; else this panics.
    let s = ran.summary();
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is a summary");
    let record: Record = serde_json::from_value(json["record"].clone()).expect("a record");
    let part = record.sources.values().next().expect("the run itself");
    let ending = part.ending.as_ref().expect("it has ended");

    one_story(&mut b, seen, &s);
    reached(&mut b, scene, &s);
    times(&mut b, seen, &s, ending);
    sums(&mut b, scene, &s, ending);
    if let Some(peer) = &seen.peer {
        other_side(&mut b, scene, &s, part, ending, peer);
    }
    b.0
}

/// Exit code, `reached`, the first line and `throng merge` say the same.
fn one_story(b: &mut Broken, seen: &Seen, s: &Summary) {
    let code = i32::from(s.exit_code());
    // A second signal may end it when the summary is written.
    let ended = seen.ran.code == 130 && seen.signalled.len() == 2;
    b.unless(
        seen.ran.code == code || ended,
        "The exit code is that of the summary",
        (seen.ran.code, code),
    );
    b.unless(
        !s.interrupted || !seen.signalled.is_empty(),
        "Only a signal interrupts",
        s.interrupted,
    );
    let mut text = Vec::new();
    text::write_text(s, &mut text, &text::Form::default()).expect("memory takes all");
    let text = String::from_utf8_lossy(&text).into_owned();
    // The verdict may take several lines; others begin with a dash or are aligned.
    let first = text.lines().next().unwrap_or_default().to_owned();
    let asked = throng_core::human::things(seen.scene.connections, "connection");
    let all = format!(
        "{} of {asked}",
        throng_core::human::count(seen.scene.connections)
    );
    let green = first.starts_with(&all) && first.contains(" held for ");
    // One that sent a number of messages begins with that.
    let has_all = first.starts_with(&all) || first.contains(&format!(" over {all}"));
    b.unless(
        !s.interrupted || text.to_lowercase().contains("interrupt"),
        "A run that was interrupted is called so",
        &first,
    );
    b.unless(
        s.interrupted || !s.reached || has_all || seen.scene.allows_loss,
        "The first line of a run that reached all has all its connections",
        &first,
    );
    b.unless(
        s.reached || s.interrupted || !s.findings.is_empty(),
        "A run that fell short has a finding",
        &first,
    );
    b.unless(
        s.reached || !green || first.contains("but"),
        "The first line of a run that fell short does not sound as if it had not",
        &first,
    );
    if let Some(merged) = &seen.merged {
        let of_merged: Result<Summary, _> = serde_json::from_str(&merged.stdout);
        let same = of_merged.as_ref().is_ok_and(|m| {
            (m.reached, m.interrupted) == (s.reached, s.interrupted)
                && m.connections == s.connections
                && m.findings == s.findings
        });
        b.unless(
            same && merged.code == code,
            "`throng merge` of one result is that result",
            (merged.code, &merged.stderr),
        );
    }
}

/// Reached means that all was (rules 1 to 9), and a run that nothing keeps from it is.
fn reached(b: &mut Broken, scene: &Scene, s: &Summary) {
    let c = &s.connections;
    b.unless(
        s.expectations.len() == scene.expectations,
        "Each expectation is judged",
        &s.expectations,
    );
    if !s.reached {
        // On a busy machine the test's own peer may accept, or shake hands, too late; throng says so.
        let slow = |f: &Finding| {
            matches!(
                f,
                Finding::InAcceptQueue { .. }
                    | Finding::AttemptsFailed {
                        cause: FailCause::TimedOut,
                        ..
                    }
                    | Finding::TlsFailed {
                        failure: TlsFailure::TimedOut,
                        ..
                    }
            )
        };
        b.unless(
            !scene.is_easy() || s.interrupted || s.findings.iter().any(slow),
            "What nothing stands in the way of is reached",
            &s.findings,
        );
        return;
    }
    b.unless(
        Some(c.peak) == c.asked && c.asked == Some(scene.connections),
        "Rule 1: a run that is reached had all connections open at one instant",
        (c.peak, c.asked),
    );
    b.unless(
        s.expectations.iter().all(|e| e.met),
        "Rule 9: a run that is reached has met its expectations",
        &s.expectations,
    );
    let held = s.hold_s.unwrap_or(0.0);
    // Then the hold ends when none is left: all have ended as asked.
    let none_left = scene.no_reconnect && scene.lifetime;
    b.unless(
        none_left || scene.requests.is_some() || held + 0.001 >= scene.hold.as_secs_f64(),
        "Rule 3: a run that is reached was held as long as was asked",
        (held, scene.hold),
    );
    let open = c.open_at_end;
    b.unless(
        scene.lifetime || open == scene.connections || scene.allows_loss && open > 0,
        "Rule 2: the connections of a run that is reached are open at the end of the hold, but for those that may be lost",
        open,
    );
    if let Some(answers) = &s.answers {
        b.unless(
            answers.unanswered == 0 || scene.allows_unanswered,
            "Rule 4: no message of a run that is reached is unanswered",
            answers,
        );
        b.unless(
            answers.asked == 0 || answers.received > 0 || answers.unanswered == 0,
            "Rule 4: where none was answered, nothing is reached",
            answers,
        );
    }
    let against = s.findings.iter().find(|f| match f {
        Finding::ConnectionsLost { .. } => !scene.allows_loss,
        Finding::MessagesUnanswered { .. } => !scene.allows_unanswered,
        Finding::Unread { later, of, .. } => {
            scene.rate && later.is_some_and(|later| later * 100 > *of)
        }
        Finding::ConnectionsMissing { .. }
        | Finding::HandshakesMissing { .. }
        | Finding::InAcceptQueue { .. }
        | Finding::HalfOpen(_)
        | Finding::ServerStopped(_)
        | Finding::Undelivered(_)
        | Finding::ConnectedToItself { .. }
        | Finding::HoldCutShort { .. }
        | Finding::NoEcho { .. }
        | Finding::ProtocolViolated { .. }
        | Finding::RateMissed { .. }
        | Finding::BytesMissing { .. }
        | Finding::NotAccepted { .. }
        | Finding::ExpectationFailed(_)
        | Finding::Unreported { .. }
        | Finding::SourceLost { .. } => true,
        _ => false,
    });
    b.unless(
        against.is_none(),
        "No finding contradicts that all was reached",
        against,
    );
}

/// `-T` bounds the run, a signal ends it, and time goes forward.
fn times(b: &mut Broken, seen: &Seen, s: &Summary, ending: &Ending) {
    let took = seen.ran.took;
    if let Some(duration) = seen.scene.duration {
        b.unless(
            s.seconds <= duration.as_secs_f64() + READING_S,
            "-T bounds the run",
            (s.seconds, duration, ending.held.map(|m| m.at)),
        );
        let waited = seen.signalled.last().copied().unwrap_or_default();
        b.unless(
            took <= duration.max(waited) + CLOSING,
            "-T bounds all of it, closing apart",
            (took, duration),
        );
    }
    if let Some(last) = seen.signalled.last() {
        b.unless(
            !s.interrupted || took <= *last + CLOSING,
            "A signal ends the run soon",
            (took, last),
        );
    }
    b.unless(
        s.seconds + s.closing_s <= took.as_secs_f64() + 0.01,
        "The run did not last longer than its process",
        (s.seconds, s.closing_s, took),
    );
    b.unless(
        s.over_time.is_sorted_by(|a, b| a.at_s < b.at_s),
        "Samples go forward in time",
        s.over_time.iter().map(|x| x.at_s).collect::<Vec<_>>(),
    );
    // Until the end of the hold, of which the counts are.
    let held = ending.held.unwrap_or(ending.over).at.as_secs_f64();
    let samples = s.over_time.iter().filter(|x| x.at_s <= held);
    let most = samples.map(|x| x.open).max().unwrap_or(0);
    b.unless(
        most <= s.connections.peak,
        "No sample has more connections than the peak",
        (most, s.connections.peak),
    );
}

/// What docs/verdict.md says adds up does, at each instant.
fn sums(b: &mut Broken, scene: &Scene, s: &Summary, ending: &Ending) {
    let at = |mark: &Option<Mark>| mark.map(|m| m.opened);
    let instants = [
        at(&ending.opened),
        at(&ending.held),
        Some(ending.over.opened),
        Some(ending.closed),
    ];
    for tally in instants.into_iter().flatten() {
        b.unless(
            tally.attempted >= tally.established + tally.failed_in_all(),
            "attempted = established + failed + under way",
            (tally.attempted, tally.established, tally.failed_in_all()),
        );
        b.unless(
            tally.established >= tally.closed_in_all(),
            "established = lost + closed by throng + open",
            (tally.established, tally.closed_in_all()),
        );
        b.unless(
            tally.open() <= scene.connections,
            "No more are open than were asked for",
            tally.open(),
        );
    }
    if let Some(asked) = scene.requests {
        let requests = s.requests.unwrap_or_default();
        b.unless(
            requests.sent + requests.unsent == asked,
            "No more messages are sent than the number in all, and the others are told",
            requests,
        );
        b.unless(
            !s.reached || requests.unsent == 0,
            "Rule 3: a run that is reached has sent the number of messages that was asked for",
            requests,
        );
    }
    let closed = ending.closed;
    b.unless(
        closed.open() == 0,
        "After closing none is open",
        closed.open(),
    );
    let earlier = [
        (ending.opened, ending.held),
        (ending.held, Some(ending.over)),
    ];
    for (before, after) in earlier {
        if let (Some(before), Some(after)) = (before, after) {
            b.unless(
                before.at <= after.at
                    && before.opened.attempted <= after.opened.attempted
                    && before.opened.bytes_sent <= after.opened.bytes_sent,
                "Counts grow with time",
                (before.at, after.at),
            );
        }
    }
    b.unless(
        s.answers.is_some() || !scene.answers,
        "Where answers are looked for, they are told of",
        &s.answers,
    );
    if let Some(a) = &s.answers {
        b.unless(
            a.asked == a.received + a.unanswered + a.cut_off,
            "messages whose answers are looked for = answers + unanswered + cut off",
            a,
        );
    }
    let all = [
        &s.latency.response,
        &s.latency.service,
        &s.set_up.as_ref().and_then(|u| u.latency),
    ];
    for p in all.into_iter().flatten() {
        b.unless(ordered(p), "Percentiles rise", p);
    }
}

fn ordered(p: &Percentiles) -> bool {
    let rising = [
        p.min_us, p.p50_us, p.p90_us, p.p95_us, p.p99_us, p.p999_us, p.max_us,
    ];
    // Three significant digits.
    rising.windows(2).all(|w| w[0] <= w[1] * 1.002)
}

/// The peer's own counts agree with throng's.
fn other_side(
    b: &mut Broken,
    scene: &Scene,
    s: &Summary,
    part: &Part,
    ending: &Ending,
    peer: &Peer,
) {
    let theirs = scene.peer.as_ref().expect("it has counted");
    let closed = ending.closed;
    // A listener that closes resets what it has not accepted.
    let all_accepted = theirs.listener != Some("refusing");
    b.unless(
        !all_accepted || closed.established <= peer.accepted,
        "The peer accepted each connection that was established",
        (closed.established, peer.accepted),
    );
    b.unless(
        peer.accepted <= closed.attempted,
        "Each connection that the peer accepted was attempted",
        (peer.accepted, closed.attempted),
    );
    b.unless(
        !all_accepted || s.connections.peak <= peer.accepted,
        "The peak was not more than the peer accepted",
        (s.connections.peak, peer.accepted),
    );
    // Of TLS, throng counts what is inside.
    b.unless(
        closed.bytes_received <= peer.sent,
        "No more bytes were received than the peer sent",
        (closed.bytes_received, peer.sent),
    );
    let plain = !matches!(theirs.protocol, "tls" | "wss");
    b.unless(
        !plain || peer.received <= closed.bytes_sent,
        "The peer received no more bytes than were sent",
        (peer.received, closed.bytes_sent),
    );
    if plain && theirs.protocol != "ws" && all_accepted && theirs.kinds == ["sink"] {
        b.unless(
            peer.received == closed.bytes_sent,
            "A peer that reads all received all bytes that were sent",
            (peer.received, closed.bytes_sent),
        );
    }
    let (Some(opened), Some(held)) = (ending.opened, ending.held) else {
        return;
    };
    let start = part.about.started_unix_s;
    let ends = |from: f64, to: f64| {
        let within = |at: &&f64| (start + from..start + to).contains(*at);
        peer.ends.iter().filter(within).count() as u64
    };
    let (from, to) = (opened.at.as_secs_f64(), held.at.as_secs_f64());
    let surely = ends(from + SLACK_S, to - SLACK_S);
    let gone = |t: &Tally| {
        let all = Closed::ALL.into_iter().filter(|why| *why != Closed::ByUs);
        all.map(|why| t.closed(why)).sum::<u64>()
    };
    let in_hold = gone(&held.opened) - gone(&opened.opened);
    // What was reset before throng saw it established counts as an attempt that failed; a connection whose peer broke the
    // protocol, or whose lifetime was over, was closed by throng.
    let otherwise = held.opened.failed_in_all() - opened.opened.failed_in_all()
        + held.opened.closed(Closed::ByUs)
        - opened.opened.closed(Closed::ByUs);
    b.unless(
        surely <= in_hold + otherwise,
        "Each connection that the peer ended during the hold was lost",
        (surely, in_hold, otherwise),
    );
    b.unless(
        surely == 0 || !s.reached || scene.allows_loss || scene.lifetime,
        "Rule 2: a run is not reached if the peer ended connections during the hold",
        surely,
    );
    b.unless(
        theirs.listener.is_some() || !plain || lost(s) <= ends(f64::NEG_INFINITY, f64::INFINITY),
        "No more connections were lost than the peer ended",
        (&s.connections, peer.ends.len(), peer.accepted),
    );
}
