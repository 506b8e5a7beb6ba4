//! A run in stretches of time, and its latencies by percentile.

use super::*;

/// Ten connections as in [`ten`], of which three were established in the first second, and each message took 2 ms.
fn recorded(started_unix_s: f64) -> Part {
    let mut part = ten();
    part.about.started_unix_s = started_unix_s;
    let mut recorder = Recorder::default();
    let second = Duration::from_secs(1);
    let before = counts(|c| {
        c.established.add(3);
        c.failed(FailCause::Refused);
    });
    let now = counts(|c| {
        c.established.add(10);
        c.messages_sent.add(40);
        c.failed(FailCause::Refused);
    });
    for (n, then, now) in [(0, Tally::default(), before), (1, before, now)] {
        let mut measured = Measured::default();
        measured.service.record(Duration::from_millis(2));
        let reading = Some(Reading::of(&now.since(&then), &now));
        recorder.add(
            second * n,
            second * (n + 1),
            Phase::Holding,
            reading,
            None,
            measured,
        );
    }
    part.intervals = recorder.finish().0;
    part
}

#[test]
fn a_stretch_has_the_counts_and_measurements_of_its_interval() {
    let record = Record::of(Source::new("a"), recorded(1000.0));
    let run = stretches(&record);
    let at: Vec<(f64, f64, u64)> = run.iter().map(|s| (s.from_s, s.to_s, s.open)).collect();
    assert_eq!(at, [(0.0, 1.0, 3), (1.0, 2.0, 10)]);
    let counted = |name: &str| run.iter().map(|s| s.counted(name)).collect::<Vec<_>>();
    assert_eq!(counted("established"), [3.0, 7.0]);
    assert_eq!(counted("failed.refused"), [1.0, 0.0]);
    assert_eq!(counted("messages_sent"), [0.0, 40.0]);
    assert_eq!(run[0].durations("service").count(), 1);
    assert_eq!(run[0].durations("response").count(), 0);
    let over_time = of(&record).over_time;
    let told: Vec<_> = over_time
        .iter()
        .map(|s| (s.established_per_s, s.failed_per_s, s.messages_per_s))
        .collect();
    assert_eq!(told, [(3.0, 1.0, 0.0), (7.0, 0.0, 40.0)]);
    assert_eq!(super::super::held(&record), Some((1.0, 3.0)));
    // At the ends of intervals, and when the hold ended.
    let open = open_at(&record, &run);
    assert_eq!(open, [(0.0, 0), (1.0, 3), (2.0, 10), (3.0, 10)]);
}

#[test]
fn sources_that_began_half_a_second_apart_share_their_stretches() {
    let one = Record::of(Source::new("a"), recorded(1000.0));
    let both = one.merge(Record::of(Source::new("b"), recorded(1000.5)));
    let record = both.unwrap();
    let run = stretches(&record);
    let established: Vec<f64> = run.iter().map(|s| s.counted("established")).collect();
    assert_eq!(established, [3.0 + 1.5, 7.0 + 1.5 + 3.5, 3.5]);
    let measured: u64 = run.iter().map(|s| s.durations("service").count()).sum();
    assert_eq!(measured, 4);
    assert_eq!(super::super::held(&record), Some((1.5, 3.0)));
}

#[test]
fn a_curve_agrees_with_the_percentiles_and_ends_with_the_maximum() {
    let mut part = ten();
    let mut measured = Measured::default();
    for us in 1..=1000 {
        measured.service.record(Duration::from_micros(us));
    }
    let mut ending = part.ending.take().unwrap();
    ending.histograms = Ending::pack(&measured);
    part.ending = Some(ending);
    let record = Record::of(Source::new("a"), part);
    let summary = of(&record);
    let service = summary.latency.service.unwrap();
    let curves = curves(&record);
    let [curve] = &curves[..] else {
        panic!("{curves:?}")
    };
    assert_eq!((curve.of.name, curve.count), ("service", 1000));
    let at = |tail: f64| {
        let mut points = curve.points.iter();
        let point = points.find(|p| (p.tail - tail).abs() < 1e-9).unwrap();
        (point.us, point.at_least)
    };
    assert_eq!(at(0.5), (service.p50_us, false));
    assert_eq!(at(0.01), (service.p99_us, false));
    let last = curve.points.last().unwrap();
    assert_eq!(last.us, service.max_us);
}
