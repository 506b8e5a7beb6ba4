//! What was found of one metric in two groups.

use super::super::holm::least_rounds;
use super::super::rank_sum::{least, mann_whitney};
use super::super::shift::Shift;
use super::difference::{Size, Verdict};
use super::round::{Group, Values};
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

fn size(first: &Values, second: &Values) -> Option<Size> {
    let (first, second) = (&first.rounds, &second.rounds);
    let relative = Shift::relative(first, second, CONFIDENCE).map(Size::Relative);
    relative.or_else(|| Shift::between(first, second, CONFIDENCE).map(Size::Absolute))
}

impl Compared {
    /// What the rounds of a group and of the first one have of a metric, not judged yet; `None` if it is not known in both.
    pub(super) fn of(
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

    /// The verdict on a metric of which not all values are the same, among so many `tests`.
    pub(super) fn judged(&self, tests: usize) -> Verdict {
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
                let fewest = least_rounds(tests, ERROR);
                let [first, second] = [&self.first, &self.second];
                let lacks = |values: &Values| values.rounds.len() < values.of;
                let known = |values: &Values| format!("{} of {}", values.rounds.len(), values.of);
                match lacks(first) || lacks(second) {
                    true => format!(
                        "too few rounds to tell: it is known in {} and in {}; at least {fewest} each",
                        known(first),
                        known(second)
                    ),
                    false => format!("too few rounds to tell: at least {fewest} each"),
                }
            }
            Verdict::Better | Verdict::Worse => format!("{words} ({interval})"),
            Verdict::WithinFloor => {
                let floor = self.floor.unwrap_or(0.0);
                let floor = size.amount(&self.metric, floor);
                format!("{words} ({interval}), not beyond the floor of {floor}")
            }
            Verdict::NoDifference if size.shift().is_shown() => {
                format!(
                    "no difference shown: {words} ({interval}), which is chance among {}",
                    things(tests as u64, "test")
                )
            }
            Verdict::NoDifference => format!("no difference shown ({interval})"),
        }
    }
}
