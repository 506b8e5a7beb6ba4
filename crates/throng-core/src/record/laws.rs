//! The laws of merging, and what a record knows of instants.

use super::*;
use crate::engine::Engine;
use crate::stats::{Closed, Counters, Measured, Tally};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Seconds that each source of the tests recorded.
const SECONDS: u32 = 16;

fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

/// The counts of a source, `second` seconds after its run began: each has its own.
fn counts(source: u32, second: u32) -> Tally {
    let counters = Counters::default();
    let established = second * (source + 1);
    counters.attempted.add(established.into());
    counters.established.add(established.into());
    counters.closed(Closed::ByPeer, (established / 3).into());
    counters.read()
}

fn about(source: u32) -> About {
    About {
        tool: "throng".into(),
        agent: None,
        machine: None,
        start: None,
        command: Vec::new(),
        started_unix_s: 1e9 + f64::from(source) * 0.5,
        kernel: "6.18".into(),
        cores: 2,
        engine: Engine::Uring,
        why_epoll: None,
        workers: 2,
        asked: Asked {
            connections: Some(100),
            ..Asked::default()
        },
        environment: Environment::default(),
    }
}

fn base_interval(source: u32, second: u32) -> Interval {
    let (before, now) = (counts(source, second), counts(source, second + 1));
    let mut measured = Measured::default();
    let took = Duration::from_micros((1000 * source + second).into());
    measured.service.record(took);
    Interval {
        first: second,
        width: 1,
        from: seconds(second),
        to: seconds(second + 1),
        phase: Phase::Holding,
        opened: Some(Reading::of(&now.since(&before), &now)),
        accepted: None,
        histograms: interval::packed(&measured, crate::stats::PackedDurations::coarse),
    }
}

/// The interval of a source that stands for `width` seconds from `first` on.
fn interval(source: u32, first: u32, width: u32) -> Interval {
    let mut wide = base_interval(source, first);
    for second in first + 1..first + width {
        wide.join(base_interval(source, second), width);
    }
    wide.width = width;
    wide
}

fn ending(source: u32) -> Ending {
    Ending {
        over: Mark {
            at: seconds(SECONDS),
            opened: counts(source, SECONDS),
            ..Mark::default()
        },
        peak: counts(source, SECONDS).open(),
        ..Ending::default()
    }
}

/// All intervals that any record of the tests may have, by source: those of 1, 2, 4 … 16 seconds.
static INTERVALS: LazyLock<Vec<Vec<Interval>>> = LazyLock::new(|| {
    let of = |source| {
        let widths = (0..=4).map(|power| 1 << power);
        widths
            .flat_map(move |w| (0..SECONDS / w).map(move |n| interval(source, n * w, w)))
            .collect()
    };
    (0..3).map(of).collect()
});

fn part(source: u32, chosen: &[usize], ended: bool) -> Part {
    let all = &INTERVALS[source as usize];
    let mut intervals = Intervals::default();
    for at in chosen {
        intervals.add(all[at % all.len()].clone()).unwrap();
    }
    Part {
        about: about(source),
        intervals,
        ending: ended.then(|| Box::new(ending(source))),
    }
}

/// A record of some sources, each with some of its intervals, as after agents were lost.
fn records() -> BoxedStrategy<Record> {
    let left = (prop::collection::vec(0usize..31, 0..8), any::<bool>());
    prop::collection::btree_map(0u32..3, left, 0..3)
        .prop_map(|sources| Record {
            version: VERSION,
            sources: sources
                .into_iter()
                .map(|(source, (chosen, ended))| {
                    let name = Source::new(format!("s{source}"));
                    (name, part(source, &chosen, ended))
                })
                .collect(),
        })
        .boxed()
}

