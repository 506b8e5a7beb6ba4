//! What a search for the highest rate has found.

use crate::pacing::search::{CONFIDENCE, Ending, Found, Limit, Terms};
use serde::{Deserialize, Serialize};

/// What a search for the highest message rate under a bound of latency (`-r @10ms`) has found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchSummary {
    /// How it ended.
    pub ending: Ending,
    /// The highest rate that surely held, in messages per second of the whole run; `None` if none did.
    pub held_per_s: Option<f64>,
    /// The same per connection.
    pub held_per_connection_per_s: Option<f64>,
    /// Latency at that rate and `percentile`, microseconds, from when messages were due.
    pub held_latency_us: Option<f64>,
    /// The lowest rate that surely broke, of the whole run; `None` if none did.
    pub broke_per_s: Option<f64>,
    /// What broke there.
    pub broke_by: Option<Limit>,
    /// Lower end of the range in which the highest rate under the bound lies, with `confidence`, in messages per second of
    /// the whole run; `None` while nothing has broken, or held.
    pub least_per_s: Option<f64>,
    /// Upper end of that range.
    pub most_per_s: Option<f64>,
    /// The bound of latency, as the user wrote it.
    pub under: String,
    /// The same in microseconds.
    pub under_us: f64,
    /// The percentile of latency that is to stay under it, 0 to 100.
    pub percentile: f64,
    /// The width of the range that was asked for: 0.02 is 2 %.
    pub tolerance: f64,
    /// Rates that were measured, repetitions included.
    pub trials: u32,
    /// With which probability the rate lies in the range, 0 to 1.
    pub confidence: f64,
    /// The result as a sentence for people.
    pub words: String,
}

impl SearchSummary {
    /// Whether there is a result, however wide its range: a rate that held, and either one that broke or no higher one
    /// left to try.
    pub fn is_settled(&self) -> bool {
        let settled = matches!(
            self.ending,
            Ending::Found | Ending::Unsure | Ending::NeverBroke
        );
        self.held_per_s.is_some() && settled
    }

    /// The summary of what was `found` on `terms`, over `connections` connections. `under` is the bound as the user
    /// wrote it.
    pub fn of(found: &Found, terms: &Terms, under: &str, connections: u64) -> SearchSummary {
        let each = |rate: f64| (connections > 0).then(|| rate / connections as f64);
        SearchSummary {
            ending: found.ending,
            held_per_s: found.held_per_s,
            held_per_connection_per_s: found.held_per_s.and_then(each),
            held_latency_us: found.held_latency.map(|l| l.as_nanos() as f64 / 1e3),
            broke_per_s: found.broke_per_s,
            broke_by: found.limit,
            least_per_s: found.between_per_s.map(|(least, _)| least),
            most_per_s: found.between_per_s.map(|(_, most)| most),
            under: under.to_owned(),
            under_us: terms.bound.as_nanos() as f64 / 1e3,
            percentile: terms.percentile,
            tolerance: terms.tolerance,
            trials: found.trials,
            confidence: CONFIDENCE,
            words: found.words(terms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::{Next, Observation, RateSearch, Slice};
    use std::time::Duration;

    /// A server that answers up to 1000 messages per second in 1 ms each, and more in 100 ms.
    fn found(terms: &Terms) -> Found {
        let mut search = RateSearch::new(terms.clone());
        loop {
            let rate = match search.next() {
                Next::Run { rate, .. } => rate.get(),
                Next::Done(found) => return found,
            };
            let ms = if rate <= 1000.0 { 1 } else { 100 };
            search.observe(&Observation {
                asked_per_s: rate,
                sent_per_s: rate,
                answered_per_s: rate,
                unwanted_per_s: 0.0,
                latency: Some(Duration::from_millis(ms)),
                samples: 100_000,
                slices: vec![
                    Slice {
                        samples: 10_000,
                        over: if ms > 10 { 10_000 } else { 0 },
                        mean: Duration::from_millis(ms),
                    };
                    8
                ],
                broke: None,
            });
        }
    }

    #[test]
    fn what_was_found_is_reported_for_the_run_and_for_each_connection() {
        let terms = Terms::new(Duration::from_millis(10));
        let found = found(&terms);
        let summary = SearchSummary::of(&found, &terms, "10ms", 50);
        let held = summary.held_per_s.unwrap();
        assert_eq!(summary.ending, Ending::Found);
        assert!(held <= 1000.0 && summary.broke_per_s.unwrap() > 1000.0);
        assert_eq!(summary.held_per_connection_per_s, Some(held / 50.0));
        assert_eq!(
            (summary.held_latency_us, summary.under_us),
            (Some(1000.0), 10_000.0)
        );
        assert_eq!(
            (summary.least_per_s, summary.most_per_s),
            (summary.held_per_s, summary.broke_per_s)
        );
        assert_eq!(summary.broke_by, Some(Limit::Latency));
        assert_eq!(summary.words, found.words(&terms));
        let none = SearchSummary::of(&found, &terms, "10ms", 0);
        assert_eq!(none.held_per_connection_per_s, None);
    }
}
