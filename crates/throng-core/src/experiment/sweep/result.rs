//! The result of a sweep: its plan, each point with its trials, each curve, and what a search has found.

use super::course::Course;
use super::curve::{Curve, curves};
use super::mlr::Found;
use super::order::Due;
use super::plan::{Plan, VERSION};
use super::point::Point;
use super::trial::Trial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The result of a sweep. docs/sweep.md describes its JSON form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepResult {
    /// [`VERSION`].
    pub version: u32,
    /// Whether all trials are finished.
    pub complete: bool,
    /// The plan.
    pub plan: Plan,
    /// The points, in the order of the plan; of a search, the loads that were tried, in ascending order.
    pub points: Vec<Point>,
    /// The curves; none if nothing numeric varies.
    pub curves: Vec<Curve>,
    /// What the only search has found; `None` if it is not over, or there is none or several.
    pub found: Option<Found>,
    /// Each search.
    #[serde(default)]
    pub searches: Vec<Searched>,
}

/// A search for the highest load at which the objective holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Searched {
    /// The values of the other variables, by their names.
    pub others: BTreeMap<String, String>,
    /// What it has found; `None` if it is not over.
    pub found: Option<Found>,
}

impl SweepResult {
    /// The result of `plan`, of which these trials are finished.
    pub fn of(plan: Plan, finished: &[(Due, Trial)]) -> SweepResult {
        let mut trials: BTreeMap<usize, Vec<Trial>> = match plan.find {
            Some(_) => BTreeMap::new(),
            None => (0..plan.points())
                .map(|point| (point, Vec::new()))
                .collect(),
        };
        for (due, trial) in finished {
            trials.entry(due.point).or_default().push(trial.clone());
        }
        let points = trials.into_iter();
        let points: Vec<Point> = points
            .map(|(point, trials)| Point::of(&plan, point, trials))
            .collect();
        let searches = searches(&plan, finished);
        SweepResult {
            version: VERSION,
            complete: match plan.find {
                Some(_) => searches.iter().all(|search| search.found.is_some()),
                None => finished.len() == plan.trials(),
            },
            curves: curves(&plan, &points),
            points,
            plan,
            found: match searches.as_slice() {
                [only] => only.found,
                _ => None,
            },
            searches,
        }
    }

    /// The trials, point by point.
    pub fn trials(&self) -> impl Iterator<Item = &Trial> {
        self.points.iter().flat_map(|point| &point.trials)
    }

    /// Finished trials.
    pub fn finished(&self) -> usize {
        self.trials().count()
    }

    /// The exit code: 0 if every trial is finished and has a result, a point has a throughput, and the objective, if there is one,
    /// holds somewhere; 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        let measured = self.trials().all(|trial| trial.measured.is_some());
        // Where nobody listens, each trial has a result, and none a value.
        let valued = self.trials().any(|trial| {
            let throughput = trial.measured.as_ref().and_then(|m| m.throughput);
            throughput.is_some_and(|value| value > 0.0)
        });
        let holds = match (&self.plan.objective, self.plan.find) {
            (None, _) => true,
            (Some(_), None) => self.points.iter().any(|point| point.holds() == Some(true)),
            (Some(_), Some(_)) => {
                let found = |search: &Searched| search.found;
                let ended = |found: Found| found.lower.is_some() && found.stuck_at.is_none();
                let mut searches = self.searches.iter();
                searches.all(|search| found(search).is_some_and(ended))
            }
        };
        u8::from(!(self.complete && measured && valued && holds))
    }
}

fn searches(plan: &Plan, finished: &[(Due, Trial)]) -> Vec<Searched> {
    let mut course = Course::of(plan);
    for (due, trial) in finished {
        course.tell(*due, trial);
    }
    let load = plan.variables.first().map(|variable| &variable.name);
    let found = course.found().into_iter().enumerate();
    found
        .map(|(search, found)| {
            let mut others = plan.named(plan.searched(search, 0));
            others.retain(|name, _| Some(name) != load);
            Searched { others, found }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::super::point::tests::trial;
    use super::*;

    /// The trials that are due, each with this throughput and 99th percentile.
    fn finished(plan: &Plan, p99_ms: f64) -> Vec<(Due, Trial)> {
        let due = plan.schedule().into_iter();
        due.map(|due| (due, trial(due.repetition, 10.0 + due.point as f64, p99_ms)))
            .collect()
    }

    #[test]
    fn a_sweep_is_complete_once_each_trial_is_finished() {
        let plan = plan(&["connections=1,2"], 2);
        let all = finished(&plan, 1.0);
        let of = |n: usize| SweepResult::of(plan.clone(), &all[..n]);
        assert_eq!(
            (of(3).complete, of(3).exit_code(), of(3).finished()),
            (false, 1, 3)
        );
        assert_eq!((of(4).complete, of(4).exit_code()), (true, 0));
        let mut failed = all.clone();
        failed[2].1.measured = None;
        let failed = SweepResult::of(plan.clone(), &failed);
        assert_eq!((failed.complete, failed.exit_code()), (true, 1));
        // Nobody listened there.
        let mut nothing = all.clone();
        for (trial, throughput) in nothing.iter_mut().zip([None, Some(0.0), None, None]) {
            trial.1.measured.as_mut().unwrap().throughput = throughput;
        }
        let nothing = SweepResult::of(plan.clone(), &nothing);
        assert_eq!((nothing.complete, nothing.exit_code()), (true, 1));
        let mut strict = plan.clone();
        strict.objective = Some("p99<50ms".parse().unwrap());
        assert_eq!(SweepResult::of(strict.clone(), &all).exit_code(), 0);
        let slow = finished(&strict, 99.0);
        assert_eq!(SweepResult::of(strict, &slow).exit_code(), 1);
    }

    #[test]
    fn a_result_is_read_back_as_it_was_written() {
        let plan = plan(&["connections=1,2"], 1);
        let result = SweepResult::of(plan.clone(), &finished(&plan, 1.0));
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(
            serde_json::from_str::<SweepResult>(&text).unwrap(),
            result,
            "{text}"
        );
    }
}
