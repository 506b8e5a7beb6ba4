//! The most connections that keep objectives (`-c '@p99<50ms'`): terms of the search, which is that for rates over whole numbers,
//! and what it found.

use super::ending::Ending;
use crate::human::{self, count, things};
use crate::pacing::search;
use crate::pacing::{CONFIDENCE, Found, Limit, Terms};
use crate::protocol::Waits;
use crate::scenario::{LoadScenario, Objectives, Sending};
use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The first number that is tried.
const START: f64 = 16.0;
/// What stands for a bound of latency where there is none: it makes trials last for two seconds.
const NO_BOUND: Duration = Duration::from_millis(100);
/// The longest wait for a message to be due on each connection, before and while a number is measured.
const LONGEST_INTERVAL: f64 = 10.0;

/// The terms of the search for `scenario`, whose connections are to keep `objectives`; at most `most` are opened.
pub fn keeping_terms(objectives: &Objectives, scenario: &LoadScenario, most: u32) -> Terms {
    let (percentile, bound) = objectives.latency.unwrap_or((95.0, NO_BOUND));
    let number = |n: f64| Rate::per_second(n.max(1.0)).expect("it is above zero, and below 2^32");
    let mut terms = Terms::new(bound);
    terms.percentile = percentile;
    terms.whole = true;
    terms.least = number(1.0);
    terms.most = number(most.into());
    terms.start = number(START);
    terms.settle += scenario.pace.delay;
    match &scenario.pace.sending {
        Sending::PerConnection(rate) => {
            terms.messages_per_unit = rate.get();
            // A message is due on each connection, also on those that were just opened.
            let interval = Duration::from_secs_f64((1.0 / rate.get()).min(LONGEST_INTERVAL));
            terms.settle = terms.settle.max(interval);
            terms.measure = terms.measure.max(interval);
        }
        // At least as many, while latency is under the bound.
        _ => {
            let think = match scenario.protocol.waits() {
                Waits { think: Some(t), .. } => t.longest(),
                _ => Duration::ZERO,
            };
            terms.messages_per_unit = 1.0 / (bound + think).as_secs_f64();
            terms.closed_loop = true;
        }
    }
    terms
}

/// A number of connections that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// When, in seconds since the run began.
    pub at_s: f64,
    /// How many.
    pub connections: u64,
    /// Messages that were answered per second.
    pub answers_per_s: f64,
    /// Latency at the percentile of the objective, µs; `None` without a bound of latency, or without an answer.
    pub latency_us: Option<f64>,
    /// Failed attempts, lost connections, and answers that were not as expected.
    pub failures: u64,
}

/// What a search for the most connections that keep objectives has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Keeping {
    /// The objectives, as on the command line.
    pub objectives: String,
    /// The percentile of latency that is bounded, 0 to 100; `None` if none is.
    pub percentile: Option<f64>,
    /// The bound in µs.
    pub bound_us: Option<f64>,
    /// The most connections that surely kept the objectives; `None` if none did.
    pub kept: Option<u64>,
    /// Latency there, µs: the median over its trials.
    pub kept_latency_us: Option<f64>,
    /// The fewest connections that surely did not keep them; `None` if all did.
    pub broke: Option<u64>,
    /// What broke there.
    pub broke_by: Option<Limit>,
    /// The fewest and the most connections between which the true number lies, with `confidence`; `None` while nothing has
    /// broken, or kept them.
    pub least: Option<u64>,
    /// See `least`.
    pub most: Option<u64>,
    /// With which probability it lies there, 0 to 1.
    pub confidence: f64,
    /// The width of the range that was asked for: 0.02 is 2 %. One connection is always narrow enough.
    pub tolerance: f64,
    /// Numbers that were tried, in order of time, repetitions included.
    pub tried: Vec<Tried>,
    /// Latency at the percentile in the hold, µs; `None` if it was not measured.
    pub held_latency_us: Option<f64>,
    /// Whether the objectives were kept in the hold; `None` if that is not known.
    pub confirmed: Option<bool>,
}

