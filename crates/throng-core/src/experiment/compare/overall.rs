//! What was found of one metric over all points of two sweeps together.

use super::super::centre::median;
use super::super::rank_sum::least;
use super::super::shift::Shift;
use super::super::van_elteren::{Stratum, van_elteren};
use super::compared::{Compared, ERROR};
use super::difference::{Size, Verdict};
use crate::expect::Metric;
use crate::human::things;

/// The fewest points that say more together than alone.
const FEWEST: usize = 2;

/// What was found of one metric over all points of two sweeps together.
#[derive(Clone, Debug, PartialEq)]
pub struct Overall {
    /// The metric.
    pub metric: Metric,
    /// The index of the sweep that is compared with the first.
    pub sweep: usize,
    /// How many points count: those at which not all values are the same.
    pub points: usize,
    /// By how much it is greater, in the middle of the points: the median of their shifts, without an interval.
    pub size: Size,
    /// The two-sided p of van Elteren's test, whose strata are the points.
    pub p: f64,
    /// The same, adjusted for the number of tests.
    pub p_adjusted: f64,
    /// By how much the first sweep differs from the floor, likewise: the median over the points.
    pub floor: Option<f64>,
    /// What that says.
    pub verdict: Verdict,
    /// Whether the second sweep ranks higher.
    higher: bool,
    /// The least p that so many trials can have.
    least: f64,
}

impl Overall {
    /// What the points of `compared` say together, which are all of one metric and one sweep, not judged yet; `None` if there are
    /// too few.
    pub(super) fn of(compared: &[&Compared]) -> Option<Overall> {
        let points = compared.iter().filter(|c| c.size.is_some());
        let points: Vec<&Compared> = points.copied().collect();
        let first = points.first().filter(|_| points.len() >= FEWEST)?;
        let strata = points.iter();
        let strata: Vec<Stratum> = strata
            .map(|c| (&c.first.rounds[..], &c.second.rounds[..]))
            .collect();
        let test = van_elteren(&strata)?;
        let relative = |c: &&Compared| matches!(c.size, Some(Size::Relative(_)));
        let relative = points.iter().all(relative);
        let shift = |c: &&Compared| {
            let (first, second) = (&c.first.rounds, &c.second.rounds);
            match c.size {
                Some(Size::Relative(shift)) if relative => Some(shift.estimate),
                _ => Some(Shift::between(first, second, 1.0 - ERROR)?.estimate),
            }
        };
        let shifts: Vec<f64> = points.iter().filter_map(shift).collect();
        let shift = Shift {
            estimate: median(&shifts)?,
            interval: None,
        };
        let floors: Vec<f64> = points.iter().filter_map(|c| c.floor).collect();
        // One arrangement in each stratum, on either side.
        let alone = strata.iter().map(|(a, b)| least(a.len(), b.len()) / 2.0);
        Some(Overall {
            metric: first.metric.clone(),
            sweep: first.group,
            points: points.len(),
            size: match relative {
                true => Size::Relative(shift),
                false => Size::Absolute(shift),
            },
            p: test.p,
            p_adjusted: 1.0,
            floor: median(&floors),
            verdict: Verdict::Same,
            higher: test.z < 0.0,
            least: 2.0 * alone.product::<f64>(),
        })
    }

    /// The verdict among so many `tests`.
    pub(super) fn judged(&self, tests: usize) -> Verdict {
        if self.least * tests as f64 > ERROR {
            return Verdict::TooFewRounds;
        }
        let estimate = self.size.shift().estimate;
        // Where the points differ in both directions, ranks and sizes may disagree: then there is no common difference.
        let agrees = match self.higher {
            true => estimate > 0.0,
            false => estimate < 0.0,
        };
        if self.p_adjusted > ERROR || !agrees {
            return Verdict::NoDifference;
        }
        match estimate.abs() > self.floor.unwrap_or(0.0) {
            true => Verdict::of(self.metric.better(), estimate),
            false => Verdict::WithinFloor,
        }
    }

    /// The verdict in words.
    pub fn sentence(&self) -> String {
        let points = things(self.points as u64, "point");
        let p = match self.p_adjusted {
            p if p < 0.0001 => "p < 0.0001".to_owned(),
            p => format!("p {p:.4}"),
        };
        let words = self.size.words(&self.metric);
        match self.verdict {
            Verdict::Better | Verdict::Worse => {
                format!("{words} in the middle of {points} ({p})")
            }
            Verdict::WithinFloor => {
                let floor = self.size.amount(&self.metric, self.floor.unwrap_or(0.0));
                format!("{words} in the middle of {points} ({p}), not beyond the floor of {floor}")
            }
            Verdict::TooFewRounds => format!("too few trials to tell, in {points} together"),
            Verdict::NoDifference | Verdict::Same => {
                format!("no difference shown over {points} together ({p})")
            }
        }
    }
}
