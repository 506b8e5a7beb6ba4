//! The idle timeout of a path: connections of which each is silent for another time and then spoken on, from this end or from
//! the far one. All of it is arithmetic over what became of them.

use super::finding::{Finding, Kind};
use super::wire::{End, Fate, State};
use super::{Probed, VERSION};
use crate::human::{self, things};
use crate::section::{Row, Section, Tone};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::time::Duration;

/// The most silences that are tried at once from either end. With more seconds than this to search, the first pass is
/// coarser.
pub const MOST_SILENCES: u64 = 600;
/// Silences end in the middle of a second: timeouts are whole seconds, and a silence of just the timeout may go either way.
const MIDDLE: u64 = 500;
/// Silences above the timeout, one after the other, that must have failed before it is believed.
const IN_A_ROW: usize = 3;
/// Once one end's timeout is known, the other's is waited for this many times as long.
const OTHER_END: u64 = 2;
/// And so much longer, milliseconds.
const OTHER_END_MORE_MS: u64 = 5_000;
/// Trials that contradict the others before nothing is concluded: a lost packet is retransmitted, so there are few.
const FEW: usize = 2;
/// Or this part of the trials.
const FEW_PART: usize = 20;
/// Intervals of keepalives that are tried, seconds.
const KEEPALIVES: [u64; 14] = [1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 240, 600];

/// Who speaks after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// This end.
    Near,
    /// The far end.
    Far,
}

/// What became of a connection that was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// What was said arrived.
    Answer,
    /// Nothing arrived in time.
    Silence,
    /// It ended here when it was spoken on.
    Ended(End),
    /// It ended here while it was silent, after this many milliseconds.
    EndedSilent(End, u64),
}

/// A connection that was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// How long it was silent before it was spoken on, or was to be, milliseconds.
    pub silence_ms: u64,
    /// What became of it.
    pub heard: Heard,
}

/// The silences to try, milliseconds: from just above `from_s` seconds to just below `to_s`, a second apart or, where these
/// would be too many, more.
pub fn silences(from_s: u64, to_s: u64) -> Vec<u64> {
    let step = step(to_s.saturating_sub(from_s));
    let steps = 1..=to_s.saturating_sub(from_s) / step;
    steps.map(|n| (from_s + n * step) * 1000 - MIDDLE).collect()
}

/// Seconds between silences.
fn step(seconds: u64) -> u64 {
    seconds.div_ceil(MOST_SILENCES).max(1)
}

/// The intervals of keepalives to try, seconds, if timeouts up to `up_to_s` are looked for.
pub fn keepalives(up_to_s: u64) -> impl Iterator<Item = u64> {
    KEEPALIVES.into_iter().filter(move |s| *s < up_to_s)
}

/// Where the trials of one end stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// The longest silence that was survived, milliseconds; 0 if none was.
    pub survived_ms: u64,
    /// The shortest that was not; `None` if all were survived.
    pub lost_ms: Option<u64>,
    /// Trials that contradict this.
    pub exceptions: usize,
}

impl Bracket {
    /// The bracket that the fewest of `trials` contradict.
    pub fn of(trials: &[Trial]) -> Bracket {
        let mut sorted = trials.to_vec();
        sorted.sort_unstable_by_key(|trial| trial.silence_ms);
        let answered = |trial: &&Trial| trial.heard == Heard::Answer;
        // Split before the nth: those from there on are lost.
        let above = sorted.iter().filter(answered).count();
        let (mut wrong, mut best) = (above, (above, 0));
        for (nth, trial) in sorted.iter().enumerate() {
            match trial.heard == Heard::Answer {
                true => wrong -= 1,
                false => wrong += 1,
            }
            // Of equal ones the longest silence: what is survived is survived.
            if wrong <= best.0 {
                best = (wrong, nth + 1);
            }
        }
        let (below, beyond) = sorted.split_at(best.1);
        let survived = below.iter().rfind(answered);
        let lost = beyond.iter().find(|trial| trial.heard != Heard::Answer);
        Bracket {
            survived_ms: survived.map_or(0, |trial| trial.silence_ms),
            lost_ms: lost.map(|trial| trial.silence_ms),
            exceptions: best.0,
        }
    }
}

