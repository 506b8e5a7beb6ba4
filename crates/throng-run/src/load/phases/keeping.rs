//! Finds out how many connections keep objectives (`-c '@p99<50ms'`): tries numbers of connections with traffic, as the search for
//! rates says, and confirms the result in the hold.

use super::maximum::{Concluded, is_client, what_became};
use super::{Finds, Run};
use crate::load::searching::{Gathered, observation};
use std::time::Duration;
use throng_core::diagnosis::Diagnosis;
use throng_core::human::{self, things};
use throng_core::maximum::{Ending, Keeping, Tried, Way, keeping_terms};
use throng_core::pacing::{Limit, Next, Observation, Purpose, RateSearch, Slice, Terms};
use throng_core::record::Phase;
use throng_core::scenario::{Objectives, Sending};
use throng_core::stats::{Closed, Tally};
use throng_core::summary::{LatencyReport, of_messages};

/// How long no progress is waited for, beyond the time that a connection waits until it is opened again.
const PATIENCE: Duration = Duration::from_secs(1);
/// The share of a number of connections that may be missing while it is tried.
const MISSING: u64 = 100;
/// Messages that wait for their answers in vain, as a share of those that wait, and at least. Fewer do not show: what is under way
/// when a trial begins and ends is known only on average.
const IN_VAIN: f64 = 0.03;
const FEW_IN_VAIN: f64 = 3.0;

/// How a number of connections is tried.
struct Trial {
    connections: u64,
    settle: Duration,
    measure: Duration,
    slices: u32,
}

/// What came of a trial.
struct Outcome {
    seen: Observation,
    failures: u64,
}

