//! Sweeps compared point by point. The p of all points and metrics are adjusted together.

use super::super::holm::least_rounds;
use super::compared::{Compared, ERROR};
use super::comparison::{Comparison, adjust, judged, measured};
use super::condition::{Condition, Judged};
use super::difference::Verdict;
use super::environment::{self, Differing};
use super::notes;
use super::overall::Overall;
use super::round::Group;
use super::swept::{Swept, named};
use crate::expect::Metric;
use crate::human::things;
use std::collections::BTreeSet;

/// What sweeps say at one point.
#[derive(Clone, Debug, PartialEq)]
pub struct AtPoint {
    /// The values of the variables, as the first sweep has them.
    pub values: Vec<String>,
    /// The comparison, with a group for each sweep; one without rounds if the sweep does not have the point.
    pub comparison: Comparison,
}

/// What came of a comparison of sweeps.
#[derive(Clone, Debug, PartialEq)]
pub struct ByPoint {
    /// The names of the sweeps; all are compared with the first.
    pub sweeps: Vec<String>,
    /// What varies.
    pub variables: Vec<String>,
    /// In what was asked besides, and in what their machines differ.
    pub differing: Vec<Differing>,
    /// What else to know about them, a sentence each.
    pub notes: Vec<String>,
    /// How many tests the p are adjusted for.
    pub tests: usize,
    /// Each metric in each other sweep, over all points together; none where there are fewer than two.
    pub overall: Vec<Overall>,
    /// The points that the first sweep and another one have, in the order of the first.
    pub points: Vec<AtPoint>,
}

/// Why sweeps can't be compared. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Apart {
    /// Other things vary.
    #[error("{first} varies {of_first}, {other} varies {of_other}: they have no point in common")]
    Variables {
        /// The name of the first sweep.
        first: String,
        /// What varies in it.
        of_first: String,
        /// The name of the other one.
        other: String,
        /// What varies there.
        of_other: String,
    },
    /// No value is the same.
    #[error("{first} and {other} have no point in common: no values of {variables} are the same")]
    Values {
        /// The name of the first sweep.
        first: String,
        /// The name of the other one.
        other: String,
        /// What varies.
        variables: String,
    },
}

/// Compares `sweeps`, of which there are two or more, with the first, at each point that both have. `floor` is a sweep of the same thing as
/// the first, made at another time.
///
/// # Errors
/// A sweep has no point in common with the first.
pub fn by_point(
    sweeps: Vec<Swept>,
    floor: Option<&Swept>,
    metrics: &[Metric],
    conditions: &[Condition],
) -> Result<ByPoint, Apart> {
    let first = &sweeps[0];
    for other in sweeps[1..].iter().chain(floor) {
        in_common(first, other)?;
    }
    let elsewhere = |values: &Vec<String>| sweeps[1..].iter().any(|s| s.at(values).is_some());
    let mut points: Vec<AtPoint> = Vec::new();
    for (values, _) in first.points.iter().filter(|(values, _)| elsewhere(values)) {
        let groups = sweeps.iter().map(|sweep| match sweep.at(values) {
            Some(group) => group.clone(),
            None => Group::of(&sweep.name, Vec::new()),
        });
        let groups: Vec<Group> = groups.collect();
        let floor = floor.and_then(|floor| floor.at(values));
        points.push(AtPoint {
            values: values.clone(),
            comparison: Comparison {
                compared: measured(&groups, floor, metrics),
                groups,
                differing: Vec::new(),
                notes: Vec::new(),
                tests: 0,
                judged: Vec::new(),
            },
        });
    }
    let mut overall = overall(&points, metrics, sweeps.len());
    let compared = points.iter_mut().flat_map(|p| &mut p.comparison.compared);
    let tests = adjust(&mut compared.collect::<Vec<_>>(), &mut overall);
    for AtPoint { values, comparison } in &mut points {
        comparison.tests = tests;
        comparison.judged = judged(&comparison.groups, &comparison.compared, conditions);
        comparison
            .judged
            .retain(|(_, sweep, _)| sweeps[*sweep].at(values).is_some());
        let compared = comparison.compared.iter();
        let bounds = compared.filter_map(|c| notes::lower_bounds(c, &comparison.groups));
        comparison.notes = bounds.collect();
    }
    let rounds: Vec<Group> = sweeps.iter().chain(floor).map(Swept::rounds).collect();
    let mut differing = asked_apart(&sweeps, floor);
    differing.extend(environment::differing(&rounds.iter().collect::<Vec<_>>()));
    Ok(ByPoint {
        sweeps: sweeps.iter().map(|sweep| sweep.name.clone()).collect(),
        variables: first.variables.clone(),
        notes: all_notes(&sweeps, &rounds, &points, tests),
        differing,
        tests,
        overall,
        points,
    })
}

