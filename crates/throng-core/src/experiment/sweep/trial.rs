//! A trial of a sweep: what it measured, or why it has no result.

use super::objective::Objective;
use super::plan::Plan;
use crate::expect::{Metric, Reading, Scalar};
use crate::record::Record;
use crate::summary::{self, Bounded, Finding, Summary};
use serde::{Deserialize, Serialize};

/// A finished trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its number in the order of the sweep, from 1.
    pub number: u32,
    /// Its number among the trials of its point, from 1.
    pub repetition: u32,
    /// The file with its result, relative to the sweep's directory.
    pub file: String,
    /// Its exit code.
    pub exit_code: u8,
    /// What it measured; `None` if it has no result.
    pub measured: Option<Measured>,
    /// Why it has no result, or fell short; `None` if it reached what was asked.
    pub reason: Option<String>,
}

/// What a trial measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// When it began, seconds since 1970.
    pub started_unix_s: f64,
    /// How long it took, closing not included.
    pub seconds: f64,
    /// What the sweep's metric is of it, in the unit of the metric; `None` if it is not known.
    pub throughput: Option<f64>,
    /// The median of answers: from when they were due, or else from when they were sent; microseconds.
    pub p50_us: Option<f64>,
    /// Their 99th percentile.
    pub p99_us: Option<f64>,
    /// Whether the 99th percentile is a lower bound, because answers are missing.
    pub p99_at_least: bool,
    /// Attempts to connect that failed, messages without an answer, and answers that report an error.
    pub failed: u64,
    /// How the client, and not what it measured, was the bottleneck; `None` if it was not.
    pub client_bottleneck: Option<String>,
    /// The conditions of the objective that it did not meet; `None` without an objective.
    pub unmet: Option<Vec<String>>,
}

impl Trial {
    /// What it measured, if that says something about the system: the client was not the bottleneck.
    pub fn usable(&self) -> Option<&Measured> {
        let measured = self.measured.as_ref();
        measured.filter(|measured| measured.client_bottleneck.is_none())
    }
}

impl Measured {
    /// What the trial measured whose record this is, and the summary of the record.
    pub fn of(record: &Record, plan: &Plan) -> (Summary, Measured) {
        let metrics = metrics(plan);
        let (summary, readings) = summary::with_readings(record, &metrics);
        let reading = |metric: &Metric| {
            let mut all = metrics.iter().zip(&readings);
            let found = all.find(|(known, _)| *known == metric);
            let none = || Reading::Unknown("it was not measured".into());
            found.map_or_else(none, |(_, reading)| reading.clone())
        };
        let (p50_us, _) = at(&reading, "50");
        let (p99_us, p99_at_least) = at(&reading, "99");
        let answers = summary.answers.as_ref();
        let missing = answers.map_or(0, |a| a.unanswered + a.with_error);
        let objective = plan.objective.as_ref();
        let measured = Measured {
            started_unix_s: summary.started_unix_s,
            seconds: summary.seconds,
            throughput: value(&reading(&plan.metric)),
            p50_us,
            p99_us,
            p99_at_least,
            failed: summary.connections.failed.values().sum::<u64>() + missing,
            client_bottleneck: bottleneck(&summary, &plan.metric),
            unmet: objective.map(|objective| objective.judge(reading).unmet),
        };
        (summary, measured)
    }

    /// Whether it met the objective; `None` without one.
    pub fn met(&self) -> Option<bool> {
        self.unmet.as_ref().map(Vec::is_empty)
    }
}

/// Why a trial fell short; `None` if it did not.
pub fn why_short(summary: &Summary) -> Option<String> {
    let first = summary.findings.first().filter(|_| !summary.reached);
    first.map(ToString::to_string)
}

/// What a trial measures of interest to its sweep.
fn metrics(plan: &Plan) -> Vec<Metric> {
    let latencies = ["50", "99"].into_iter().flat_map(answered_within);
    let objective = plan.objective.iter().flat_map(Objective::metrics);
    let of_plan = [plan.metric.clone()].into_iter();
    of_plan.chain(latencies).chain(objective).collect()
}

/// The latencies of answers at this percentile, the preferred one first: a load at a rate has response times, others have service
/// times only.
fn answered_within(percentile: &str) -> Vec<Metric> {
    let names = ["response", "service"].map(|name| format!("{name}.p{percentile}"));
    names
        .iter()
        .filter_map(|name| Metric::parse(name).ok())
        .collect()
}

/// The latency of answers at this percentile, and whether it is a lower bound.
fn at(reading: &impl Fn(&Metric) -> Reading, percentile: &str) -> (Option<f64>, bool) {
    let known = answered_within(percentile)
        .iter()
        .find_map(|metric| match reading(metric) {
            Reading::Known {
                value, at_least, ..
            } => Some((Some(value), at_least)),
            Reading::Unknown(_) => None,
        });
    known.unwrap_or((None, false))
}

fn value(reading: &Reading) -> Option<f64> {
    match reading {
        Reading::Known { value, .. } => Some(*value).filter(|v| v.is_finite()),
        Reading::Unknown(_) => None,
    }
}

/// How the client bounded `metric`. That it could not open connections faster says nothing about the time after that, and the
/// other way round.
fn bottleneck(summary: &Summary, metric: &Metric) -> Option<String> {
    let opening = *metric == Metric::Scalar(Scalar::Opened);
    let mut all = summary.findings.iter();
    let found = all.find(|finding| match finding {
        Finding::ClientBottleneck(bottleneck) => {
            (bottleneck.bounded == Bounded::Opening) == opening
        }
        _ => false,
    });
    found.map(ToString::to_string)
}
