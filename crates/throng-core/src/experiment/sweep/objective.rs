//! What a point of a sweep has to keep: conditions as `--expect` has them, such as `p99<50ms,failed=0`.

use crate::expect::{Expectation, ExpectationError, Metric, Needs, Reading};
use crate::units::written::text_of;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The latencies that a percentile without the name of one may mean. The first one that was measured is meant: a load at a
/// rate has response times, others have service times only.
const MEANT: [&str; 2] = ["response", "service"];

/// Conditions, all of which are to be met. It is written as the user wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Objective {
    conditions: Vec<Condition>,
    written: String,
}

/// A condition: one expectation, or several of which the first one counts whose metric was measured.
#[derive(Clone, Debug, PartialEq)]
struct Condition(Vec<Expectation>);

/// Whether a trial met an objective.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Each condition that it did not meet, with what was measured: `p99<50ms: 61 ms`.
    pub unmet: Vec<String>,
}

impl Judged {
    /// Whether it met all conditions.
    pub fn met(&self) -> bool {
        self.unmet.is_empty()
    }
}

impl FromStr for Objective {
    type Err = ExpectationError;

    fn from_str(text: &str) -> Result<Objective, ExpectationError> {
        Ok(Objective {
            conditions: split(text)
                .into_iter()
                .map(Condition::parse)
                .collect::<Result<_, _>>()?,
            written: text.to_owned(),
        })
    }
}

text_of!(Objective, ExpectationError);

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The conditions in `text`: at commas that a name follows, since numbers have commas, too.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(',') {
        let named = text[at + 1..].trim_start();
        if named.starts_with(|c: char| c.is_ascii_alphabetic()) || named.is_empty() {
            parts.push(text[from..at].trim());
            from = at + 1;
        }
    }
    parts.push(text[from..].trim());
    parts
}

impl Condition {
    fn parse(text: &str) -> Result<Condition, ExpectationError> {
        let name = text.find(['<', '>', '=']).map_or(text, |at| &text[..at]);
        let bare = ["min", "mean", "max"].contains(&name.trim())
            || name
                .strip_prefix('p')
                .is_some_and(|p| p.starts_with(|c: char| c.is_ascii_digit()));
        match bare {
            false => Ok(Condition(vec![text.parse()?])),
            true => {
                let meant = MEANT
                    .iter()
                    .map(|latency| format!("{latency}.{text}").parse());
                meant.collect::<Result<_, _>>().map(Condition)
            }
        }
    }
}

impl Objective {
    /// The metrics of its conditions.
    pub fn metrics(&self) -> impl Iterator<Item = Metric> {
        let all = self.conditions.iter().flat_map(|Condition(meant)| meant);
        all.map(|expectation| expectation.metric().clone())
    }

    /// The first condition that a scenario can't meet because it does not measure its metric, with the remedy that `lacks` has.
    pub fn lacks(&self, lacks: impl Fn(Needs) -> Option<&'static str>) -> Option<String> {
        self.conditions.iter().find_map(|Condition(meant)| {
            let remedies = meant.iter().map(|it| (it, lacks(it.metric().needs())));
            let remedies: Vec<_> = remedies.collect();
            match remedies.iter().all(|(_, remedy)| remedy.is_some()) {
                true => remedies
                    .last()
                    .map(|(it, remedy)| format!("{it}: {}", remedy.unwrap_or_default())),
                false => None,
            }
        })
    }

    /// Compares what a trial measured, as `reading` has it, with each condition. What is not known does not meet one.
    pub fn judge(&self, reading: impl Fn(&Metric) -> Reading) -> Judged {
        let mut unmet = Vec::new();
        for Condition(meant) in &self.conditions {
            let known = meant
                .iter()
                .map(|expectation| (expectation, reading(expectation.metric())))
                .find(|(_, reading)| matches!(reading, Reading::Known { .. }));
            let (expectation, reading) = match (known, meant.last()) {
                (Some(known), _) => known,
                (None, Some(last)) => (last, reading(last.metric())),
                (None, None) => continue,
            };
            let told = expectation.judge(&reading);
            if !told.met {
                unmet.push(format!("{expectation}: {}", told.text));
            }
        }
        Judged { unmet }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::Scalar;

    /// What a trial measured, whose latency has this name.
    fn measured(latency: &str, us: f64, failed: u64) -> impl Fn(&Metric) -> Reading {
        let name = format!("{latency}.p99");
        move |metric| match metric {
            Metric::Scalar(Scalar::Failed) => Reading::share(failed, 1000),
            other if other.to_string() == name => Reading::known(us),
            _ => Reading::Unknown("it was not measured".into()),
        }
    }

    #[test]
    fn a_trial_meets_an_objective_if_it_meets_each_condition() {
        for (text, latency, us, failed, unmet) in [
            ("p99<50ms", "service", 49_000.0, 0, &[][..]),
            ("p99<50ms", "response", 49_000.0, 0, &[]),
            (
                "p99<50ms",
                "service",
                61_000.0,
                0,
                &["service.p99<50ms: 61.0 ms"],
            ),
            ("p99<50ms,failed=0", "service", 49_000.0, 0, &[]),
            (
                "p99<50ms, failed=0",
                "service",
                49_000.0,
                2,
                &["failed=0: 2 of 1,000"],
            ),
            ("failed<1,000", "service", 0.0, 2, &[]),
            (
                "failed<0.1%",
                "service",
                0.0,
                2,
                &["failed<0.1%: 0.2 %, 2 of 1,000"],
            ),
            (
                "p99<1ms,failed=0",
                "response",
                2_000.0,
                1,
                &["response.p99<1ms: 2.00 ms", "failed=0: 1 of 1,000"],
            ),
            (
                "p99<1ms",
                "connect",
                1.0,
                0,
                &["service.p99<1ms: unknown: it was not measured"],
            ),
        ] {
            let objective: Objective = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            let judged = objective.judge(measured(latency, us, failed));
            assert_eq!(judged.unmet, unmet, "{text}");
            assert_eq!(objective.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_objective_is_refused() {
        for (text, part) in [
            ("", "no comparison"),
            ("p99", "no comparison"),
            ("p99<50ms,", "no comparison"),
            ("p99<50", "has no unit"),
            ("p99=5ms", "is measured"),
            ("faild=0", "did you mean 'failed'?"),
        ] {
            let error = text.parse::<Objective>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