/// Each metric in each sweep but the first, over all points together, not judged yet.
fn overall(points: &[AtPoint], metrics: &[Metric], sweeps: usize) -> Vec<Overall> {
    let pairs = metrics
        .iter()
        .flat_map(|metric| (1..sweeps).map(move |sweep| (metric, sweep)));
    let together = |(metric, sweep): (&Metric, usize)| {
        let compared = points.iter().flat_map(|point| &point.comparison.compared);
        let of_pair = compared.filter(|c| c.metric == *metric && c.group == sweep);
        Overall::of(&of_pair.collect::<Vec<_>>())
    };
    pairs.filter_map(together).collect()
}

/// Refuses sweeps that have no point in common.
fn in_common(first: &Swept, other: &Swept) -> Result<(), Apart> {
    let names = |sweep: &Swept| match sweep.variables.is_empty() {
        true => "nothing".to_owned(),
        false => sweep.variables.join(" and "),
    };
    if first.variables != other.variables {
        return Err(Apart::Variables {
            first: first.name.clone(),
            of_first: names(first),
            other: other.name.clone(),
            of_other: names(other),
        });
    }
    let mut points = first.points.iter();
    match points.any(|(values, _)| other.at(values).is_some()) {
        true => Ok(()),
        false => Err(Apart::Values {
            first: first.name.clone(),
            other: other.name.clone(),
            variables: names(first),
        }),
    }
}

/// What was not asked alike.
fn asked_apart(sweeps: &[Swept], floor: Option<&Swept>) -> Vec<Differing> {
    let all: Vec<&Swept> = sweeps.iter().chain(floor).collect();
    let names: BTreeSet<&String> = all.iter().flat_map(|sweep| sweep.asked.keys()).collect();
    let values = |name: &String| -> Vec<Vec<String>> {
        let of = |sweep: &&Swept| match sweep.asked.get(name) {
            Some(value) => vec![value.clone()],
            None => vec!["none".to_owned()],
        };
        all.iter().map(of).collect()
    };
    let differ = |values: &Vec<Vec<String>>| values.windows(2).any(|two| two[0] != two[1]);
    names
        .into_iter()
        .map(|name| Differing {
            name: name.clone(),
            values: values(name),
        })
        .filter(|differing| differ(&differing.values))
        .collect()
}

fn all_notes(sweeps: &[Swept], rounds: &[Group], points: &[AtPoint], tests: usize) -> Vec<String> {
    let mut all = Vec::new();
    for (sweep, rounds) in sweeps.iter().zip(rounds) {
        all.extend(sweep.notes.clone());
        all.extend(notes::of_rounds(rounds));
    }
    let first = &sweeps[0];
    for (other, of_other) in sweeps[1..].iter().zip(&rounds[1..]) {
        if of_other.in_common(&rounds[0]).is_some() {
            all.push(format!(
                "{} and {} have trials in common: these can't differ",
                first.name, other.name
            ));
        }
        for (one, another) in [(first, other), (other, first)] {
            let alone = one.alone(another);
            if !alone.is_empty() {
                all.push(format!("only {} has {}", one.name, alone.join("; ")));
            }
        }
        all.extend(notes::apart(&rounds[0], of_other));
    }
    let too_few = |point: &AtPoint| notes::any_too_few(&point.comparison.compared);
    if points.iter().any(too_few) {
        all.push(format!(
            "a difference at one of {}, in any metric, can be told from noise with at least {} each; fewer points, or one metric (--metric NAME), need fewer",
            things(points.len() as u64, "point"),
            things(least_rounds(tests, ERROR) as u64, "trial"),
        ));
    }
    all
}

impl ByPoint {
    /// How a point is called.
    pub fn name(&self, point: &AtPoint) -> String {
        named(&self.variables, &point.values)
    }

    /// The metrics that are compared at any point, each once.
    pub fn metrics(&self) -> Vec<&Metric> {
        let mut all: Vec<&Metric> = Vec::new();
        for (_, found) in self.found() {
            if !all.contains(&&found.metric) {
                all.push(&found.metric);
            }
        }
        all
    }

    /// What was found of each metric at each point.
    pub fn found(&self) -> impl Iterator<Item = (&AtPoint, &Compared)> {
        let points = self.points.iter();
        points.flat_map(|point| point.comparison.compared.iter().map(move |c| (point, c)))
    }

