//! The history of one thing: its results in the order of time, and where a metric stepped to another level.

use super::super::change_points::{ChangePoint, ChangePoints, change_points};
use super::difference::Verdict;
use super::round::Group;
use crate::expect::Metric;
use crate::human::{count, things};

/// The fewest points in which a step can be told from noise.
pub const FEWEST: usize = 6;
/// The fewest points that make a level: one alone may be an outlier.
const LEVEL: usize = 2;

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

impl Series {
    /// At how many points it is known.
    pub fn known(&self) -> usize {
        self.values.iter().flatten().count()
    }
}

/// The history of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Its points in the order of time: each is a group of rounds, often one.
    pub points: Vec<Group>,
    /// What to know about them, a sentence each.
    pub notes: Vec<String>,
    /// The metrics.
    pub series: Vec<Series>,
}

/// The history that `points` make, each of them of one state of the thing. A point without a finished round is left out, which a note
/// tells.
pub fn history(mut points: Vec<Group>, metrics: &[Metric], how: &ChangePoints) -> History {
    let interrupted = interrupted(&points);
    points.retain(|point| !point.rounds.is_empty());
    points.sort_by(|a, b| a.when().0.total_cmp(&b.when().0));
    let notes = interrupted.into_iter().chain(fell_short(&points));
    let notes = notes.collect();
    let series = metrics
        .iter()
        .map(|metric| series(&points, metric, how))
        .collect();
    History {
        points,
        notes,
        series,
    }
}

/// Which rounds are left out.
fn interrupted(points: &[Group]) -> Option<String> {
    let names: Vec<&str> = points
        .iter()
        .flat_map(|point| point.left_out.iter().map(String::as_str))
        .collect();
    (!names.is_empty()).then(|| {
        let rounds = things(names.len() as u64, "interrupted round");
        format!("{rounds} left out: {}", names.join(", "))
    })
}

/// Which points have rounds that fell short.
fn fell_short(points: &[Group]) -> Option<String> {
    let why = |point: &Group| point.rounds.iter().find_map(|r| r.shortfall.clone());
    let short: Vec<(&str, String)> = points
        .iter()
        .filter_map(|point| Some((point.name.as_str(), why(point)?)))
        .collect();
    let (first, why) = short.first()?;
    let names: Vec<&str> = short.iter().map(|(name, _)| *name).collect();
    let of = things(points.len() as u64, "point");
    Some(match names.len() {
        1 => format!("1 of {of} fell short of what was asked: {first}: {why}"),
        n => format!(
            "{} of {of} fell short of what was asked: {}; {first}: {why}",
            count(n as u64),
            names.join(", ")
        ),
    })
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
    let how = ChangePoints {
        side: how.side.max(LEVEL),
        ..*how
    };
    let found = match numbers.len() < FEWEST {
        true => Vec::new(),
        false => change_points(&numbers, &how),
    };
    let steps = found.into_iter().map(|change| Step {
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
