//! A curve of a sweep: the points that differ only in their load, and where throughput and latency bend along them.

use super::plan::{Plan, Sets, Variable};
use super::point::Point;
use super::vary::number;
use crate::expect::{Metric, Scalar};
use crate::experiment::{Bend, UslFit, knee, usl};
use crate::scenario::file::{Set, read};
use crate::scenario::{LoadScenario, Scenario, Sending};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The confidence of intervals.
const CONFIDENCE: f64 = 0.95;
/// The sensitivity of Kneedle, as in its paper.
const SENSITIVITY: f64 = 1.0;
/// The fewest points along which a knee is looked for.
const LEAST: usize = 4;
/// Keys that are loads: of several numeric variables, the first of these is along the curve.
const LOADS: [&str; 4] = [
    "load.connections",
    "load.pace.in-flight",
    "load.pace.rate",
    "load.pace.message-rate",
];

/// Points that differ only in their load, from the smallest to the greatest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The variable along it.
    pub load: String,
    /// The values of the other variables.
    pub others: BTreeMap<String, String>,
    /// The highest load at which the objective held, with all lower ones; `None` without an objective, or if it held nowhere.
    pub holds_to: Option<Along>,
    /// The lowest load at which it did not hold; `None` without an objective, or if it held everywhere.
    pub fails_from: Option<Along>,
    /// The load with the highest median throughput.
    pub maximum: Option<Along>,
    /// Where throughput bends most, by Kneedle; `None` if it nowhere bends.
    pub knee: Option<Along>,
    /// What to know before the knee is relied on; `None` if its trials are clear of those before it.
    #[serde(default)]
    pub knee_caution: Option<String>,
    /// The Universal Scalability Law.
    pub scalability: Option<Scalability>,
    /// Why there is no fit of it; `None` if there is.
    pub why_no_fit: Option<String>,
}

/// A point along a curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Along {
    /// Its load, as written.
    pub value: String,
    /// Its median throughput; `None` if no trial could be used.
    pub throughput: Option<f64>,
    /// Its median 99th percentile, microseconds.
    pub p99_us: Option<f64>,
    /// In how many of its used trials the objective was met; `None` without an objective.
    pub met: Option<u32>,
    /// Used trials.
    pub used: u32,
    /// The conditions that the first of the used trials that missed the objective did not meet, each with what was measured.
    pub unmet: Vec<String>,
}

/// A fit of the Universal Scalability Law (Gunther): X(N) = γN / (1 + α(N - 1) + βN(N - 1)). Intervals have 95 %
/// confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scalability {
    /// Contention.
    pub alpha: Estimate,
    /// Coherency.
    pub beta: Estimate,
    /// Throughput at a load of 1.
    pub gamma: Estimate,
    /// The load at which throughput is highest; `None` if it rises forever.
    pub peak_load: Option<Estimate>,
    /// Throughput there.
    pub peak_throughput: Option<f64>,
    /// The share of the variance that the law explains.
    pub r_squared: f64,
    /// What to know before the peak is relied on; `None` if the loads reach past it.
    pub caution: Option<String>,
}

/// A fitted number and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// The lower end; `None` if there is none.
    pub low: Option<f64>,
    /// The upper end; `None` if it is infinite, or there is none.
    pub high: Option<f64>,
}

/// A point and its load.
type Placed<'p> = (f64, &'p Point);

/// The curves of a sweep; none if nothing numeric varies, or of a search, whose trials differ in length.
pub fn curves(plan: &Plan, points: &[Point]) -> Vec<Curve> {
    let Some(load) = load(plan).filter(|_| plan.find.is_none()) else {
        return Vec::new();
    };
    let mut curves: Vec<(BTreeMap<String, String>, Vec<Placed>)> = Vec::new();
    for point in points {
        let mut others = point.values.clone();
        let Some(n) = others.remove(load).and_then(|value| number(&value)) else {
            continue;
        };
        match curves.iter_mut().find(|(known, _)| *known == others) {
            Some((_, along)) => along.push((n, point)),
            None => curves.push((others, vec![(n, point)])),
        }
    }
    let drawn = curves.into_iter().map(|(others, mut along)| {
        along.sort_by(|a, b| a.0.total_cmp(&b.0));
        Curve::of(plan, load, others, &along)
    });
    drawn.collect()
}

