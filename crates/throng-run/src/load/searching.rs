//! Runs the search for the highest message rate that keeps latency under a bound (`-r @10ms`), trial by trial.

use std::time::Duration;
use throng_core::human;
use throng_core::pacing::{Next, Observation, Purpose, RateSearch, Slice, Terms};
use throng_core::protocol::ProtocolKind;
use throng_core::record::{AskedLatencies, MessagesBy, SearchSummary};
use throng_core::scenario::LoadScenario;
use throng_core::stats::{Durations, Measured, Tally};
use throng_core::summary::of_messages;
use throng_core::units::Rate;

/// The first rate tried, in messages per second on each connection.
const START: f64 = 10.0;
/// The highest first rate, in messages per second over all connections.
const MOST_TO_START: f64 = 1000.0;

/// The counts at an instant, and the measurements since the previous such instant.
pub(crate) struct Gathered {
    pub at: Duration,
    pub clients: Tally,
    pub accepted: Tally,
    pub measured: Measured,
}

/// A rate that is tried.
pub(crate) struct Trial {
    pub rate: Rate,
    pub settle: Duration,
    pub measure: Duration,
    /// The number of slices to measure in.
    pub slices: u32,
    purpose: Purpose,
}

/// A search under way.
pub(crate) struct Search {
    search: RateSearch,
    connections: f64,
    ends: Option<Duration>,
    /// The bound as the user wrote it.
    under: String,
    protocol: ProtocolKind,
}

impl Search {
    /// The search that `scenario` asks for, from `now` on.
    pub fn new(scenario: &LoadScenario, now: Duration) -> Option<Search> {
        let asked = scenario.pace.sending.search()?;
        let connections = f64::from(scenario.connections.most().max(1));
        let mut terms = Terms::new(asked.under);
        terms.percentile = asked.percentile;
        let start = (START * connections).min(MOST_TO_START.max(connections));
        terms.start = Rate::per_second(start)?;
        terms.least = Rate::per_second((0.1 * connections).max(1.0))?;
        if let Some(run) = asked.at_most {
            terms = terms.within(run);
        }
        Some(Search {
            search: RateSearch::new(terms),
            connections,
            ends: asked.at_most.map(|run| now + run),
            under: asked.written.clone(),
            protocol: scenario.protocol.kind(),
        })
    }

    /// When the search must be over.
    pub fn ends(&self) -> Option<Duration> {
        self.ends
    }

    /// The next trial; `None` when the search is done.
    pub fn next(&self) -> Option<Trial> {
        match self.search.next() {
            Next::Run {
                rate,
                purpose,
                settle,
                measure,
                slices,
            } => Some(Trial {
                rate,
                settle,
                measure,
                slices,
                purpose,
            }),
            Next::Done(_) => None,
        }
    }

    /// Records the outcome of a trial, from what was gathered before it and after each slice. Returns a line about it.
    pub fn observe(
        &mut self,
        trial: &Trial,
        gathered: &[Gathered],
        asked: &AskedLatencies,
    ) -> String {
        let terms = self.search.terms();
        let rate = trial.rate.get();
        let Some(seen) = observation(terms, self.protocol, asked, Some(rate), gathered) else {
            return String::new();
        };
        self.search.observe(&seen);
        let what = match trial.purpose {
            Purpose::Trial => "trying",
            Purpose::Drain => "recovering at",
        };
        let each = match self.connections > 1.0 {
            true => format!(
                " ({} on each connection)",
                human::rate(trial.rate.get() / self.connections)
            ),
            false => String::new(),
        };
        let latency = match seen.latency {
            Some(latency) => format!(
                "p{} {}",
                self.search.terms().percentile,
                human::duration(latency)
            ),
            None if seen.unwanted_per_s > 0.0 => "no answer as expected".into(),
            None => "no answer".into(),
        };
        format!("{what} {}{each}: {latency}", human::rate(trial.rate.get()))
    }

    /// The result, also of a search that is not done.
    pub fn finish(self) -> SearchSummary {
        let found = match self.search.next() {
            Next::Done(found) => found,
            Next::Run { .. } => self.search.so_far(),
        };
        let terms = self.search.terms();
        SearchSummary::of(&found, terms, &self.under, self.connections as u64)
    }
}

/// What was seen in a trial on `terms`, from what was gathered before it and after each slice. `due_per_s`: messages that were due
/// per second; `None` for those that were sent.
pub(crate) fn observation(
    terms: &Terms,
    protocol: ProtocolKind,
    asked: &AskedLatencies,
    due_per_s: Option<f64>,
    gathered: &[Gathered],
) -> Option<Observation> {
    let [before, slices @ ..] = gathered else {
        return None;
    };
    let after = slices.last()?;
    let seconds = after.at.saturating_sub(before.at).as_secs_f64().max(1e-9);
    let counted = after.clients.since(&before.clients);
    // Time stamps may arrive on the connections that are accepted, or come back, or both.
    let accepted = after.accepted.since(&before.accepted);
    let (received, unwanted) = match asked.messages {
        Some(MessagesBy::TimeStamps) => {
            let both = counted.messages_received.max(accepted.messages_received);
            (both, 0)
        }
        _ => (counted.messages_received, protocol.unwanted(&counted)),
    };
    let mut latencies = Durations::default();
    let slices = slices.iter().map(|gathered| {
        let part = of_messages(asked, &gathered.measured);
        latencies.merge(part);
        Slice {
            samples: part.count(),
            over: part.longer_than(terms.bound),
            mean: part.mean().unwrap_or_default(),
        }
    });
    let slices = slices.collect();
    let sent_per_s = counted.messages_sent as f64 / seconds;
    Some(Observation {
        asked_per_s: due_per_s.unwrap_or(sent_per_s),
        sent_per_s,
        answered_per_s: received.saturating_sub(unwanted) as f64 / seconds,
        unwanted_per_s: unwanted.min(received) as f64 / seconds,
        latency: latencies.percentile(terms.percentile),
        samples: latencies.count(),
        slices,
        broke: None,
    })
}
