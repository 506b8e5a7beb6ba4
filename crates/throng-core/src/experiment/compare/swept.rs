//! A sweep that is compared with others: the rounds of a point are its trials.

use super::super::sweep::{Plan, SweepResult, Trial, number};
use super::round::{Group, Round};
use crate::human::{count, things};
use std::collections::BTreeMap;

/// A sweep that is compared with others.
#[derive(Clone, Debug, PartialEq)]
pub struct Swept {
    /// Its name.
    pub name: String,
    /// The names of what varies, in the order of its plan.
    pub variables: Vec<String>,
    /// What was asked besides: the trial, and how the system under test was started.
    pub asked: BTreeMap<String, String>,
    /// The values of each point, and its trials.
    pub points: Vec<(Vec<String>, Group)>,
    /// What to know of its trials, a sentence each.
    pub notes: Vec<String>,
}

impl Swept {
    /// The sweep with this result. `read` has the round that a trial is.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn of<E>(
        name: &str,
        result: &SweepResult,
        mut read: impl FnMut(&Trial) -> Result<Round, E>,
    ) -> Result<Swept, E> {
        let plan = &result.plan;
        let variables: Vec<String> = plan.variables.iter().map(|v| v.name.clone()).collect();
        let mut points = Vec::new();
        for point in &result.points {
            let usable = point.trials.iter().filter(|trial| trial.usable().is_some());
            let rounds: Vec<Round> = usable.map(&mut read).collect::<Result<_, E>>()?;
            let value = |name: &String| point.values.get(name).cloned().unwrap_or_default();
            let values = variables.iter().map(value).collect();
            points.push((values, Group::of(name, rounds)));
        }
        Ok(Swept {
            name: name.to_owned(),
            asked: asked(plan),
            notes: of_trials(name, result),
            variables,
            points,
        })
    }

    /// All rounds of all its points.
    pub(super) fn rounds(&self) -> Group {
        let groups = || self.points.iter().map(|(_, group)| group);
        Group {
            name: self.name.clone(),
            rounds: groups().flat_map(|group| group.rounds.clone()).collect(),
            left_out: groups().flat_map(|group| group.left_out.clone()).collect(),
        }
    }

    /// The rounds at the point with these values; `None` if it has no such point.
    pub(super) fn at(&self, values: &[String]) -> Option<&Group> {
        let mut points = self.points.iter();
        let found = points.find(|(own, _)| same(own, values))?;
        Some(&found.1)
    }

    /// Its points that `other` does not have.
    pub(super) fn alone(&self, other: &Swept) -> Vec<String> {
        let points = self.points.iter().map(|(values, _)| values);
        let alone = points.filter(|values| other.at(values).is_none());
        alone.map(|values| named(&self.variables, values)).collect()
    }
}

/// What a plan asks for besides what varies, by name.
fn asked(plan: &Plan) -> BTreeMap<String, String> {
    let system = plan.system.as_ref();
    let all = [
        ("trial", Some(plan.trial.join(" "))),
        ("--start", system.map(|system| system.start.clone())),
        ("--warm-up", plan.warm_up_s.map(|s| format!("{s} s"))),
        ("--between", plan.between.command.clone()),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Trials of a sweep that can't be compared.
fn of_trials(name: &str, result: &SweepResult) -> Vec<String> {
    let all = || result.trials();
    let busy = all().filter(|t| t.measured.is_some() && t.usable().is_none());
    let without = all().filter(|t| t.measured.is_none());
    let told = [
        (busy.count(), "in which its client was the bottleneck"),
        (without.count(), "without a result"),
    ];
    let told = told.into_iter().filter(|(n, _)| *n > 0);
    let mut notes: Vec<String> = told
        .map(|(n, what)| format!("{name}: {} {what} left out", things(n as u64, "trial")))
        .collect();
    if !result.complete {
        notes.push(format!(
            "{name}: the sweep is not complete: {} of {} finished",
            count(result.finished() as u64),
            things(result.plan.trials() as u64, "trial")
        ));
    }
    notes
}

/// Whether two points have the same values, however they are written: `1k` is 1000.
fn same(one: &[String], other: &[String]) -> bool {
    let equal = |a: &String, b: &String| match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    };
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| equal(a, b))
}

/// `connections=100, backlog=16`; `the trial` if nothing varies.
pub(super) fn named(variables: &[String], values: &[String]) -> String {
    let all: Vec<String> = variables
        .iter()
        .zip(values)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match all.is_empty() {
        true => "the trial".into(),
        false => all.join(", "),
    }
}
