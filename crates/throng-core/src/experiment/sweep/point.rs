//! A point of a sweep: what its trials say together.

use super::plan::Plan;
use super::trial::{Measured, Trial};
use crate::experiment::{Spread, mean, median, trimmed_mean};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A point: one value of each variable, and the trials that were made with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The value of each variable, by its name.
    pub values: BTreeMap<String, String>,
    /// Trials that were asked for.
    pub asked: u32,
    /// Those that are finished, in the order of their repetitions.
    pub trials: Vec<Trial>,
    /// How many of them the figures below are of: those with a result whose client was not the bottleneck.
    pub used: u32,
    /// The sweep's metric.
    pub throughput: Option<Figures>,
    /// The median latency of answers, microseconds.
    pub p50_us: Option<Figures>,
    /// The 99th percentile of the latency of answers.
    pub p99_us: Option<Figures>,
    /// What failed, in all trials with a result together.
    pub failed: u64,
    /// In how many of the used trials the objective was met; `None` without an objective.
    pub met: Option<u32>,
}

/// Values of several trials, summed up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Number of values.
    pub count: u32,
    /// Their median.
    pub median: f64,
    /// Their mean without the best and the worst, as many as the plan says.
    pub trimmed_mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The median absolute deviation from the median: half of the values are within it.
    pub mad: f64,
}

impl Figures {
    /// The figures of `values`, with `trim` of the lowest and of the highest left out of the mean. `None` without values.
    pub fn of(values: &[f64], trim: u32) -> Option<Figures> {
        let spread = Spread::of(values)?;
        Some(Figures {
            count: u32::try_from(values.len()).unwrap_or(u32::MAX),
            median: median(values)?,
            trimmed_mean: mean_of_kept(values, trim)?,
            min: spread.min,
            max: spread.max,
            mad: spread.mad,
        })
    }
}

/// The values without the `trim` lowest and highest; all of them if none would be left.
pub(super) fn kept(values: &[f64], trim: u32) -> Vec<f64> {
    let mut all = values.to_vec();
    all.sort_unstable_by(f64::total_cmp);
    let trim = trim as usize;
    match all.len() > 2 * trim {
        true => all[trim..all.len() - trim].to_vec(),
        false => all,
    }
}

fn mean_of_kept(values: &[f64], trim: u32) -> Option<f64> {
    match trim {
        0 => mean(values),
        _ => trimmed_mean(&kept(values, trim - 1)),
    }
}

impl Point {
    /// The point with this index, with its finished trials.
    pub fn of(plan: &Plan, index: usize, mut trials: Vec<Trial>) -> Point {
        trials.sort_by_key(|trial| trial.repetition);
        // A search tries a load as often as it takes.
        let asked = match plan.find {
            Some(_) => u32::try_from(trials.len()).unwrap_or(u32::MAX),
            None => plan.repeat,
        };
        let used: Vec<&Measured> = trials.iter().filter_map(Trial::usable).collect();
        let figures = |of: fn(&Measured) -> Option<f64>| {
            let values: Vec<f64> = used.iter().filter_map(|measured| of(measured)).collect();
            Figures::of(&values, plan.trim)
        };
        let met = used.iter().filter(|measured| measured.met() == Some(true));
        let all = trials.iter().filter_map(|trial| trial.measured.as_ref());
        Point {
            values: plan.named(index),
            asked,
            used: u32::try_from(used.len()).unwrap_or(u32::MAX),
            throughput: figures(|measured| measured.throughput),
            p50_us: figures(|measured| measured.p50_us),
            p99_us: figures(|measured| measured.p99_us),
            failed: all.map(|measured| measured.failed).sum(),
            met: plan.objective.as_ref().map(|_| met.count() as u32),
            trials,
        }
    }

    /// Whether the objective holds: more than half of the used trials met it. `None` without an objective, or without a trial
    /// that can tell.
    pub fn holds(&self) -> Option<bool> {
        let met = self.met?;
        (self.used > 0).then_some(2 * met > self.used)
    }