/// Whether so many of the trials contradict any timeout that none is concluded.
fn is_unsteady(exceptions: usize, trials: usize) -> bool {
    exceptions > FEW.max(trials / FEW_PART)
}

/// Whether the trials of an end show its timeout: the longest silences that are known, some in a row, were all lost.
fn shows_timeout(trials: &[Trial]) -> bool {
    let mut sorted = trials.to_vec();
    sorted.sort_unstable_by_key(|trial| trial.silence_ms);
    let lost = |trial: &&Trial| trial.heard != Heard::Answer;
    let in_a_row = sorted.iter().rev().take_while(lost).count();
    in_a_row >= IN_A_ROW
}

/// Whether more trials would tell nothing new. `left` are the trials of each end that are still under way, `elapsed_ms` is how
/// long the oldest has been silent.
pub fn is_settled(near: (&[Trial], usize), far: (&[Trial], usize), elapsed_ms: u64) -> bool {
    let known = |(trials, left): (&[Trial], usize)| left == 0 || shows_timeout(trials);
    let enough = |(trials, _): (&[Trial], usize)| {
        let lost = Bracket::of(trials)
            .lost_ms
            .filter(|_| shows_timeout(trials));
        lost.is_some_and(|lost| elapsed_ms > lost * OTHER_END + OTHER_END_MORE_MS)
    };
    match (known(near), known(far)) {
        (true, true) => true,
        (true, false) => enough(near),
        (false, true) => enough(far),
        (false, false) => false,
    }
}

/// What an end notices of a connection that the path has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Nothing at all: as if the connection were there.
    Nothing,
    /// What it sent is not answered, or not acknowledged.
    Silence,
    /// An RST, when it was spoken on.
    Reset,
    /// A FIN, when it was spoken on.
    Closed,
    /// An RST while it was silent.
    ResetSilent,
    /// A FIN while it was silent.
    ClosedSilent,
    /// Its kernel gave up.
    TimedOut,
    /// The host could not go on.
    Failed,
    /// Not known: another server answered, or it has forgotten the connection.
    Unknown,
}

impl View {
    /// This end's.
    fn here(heard: Heard) -> Option<View> {
        Some(match heard {
            Heard::Answer => return None,
            Heard::Silence => View::Silence,
            Heard::Ended(End::Reset) => View::Reset,
            Heard::Ended(End::Closed) => View::Closed,
            Heard::EndedSilent(End::Reset, _) => View::ResetSilent,
            Heard::EndedSilent(End::Closed, _) => View::ClosedSilent,
            Heard::Ended(End::TimedOut) | Heard::EndedSilent(End::TimedOut, _) => View::TimedOut,
            Heard::Ended(End::Failed) | Heard::EndedSilent(End::Failed, _) => View::Failed,
        })
    }

    /// The far end's, of a connection on which it said something or not.
    fn there(fate: &Fate) -> View {
        let spoke = fate.said > 0;
        match fate.state {
            State::Open if spoke && fate.unacknowledged > 0 => View::Silence,
            State::Open => View::Nothing,
            State::Ended(End::Reset) if spoke => View::Reset,
            State::Ended(End::Closed) if spoke => View::Closed,
            State::Ended(End::Reset) => View::ResetSilent,
            State::Ended(End::Closed) => View::ClosedSilent,
            State::Ended(End::TimedOut) => View::TimedOut,
            State::Ended(End::Failed) => View::Failed,
            State::ClosedHere | State::Unknown => View::Unknown,
        }
    }

    fn text(self) -> &'static str {
        match self {
            View::Nothing => "notices nothing",
            View::Silence => "gets no answer",
            View::Reset => "is reset (RST) when it speaks",
            View::Closed => "gets a FIN when it speaks",
            View::ResetSilent => "is reset (RST) at that time",
            View::ClosedSilent => "gets a FIN at that time",
            View::TimedOut => "gives up after retransmissions",
            View::Failed => "fails by itself",
            View::Unknown => "is not known",
        }
    }
}

/// The most frequent of several.
fn most<T: Ord + Copy>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counted: BTreeMap<T, usize> = BTreeMap::new();
    for one in all {
        *counted.entry(one).or_default() += 1;
    }
    let most = counted.into_iter().max_by_key(|(_, n)| *n);
    most.map(|(one, _)| one)
}

