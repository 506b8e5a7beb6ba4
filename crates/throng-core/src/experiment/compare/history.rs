//! The history of one thing: its results in the order of time, and where a metric stepped to another level.

use super::super::change_points::{ChangePoint, ChangePoints, change_points};
use super::difference::Verdict;
use super::round::Group;
use crate::expect::Metric;

/// The fewest points in which a step can be told from noise.
pub const FEWEST: usize = 6;

/// A step of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The index of the first point after it.
    pub point: usize,
    /// What was before and after.
    pub change: ChangePoint,
    /// Whether it is better or worse after it.
    pub verdict: Verdict,
}

/// A metric over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The metric.
    pub metric: Metric,
    /// For each point the median of its rounds; `None` where it is not known.
    pub values: Vec<Option<f64>>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// The history of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Its points in the order of time: each is a group of rounds, often one.
    pub points: Vec<Group>,
    /// The metrics.
    pub series: Vec<Series>,
}

/// The history that `points` make, each of them of one state of the thing.
pub fn history(mut points: Vec<Group>, metrics: &[Metric], how: &ChangePoints) -> History {
    points.retain(|point| !point.rounds.is_empty());
    points.sort_by(|a, b| a.when().0.total_cmp(&b.when().0));
    let series = metrics
        .iter()
        .map(|metric| series(&points, metric, how))
        .collect();
    History { points, series }
}

fn series(points: &[Group], metric: &Metric, how: &ChangePoints) -> Series {
    let median = |point: &Group| point.values(metric).map(|values| values.median);
    let values: Vec<Option<f64>> = points.iter().map(median).collect();
    // Points at which it is not known are passed over.
    let known: Vec<(usize, f64)> = values
        .iter()
        .enumerate()
        .filter_map(|(n, value)| Some((n, (*value)?)))
        .collect();
    let numbers: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
    let steps = change_points(&numbers, how).into_iter().map(|change| Step {
        point: known[change.index].0,
        verdict: Verdict::of(metric.better(), change.after.mean - change.before.mean),
        change,
    });
    Series {
        metric: metric.clone(),
        steps: steps.collect(),
        values,
    }
}