    /// The conditions that the first used trial that missed the objective did not meet; none if all met it.
    pub(super) fn first_unmet(&self) -> Vec<String> {
        let used = self.trials.iter().filter_map(Trial::usable);
        let unmet = used.filter_map(|measured| measured.unmet.as_ref());
        let mut missed = unmet.filter(|unmet| !unmet.is_empty());
        missed.next().cloned().unwrap_or_default()
    }

    /// The throughput of each used trial, without the best and the worst, as many as the plan says.
    pub(super) fn throughputs(&self, trim: u32) -> Vec<f64> {
        let used = self.trials.iter().filter_map(Trial::usable);
        let all: Vec<f64> = used.filter_map(|measured| measured.throughput).collect();
        kept(&all, trim)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::tests::plan;
    use super::*;

    /// A trial with this throughput and this 99th percentile, which meets an objective of 50 ms.
    pub(in super::super) fn trial(repetition: u32, throughput: f64, p99_ms: f64) -> Trial {
        let unmet = (p99_ms >= 50.0).then(|| format!("service.p99<50ms: {p99_ms} ms"));
        Trial {
            number: repetition,
            repetition,
            file: format!("trials/{repetition}.json"),
            exit_code: 0,
            reason: None,
            measured: Some(Measured {
                started_unix_s: 0.0,
                seconds: 1.0,
                throughput: Some(throughput),
                p50_us: Some(p99_ms * 500.0),
                p99_us: Some(p99_ms * 1000.0),
                p99_at_least: false,
                failed: 0,
                client_bottleneck: None,
                unmet: Some(unmet.into_iter().collect()),
            }),
        }
    }

    #[test]
    fn figures_leave_out_as_many_as_asked() {
        let values = [10.0, 11.0, 12.0, 13.0, 100.0];
        for (trim, mean) in [(0, 29.2), (1, 12.0), (2, 12.0)] {
            let figures = Figures::of(&values, trim).unwrap();
            assert_eq!(
                (figures.count, figures.median, figures.trimmed_mean),
                (5, 12.0, mean)
            );
            assert_eq!((figures.min, figures.max, figures.mad), (10.0, 100.0, 1.0));
        }
        assert_eq!(Figures::of(&[], 1), None);
        assert_eq!(Figures::of(&[5.0], 1).unwrap().trimmed_mean, 5.0);
        assert_eq!(kept(&values, 1), [11.0, 12.0, 13.0]);
        assert_eq!(kept(&values[..2], 1), [10.0, 11.0]);
    }

    #[test]
    fn trials_without_a_result_and_with_a_busy_client_are_told_and_not_used() {
        let mut plan = plan(&["connections=1,2"], 5);
        plan.objective = Some("p99<50ms".parse().unwrap());
        let mut busy = trial(2, 999.0, 1.0);
        busy.measured.as_mut().unwrap().client_bottleneck = Some("the client was full".into());
        let mut without = trial(3, 0.0, 0.0);
        without.measured = None;
        without.exit_code = 2;
        let trials = vec![
            trial(4, 100.0, 60.0),
            busy,
            without,
            trial(1, 110.0, 10.0),
            trial(5, 120.0, 11.0),
        ];
        let point = Point::of(&plan, 1, trials);
        assert_eq!(point.values["connections"], "2");
        assert_eq!((point.asked, point.trials.len(), point.used), (5, 5, 3));
        assert_eq!(point.throughput.unwrap().median, 110.0);
        assert_eq!((point.met, point.holds()), (Some(2), Some(true)));
        let order: Vec<u32> = point.trials.iter().map(|t| t.repetition).collect();
        assert_eq!(order, [1, 2, 3, 4, 5]);
        // Half is not more than half.
        let tied = Point::of(&plan, 0, vec![trial(1, 1.0, 10.0), trial(2, 1.0, 60.0)]);
        assert_eq!(tied.holds(), Some(false));
        assert_eq!(Point::of(&plan, 0, Vec::new()).holds(), None);
    }
}