    /// What was found of a sweep other than the first.
    pub fn of_sweep(&self, sweep: usize) -> impl Iterator<Item = (&AtPoint, &Compared)> {
        self.found().filter(move |(_, c)| c.group == sweep)
    }

    /// The verdicts at all points, and over all of them.
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        let overall = self.overall.iter().map(|o| o.verdict);
        self.found().map(|(_, c)| c.verdict).chain(overall)
    }

    /// What was found of a sweep other than the first over all points together.
    pub fn overall_of(&self, sweep: usize) -> impl Iterator<Item = &Overall> {
        self.overall.iter().filter(move |o| o.sweep == sweep)
    }

    /// The result for a sweep other than the first, in a sentence.
    pub fn headline(&self, sweep: usize) -> String {
        let (first, second) = (&self.sweeps[0], &self.sweeps[sweep]);
        let mut parts = Vec::new();
        for (verdict, word) in [(Verdict::Worse, "worse"), (Verdict::Better, "better")] {
            for metric in self.metrics() {
                let mut overall = self.overall_of(sweep);
                let overall = overall.any(|o| o.metric == *metric && o.verdict == verdict);
                let of_metric = || self.of_sweep(sweep).filter(|(_, c)| c.metric == *metric);
                let places = of_metric().filter(|(_, c)| c.verdict == verdict);
                let places: Vec<String> = places.map(|(point, _)| self.name(point)).collect();
                match (places.len(), of_metric().count()) {
                    (0, _) if overall => parts.push(format!("{word} in {metric} overall")),
                    (0, _) => {}
                    (n, all) if n == all && n > 1 => {
                        parts.push(format!("{word} in {metric} at all {all} points"));
                    }
                    (n, all) => {
                        let overall = if overall { " overall, and" } else { "" };
                        let places = match n > 3 {
                            true => format!("{n} of {all} points"),
                            false => places.join(" and "),
                        };
                        parts.push(format!("{word} in {metric}{overall} at {places}"));
                    }
                }
            }
        }
        let mut found = self.of_sweep(sweep);
        let points = things(self.points.len() as u64, "point");
        let few = |(_, c): (&AtPoint, &Compared)| c.verdict == Verdict::TooFewRounds;
        // What all points together tell, each of them need not.
        let mut together = self.overall_of(sweep);
        let told = self.overall_of(sweep).next().is_some()
            && together.all(|o| o.verdict != Verdict::TooFewRounds);
        match (parts.is_empty(), found.next()) {
            (false, _) => format!("{second} against {first}: {}", parts.join("; ")),
            (true, None) => format!("{second} and {first} have no metric in common"),
            (true, Some(_)) if self.of_sweep(sweep).any(few) && told => {
                format!("No difference shown between {first} and {second} over {points} together")
            }
            (true, Some(_)) if self.of_sweep(sweep).any(few) => {
                format!("Too few trials to tell {second} from {first}")
            }
            (true, Some(_)) => {
                format!("No difference shown between {first} and {second} at any of {points}")
            }
        }
    }

    /// Whether a condition failed at a point, or could not be told.
    pub fn is_failed(&self) -> bool {
        self.points.iter().any(|point| point.comparison.is_failed())
    }

    /// What came of each condition at each point, for each sweep but the first.
    pub fn judged(&self) -> impl Iterator<Item = (&AtPoint, &(Condition, usize, Judged))> {
        let points = self.points.iter();
        points.flat_map(|point| point.comparison.judged.iter().map(move |j| (point, j)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::round::Round;
    use super::*;
    use std::collections::BTreeMap;

    fn metric(name: &str) -> Metric {
        Metric::parse(name).expect("a metric")
    }

    /// A sweep over connections, with these values of `answers/s` in the trials of each point.
    fn swept(name: &str, began: f64, points: &[(&str, &[f64])]) -> Swept {
        let point = |(value, rates): &(&str, &[f64])| {
            let rounds = rates.iter().enumerate().map(|(n, rate)| {
                let at = format!("{name}/{value}/{n}");
                Round::made(&at, began + n as f64, &[(metric("answers/s"), *rate)])
            });
            let values = vec![(*value).to_owned()];
            (values, Group::of(name, rounds.collect()))
        };
        Swept {
            name: name.into(),
            variables: vec!["connections".into()],
            asked: BTreeMap::from([("trial".into(), format!("load {}", name.len()))]),
            points: points.iter().map(point).collect(),
            notes: vec![format!("{name}: a note")],
        }
    }

    const SLOW: [f64; 6] = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0];
    const FAST: [f64; 6] = [200.0, 201.0, 202.0, 203.0, 204.0, 205.0];

    fn compared(sweeps: Vec<Swept>, conditions: &[&str]) -> Result<ByPoint, Apart> {
        let conditions = conditions
            .iter()
            .map(|text| text.parse().expect("a condition"));
        let conditions: Vec<Condition> = conditions.collect();
        by_point(sweeps, None, &[metric("answers/s")], &conditions)
    }

    #[test]
    fn points_with_the_same_values_are_compared_and_others_are_told() {
        let before = swept("old", 0.0, &[("1000", &FAST), ("2k", &FAST), ("4k", &FAST)]);
        let after = swept(
            "later",
            9.0,
            &[("1k", &SLOW), ("2000", &FAST), ("8k", &SLOW)],
        );
        let found = compared(vec![before, after], &["answers/s<-10%"]).unwrap();
        // One at each point, and one over both.
        assert_eq!((found.points.len(), found.tests), (2, 3));
        assert_eq!(
            found.headline(1),
            "later against old: worse in answers/s at connections=1000"
        );
        assert!(found.is_failed());
        let failed: Vec<String> = found
            .judged()
            .filter(|(_, (.., judged))| *judged == Judged::Failed)
            .map(|(point, _)| found.name(point))
            .collect();
        assert_eq!(failed, ["connections=1000"]);
        for part in [
            "old: a note",
            "only old has connections=4k",
            "only later has connections=8k",
            "not interleaved",
        ] {
            let told = found.notes.iter().any(|note| note.contains(part));
            assert!(told, "{part}: {:?}", found.notes);
        }
        assert_eq!(found.differing[0].name, "trial");
        assert_eq!(found.differing[0].values, [["load 3"], ["load 5"]]);
    }

    #[test]
    fn all_points_together_are_as_many_tests() {
        let of = |name: &str, rates: &[f64], n: usize| {
            let values: Vec<String> = (1..=n).map(|n| n.to_string()).collect();
            let points: Vec<(&str, &[f64])> = values.iter().map(|v| (v.as_str(), rates)).collect();
            swept(name, 0.0, &points)
        };
        // The least p of four trials each is 0.029: enough for one test, not for two.
        for (points, headline) in [
            (1, "b against a: worse in answers/s at connections=1"),
            // Together, two points tell it.
            (2, "b against a: worse in answers/s overall"),
        ] {
            let all = vec![of("a", &FAST[..4], points), of("b", &SLOW[..4], points)];
            assert_eq!(compared(all, &[]).unwrap().headline(1), headline);
        }
        let all = vec![of("a", &FAST, 5), of("b", &SLOW, 5)];
        let found = compared(all, &[]).unwrap();
        let headline = "b against a: worse in answers/s at all 5 points";
        assert_eq!(found.headline(1), headline);
        let same = vec![of("a", &FAST, 2), of("b", &FAST, 2)];
        let headline = "No difference shown between a and b at any of 2 points";
        assert_eq!(compared(same, &[]).unwrap().headline(1), headline);
    }

    #[test]
    fn a_sweep_without_a_point_is_not_judged_there() {
        let (first, second) = (
            swept("a", 0.0, &[("1", &SLOW), ("2", &SLOW)]),
            swept("b", 0.0, &[("1", &SLOW), ("2", &SLOW)]),
        );
        let third = swept("c", 0.0, &[("2", &SLOW)]);
        let found = compared(vec![first, second, third], &["answers/s<-10%"]).unwrap();
        let at: Vec<(String, usize)> = found
            .judged()
            .map(|(point, (_, sweep, _))| (found.name(point), *sweep))
            .collect();
        let expected = [
            ("connections=1", 1),
            ("connections=2", 1),
            ("connections=2", 2),
        ];
        assert_eq!(at, expected.map(|(name, sweep)| (name.to_owned(), sweep)));
        assert!(!found.is_failed());
    }

    #[test]
    fn sweeps_without_a_common_point_are_refused() {
        let first = || swept("a", 0.0, &[("1", &SLOW)]);
        let other = swept("b", 0.0, &[("2", &SLOW)]);
        let error = compared(vec![first(), other], &[]).unwrap_err().to_string();
        assert!(error.contains("a and b have no point in common"), "{error}");
        let mut other = swept("b", 0.0, &[("1", &SLOW)]);
        other.variables = vec!["backlog".into()];
        let error = compared(vec![first(), other], &[]).unwrap_err().to_string();
        assert!(
            error.contains("a varies connections, b varies backlog"),
            "{error}"
        );
    }
}
