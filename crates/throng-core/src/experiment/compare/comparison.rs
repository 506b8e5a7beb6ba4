//! What came of a comparison of groups, and how it is made.

use super::super::holm::holm;
use super::compared::Compared;
use super::condition::{Condition, Judged};
use super::difference::Verdict;
use super::environment::{self, Differing};
use super::notes;
use super::overall::Overall;
use super::round::Group;
use super::usual::named;
use crate::expect::Metric;

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
    let mut compared = measured(&groups, floor, metrics);
    let tests = adjust(&mut compared.iter_mut().collect::<Vec<_>>(), &mut []);
    let mut all: Vec<&Group> = groups.iter().collect();
    all.extend(floor);
    Comparison {
        judged: judged(&groups, &compared, conditions),
        differing: environment::differing(&all),
        notes: notes::of(&groups, &compared, tests),
        tests,
        compared,
        groups,
    }
}

/// What the rounds have of each metric in each group but the first, not judged yet.
pub(super) fn measured(
    groups: &[Group],
    floor: Option<&Group>,
    metrics: &[Metric],
) -> Vec<Compared> {
    let pairs = metrics
        .iter()
        .flat_map(|metric| (1..groups.len()).map(move |group| (metric, group)));
    pairs
        .filter_map(|(metric, group)| Compared::of(groups, group, metric, floor))
        .collect()
}

/// Adjusts the p of all that is compared together, at points and over all of them, and judges it. Returns how many tests that are.
pub(super) fn adjust(compared: &mut [&mut Compared], overall: &mut [Overall]) -> usize {
    // Where all values are the same there is nothing to test: no arrangement of them would show a difference.
    let tested = compared.iter().filter(|c| c.size.is_some());
    let p = tested.map(|c| c.p).chain(overall.iter().map(|o| o.p));
    let p: Vec<f64> = p.collect();
    let mut adjusted = holm(&p).into_iter();
    let tested = compared.iter_mut().filter(|c| c.size.is_some());
    for (found, adjusted) in tested.zip(&mut adjusted) {
        found.p_adjusted = adjusted;
        found.verdict = found.judged(p.len());
    }
    for (found, adjusted) in overall.iter_mut().zip(adjusted) {
        found.p_adjusted = adjusted;
        found.verdict = found.judged(p.len());
    }
    p.len()
}

/// What came of the conditions, for each group but the first.
pub(super) fn judged(
    groups: &[Group],
    compared: &[Compared],
    conditions: &[Condition],
) -> Vec<(Condition, usize, Judged)> {
    let judged = conditions.iter().flat_map(|condition| {
        let metric = named(&condition.metric, groups);
        let found = |group| {
            compared
                .iter()
                .find(|c| Some(&c.metric) == metric.as_ref() && c.group == group)
        };
        let judge = |group| (condition.clone(), group, condition.judge(found(group)));
        (1..groups.len()).map(judge).collect::<Vec<_>>()
    });
    judged.collect()
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
        let few = |c: &Compared| c.verdict == Verdict::TooFewRounds;
        let (mut found, too_few) = (self.of_group(group), self.of_group(group).any(few));
        let without = [0, group]
            .into_iter()
            .find(|group| self.groups[*group].rounds.is_empty());
        if let Some(without) = without {
            return format!(
                "{} has no finished round to compare",
                self.groups[without].name
            );
        }
        match (parts.is_empty(), found.next()) {
            (false, _) => format!("{second} against {first}: {}", parts.join("; ")),
            (true, None) => format!("{second} and {first} have no metric in common"),
            (true, Some(_)) if too_few => format!("Too few rounds to tell {second} from {first}"),
            (true, Some(_)) => format!("No difference shown between {first} and {second}"),
        }
    }

    /// Whether a condition failed, or could not be told.
    pub fn is_failed(&self) -> bool {
        self.judged
            .iter()
            .any(|(_, _, judged)| *judged != Judged::Passed)
    }
}
