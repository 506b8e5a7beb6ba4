//! Compares groups of rounds, metric by metric: whether two things differ, by how much, and how sure that is.
//!
//! The unit is the round. Each metric is tested with the Mann–Whitney U test over the rounds' values, and the p of all metrics and
//! groups are adjusted together ([`holm`]), so that a comparison of a thing with itself finds any difference in at most one of twenty
//! cases. The size is the Hodges–Lehmann shift with its interval.

mod condition;
mod difference;
mod environment;
mod history;
mod notes;
mod round;
#[cfg(test)]
mod tests;
mod usual;

pub use condition::{Condition, ConditionError, Judged};
pub use difference::{Size, Verdict};
pub use environment::Differing;
pub use history::{FEWEST, History, Series, Step, history};
pub use round::{Group, Round, Values};
pub use usual::{known, named, usual, wanted};

use super::holm::{holm, least_rounds};
use super::rank_sum::{least, mann_whitney};
use super::shift::Shift;
use crate::expect::Metric;
use crate::human::things;

/// The confidence of intervals.
pub const CONFIDENCE: f64 = 0.95;
/// The probability that a comparison of a thing with itself finds a difference.
pub const ERROR: f64 = 0.05;

/// What was found of one metric in two groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The metric.
    pub metric: Metric,
    /// Its values in the first group.
    pub first: Values,
    /// The index of the other group.
    pub group: usize,
    /// Its values there.
    pub second: Values,
    /// By how much it is greater there; `None` if all values are the same.
    pub size: Option<Size>,
    /// The two-sided p of the Mann–Whitney U test.
    pub p: f64,
    /// The same, adjusted for the number of tests.
    pub p_adjusted: f64,
    /// By how much it differs between the first group and the floor, as a share or in its unit like `size`.
    pub floor: Option<f64>,
    /// What that says.
    pub verdict: Verdict,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The groups; all are compared with the first.
    pub groups: Vec<Group>,
    /// In what their machines differ.
    pub differing: Vec<Differing>,
    /// What else to know about them, a sentence each.
    pub notes: Vec<String>,
    /// How many tests the p are adjusted for.
    pub tests: usize,
    /// Each metric in each other group.
    pub compared: Vec<Compared>,
    /// What came of the conditions, for each other group.
    pub judged: Vec<(Condition, usize, Judged)>,
}

/// Compares `groups`, of which there are two or more, with the first. `floor` has rounds of the same thing as the first, made at another
/// time: a metric differs only if its whole interval is beyond the shift between those two.
pub fn compare(
    groups: Vec<Group>,
    floor: Option<&Group>,
    metrics: &[Metric],
    conditions: &[Condition],
) -> Comparison {
    let pairs = metrics
        .iter()
        .flat_map(|metric| (1..groups.len()).map(move |group| (metric, group)));
    let mut compared: Vec<Compared> = pairs
        .filter_map(|(metric, group)| measured(&groups, group, metric, floor))
        .collect();
    // Where all values are the same there is nothing to test: no arrangement of them would show a difference.
    let p: Vec<f64> = compared
        .iter()
        .filter(|c| c.size.is_some())
        .map(|c| c.p)
        .collect();
    let tested = compared.iter_mut().filter(|c| c.size.is_some());
    for (found, adjusted) in tested.zip(holm(&p)) {
        found.p_adjusted = adjusted;
        found.verdict = found.judged(p.len());
    }
    let judged = conditions.iter().flat_map(|condition| {
        let metric = named(&condition.metric, &groups);
        let found = |group| {
            compared
                .iter()
                .find(|c| Some(&c.metric) == metric.as_ref() && c.group == group)
        };
        let judge = |group| (condition.clone(), group, condition.judge(found(group)));
        (1..groups.len()).map(judge).collect::<Vec<_>>()
    });
    let mut all: Vec<&Group> = groups.iter().collect();
    all.extend(floor);
    Comparison {
        judged: judged.collect(),
        differing: environment::differing(&all),
        notes: notes::of(&groups, &compared, p.len()),
        tests: p.len(),
        compared,
        groups,
    }
}