fn as_seconds<S: Serializer>(ms: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match ms {
        Some(ms) => serializer.serialize_some(&(*ms as f64 / 1000.0)),
        None => serializer.serialize_none(),
    }
}

/// What was found out about silences after which one end speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Direction {
    /// Who speaks.
    pub speaker: Speaker,
    /// Connections whose fate is known.
    pub tried: usize,
    /// The longest silence that was survived.
    #[serde(rename = "survived_s", serialize_with = "as_seconds")]
    pub survived_ms: Option<u64>,
    /// The shortest that was not.
    #[serde(rename = "lost_s", serialize_with = "as_seconds")]
    pub lost_ms: Option<u64>,
    /// The timeout: when connections ended while they were silent, or the middle between survived and lost.
    #[serde(rename = "timeout_s", serialize_with = "as_seconds")]
    pub timeout_ms: Option<u64>,
    /// Trials that contradict this.
    pub exceptions: usize,
    /// What this end notices at expiry.
    pub here: Option<View>,
    /// What the far end notices.
    pub there: Option<View>,
}

impl Direction {
    /// What `trials` show, and the far end says of those that were lost.
    fn of(speaker: Speaker, trials: &[Trial], fates: &[Fate]) -> Direction {
        let bracket = Bracket::of(trials);
        let lost = bracket.lost_ms;
        let beyond = trials
            .iter()
            .filter(|trial| lost.is_some_and(|lost| trial.silence_ms >= lost));
        let mut ended: Vec<u64> = beyond
            .clone()
            .filter_map(|trial| match trial.heard {
                Heard::EndedSilent(_, after) => Some(after),
                _ => None,
            })
            .collect();
        ended.sort_unstable();
        let here = most(beyond.filter_map(|trial| View::here(trial.heard)));
        let timeout = match (here, ended.get(ended.len() / 2)) {
            (Some(View::ResetSilent | View::ClosedSilent), Some(after)) => Some(*after),
            _ => lost.map(|lost| u64::midpoint(bracket.survived_ms, lost)),
        };
        Direction {
            speaker,
            tried: trials.len(),
            survived_ms: (bracket.survived_ms > 0).then_some(bracket.survived_ms),
            lost_ms: lost,
            timeout_ms: timeout.filter(|_| !is_unsteady(bracket.exceptions, trials.len())),
            exceptions: bracket.exceptions,
            here,
            there: most(fates.iter().map(View::there)),
        }
    }

    fn is_unsteady(&self) -> bool {
        is_unsteady(self.exceptions, self.tried)
    }
}

/// What became of a connection with TCP keepalives that was silent for longer than the timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeepaliveTrial {
    /// Seconds between keepalives.
    pub interval_s: u64,
    /// Who spoke after the silence.
    pub speaker: Speaker,
    /// Whether what was said arrived.
    pub survived: bool,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Timeouts were looked for up to this many seconds.
    pub up_to_s: u64,
    /// Connections on which this end spoke.
    pub near: Vec<Trial>,
    /// Connections on which the far end spoke.
    pub far: Vec<Trial>,
    /// What the far end says of those that were lost, by who spoke.
    pub fates: Vec<(Speaker, Fate)>,
    /// Connections with keepalives.
    pub keepalives: Vec<KeepaliveTrial>,
    /// How long it took.
    pub took_ms: u64,
    /// It was ended before it was settled.
    pub interrupted: bool,
}

/// The idle timeout of a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdleResult {
    version: u32,
    probe: &'static str,
    measured: bool,
    findings: Vec<Finding>,
    up_to_s: u64,
    seconds: f64,
    interrupted: bool,
    /// After silences that this end broke.
    pub near: Direction,
    /// After silences that the far end broke.
    pub far: Direction,
    keepalives: Vec<KeepaliveTrial>,
    /// Whether TCP keepalives renew connections; null if that was not tried.
    pub keepalives_renew: Option<bool>,
    /// The interval that leaves room for a keepalive that is lost.
    pub keepalive_s: Option<u64>,
}