fn merge(a: &Record, b: &Record) -> Record {
    a.clone().merge(b.clone()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_merging_is_irrelevant(a in records(), b in records()) {
        prop_assert_eq!(merge(&a, &b), merge(&b, &a));
    }

    #[test]
    fn the_grouping_of_merging_is_irrelevant(a in records(), b in records(), c in records()) {
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
    }

    #[test]
    fn what_comes_twice_counts_once(a in records(), b in records()) {
        prop_assert_eq!(&merge(&a, &a), &a);
        let both = merge(&a, &b);
        prop_assert_eq!(&merge(&both, &a), &both);
        prop_assert_eq!(&merge(&both, &b), &both);
    }

    #[test]
    fn no_second_of_a_source_is_counted_twice(all in prop::collection::vec(records(), 1..6)) {
        let merged = all.iter().fold(
            Record { version: VERSION, sources: BTreeMap::new() },
            |all, one| merge(&all, one),
        );
        for (number, (_, part)) in (0..3).filter_map(|n| {
            Some((n, merged.sources.get_key_value(&Source::new(format!("s{n}")))?))
        }) {
            let mut covered = Vec::new();
            for interval in part.intervals.iter() {
                covered.extend(interval.base());
                let counted = interval.opened.unwrap().counts;
                let (first, last) = interval.base().into_inner();
                let truth = counts(number, last + 1).since(&counts(number, first));
                prop_assert_eq!(counted, truth);
                prop_assert_eq!(interval.measured("service").count(), u64::from(interval.width));
            }
            prop_assert!(covered.windows(2).all(|pair| pair[0] < pair[1]), "{covered:?}");
        }
    }

    #[test]
    fn a_record_survives_json(a in records()) {
        let json = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), a);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_long_run_keeps_few_intervals_that_add_up(
        lengths in prop::collection::vec(prop_oneof![9 => 200u64..1_200, 1 => 1_000u64..5_000], 0..4_000),
    ) {
        let mut recorder = Recorder::default();
        let counters = Counters::default();
        let (mut at, mut before) = (Duration::ZERO, Tally::default());
        // Packing a histogram takes a millisecond without optimization.
        let measures = |piece: usize| piece.is_multiple_of(64);
        for (piece, ms) in lengths.iter().enumerate() {
            counters.established.add(*ms);
            let (from, now) = (at, counters.read());
            at += Duration::from_millis(*ms);
            let mut measured = Measured::default();
            if measures(piece) {
                measured.connect.record(Duration::from_millis(*ms));
            }
            let reading = Reading::of(&now.since(&before), &now);
            recorder.add(from, at, Phase::Serving, None, Some(reading), measured);
            before = now;
        }
        let (intervals, measured) = recorder.finish();
        prop_assert!(intervals.len() <= MAX_INTERVALS + 1, "{}", intervals.len());
        let total: u64 = intervals.iter().map(|i| i.accepted.unwrap().counts.established).sum();
        prop_assert_eq!(total, lengths.iter().sum::<u64>());
        let recorded = (0..lengths.len()).filter(|piece| measures(*piece)).count() as u64;
        prop_assert_eq!(measured.connect.count(), recorded);
        let in_intervals: u64 = intervals.iter().map(|i| i.measured("connect").count()).sum();
        prop_assert_eq!(in_intervals, recorded);
        let ends: Vec<_> = intervals.iter().map(|i| (i.from, i.to)).collect();
        prop_assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0));
    }
}

#[test]
fn records_that_contradict_each_other_are_refused() {
    let of = |part| Record::of(Source::new("s0"), part);
    let one = of(part(0, &[0, 1], true));
    let refused = |change: &dyn Fn(&mut Part)| {
        let mut other = part(0, &[0, 1], true);
        change(&mut other);
        one.clone().merge(of(other)).unwrap_err().to_string()
    };
    let text = refused(&|p| p.about.cores = 3);
    assert!(
        text.contains("s0: two different runs have its name"),
        "{text}"
    );
    let text = refused(&|p| p.ending.as_mut().unwrap().peak += 1);
    assert!(text.contains("two different ways"), "{text}");
    let text = refused(&|p| {
        let mut first = base_interval(0, 0);
        first.phase = Phase::Opening;
        p.intervals = Intervals::try_from(vec![first]).unwrap();
    });
    assert!(text.contains("two different intervals 0"), "{text}");
    let mut other = one.clone();
    other.version = 1;
    assert_eq!(one.merge(other).unwrap_err(), MergeError::Version(1));
}

#[test]
fn malformed_intervals_are_refused() {
    for (first, width) in [(1, 2), (0, 3), (0, 0), (u32::MAX, 2)] {
        let malformed = Interval {
            first,
            width,
            ..base_interval(0, 0)
        };
        let refused = Intervals::try_from(vec![malformed]).unwrap_err();
        assert_eq!(refused, IntervalsError::Malformed { first, width });
    }
}