impl Run<'_> {
    /// Finds out how many connections keep `objectives`. Returns whether to hold those that are open now.
    pub(super) fn find_most_keeping(&mut self, finds: &Finds, objectives: &Objectives) -> bool {
        let most = finds.most.connections;
        let mut search = RateSearch::new(keeping_terms(objectives, self.scenario, most));
        let mut tried: Vec<Tried> = Vec::new();
        let mut causes: Vec<Diagnosis> = Vec::new();
        let mut client = false;
        while let Next::Run {
            rate,
            purpose,
            settle,
            measure,
            slices,
        } = search.next()
        {
            let trial = Trial {
                connections: rate.get() as u64,
                settle,
                measure,
                slices,
            };
            let Some(outcome) = self.try_number(&trial, search.terms(), objectives) else {
                break;
            };
            let mark = self.mark();
            let told = line(&trial, purpose, &outcome.seen, search.terms(), objectives);
            if is_of_connections(outcome.seen.broke) {
                let found = self.diagnose(mark.at, &mark.opened);
                client = found
                    .first()
                    .is_some_and(|cause| is_client(cause, &mark.opened));
                causes = found;
            }
            if purpose == Purpose::Trial {
                let latency = outcome
                    .seen
                    .latency
                    .filter(|_| objectives.latency.is_some());
                tried.push(Tried {
                    at_s: mark.at.as_secs_f64(),
                    connections: trial.connections,
                    answers_per_s: outcome.seen.answered_per_s,
                    latency_us: latency.map(|l| l.as_nanos() as f64 / 1e3),
                    failures: outcome.failures,
                });
            }
            search.observe(&outcome.seen);
            self.tell(match search.left() {
                Some(left) => format!("{told}; about {} left", human::duration(left)),
                None => told,
            });
            if client {
                break;
            }
        }
        let found = match search.next() {
            Next::Done(found) => found,
            Next::Run { .. } => search.so_far(),
        };
        let bound_is_asked = finds.most.by.is_none() && finds.asked.is_bounded();
        let mut ending = match client {
            true => Ending::Client,
            false => Keeping::ending(found.ending, bound_is_asked),
        };
        let keeping = Keeping::of(&found, search.terms(), objectives, tried);
        let connections = keeping.kept.unwrap_or(0);
        // A limit that was met on the way is the reason only if it is what broke.
        if !is_of_connections(found.limit) && !client {
            causes.clear();
        }
        let beyond = what_became(&self.mark().opened, 0);
        if connections > 0 && ending != Ending::Unfinished {
            let settle = search.terms().settle;
            match self.hold_number(connections, false) {
                Some(true) => {
                    self.keep_for(settle);
                }
                Some(false) => ending = Ending::Unstable,
                None => ending = Ending::Unfinished,
            }
        }
        let last = self.mark();
        let all = Concluded {
            ending,
            connections,
            walls: Vec::new(),
            pauses: Vec::new(),
            beyond,
            way: Way::default(),
            causes,
            visible: self.sees_what_waits(),
            places_kept: None,
            keeping: Some(keeping),
        };
        self.conclude(finds, all, &last)
    }

    /// Tries a number of connections. `None` if the run ended meanwhile.
    fn try_number(
        &mut self,
        trial: &Trial,
        terms: &Terms,
        objectives: &Objectives,
    ) -> Option<Outcome> {
        let n = trial.connections;
        let began = self.mark().opened;
        let mut seen = Observation::default();
        let mut broke = None;
        let asked = LatencyReport::default().asked(&self.scenario.measure);
        let protocol = self.scenario.protocol.kind();
        match self.hold_number(n, objectives.no_failure)? {
            false => broke = Some(Limit::Connections),
            true => {
                self.keep_for(trial.settle)?;
                let mut gathered = vec![self.gathered()];
                let mut least = n;
                for k in 1..=trial.slices {
                    let until = gathered[0].at + trial.measure * k / trial.slices;
                    least = least.min(self.keep_until(until)?);
                    gathered.push(self.gathered());
                }
                let due = match self.scenario.pace.sending {
                    Sending::PerConnection(rate) => Some(rate.get() * n as f64),
                    _ => None,
                };
                seen = observation(terms, protocol, &asked, due, &gathered).unwrap_or_default();
                let open = self.sides.clients.tally().open();
                let waiting = match self.sees_what_waits() {
                    true => self.before.queued(open),
                    false => 0,
                };
                if n.saturating_sub(least).max(waiting) > n / MISSING {
                    broke = Some(Limit::Connections);
                } else if seen.latency.is_some_and(|latency| latency <= terms.bound)
                    && objectives.latency.is_some()
                    && waits_in_vain(&seen, &gathered)
                {
                    broke = Some(Limit::Answers);
                }
            }
        }
        let counted = self.sides.clients.tally().since(&began);
        let failures = failed(&counted) + protocol.unwanted(&counted);
        if objectives.no_failure && failures > 0 {
            broke = Some(Limit::Failures);
        }
        if objectives.latency.is_none() && broke.is_none() {
            seen = without_latency(seen.answered_per_s);
        }
        seen.broke = broke;
        Some(Outcome { seen, failures })
    }

    /// Has `n` connections held. Returns whether they are, in the end, without a failure if none may be; `None` if the run ended
    /// meanwhile.
    fn hold_number(&mut self, n: u64, no_failure: bool) -> Option<bool> {
        let before = self.sides.clients.tally();
        self.watch
            .control
            .hold_at_most(u32::try_from(n).unwrap_or(u32::MAX));
        self.asked = n;
        let patience = self.longest_wait() + PATIENCE;
        let (mut progress, mut nearest) = (self.watch.clock.elapsed(), u64::MAX);
        loop {
            let (mark, goes_on) = self.step(Phase::Opening, None, None);
            if !goes_on {
                return None;
            }
            let now = &mark.opened;
            if no_failure && failed(&now.since(&before)) > 0 {
                return Some(false);
            }
            if now.open() <= n && held(now) >= n {
                return Some(true);
            }
            let away = held(now).abs_diff(n).max(now.open().saturating_sub(n));
            if away < nearest || self.paused.is_some() {
                (progress, nearest) = (mark.at, away);
            }
            if mark.at >= progress + patience || self.watch.guard.stopped_at.is_some() {
                return Some(false);
            }
        }
    }

    /// Goes on for `time`. `None` if the run ended meanwhile.
    fn keep_for(&mut self, time: Duration) -> Option<u64> {
        let until = self.watch.clock.elapsed() + time;
        self.keep_until(until)
    }

    /// Goes on until `until`. Returns how many connections were held at least; `None` if the run ended meanwhile.
    fn keep_until(&mut self, until: Duration) -> Option<u64> {
        let mut least = u64::MAX;
        loop {
            let (mark, goes_on) = self.step(Phase::Opening, None, Some(until));
            if !goes_on {
                return None;
            }
            least = least.min(held(&mark.opened));
            if mark.at >= until {
                return Some(least);
            }
        }
    }

    /// The state of the run as its hold begins, in which objectives are to be kept; `None` without any.
    pub(super) fn before_keeping(&mut self) -> Option<Gathered> {
        let keeps = self.scenario.connections.objectives().is_some();
        keeps.then(|| self.gathered())
    }

    /// Takes note of whether objectives were kept in the hold, which began at `before`.
    pub(super) fn confirm(&mut self, before: &Gathered) {
        let Some(objectives) = self.scenario.connections.objectives() else {
            return;
        };
        let after = self.gathered();
        let asked = LatencyReport::default().asked(&self.scenario.measure);
        let counted = after.clients.since(&before.clients);
        let protocol = self.scenario.protocol.kind();
        let failures = failed(&counted) + protocol.unwanted(&counted);
        let Some(maximum) = &mut self.ending.maximum else {
            return;
        };
        let Some(keeping) = &mut maximum.keeping else {
            return;
        };
        let latencies = of_messages(&asked, &after.measured);
        let latency = (objectives.latency).and_then(|(p, _)| latencies.percentile(p));
        keeping.held_latency_us = latency.map(|l| l.as_nanos() as f64 / 1e3);
        let in_time = match (objectives.latency, latency) {
            (None, _) => Some(true),
            (Some((_, bound)), Some(latency)) => Some(latency <= bound),
            (Some(_), None) => None,
        };
        keeping.confirmed = match objectives.no_failure && failures > 0 {
            true => Some(false),
            false => in_time,
        };
        if keeping.confirmed == Some(false) && maximum.is_found() {
            maximum.ending = Ending::Unstable;
            let worded = maximum
                .as_ref()
                .clone()
                .worded(self.scenario.connections, "");
            **maximum = worded;
        }
    }
}