impl IdleResult {
    /// What `evidence` shows.
    pub fn of(evidence: Evidence) -> IdleResult {
        let fates = |speaker| -> Vec<Fate> {
            let of = evidence.fates.iter().filter(|(who, _)| *who == speaker);
            of.map(|(_, fate)| *fate).collect()
        };
        let near = Direction::of(Speaker::Near, &evidence.near, &fates(Speaker::Near));
        let far = Direction::of(Speaker::Far, &evidence.far, &fates(Speaker::Far));
        let timeout = [near.timeout_ms, far.timeout_ms]
            .into_iter()
            .flatten()
            .min();
        let renew = timeout.and_then(|timeout| renews(&evidence.keepalives, timeout));
        let keepalive_s = timeout.map(|timeout| (timeout / 2000).max(1));
        let mut findings = Vec::new();
        if evidence.interrupted {
            let text =
                "The probe was interrupted: what it says holds for the silences that were over.";
            findings.push(Finding::warning(Kind::Interrupted, text));
        }
        timeouts(&near, &far, &mut findings);
        for direction in [&near, &far] {
            expiry(direction, &mut findings);
        }
        if let (Some(renew), Some(every)) = (renew, keepalive_s) {
            findings.push(keepalive(renew, every));
        }
        if timeout.is_none() && !near.is_unsteady() && !far.is_unsteady() {
            let least = near.survived_ms.min(far.survived_ms);
            if let Some(least) = least {
                let text = format!(
                    "No idle timeout up to {}: connections that were silent for that long still carried data in both directions.",
                    human::seconds(least as f64 / 1000.0)
                );
                findings.push(Finding::note(Kind::NoIdleTimeout, text));
            }
        }
        let steady = [&near, &far]
            .iter()
            .all(|d| !d.is_unsteady() && d.tried > 0);
        IdleResult {
            version: VERSION,
            probe: "idle",
            measured: steady,
            findings,
            up_to_s: evidence.up_to_s,
            seconds: evidence.took_ms as f64 / 1000.0,
            interrupted: evidence.interrupted,
            near,
            far,
            keepalives: evidence.keepalives,
            keepalives_renew: renew,
            keepalive_s,
        }
    }
}

/// Whether keepalives renew connections, by those whose interval fits twice into the timeout; `None` if there are none.
fn renews(trials: &[KeepaliveTrial], timeout_ms: u64) -> Option<bool> {
    let fits = |trial: &&KeepaliveTrial| trial.interval_s * 2000 <= timeout_ms;
    // With a timeout of a second or two, none fits twice.
    let fits_once = |trial: &&KeepaliveTrial| trial.interval_s * 1000 < timeout_ms;
    let mut of: Vec<&KeepaliveTrial> = trials.iter().filter(fits).collect();
    if of.is_empty() {
        of = trials.iter().filter(fits_once).collect();
    }
    let survived = of.iter().filter(|trial| trial.survived).count();
    // Most of them: a single packet may be lost.
    (!of.is_empty()).then_some(survived * 2 > of.len())
}

fn span(ms: u64) -> String {
    human::seconds(ms as f64 / 1000.0)
}

fn timeouts(near: &Direction, far: &Direction, findings: &mut Vec<Finding>) {
    for direction in [near, far] {
        if direction.is_unsteady() {
            let text = format!(
                "Connections on which {} speaks fail whatever their silence: {} of {} contradict any timeout.",
                who(direction.speaker),
                direction.exceptions,
                things(direction.tried as u64, "connection"),
            );
            findings.push(Finding::failure(Kind::Unsteady, text).with_remedy(
                "Something drops connections for another reason, such as a full table. Try fewer connections: a shorter --up-to.",
            ));
        }
    }
    let told = |direction: &Direction, words: &str| {
        let timeout = direction.timeout_ms?;
        let survived = match direction.survived_ms {
            Some(ms) => format!("one that was silent for {} still carries data", span(ms)),
            None => "none that was silent carries data".to_owned(),
        };
        let lost = direction.lost_ms?;
        Some(format!(
            "The idle timeout is {}{words}: {survived}, one of {} does not.",
            rounded(timeout),
            span(lost)
        ))
    };
    let together = match (near.timeout_ms, far.timeout_ms) {
        (Some(a), Some(b)) => a.abs_diff(b) <= 1000,
        _ => false,
    };
    if together {
        let text = told(near, ", whichever end speaks then");
        findings.extend(text.map(|text| Finding::warning(Kind::IdleTimeout, text)));
        return;
    }
    for (direction, other) in [(near, far), (far, near)] {
        let words = format!(" if {} speaks then", who(direction.speaker));
        let Some(mut text) = told(direction, &words) else {
            continue;
        };
        if other.timeout_ms.is_none()
            && !other.is_unsteady()
            && let Some(survived) = other.survived_ms
        {
            text += &format!(
                " If {} speaks, a connection that was silent for {} still carries data: its packets make the path take the \
                 connection up again.",
                who(other.speaker),
                span(survived)
            );
        }
        findings.push(Finding::warning(Kind::IdleTimeout, text));
    }
}