/// What the rounds of a group and of the first one have of a metric, not judged yet; `None` if it is not known in both.
fn measured(
    groups: &[Group],
    group: usize,
    metric: &Metric,
    floor: Option<&Group>,
) -> Option<Compared> {
    let (first, second) = (groups[0].values(metric)?, groups[group].values(metric)?);
    let same = first
        .rounds
        .iter()
        .chain(&second.rounds)
        .all(|value| *value == first.rounds[0]);
    let size = size(&first, &second).filter(|_| !same);
    let floor = floor.and_then(|floor| floor.values(metric));
    let floor = floor.and_then(|floor| match size? {
        Size::Relative(_) => Shift::relative(&first.rounds, &floor.rounds, CONFIDENCE),
        Size::Absolute(_) => Shift::between(&first.rounds, &floor.rounds, CONFIDENCE),
    });
    Some(Compared {
        metric: metric.clone(),
        p: mann_whitney(&first.rounds, &second.rounds)?.p,
        p_adjusted: 1.0,
        floor: floor.map(|shift| shift.estimate.abs()),
        verdict: Verdict::Same,
        first,
        group,
        second,
        size,
    })
}

fn size(first: &Values, second: &Values) -> Option<Size> {
    let (first, second) = (&first.rounds, &second.rounds);
    let relative = Shift::relative(first, second, CONFIDENCE).map(Size::Relative);
    relative.or_else(|| Shift::between(first, second, CONFIDENCE).map(Size::Absolute))
}

impl Compared {
    /// The verdict on a metric of which not all values are the same, among so many `tests`.
    fn judged(&self, tests: usize) -> Verdict {
        let Some(shift) = self.size.map(|size| size.shift()) else {
            return Verdict::Same;
        };
        let (n, m) = (self.first.rounds.len(), self.second.rounds.len());
        if least(n, m) * tests as f64 > ERROR {
            return Verdict::TooFewRounds;
        }
        // The test and the interval are nearly the same statement; where equal values make them disagree, both have to hold.
        if self.p_adjusted > ERROR || !shift.is_shown() {
            return Verdict::NoDifference;
        }
        let floor = self.floor.unwrap_or(0.0);
        let nearest = shift
            .interval
            .map_or(0.0, |(low, high)| low.abs().min(high.abs()));
        match nearest > floor {
            true => Verdict::of(self.metric.better(), shift.estimate),
            false => Verdict::WithinFloor,
        }
    }

    /// The verdict in words, among so many `tests`.
    pub fn sentence(&self, tests: usize) -> String {
        let Some(size) = self.size else {
            return "the same in all rounds".into();
        };
        let words = size.words(&self.metric);
        let interval = size.interval_words(&self.metric).unwrap_or_default();
        match self.verdict {
            Verdict::Same => "the same in all rounds".into(),
            Verdict::TooFewRounds => {
                format!(
                    "too few rounds to tell: at least {} each",
                    least_rounds(tests, ERROR)
                )
            }
            Verdict::Better | Verdict::Worse => format!("{words} ({interval})"),
            Verdict::WithinFloor => {
                let floor = self.floor.unwrap_or(0.0);
                let floor = size.amount(&self.metric, floor);
                format!("{words} ({interval}), not beyond the floor of {floor}")
            }
            Verdict::NoDifference if size.shift().is_shown() => {
                format!(
                    "no difference: {words} ({interval}), which is chance among {}",
                    things(tests as u64, "test")
                )
            }
            Verdict::NoDifference => format!("no difference ({interval})"),
        }
    }
}

impl Comparison {
    /// What was found of a group other than the first.
    pub fn of_group(&self, group: usize) -> impl Iterator<Item = &Compared> {
        self.compared.iter().filter(move |c| c.group == group)
    }

    /// The result for a group other than the first, in a sentence.
    pub fn headline(&self, group: usize) -> String {
        let (first, second) = (&self.groups[0].name, &self.groups[group].name);
        let with = |verdict| {
            let found = self.of_group(group).filter(move |c| c.verdict == verdict);
            found.map(|c| c.metric.to_string()).collect::<Vec<_>>()
        };
        let differing = [(Verdict::Worse, "worse"), (Verdict::Better, "better")];
        let differing = differing.map(|(verdict, word)| (with(verdict), word));
        let parts: Vec<String> = differing
            .iter()
            .filter(|(metrics, _)| !metrics.is_empty())
            .map(|(metrics, word)| format!("{word} in {}", metrics.join(", ")))
            .collect();
        let tested = self
            .of_group(group)
            .filter(|c| c.verdict != Verdict::TooFewRounds)
            .count();
        match (parts.is_empty(), tested) {
            (false, _) => format!("{second} against {first}: {}", parts.join("; ")),
            (true, 0) if self.of_group(group).next().is_none() => {
                format!("{second} and {first} have no metric in common")
            }
            (true, 0) => format!("Too few rounds to tell {second} from {first}"),
            (true, _) => format!("No difference between {first} and {second}"),
        }
    }

    /// Whether a condition failed, or could not be told.
    pub fn is_failed(&self) -> bool {
        self.judged
            .iter()
            .any(|(_, _, judged)| *judged != Judged::Passed)
    }
}