impl Keeping {
    /// What was `found` on `terms` for `objectives`.
    pub fn of(found: &Found, terms: &Terms, objectives: &Objectives, tried: Vec<Tried>) -> Keeping {
        let micros = |span: Duration| span.as_nanos() as f64 / 1e3;
        let whole = |n: f64| n.round() as u64;
        let bounds_latency = objectives.latency.is_some();
        Keeping {
            objectives: objectives.to_string(),
            percentile: objectives.latency.map(|(percentile, _)| percentile),
            bound_us: objectives.latency.map(|(_, bound)| micros(bound)),
            kept: found.held_per_s.map(whole),
            kept_latency_us: found.held_latency.filter(|_| bounds_latency).map(micros),
            broke: found.broke_per_s.map(whole),
            broke_by: found.limit,
            least: found.between_per_s.map(|(least, _)| least.floor() as u64),
            most: found.between_per_s.map(|(_, most)| most.ceil() as u64),
            confidence: CONFIDENCE,
            tolerance: terms.tolerance,
            tried,
            held_latency_us: None,
            confirmed: None,
        }
    }

    /// How the search for the most connections ended, if that for their number ended like this. `bound_is_asked`: the highest
    /// number is what the user allows, not what this client is able to open.
    pub fn ending(found: search::Ending, bound_is_asked: bool) -> Ending {
        match found {
            search::Ending::Found => Ending::Found,
            search::Ending::NeverBroke if bound_is_asked => Ending::Bound,
            search::Ending::NeverBroke => Ending::Client,
            search::Ending::Unsure | search::Ending::NotRecovered => Ending::Unstable,
            search::Ending::AlwaysBroke => Ending::None,
            search::Ending::Unfinished => Ending::Unfinished,
        }
    }