/// A timeout as its setting most likely is: whole seconds.
fn rounded(ms: u64) -> String {
    human::countdown(Duration::from_secs((ms + MIDDLE) / 1000))
}

fn who(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::Near => "this end",
        Speaker::Far => "the far end",
    }
}

fn expiry(direction: &Direction, findings: &mut Vec<Finding>) {
    let Some(here) = direction.here.filter(|_| direction.timeout_ms.is_some()) else {
        return;
    };
    let there = direction.there.unwrap_or(View::Unknown);
    let silent = |view| matches!(view, View::ClosedSilent | View::ResetSilent);
    let meaning = match (here, there) {
        (View::Silence | View::Nothing, View::Nothing | View::Silence) => {
            "The path forgets the connection silently."
        }
        (a, b) if silent(a) && silent(b) => {
            "Something in between ends the connection on both sides by itself, as proxies do."
        }
        (View::Reset, _) | (_, View::Reset) => {
            "The path has forgotten the connection and refuses what belongs to it."
        }
        _ => "",
    };
    let far = match there {
        View::Unknown => "what the far end sees is not known".to_owned(),
        other => format!("the far end {}", other.text()),
    };
    let here = match (direction.speaker, here) {
        (Speaker::Far, View::Silence) => "hears nothing",
        (_, here) => here.text(),
    };
    let text = format!(
        "At expiry, when {} speaks: this end {here}; {far}. {meaning}",
        who(direction.speaker),
    );
    findings.push(Finding::note(Kind::AtExpiry, text.trim_end()));
}

fn keepalive(renew: bool, every: u64) -> Finding {
    match renew {
        true => Finding::note(
            Kind::Keepalive,
            "TCP keepalives renew connections: with them they carry data after a silence that is longer than the timeout.",
        )
        .with_remedy(format!(
            "Set TCP keepalives of at most {every} s, so that one may be lost (TCP_KEEPIDLE and TCP_KEEPINTVL; \
             net.ipv4.tcp_keepalive_time and _intvl for programs that only switch them on)."
        )),
        false => Finding::warning(
            Kind::Keepalive,
            "TCP keepalives do not renew connections: with them, too, connections are gone after the timeout. Only data \
             counts.",
        )
        .with_remedy(format!(
            "Send data every {every} s (pings of WebSocket, HTTP/2 or MQTT), or raise the timeout of what is in between."
        )),
    }
}

impl Probed for IdleResult {
    fn sections(&self) -> Vec<Section> {
        let of = |title, direction: &Direction| {
            let tone = match direction.timeout_ms {
                Some(_) => Tone::Odd,
                None => Tone::Plain,
            };
            let timeout = match direction.timeout_ms {
                Some(ms) => rounded(ms),
                None => "none found".to_owned(),
            };
            let shown = |ms: Option<u64>| ms.map_or("none".to_owned(), span);
            let exceptions = match direction.exceptions {
                0 => String::new(),
                n => format!(", {} contradict", human::count(n as u64)),
            };
            let tried = format!(
                "{} tried{exceptions}",
                things(direction.tried as u64, "connection")
            );
            let mut rows = vec![
                Row::new(tone, "timeout", timeout, tried),
                Row::new(
                    Tone::Plain,
                    "survived up to",
                    shown(direction.survived_ms),
                    "",
                ),
                Row::new(Tone::Plain, "lost from", shown(direction.lost_ms), ""),
            ];
            if let Some(here) = direction.here {
                let text = match (direction.speaker, here) {
                    (Speaker::Far, View::Silence) => "hears nothing",
                    (_, here) => here.text(),
                };
                rows.push(Row::new(Tone::Plain, "then this end", "", text));
            }
            if let Some(there) = direction.there {
                rows.push(Row::new(Tone::Plain, "and the far end", "", there.text()));
            }
            Section { title, rows }
        };
        let rows = self.keepalives.iter().map(|trial| {
            let value = if trial.survived { "survived" } else { "lost" };
            let note = format!(
                "TCP keepalives every {} s, then {} spoke",
                trial.interval_s,
                who(trial.speaker)
            );
            Row::new(Tone::Plain, "keepalives", value, note)
        });
        vec![
            of("This end speaks after a silence", &self.near),
            of("The far end speaks after a silence", &self.far),
            Section {
                title: "Keepalives",
                rows: rows.collect(),
            },
        ]
    }

    fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn is_measured(&self) -> bool {
        self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path in between, as a connection meets it.
    struct Path {
        timeout_ms: u64,
        at_expiry: Heard,
        /// Whether packets from this end make it take a connection up again.
        takes_up: bool,
    }

    impl Path {
        fn hears(&self, speaker: Speaker, silence_ms: u64) -> Heard {
            let alive = silence_ms < self.timeout_ms || self.takes_up && speaker == Speaker::Near;
            match self.at_expiry {
                _ if alive => Heard::Answer,
                // A proxy ends it while it is silent.
                Heard::EndedSilent(end, _) => Heard::EndedSilent(end, self.timeout_ms),
                heard => heard,
            }
        }

        /// The whole search, second by second, as it is driven. Returns the result and its seconds.
        fn search(&self, up_to_s: u64) -> (IdleResult, u64) {
            let all = silences(0, up_to_s);
            let (mut near, mut far) = (Vec::new(), Vec::new());
            let mut elapsed = 0;
            loop {
                elapsed += 500;
                for (speaker, trials) in [(Speaker::Near, &mut near), (Speaker::Far, &mut far)] {
                    for silence_ms in &all[trials.len()..] {
                        let heard = self.hears(speaker, *silence_ms);
                        let known_at = match heard {
                            Heard::Silence => silence_ms + 3000,
                            Heard::EndedSilent(_, after) => after,
                            _ => *silence_ms,
                        };
                        if known_at > elapsed {
                            break;
                        }
                        trials.push(Trial {
                            silence_ms: *silence_ms,
                            heard,
                        });
                    }
                }
                let left = |trials: &Vec<Trial>| all.len() - trials.len();
                if is_settled((&near, left(&near)), (&far, left(&far)), elapsed) {
                    break;
                }
            }
            let evidence = Evidence {
                up_to_s,
                near,
                far,
                took_ms: elapsed,
                ..Evidence::default()
            };
            (IdleResult::of(evidence), elapsed / 1000)
        }
    }

    #[test]
    fn a_timeout_is_found_to_the_second_in_little_more_than_itself() {
        for timeout_s in [1, 2, 5, 10, 30, 299, 350, 597] {
            for at_expiry in [
                Heard::Silence,
                Heard::Ended(End::Reset),
                Heard::EndedSilent(End::Closed, 0),
            ] {
                let path = Path {
                    timeout_ms: timeout_s * 1000,
                    at_expiry,
                    takes_up: false,
                };
                let (result, took) = path.search(600);
                for direction in [&result.near, &result.far] {
                    let found = direction.timeout_ms.expect("a timeout");
                    assert!(
                        found.abs_diff(timeout_s * 1000) < 1000,
                        "{timeout_s} {at_expiry:?}: {direction:?}"
                    );
                }
                assert!(took <= timeout_s + 7, "{timeout_s} {at_expiry:?}: {took} s");
                assert!(result.is_measured());
                assert_eq!(result.keepalive_s, Some((timeout_s / 2).max(1)));
            }
        }
    }

    #[test]
    fn a_path_that_takes_connections_up_again_is_told_by_the_far_end() {
        let path = Path {
            timeout_ms: 10_000,
            at_expiry: Heard::Silence,
            takes_up: true,
        };
        let (result, took) = path.search(600);
        assert_eq!(result.near.timeout_ms, None);
        assert_eq!(result.far.timeout_ms, Some(10_000));
        assert!((20..40).contains(&took), "{took}");
        let text = &result.findings[0].text;
        assert!(
            text.starts_with("The idle timeout is 10 s if the far end speaks then")
                && text.contains("take the connection up again"),
            "{text}"
        );
    }

    #[test]
    fn no_timeout_is_told_only_as_far_as_was_tried() {
        let path = Path {
            timeout_ms: u64::MAX,
            at_expiry: Heard::Silence,
            takes_up: false,
        };
        let (result, took) = path.search(60);
        assert_eq!(took, 59);
        assert!(matches!(
            &result.findings[..],
            [Finding { kind: Kind::NoIdleTimeout, text, .. }] if text.contains("up to 59.5 s")
        ));
    }

    #[test]
    fn a_long_search_is_coarse_at_first() {
        assert_eq!(silences(0, 3), [500, 1500, 2500]);
        let coarse = silences(0, 7200);
        assert_eq!((coarse.len(), coarse[0], coarse[1]), (600, 11_500, 23_500));
        // Then the bracket, to the second.
        assert_eq!(silences(11, 14), [11_500, 12_500, 13_500]);
        assert_eq!(keepalives(10).collect::<Vec<_>>(), [1, 2, 3, 5]);
    }

    #[test]
    fn a_lost_connection_does_not_move_the_timeout_and_many_leave_none() {
        let trial = |n: u64, answered| Trial {
            silence_ms: n * 1000 - 500,
            heard: match answered {
                true => Heard::Answer,
                false => Heard::Silence,
            },
        };
        let mut trials: Vec<Trial> = (1..=30).map(|n| trial(n, n <= 20)).collect();
        trials[3] = trial(4, false);
        let bracket = Bracket::of(&trials);
        assert_eq!(
            (bracket.survived_ms, bracket.lost_ms, bracket.exceptions),
            (19_500, Some(20_500), 1)
        );
        let every_other: Vec<Trial> = (1..=30).map(|n| trial(n, n % 2 == 0)).collect();
        let result = IdleResult::of(Evidence {
            near: every_other.clone(),
            far: every_other,
            ..Evidence::default()
        });
        assert!(!result.is_measured());
        assert!(result.findings.iter().all(|f| f.kind == Kind::Unsteady));
    }

    #[test]
    fn both_ends_views_of_the_expiry_are_told() {
        let fate = |state, said, unacknowledged| Fate {
            state,
            quiet_ms: 5000,
            said,
            unacknowledged,
            received: 0,
        };
        for (heard, fate, words) in [
            (
                Heard::Silence,
                fate(State::Open, 0, 0),
                "forgets the connection silently",
            ),
            (
                Heard::Silence,
                fate(State::Open, 1, 2),
                "the far end gets no answer",
            ),
            (
                Heard::Silence,
                fate(State::Ended(End::Reset), 1, 0),
                "the far end is reset (RST) when it speaks",
            ),
            (
                Heard::EndedSilent(End::Closed, 5000),
                fate(State::Ended(End::Closed), 0, 0),
                "ends the connection on both sides by itself",
            ),
            (
                Heard::Ended(End::Reset),
                fate(State::Unknown, 0, 0),
                "what the far end sees is not known",
            ),
        ] {
            let trials: Vec<Trial> = (1..=9)
                .map(|n| Trial {
                    silence_ms: n * 1000 - 500,
                    heard: if n <= 5 { Heard::Answer } else { heard },
                })
                .collect();
            let result = IdleResult::of(Evidence {
                near: trials.clone(),
                far: trials,
                fates: vec![(Speaker::Near, fate), (Speaker::Far, fate)],
                ..Evidence::default()
            });
            let told = result.findings.iter().find(|f| f.kind == Kind::AtExpiry);
            assert!(told.is_some_and(|f| f.text.contains(words)), "{told:?}");
        }
    }

    #[test]
    fn keepalives_are_judged_by_those_that_fit_into_the_timeout() {
        let trial = |interval_s, survived| KeepaliveTrial {
            interval_s,
            speaker: Speaker::Near,
            survived,
        };
        let renewed = [trial(1, true), trial(2, true), trial(10, false)];
        assert_eq!(renews(&renewed, 5000), Some(true));
        assert_eq!(
            renews(&[trial(1, false), trial(2, false)], 5000),
            Some(false)
        );
        assert_eq!(renews(&[trial(1, true)], 1500), Some(true));
        assert_eq!(renews(&[trial(10, true)], 5000), None);
    }
}
