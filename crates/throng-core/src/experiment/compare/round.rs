//! What is kept of a run to compare it: one round of a group.

use super::super::centre::{Spread, median};
use crate::expect::{Metric, Reading};
use crate::record::{Asked, Record};
use crate::summary;
use std::collections::{BTreeMap, BTreeSet};

/// One run of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Where it is from: the name of its file.
    pub name: String,
    /// When it began, in seconds since 1970.
    pub started_unix_s: f64,
    /// Whether it was interrupted. Such a round is not compared.
    pub interrupted: bool,
    /// What it fell short of, if it did.
    pub shortfall: Option<String>,
    /// What it ran on, by name; several values of several sources are separated by commas.
    pub environment: BTreeMap<String, String>,
    /// The greatest share of a source's CPU time that a hypervisor gave to others; `None` if it is not known.
    pub stolen: Option<f64>,
    /// The names of its sources, which no other run has.
    sources: Vec<String>,
    /// What was asked of its sources, but for expectations.
    asked: Vec<Asked>,
    readings: Vec<(Metric, Reading)>,
}

impl Round {
    /// The round that `record` is, with what was measured of `metrics`.
    pub fn of(name: impl Into<String>, record: &Record, metrics: &[Metric]) -> Round {
        let (summary, readings) = summary::with_readings(record, metrics);
        let finding = summary.findings.first().map(ToString::to_string);
        let parts = record.sources.values();
        let stolen = parts
            .clone()
            .filter_map(|part| part.ending.as_ref()?.stolen);
        Round {
            name: name.into(),
            started_unix_s: summary.started_unix_s,
            interrupted: summary.interrupted,
            shortfall: (!summary.reached).then(|| finding.unwrap_or_default()),
            environment: environment(record),
            stolen: stolen.reduce(f64::max),
            sources: record.sources.keys().map(ToString::to_string).collect(),
            asked: parts
                .map(|part| Asked {
                    expect: Vec::new(),
                    ..part.about.asked.clone()
                })
                .collect(),
            readings: metrics.iter().cloned().zip(readings).collect(),
        }
    }

    /// What was measured of `metric`; `None` if it was not looked for.
    pub fn reading(&self, metric: &Metric) -> Option<&Reading> {
        let found = self.readings.iter().find(|(known, _)| known == metric);
        found.map(|(_, reading)| reading)
    }

    /// Its value of `metric`, if it is known.
    pub fn value(&self, metric: &Metric) -> Option<f64> {
        match self.reading(metric)? {
            Reading::Known { value, .. } => Some(*value).filter(|v| v.is_finite()),
            Reading::Unknown(_) => None,
        }
    }
}

impl Round {
    /// Whether it is the same run as `other`, or has one in common with it.
    fn is(&self, other: &Round) -> bool {
        self.sources
            .iter()
            .any(|source| other.sources.contains(source))
    }
}

/// Facts and settings of all sources by name.
fn environment(record: &Record) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in record.sources.values() {
        let about = &part.about;
        let quota = part.ending.as_ref().and_then(|e| e.cpu_quota_cores);
        let facts = [
            ("kernel", Some(about.kernel.clone())),
            ("cores", Some(about.cores.to_string())),
            ("throng", Some(about.tool.clone())),
            ("engine", Some(about.engine.name().to_owned())),
            ("workers", Some(about.workers.to_string())),
            ("cpu_quota_cores", quota.map(|cores| cores.to_string())),
        ];
        let facts = facts
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        for (name, value) in facts.chain(about.environment.0.clone()) {
            all.entry(name).or_default().insert(value);
        }
    }
    let joined = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(", ");
    all.into_iter()
        .map(|(name, values)| (name, joined(values)))
        .collect()
}

/// Rounds of one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its rounds that were not interrupted.
    pub rounds: Vec<Round>,
    /// The names of those that were.
    pub left_out: Vec<String>,
}

impl Group {
    /// The group of `rounds`, without those that were interrupted.
    pub fn of(name: impl Into<String>, rounds: Vec<Round>) -> Group {
        let (left_out, rounds): (Vec<Round>, _) = rounds.into_iter().partition(|r| r.interrupted);
        Group {
            name: name.into(),
            rounds,
            left_out: left_out.into_iter().map(|round| round.name).collect(),
        }
    }

    /// The names of two rounds that are the same run, if there are such. It would count as two.
    pub fn repeated(&self) -> Option<(&str, &str)> {
        let pairs = self
            .rounds
            .iter()
            .enumerate()
            .flat_map(|(n, a)| self.rounds[..n].iter().map(move |b| (b, a)));
        let mut same = pairs.filter(|(a, b)| a.is(b));
        same.next().map(|(a, b)| (a.name.as_str(), b.name.as_str()))
    }

    /// The name of a round of it that has a run in common with `other`, if there is such.
    pub fn in_common(&self, other: &Group) -> Option<&str> {
        let shared = |a: &&Round| other.rounds.iter().any(|b| a.is(b));
        self.rounds.iter().find(shared).map(|a| a.name.as_str())
    }

    /// When its first and its last round began.
    pub(super) fn when(&self) -> (f64, f64) {
        let starts = self.rounds.iter().map(|round| round.started_unix_s);
        (
            starts.clone().fold(f64::INFINITY, f64::min),
            starts.fold(0.0, f64::max),
        )
    }

    /// When its first round began, in seconds since 1970.
    pub fn started_unix_s(&self) -> f64 {
        self.when().0
    }

    /// Whether not all rounds were asked for the same.
    pub(super) fn differs_in_what_was_asked(&self) -> bool {
        self.rounds
            .windows(2)
            .any(|two| two[0].asked != two[1].asked)
    }

    /// What its rounds have of `metric`; `None` if no round has a value.
    pub(super) fn values(&self, metric: &Metric) -> Option<Values> {
        let all: Vec<f64> = self.rounds.iter().filter_map(|r| r.value(metric)).collect();
        let at_least = self.rounds.iter().filter(|round| {
            matches!(
                round.reading(metric),
                Some(Reading::Known { at_least: true, .. })
            )
        });
        Some(Values {
            median: median(&all)?,
            spread: Spread::of(&all)?,
            at_least: at_least.count(),
            of: self.rounds.len(),
            rounds: all,
        })
    }
}

/// The values of one metric in the rounds of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// One for each round in which it is known.
    pub rounds: Vec<f64>,
    /// How many rounds the group has.
    pub of: usize,
    /// Their median.
    pub median: f64,
    /// How far they lie apart.
    pub spread: Spread,
    /// How many of them may be greater, because answers are missing.
    pub at_least: usize,
}

#[cfg(test)]
impl Round {
    /// A round in which `values` were measured.
    pub(super) fn made(name: &str, started_unix_s: f64, values: &[(Metric, f64)]) -> Round {
        let readings = values
            .iter()
            .map(|(metric, value)| (metric.clone(), Reading::known(*value)));
        Round {
            name: name.into(),
            started_unix_s,
            interrupted: false,
            shortfall: None,
            environment: BTreeMap::new(),
            stolen: None,
            sources: vec![format!("{name}-{started_unix_s}")],
            asked: vec![Asked::default()],
            readings: readings.collect(),
        }
    }
}