    /// The result as a sentence for people, of a search that ended like this with `held` connections.
    pub(super) fn words(&self, ending: Ending, held: u64) -> String {
        let objectives = &self.objectives;
        let why = self.broke_by.unwrap_or(Limit::Latency).words();
        let at = |broke: u64| format!("at {} {why}", count(broke));
        let broke = self.broke.map(at).unwrap_or_default();
        let between = match (self.least, self.most) {
            (Some(least), Some(most)) => format!(
                " (the most lie between {} and {}, {:.0} % confidence)",
                count(least),
                count(most),
                self.confidence * 100.0
            ),
            _ => String::new(),
        };
        if self.confirmed == Some(false) {
            let seen = match (self.percentile, self.held_latency_us) {
                (Some(p), Some(us)) => format!(", where p{p} was {}", human::micros(us)),
                _ => String::new(),
            };
            return format!(
                "No stable maximum: {} kept {objectives} in the search{between}, and not in the hold{seen}",
                things(held, "connection")
            );
        }
        match ending {
            Ending::Found => format!(
                "At most {} keep {objectives}{between}: {broke}",
                things(held, "connection")
            ),
            Ending::Bound => format!(
                "All {} that were allowed keep {objectives}",
                things(held, "connection")
            ),
            Ending::Client => format!(
                "This client can't find out how many more than {} keep {objectives}: it can open no more",
                things(held, "connection")
            ),
            Ending::Unstable => match self.kept {
                Some(kept) if self.broke.is_none() => format!(
                    "No stable maximum: {} surely kept {objectives}, and up to {} perhaps; no number broke them",
                    things(kept, "connection"),
                    count(
                        self.tried
                            .iter()
                            .map(|t| t.connections)
                            .max()
                            .unwrap_or(kept)
                    )
                ),
                Some(kept) => format!(
                    "No stable maximum: {} kept {objectives}{between}, {broke}, and more trials did not make it surer",
                    things(kept, "connection")
                ),
                None => {
                    format!("No stable maximum: no number of connections surely kept {objectives}")
                }
            },
            Ending::None => format!("Not one connection keeps {objectives}: {why}"),
            Ending::Unfinished => match (self.kept, self.broke) {
                (Some(kept), _) => format!(
                    "The search did not finish: {} kept {objectives}",
                    things(kept, "connection")
                ),
                (None, Some(_)) => format!("The search did not finish: {broke}"),
                (None, None) => {
                    "The search did not finish: no number of connections was measured".into()
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::search::Ending as Searched;

    fn found(ending: Searched, held: Option<f64>, broke: Option<f64>) -> Found {
        Found {
            ending,
            held_per_s: held,
            held_latency: held.map(|_| Duration::from_millis(48)),
            broke_per_s: broke,
            limit: broke.map(|_| Limit::Latency),
            between_per_s: held.zip(broke),
            trials: 9,
        }
    }

    fn keeping(found: &Found) -> Keeping {
        let objectives = Objectives::parse("p99<50ms").expect("objectives");
        let terms = Terms::new(Duration::from_millis(50));
        Keeping::of(found, &terms, &objectives, vec![])
    }

    #[test]
    fn a_result_says_the_number_the_range_and_what_broke() {
        let keeping = keeping(&found(Searched::Found, Some(412.0), Some(416.0)));
        assert_eq!((keeping.kept, keeping.broke), (Some(412), Some(416)));
        assert_eq!(
            keeping.words(Ending::Found, 412),
            "At most 412 connections keep p99<50ms (the most lie between 412 and 416, 90 % confidence): at 416 latency exceeded \
             the bound"
        );
        let unconfirmed = Keeping {
            confirmed: Some(false),
            held_latency_us: Some(61_000.0),
            ..keeping
        };
        let words = unconfirmed.words(Ending::Unstable, 412);
        assert!(
            words.contains("not in the hold, where p99 was 61"),
            "{words}"
        );
    }

    #[test]
    fn whatever_a_search_ends_with_has_words_and_an_ending() {
        for (searched, held, broke, ending, says) in [
            (
                Searched::NeverBroke,
                Some(100.0),
                None,
                Ending::Bound,
                "All 100",
            ),
            (
                Searched::Unsure,
                Some(90.0),
                Some(120.0),
                Ending::Unstable,
                "No stable",
            ),
            (
                Searched::NotRecovered,
                None,
                Some(16.0),
                Ending::Unstable,
                "no number",
            ),
            (
                Searched::AlwaysBroke,
                None,
                Some(1.0),
                Ending::None,
                "Not one",
            ),
            (
                Searched::Unfinished,
                Some(8.0),
                None,
                Ending::Unfinished,
                "8 connections kept",
            ),
            (
                Searched::Unfinished,
                None,
                Some(16.0),
                Ending::Unfinished,
                "at 16 latency",
            ),
            (
                Searched::Unfinished,
                None,
                None,
                Ending::Unfinished,
                "was measured",
            ),
        ] {
            let keeping = keeping(&found(searched, held, broke));
            assert_eq!(Keeping::ending(searched, true), ending);
            let words = keeping.words(ending, keeping.kept.unwrap_or(0));
            assert!(words.contains(says), "{words}");
        }
        assert_eq!(Keeping::ending(Searched::NeverBroke, false), Ending::Client);
    }

    #[test]
    fn trials_last_until_a_message_was_due_on_each_connection() {
        let objectives = Objectives::parse("p90<1ms").expect("objectives");
        let mut scenario = LoadScenario::default();
        let rate = Rate::per_second(0.5).expect("a rate");
        scenario.pace.sending = Sending::PerConnection(rate);
        let terms = keeping_terms(&objectives, &scenario, 1000);
        assert_eq!(terms.settle, Duration::from_secs(2));
        assert_eq!(terms.measure, Duration::from_secs(2));
        assert_eq!((terms.messages_per_unit, terms.most.get()), (0.5, 1000.0));
        scenario.pace.sending = Sending::ClosedLoop { in_flight: None };
        let terms = keeping_terms(&objectives, &scenario, 1000);
        assert_eq!(terms.messages_per_unit, 1000.0);
        assert_eq!(terms.settle, Duration::from_millis(500));
    }
}