/// Whether connections are what broke, so that a limit may show.
fn is_of_connections(broke: Option<Limit>) -> bool {
    matches!(broke, Some(Limit::Connections | Limit::Failures))
}

/// Connections that can carry messages.
fn held(now: &Tally) -> u64 {
    now.open().min(now.ready_now())
}

/// Attempts that failed, and connections that ended without this side having closed them.
fn failed(counted: &Tally) -> u64 {
    let closed = counted.closed_in_all() - counted.closed(Closed::ByUs);
    counted.failed_in_all() + closed
}

/// Whether messages wait that are never answered, as on connections that nobody serves: on average, as many are under way as were
/// answered per second, times their latency (Little's law).
fn waits_in_vain(seen: &Observation, gathered: &[Gathered]) -> bool {
    let [first, .., last] = gathered else {
        return false;
    };
    let n = gathered.len() as f64;
    let seconds = last.at.saturating_sub(first.at).as_secs_f64();
    let waiting = gathered.iter().map(|g| g.clients.waiting()).sum::<u64>() as f64 / n;
    let waited = |s: &Slice| s.samples as f64 * s.mean.as_secs_f64();
    let answered = seen.slices.iter().map(waited).sum::<f64>() / seconds.max(1e-9);
    waiting - answered > FEW_IN_VAIN + IN_VAIN * waiting
}

/// What a trial in which nothing failed shows where latency is not bounded: all is well.
fn without_latency(answered_per_s: f64) -> Observation {
    const SAMPLES: u64 = 1000;
    let slice = Slice {
        samples: SAMPLES,
        ..Slice::default()
    };
    Observation {
        asked_per_s: answered_per_s,
        sent_per_s: answered_per_s,
        answered_per_s,
        latency: Some(Duration::ZERO),
        samples: SAMPLES * 8,
        slices: vec![slice; 8],
        ..Observation::default()
    }
}

/// What came of a trial, for people.
fn line(
    trial: &Trial,
    purpose: Purpose,
    seen: &Observation,
    terms: &Terms,
    objectives: &Objectives,
) -> String {
    let what = match purpose {
        Purpose::Trial => "trying",
        Purpose::Drain => "recovering with",
    };
    let outcome = match (seen.broke, seen.latency) {
        (Some(limit), _) => limit.words().into(),
        (None, Some(_)) if objectives.latency.is_none() => "held".into(),
        (None, Some(latency)) => format!("p{} {}", terms.percentile, human::duration(latency)),
        (None, None) => "no answer".into(),
    };
    format!(
        "{what} {}: {outcome}",
        things(trial.connections, "connection")
    )
}