/// A run of one source that opens 100 connections at once and holds them from `from` to `to` seconds after it began.
fn held(started_unix_s: f64, from: f64, to: f64) -> Part {
    let counters = Counters::default();
    counters.established.add(100);
    let mark = |at| Mark {
        at: Duration::from_secs_f64(at),
        opened: counters.read(),
        ..Mark::default()
    };
    Part {
        about: About {
            started_unix_s,
            ..about(0)
        },
        intervals: Intervals::default(),
        ending: Some(Box::new(Ending {
            opened: Some(mark(from)),
            held: Some(mark(to)),
            over: mark(to),
            peak: 100,
            ..Ending::default()
        })),
    }
}

#[test]
fn peaks_at_different_times_are_not_held_at_once() {
    let together = |parts: Vec<Part>| {
        let sources = parts.into_iter().enumerate();
        most_at_once(&Record {
            version: VERSION,
            sources: sources
                .map(|(n, part)| (Source::new(format!("{n}")), part))
                .collect(),
        })
    };
    assert_eq!(together(vec![held(1000.0, 1.0, 2.0)]), 100);
    assert_eq!(
        together(vec![held(1000.0, 1.0, 2.0), held(1000.5, 1.0, 2.0)]),
        200
    );
    assert_eq!(
        together(vec![held(1000.0, 1.0, 2.0), held(1001.0, 1.0, 2.0)]),
        100
    );
    let three = vec![
        held(1000.0, 1.0, 4.0),
        held(1000.0, 3.0, 6.0),
        held(1000.0, 4.5, 6.0),
    ];
    assert_eq!(together(three), 200);
    assert_eq!(together(Vec::new()), 0);
}

#[test]
fn connections_that_were_lost_within_an_interval_are_not_held_through_it() {
    let mut with_loss = held(1000.0, 0.5, 2.5);
    let counters = Counters::default();
    counters.established.add(100);
    counters.closed(Closed::ByPeer, 40);
    let sixty = counters.read();
    counters.established.add(40);
    let hundred = counters.read();
    let mut lost = base_interval(0, 0);
    lost.to = Duration::from_secs(2);
    lost.opened = Some(Reading {
        open_least: sixty.open(),
        ..Reading::of(&hundred, &hundred)
    });
    with_loss.intervals = Intervals::try_from(vec![lost]).unwrap();
    let record = Record::of(Source::new("a"), with_loss);
    let other = Record::of(Source::new("b"), held(1000.0, 0.5, 1.9));
    assert_eq!(most_at_once(&record.merge(other).unwrap()), 160);
}

#[test]
fn a_lost_source_held_what_it_had_at_the_end_of_its_last_interval() {
    let lost = |to_s: f64| {
        let counters = Counters::default();
        counters.established.add(100);
        let all = counters.read();
        let mut first = base_interval(0, 0);
        first.to = Duration::from_secs_f64(to_s);
        first.opened = Some(Reading::of(&all, &all));
        Part {
            intervals: Intervals::try_from(vec![first]).unwrap(),
            ending: None,
            ..held(1000.0, 0.0, 0.0)
        }
    };
    let together = |parts: Vec<Part>| {
        let records = parts.into_iter().enumerate();
        let records = records.map(|(n, part)| Record::of(Source::new(format!("{n}")), part));
        most_at_once(&records.reduce(|a, b| a.merge(b).unwrap()).unwrap())
    };
    let whole = || held(1000.0, 0.2, 4.0);
    assert_eq!(together(vec![lost(1.0), whole(), whole()]), 300);
    assert_eq!(together(vec![lost(1.0), lost(1.004), whole()]), 300);
    // Those that were opened afterwards were not there together with them.
    assert_eq!(together(vec![lost(1.0), held(1000.0, 1.2, 4.0)]), 100);
    // Nothing was heard of it.
    let unheard = Part {
        intervals: Intervals::default(),
        ..lost(1.0)
    };
    assert_eq!(together(vec![unheard, whole(), whole()]), 200);
}

#[test]
fn a_lost_source_says_what_its_intervals_say() {
    let lost = part(0, &[0, 1, 2, 3], false);
    assert_eq!(lost.opened(), counts(0, 4));
    assert_eq!(lost.over(), seconds(4));
    assert_eq!(lost.peak(), counts(0, 4).open());
    let mut measured = Measured::default();
    lost.add_measured_to(&mut measured);
    assert_eq!(measured.service.count(), 4);
}
