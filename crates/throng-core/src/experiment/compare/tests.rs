//! Comparisons of rounds that are made up, with known differences.

use super::*;
use crate::expect::Metric;
use crate::split_mix::SplitMix;

fn metric(name: &str) -> Metric {
    Metric::parse(name).unwrap()
}

/// Nine metrics as a run has them.
const METRICS: [&str; 9] = [
    "response.p50",
    "response.p99",
    "answers/s",
    "opened/s",
    "connect.p99",
    "cpu_us_per_message",
    "user_bytes_per_connection",
    "kernel_bytes_per_connection",
    "server.rss_bytes_per_connection",
];

/// Random numbers for made-up rounds.
struct Noise(SplitMix);

impl Noise {
    /// A standard normal number (Box and Muller).
    fn normal(&mut self) -> f64 {
        let mut unit = || ((self.0.next() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos()
    }

    /// Rounds whose metrics vary by the share `noise`, half of it in common, as on a machine that is slower at times. Latencies
    /// are greater by the share `slower`.
    fn rounds(&mut self, name: &str, count: usize, noise: f64, slower: f64) -> Group {
        let rounds = (0..count).map(|round| {
            let common = self.normal();
            let values = METRICS.map(|name| {
                let factor = (noise * (common + self.normal()) / 2f64.sqrt()).exp();
                let slower = if name.starts_with("response") {
                    1.0 + slower
                } else {
                    1.0
                };
                (metric(name), 1000.0 * factor * slower)
            });
            Round::made(name, round as f64, &values)
        });
        Group::of(name, rounds.collect())
    }
}

fn all() -> Vec<Metric> {
    METRICS.map(metric).into()
}

fn compared(first: Group, second: Group) -> Comparison {
    compare(vec![first, second], None, &all(), &[])
}

#[test]
fn a_thing_compared_with_itself_shows_no_difference_in_94_of_100_cases() {
    for rounds in [6, 10] {
        let cases = 400;
        let mut noise = Noise(SplitMix(rounds as u64));
        let false_findings = (0..cases).filter(|_| {
            let (a, b) = (
                noise.rounds("a", rounds, 0.03, 0.0),
                noise.rounds("b", rounds, 0.03, 0.0),
            );
            compared(a, b).compared.iter().any(|c| c.verdict.differs())
        });
        let wrong = false_findings.count();
        assert!(
            wrong * 100 <= cases * 6,
            "{rounds} rounds: {wrong} of {cases}"
        );
    }
}

#[test]
fn five_percent_are_found_with_ten_rounds_and_their_interval_has_the_truth() {
    let cases = 200;
    let mut noise = Noise(SplitMix(5));
    let (mut found, mut within, mut elsewhere) = (0, 0, 0);
    for _ in 0..cases {
        let (a, b) = (
            noise.rounds("a", 10, 0.02, 0.0),
            noise.rounds("b", 10, 0.02, 0.05),
        );
        let result = compared(a, b);
        let p99 = result
            .compared
            .iter()
            .find(|c| c.metric == metric("response.p99"))
            .unwrap();
        found += usize::from(p99.verdict == Verdict::Worse);
        let (low, high) = p99.size.unwrap().shift().interval.unwrap();
        within += usize::from(low <= 0.05 && 0.05 <= high);
        let others = result
            .compared
            .iter()
            .filter(|c| !c.metric.to_string().starts_with("response"));
        elsewhere += usize::from(others.clone().any(|c| c.verdict.differs()));
    }
    assert!(found * 100 >= cases * 90, "{found} of {cases}");
    assert!(within * 100 >= cases * 92, "{within} of {cases}");
    assert!(elsewhere * 100 <= cases * 6, "{elsewhere} of {cases}");
}

#[test]
fn few_rounds_tell_nothing_and_say_how_many_would() {
    let mut noise = Noise(SplitMix(1));
    let of = |noise: &mut Noise, rounds, metrics: &[&str]| {
        let groups = vec![
            noise.rounds("a", rounds, 0.001, 0.0),
            noise.rounds("b", rounds, 0.001, 1.0),
        ];
        let metrics: Vec<Metric> = metrics.iter().map(|name| metric(name)).collect();
        compare(groups, None, &metrics, &[])
    };
    // Twice as slow, and one round each.
    let single = of(&mut noise, 1, &METRICS);
    assert!(
        single
            .compared
            .iter()
            .all(|c| c.verdict == Verdict::TooFewRounds)
    );
    assert_eq!(single.headline(1), "Too few rounds to tell b from a");
    assert!(
        single
            .notes
            .iter()
            .any(|note| note.contains("at least 6 rounds of either")),
        "{:?}",
        single.notes
    );
    // What is the same in all rounds does not make it a comparison.
    let with_failures = |name: &str, p99: f64| {
        let values = [(metric("response.p99"), p99), (metric("failed"), 0.0)];
        Group::of(name, vec![Round::made(name, 0.0, &values)])
    };
    let groups = vec![with_failures("a", 1.0), with_failures("b", 2.0)];
    let failures = compare(
        groups,
        None,
        &[metric("failed"), metric("response.p99")],
        &[],
    );
    assert_eq!(failures.headline(1), "Too few rounds to tell b from a");
    let three = of(&mut noise, 3, &["response.p99"]);
    assert_eq!(three.compared[0].verdict, Verdict::TooFewRounds);
    assert_eq!(
        three.compared[0].sentence(three.tests),
        "too few rounds to tell: at least 4 each"
    );
    let four = of(&mut noise, 4, &["response.p99"]);
    assert_eq!(four.compared[0].verdict, Verdict::Worse);
    assert_eq!(four.headline(1), "b against a: worse in response.p99");
}

/// Rounds with these values of one metric.
fn group(name: &str, of: &str, values: &[f64]) -> Group {
    let rounds = values.iter().enumerate();
    let rounds = rounds.map(|(n, value)| Round::made(name, n as f64, &[(metric(of), *value)]));
    Group::of(name, rounds.collect())
}

#[test]
fn a_difference_within_the_floor_is_none() {
    let of = |values: &[f64]| group("x", "response.p50", values);
    let first = of(&[100.0, 101.0, 102.0, 103.0]);
    let second = of(&[110.0, 111.0, 112.0, 113.0]);
    for (floor, verdict) in [
        (None, Verdict::Worse),
        (Some(of(&[102.0, 103.0, 104.0, 105.0])), Verdict::Worse),
        // A difference in either direction.
        (
            Some(of(&[109.0, 110.0, 111.0, 112.0])),
            Verdict::WithinFloor,
        ),
        (Some(of(&[90.0, 91.0, 92.0, 93.0])), Verdict::WithinFloor),
    ] {
        let groups = vec![first.clone(), second.clone()];
        let found = compare(groups, floor.as_ref(), &[metric("response.p50")], &[]);
        assert_eq!(found.compared[0].verdict, verdict, "{floor:?}");
    }
}

#[test]
fn counts_with_zeros_are_compared_in_their_unit() {
    let none = group("a", "failed", &[0.0; 10]);
    let some = group(
        "b",
        "failed",
        &[3.0, 4.0, 5.0, 3.0, 4.0, 6.0, 5.0, 4.0, 3.0, 4.0],
    );
    let found = compare(vec![none.clone(), some], None, &[metric("failed")], &[]);
    assert_eq!(found.compared[0].verdict, Verdict::Worse);
    assert_eq!(found.compared[0].sentence(1), "4 more (3 to 5)");
    let same = compare(vec![none.clone(), none], None, &[metric("failed")], &[]);
    assert_eq!((same.compared[0].verdict, same.tests), (Verdict::Same, 0));
    assert_eq!(same.headline(1), "No difference shown between a and a");
}

#[test]
fn a_condition_fails_on_a_shown_difference_beyond_its_bound_and_on_what_cannot_be_told() {
    let first = group("a", "response.p99", &[100.0, 101.0, 102.0, 103.0]);
    let slower = group("b", "response.p99", &[110.0, 111.0, 112.0, 113.0]);
    let same = group("c", "response.p99", &[100.5, 101.5, 99.0, 104.0]);
    let few = group("d", "response.p99", &[110.0, 111.0]);
    for (second, condition, judged) in [
        (&slower, "p99>+5%", Judged::Failed),
        (&slower, "response.p99>+5%", Judged::Failed),
        (&slower, "p99>+15%", Judged::Passed),
        (&slower, "p99<-5%", Judged::Passed),
        (&same, "p99>+0%", Judged::Passed),
        (&few, "p99>+5%", Judged::Unknown),
        (&slower, "connect.p99>+5%", Judged::Unknown),
    ] {
        let conditions = [condition.parse().unwrap()];
        let groups = vec![first.clone(), second.clone()];
        let found = compare(groups, None, &[metric("response.p99")], &conditions);
        assert_eq!(found.judged[0].2, judged, "{condition}");
        assert_eq!(found.is_failed(), judged != Judged::Passed, "{condition}");
    }
}

#[test]
fn what_machines_differ_in_is_told_and_what_was_not_recorded_is_not() {
    let with = |name: &str, settings: &[(&str, &str)]| {
        let mut group = group(name, "failed", &[1.0, 2.0]);
        for round in &mut group.rounds {
            let settings = settings
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            round.environment = settings.collect();
        }
        group
    };
    let first = with(
        "a",
        &[
            ("kernel", "6.18"),
            ("cores", "2"),
            ("governor", "performance"),
        ],
    );
    let second = with("b", &[("kernel", "6.19"), ("cores", "2")]);
    let found = compare(vec![first, second], None, &[metric("failed")], &[]);
    let [kernel] = &found.differing[..] else {
        panic!("{:?}", found.differing);
    };
    assert_eq!(kernel.name, "kernel");
    assert_eq!(kernel.values, [["6.18"], ["6.19"]]);
}

#[test]
fn rounds_that_mislead_are_noted() {
    let mut first = group("a", "failed", &[1.0, 2.0, 3.0]);
    let mut second = group("b", "failed", &[1.0, 2.0, 3.0]);
    for round in &mut second.rounds {
        round.started_unix_s += 100.0;
        round.stolen = Some(0.031);
    }
    first.rounds[1].shortfall = Some("9 of 10 connections".into());
    let mut left_out = second.rounds.clone();
    left_out[0].interrupted = true;
    let second = Group::of("b", left_out);
    let found = compare(vec![first.clone(), second], None, &[metric("failed")], &[]);
    for part in [
        "not interleaved",
        "a: 1 of 3 rounds fell short of what was asked: 9 of 10 connections",
        "b: 1 interrupted round left out: b",
        "gave 3.1 % of the CPU time",
    ] {
        assert!(
            found.notes.iter().any(|note| note.contains(part)),
            "{part}: {:?}",
            found.notes
        );
    }
    assert_eq!(first.repeated(), None);
    first.rounds.push(first.rounds[0].clone());
    assert_eq!(first.repeated(), Some(("a", "a")));
    let twice = compare(vec![first.clone(), first], None, &[metric("failed")], &[]);
    assert!(
        twice.notes.iter().any(|note| note.contains("in common")),
        "{:?}",
        twice.notes
    );
}

#[test]
fn a_history_says_where_a_metric_stepped() {
    let mut noise = Noise(SplitMix(3));
    let points = (0..30).rev().map(|n| {
        let level = if n < 18 { 100.0 } else { 112.0 };
        let value = level * (1.0 + 0.01 * noise.normal());
        let values = [
            (metric("response.p99"), value),
            (metric("answers/s"), 5000.0 + value % 1.0),
        ];
        let known = if n == 4 { &values[1..] } else { &values[..] };
        Group::of(
            format!("commit{n}"),
            vec![Round::made("r", f64::from(n), known)],
        )
    });
    let metrics = [metric("response.p99"), metric("answers/s")];
    let found = history(points.collect(), &metrics, &Default::default());
    assert_eq!(found.points[0].name, "commit0");
    assert_eq!(found.series[0].values[4], None);
    let [step] = &found.series[0].steps[..] else {
        panic!("{:?}", found.series[0].steps);
    };
    assert_eq!((step.point, step.verdict), (18, Verdict::Worse));
    assert_eq!(found.points[step.point].name, "commit18");
    assert!((step.change.change() - 0.12).abs() < 0.02);
    assert_eq!(found.series[1].steps, []);
}

#[test]
fn a_step_needs_six_points_that_have_the_metric_and_two_on_either_side() {
    let p99 = metric("response.p99");
    let told = |values: &[Option<f64>]| -> Vec<usize> {
        let points = values.iter().enumerate().map(|(n, value)| {
            let known: Vec<_> = value.iter().map(|v| (p99.clone(), *v)).collect();
            Group::of(format!("p{n}"), vec![Round::made("r", n as f64, &known)])
        });
        let metrics = [p99.clone()];
        let found = history(points.collect(), &metrics, &Default::default());
        let steps = found.series[0].steps.iter();
        steps.map(|step| step.point).collect()
    };
    let known = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    let mut gaps = known(&[1.0, 1.01, 1.0, 9.0, 9.01]);
    gaps.extend([None; 5]);
    for (values, steps) in [
        (known(&[1.0, 1.0, 9.0]), &[][..]),
        (known(&[1.0, 1.01, 9.0, 9.01]), &[]),
        (gaps, &[]),
        (known(&[1.0, 1.01, 1.0, 9.0, 9.01, 9.0]), &[3]),
        (known(&[1.0, 1.01, 1.0, 1.01, 1.0, 1.01, 9.0]), &[]),
        (known(&[9.0, 1.01, 1.0, 1.01, 1.0, 1.01, 1.0]), &[]),
    ] {
        assert_eq!(told(&values), steps, "{values:?}");
    }
}

#[test]
fn a_history_tells_what_it_leaves_out_and_which_points_fell_short() {
    let peak = metric("peak");
    let round = |n: usize| Round::made(&format!("p{n}.json"), n as f64, &[(peak.clone(), 5.0)]);
    let mut rounds: Vec<Round> = (0..4).map(round).collect();
    rounds[1].interrupted = true;
    rounds[2].shortfall = Some("4 of 5 connections".into());
    let points = |rounds: &[Round]| -> Vec<Group> {
        let each = rounds.iter().enumerate();
        each.map(|(n, round)| Group::of(format!("p{n}"), vec![round.clone()]))
            .collect()
    };
    let of = |rounds: &[Round]| history(points(rounds), &[metric("peak")], &Default::default());
    let found = of(&rounds);
    assert_eq!(found.points.len(), 3);
    assert_eq!(
        found.notes,
        [
            "1 interrupted round left out: p1.json",
            "1 of 3 points fell short of what was asked: p2: 4 of 5 connections"
        ]
    );
    rounds[3].shortfall = Some("late".into());
    assert_eq!(
        of(&rounds).notes[1],
        "2 of 3 points fell short of what was asked: p2, p3; p2: 4 of 5 connections"
    );
    // What was interrupted does not keep a metric from being usual.
    let failed = metric("failed");
    let mut rounds = vec![Round::made("a", 0.0, &[(failed.clone(), 0.0)]), round(1)];
    rounds[1].interrupted = true;
    assert_eq!(usual(&points(&rounds)), [failed]);
    assert_eq!(usual(&points(&rounds[1..])), []);
}

#[test]
fn groups_know_a_run_that_they_have_in_common() {
    let one = group("a", "failed", &[0.0, 1.0]);
    let other = group("b", "failed", &[0.0, 1.0]);
    let mixed = Group::of("c", vec![other.rounds[0].clone(), one.rounds[1].clone()]);
    assert_eq!(one.in_common(&other), None);
    assert_eq!(mixed.in_common(&one), Some("a"));
    assert_eq!(one.in_common(&one), Some("a"));
}

#[test]
fn rounds_that_lack_the_metric_do_not_count() {
    let mut few = group("a", "response.p99", &[1.0, 2.0]);
    few.rounds.push(Round::made("a", 9.0, &[]));
    let many = group("b", "response.p99", &[5.0, 6.0, 7.0, 8.0]);
    let found = compare(vec![few, many], None, &[metric("response.p99")], &[]);
    assert_eq!(
        found.compared[0].sentence(found.tests),
        "too few rounds to tell: it is known in 2 of 3 and in 4 of 4; at least 4 each"
    );
}