/// The name of the variable that is along the curves: a load, or else the first that is a number at each point.
fn load(plan: &Plan) -> Option<&str> {
    let numeric =
        |values: &[String]| values.len() > 1 && values.iter().all(|v| number(v).is_some());
    let all = plan.variables.iter();
    let along = |variable: &&Variable| numeric(&variable.values);
    let all: Vec<_> = all.filter(along).collect();
    let of = |key: &str| {
        let mut all = all.iter();
        all.find(|variable| matches!(&variable.sets, Sets::Key { key: known } if known == key))
    };
    let load = LOADS.iter().find_map(|key| of(key));
    load.or(all.first()).map(|variable| variable.name.as_str())
}

/// Whether the variable of this name is a load: a key that is one, or a word, which may stand for one.
fn is_load(plan: &Plan, name: &str) -> bool {
    let mut all = plan.variables.iter();
    all.any(|variable| {
        variable.name == name
            && match &variable.sets {
                Sets::Key { key } => LOADS.contains(&key.as_str()),
                Sets::Word => true,
                Sets::Sysctl => false,
            }
    })
}

/// The rate that was asked for of what the sweep's metric counts, in words; `None` if the trials went as fast as they could. All
/// points have it, or none has: what varies is its amount.
fn asked_rate(plan: &Plan) -> Option<&'static str> {
    let load = first_scenario(plan)?;
    if plan.metric == Metric::Scalar(Scalar::Opened) {
        return load.connect.rate.map(|_| "a rate of attempts to connect");
    }
    match load.pace.sending {
        Sending::Flood | Sending::ClosedLoop { .. } => None,
        Sending::PerConnection(_) => Some("a message rate per connection (open loop)"),
        Sending::Bandwidth(_) => Some("a bandwidth per connection"),
        Sending::WholeRun { .. } => Some("a message rate (open loop)"),
        Sending::Search(_) => Some("a search for a message rate"),
    }
}

/// The scenario of the first point; `None` if it can't be read.
fn first_scenario(plan: &Plan) -> Option<LoadScenario> {
    let text = plan.scenarios.get(plan.scenario(0))?;
    let sets: Vec<Set> = plan.sets(0).iter().filter_map(|s| s.parse().ok()).collect();
    // Files that messages are in have been read by whoever wrote the scenario.
    let no_files = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    match read(text, "", &sets, &no_files).ok()? {
        Scenario::Load(load) => Some(*load),
        _ => None,
    }
}

impl Curve {
    fn of(plan: &Plan, load: &str, others: BTreeMap<String, String>, points: &[Placed]) -> Curve {
        let along = |(_, point): &Placed| Along {
            value: point.values.get(load).cloned().unwrap_or_default(),
            throughput: point.throughput.map(|figures| figures.median),
            p99_us: point.p99_us.map(|figures| figures.median),
            met: point.met,
            used: point.used,
            unmet: point.first_unmet(),
        };
        // Points that can't tell are passed over.
        let judged: Vec<_> = points.iter().filter(|p| p.1.holds().is_some()).collect();
        let fails = judged.iter().position(|p| p.1.holds() == Some(false));
        let held = fails.unwrap_or(judged.len()).checked_sub(1);
        let throughput = |(n, point): &Placed| Some((*n, point.throughput?.median));
        let (measured, line): (Vec<&Placed>, Vec<(f64, f64)>) = points
            .iter()
            .filter_map(|at| Some((at, throughput(at)?)))
            .unzip();
        let maximum = (0..line.len()).max_by(|a, b| line[*a].1.total_cmp(&line[*b].1));
        let bends = (line.len() >= LEAST)
            .then(|| knee(&line, Bend::RisingConcave, SENSITIVITY))
            .flatten();
        let knee_caution = bends.and_then(|at| {
            let (before, knee) = (measured[at.checked_sub(1)?], measured[at]);
            let values = [before, knee].map(|(_, point)| point.throughput);
            let [Some(below), Some(above)] = values else {
                return None;
            };
            (below.median + below.mad > above.median - above.mad).then(|| {
                format!(
                    "its trials overlap with those at {load}={}: the bend may be noise; repeat more often (--repeat)",
                    before.1.values.get(load).map_or("", String::as_str)
                )
            })
        });
        let rounds: Vec<(f64, f64)> = points
            .iter()
            .flat_map(|(n, point)| {
                let all = point.throughputs(plan.trim).into_iter();
                all.map(move |throughput| (*n, throughput))
            })
            .collect();
        let fit = match (is_load(plan, load), asked_rate(plan)) {
            (false, _) => Err(format!("{load} is no load")),
            (true, Some(rate)) => Err(format!(
                "the trials have {rate}: as long as the server keeps up, throughput is what was asked for, and says nothing about what \
                 it can do"
            )),
            (true, None) => usl(&rounds, CONFIDENCE, plan.seed).map_err(|e| e.to_string()),
        };
        Curve {
            load: load.to_owned(),
            others,
            holds_to: held.map(|at| along(judged[at])),
            fails_from: fails.map(|at| along(judged[at])),
            maximum: maximum.map(|at| along(measured[at])),
            knee: bends.map(|at| along(measured[at])),
            knee_caution,
            why_no_fit: fit.as_ref().err().cloned(),
            scalability: fit.ok().map(Scalability::of),
        }
    }
}

impl Scalability {
    fn of(fit: UslFit) -> Scalability {
        let estimate = |value: f64, (low, high): (f64, f64)| Estimate {
            value,
            low: Some(low).filter(|n| n.is_finite()),
            high: Some(high).filter(|n| n.is_finite()),
        };
        let peak = fit.law.peak();
        Scalability {
            alpha: estimate(fit.alpha.value, fit.alpha.interval),
            beta: estimate(fit.beta.value, fit.beta.interval),
            gamma: estimate(fit.gamma.value, fit.gamma.interval),
            peak_load: peak.map(|peak| estimate(peak.load, fit.peak_load)),
            peak_throughput: peak.map(|peak| peak.throughput),
            r_squared: fit.r_squared,
            caution: fit.caution(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::super::point::tests::trial;
    use super::*;
    use crate::experiment::Usl;

    /// A sweep of `connections` and a sysctl whose throughput follows a law, with 50 ms from 800 connections on if the sysctl
    /// is 16, and never otherwise.
    fn swept() -> (Plan, Vec<Point>) {
        let mut plan = plan(
            &["connections=100,200..6400", "net.core.somaxconn=16,128"],
            5,
        );
        plan.objective = Some("p99<50ms".parse().unwrap());
        plan.trim = 1;
        let law = Usl {
            alpha: 0.01,
            beta: 1e-6,
            gamma: 100.0,
        };
        let point = |index: usize| {
            let values = plan.values(index);
            let n: f64 = values[0].parse().unwrap();
            let slow = values[1] == "16" && n >= 800.0;
            let trials = (1..=5).map(|at| {
                // The best and the worst are far off.
                let noise = [1.0, 0.1, 0.999, 1.001, 5.0][at as usize - 1];
                trial(at, law.at(n) * noise, if slow { 60.0 } else { 10.0 })
            });
            Point::of(&plan, index, trials.collect())
        };
        let points = (0..plan.points()).map(point).collect();
        (plan, points)
    }

    #[test]
    fn a_grid_has_a_curve_for_each_value_of_the_other_variable() {
        let (plan, points) = swept();
        let curves = curves(&plan, &points);
        let [low, high] = &curves[..] else {
            panic!("{curves:#?}")
        };
        assert_eq!(
            (low.load.as_str(), low.others["net.core.somaxconn"].as_str()),
            ("connections", "16")
        );
        assert_eq!(low.holds_to.as_ref().unwrap().value, "400");
        assert_eq!(low.fails_from.as_ref().unwrap().value, "800");
        assert_eq!(low.fails_from.as_ref().unwrap().met, Some(0));
        assert_eq!(
            low.fails_from.as_ref().unwrap().unmet,
            ["service.p99<50ms: 60 ms"]
        );
        assert_eq!(low.holds_to.as_ref().unwrap().unmet, [""; 0]);
        assert_eq!(high.holds_to.as_ref().unwrap().value, "6400");
        assert_eq!(high.fails_from, None);
        for curve in [low, high] {
            assert_eq!(curve.maximum.as_ref().unwrap().value, "800");
            let fit = curve.scalability.as_ref().unwrap();
            // sqrt(0.99 / 1e-6) is 995.
            let peak = fit.peak_load.unwrap();
            assert!((peak.value - 995.0).abs() < 20.0, "{fit:?}");
            assert!(
                peak.low.unwrap() < 995.0 && peak.high.unwrap() > 995.0,
                "{fit:?}"
            );
            assert!(fit.r_squared > 0.99 && fit.caution.is_none(), "{fit:?}");
            assert_eq!(curve.why_no_fit, None);
            assert_eq!(curve.knee.as_ref().unwrap().value, "800");
            assert_eq!(curve.knee_caution, None);
        }
    }

    #[test]
    fn a_knee_among_trials_that_overlap_may_be_noise() {
        let plan = plan(&["connections=1,2,4,8,16"], 2);
        let point = |index: usize| {
            let middle = [100.0, 160.0, 200.0, 205.0, 206.0][index];
            let trials = [(1, middle - 30.0), (2, middle + 30.0)];
            let trials = trials.map(|(at, throughput)| trial(at, throughput, 10.0));
            Point::of(&plan, index, trials.into())
        };
        let points: Vec<Point> = (0..plan.points()).map(point).collect();
        let curves = curves(&plan, &points);
        assert_eq!(curves[0].knee.as_ref().unwrap().value, "4");
        let caution = curves[0].knee_caution.as_deref().unwrap();
        assert!(
            caution.starts_with("its trials overlap with those at connections=2"),
            "{caution}"
        );
    }

    #[test]
    fn the_objective_holds_up_to_the_first_load_at_which_it_fails() {
        let mut plan = plan(&["connections=1,2,3,4,5"], 1);
        plan.objective = Some("p99<50ms".parse().unwrap());
        // It fails at 3, and holds again at 4; of 2 there is no result.
        let p99s = [10.0, f64::NAN, 60.0, 10.0, 60.0];
        let point = |(index, p99): (usize, &f64)| {
            let trials = (!p99.is_nan()).then(|| trial(1, 100.0, *p99));
            Point::of(&plan, index, trials.into_iter().collect())
        };
        let points: Vec<Point> = p99s.iter().enumerate().map(point).collect();
        let curve = &curves(&plan, &points)[0];
        assert_eq!(curve.holds_to.as_ref().unwrap().value, "1");
        assert_eq!(curve.fails_from.as_ref().unwrap().value, "3");
        let all_slow: Vec<Point> = (0..5)
            .map(|n| Point::of(&plan, n, vec![trial(1, 1.0, 60.0)]))
            .collect();
        let curve = &curves(&plan, &all_slow)[0];
        assert_eq!(curve.holds_to, None);
        assert_eq!(curve.fails_from.as_ref().unwrap().value, "1");
    }

    #[test]
    fn without_a_number_that_varies_there_is_no_curve() {
        for variables in [&[][..], &["engine=uring,epoll"], &["connections=100"]] {
            let plan = plan(variables, 1);
            let points: Vec<Point> = (0..plan.points())
                .map(|n| Point::of(&plan, n, vec![trial(1, 1.0, 1.0)]))
                .collect();
            assert!(curves(&plan, &points).is_empty(), "{variables:?}");
        }
        // Along what is no load there is no law.
        let plan = plan(&["net.core.somaxconn=1,2,3,4,5"], 1);
        let points: Vec<Point> = (0..5)
            .map(|n| Point::of(&plan, n, vec![trial(1, 1.0, 1.0)]))
            .collect();
        let why = curves(&plan, &points)[0].why_no_fit.clone();
        assert_eq!(why.as_deref(), Some("net.core.somaxconn is no load"));
    }

    #[test]
    fn throughput_that_was_asked_for_follows_no_law() {
        let (closed, points) = swept();
        for (pace, metric, why) in [
            ("closed-loop = true", "answers/s", None),
            ("message-rate = 10", "answers/s", Some("message rate per")),
            (
                "rate = 1000",
                "answers/s",
                Some("a message rate (open loop)"),
            ),
            ("rate = 1000", "opened/s", None),
        ] {
            let mut plan = closed.clone();
            plan.scenarios = vec![format!(
                "version = 1\n[load]\nself = 'echo'\nmessages = {{ repeated = ['x'] }}\nmeasure = {{ latency-echo = true }}\npace = {{ {pace} }}\n"
            )];
            plan.metric = metric.parse().unwrap();
            let curve = &curves(&plan, &points)[0];
            assert_eq!(curve.scalability.is_none(), why.is_some(), "{pace}");
            let said = curve.why_no_fit.as_deref().unwrap_or_default();
            assert!(said.contains(why.unwrap_or_default()), "{said}");
        }
    }

    #[test]
    fn a_load_comes_before_other_numbers() {
        let plan = plan(&["workers=1,2", "connections=1,2"], 1);
        assert_eq!(load(&plan), Some("connections"));
    }
}
