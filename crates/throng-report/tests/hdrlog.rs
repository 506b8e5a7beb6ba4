//! The interval log as others read it: hdrhistogram's own reader, and that of hdr-histogram-js (npm's, which
//! scripts/test installs), a port of Java's HistogramLogReader.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use throng_core::stats::{Durations, Measured};
use throng_report::hdrlog::LatencyLog;

/// 2025-10-09, with a fraction that milliseconds show.
const STARTED: f64 = 1_760_000_000.25;

fn durations(us: impl Iterator<Item = u64>) -> Durations {
    let mut all = Durations::default();
    us.for_each(|us| all.record(Duration::from_micros(us)));
    all
}

// Numbers of values of which no percentile falls between two: there readers round differently.
/// What a second of a run may have measured; the first has no response times, the third nothing at all.
fn intervals() -> Vec<Measured> {
    vec![
        Measured {
            connect: durations((1..=1009).map(|n| n * 3)),
            handshake: durations(std::iter::once(1)),
            ..Measured::default()
        },
        Measured {
            response: durations((1..=20_011).map(|n| n * n / 100)),
            service: durations((1..=20_011).map(|n| n / 2)),
            lateness: durations(std::iter::repeat_n(0, 500)),
            marked: durations([7_200_000_000].into_iter()),
            first_byte: durations([1, 3_599_000_000].into_iter()),
            ..Measured::default()
        },
        Measured::default(),
        Measured {
            response: durations(5..6),
            ..Measured::default()
        },
    ]
}

/// The lines in the order in which they are to be: the interval's number, the tag, what was measured.
fn expected(all: &[Measured]) -> Vec<(usize, &'static str, &Durations)> {
    let (opening, steady, last) = (&all[0], &all[1], &all[3]);
    vec![
        (0, "handshake", &opening.handshake),
        (0, "connect", &opening.connect),
        (1, "response", &steady.response),
        (1, "service", &steady.service),
        (1, "lateness", &steady.lateness),
        (1, "marked", &steady.marked),
        (1, "first_byte", &steady.first_byte),
        (3, "response", &last.response),
    ]
}

const LENGTH: Duration = Duration::from_millis(1001);

fn write(path: &Path, all: &[Measured]) {
    let mut log = LatencyLog::create(path, STARTED).unwrap();
    for (n, measured) in all.iter().enumerate() {
        log.interval(LENGTH * n as u32, LENGTH, measured).unwrap();
    }
    log.finish().unwrap();
}

#[test]
fn an_interval_log_is_read_back_to_the_last_count() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.hlog");
    let all = intervals();
    write(&path, &all);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("#["));
    assert_eq!(lines.next().unwrap(), "#[Histogram log format version 1.3]");
    let mut seen = Vec::new();
    let started = Duration::from_millis(1_760_000_000_250);
    let mut times = 0;
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        match entry.expect("it can be parsed") {
            LogEntry::StartTime(at) | LogEntry::BaseTime(at) => {
                assert_eq!(at, started);
                times += 1;
            }
            LogEntry::Interval(interval) => {
                let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
                let histogram: Histogram<u64> =
                    Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
                assert_eq!(interval.duration(), LENGTH);
                assert_eq!(interval.max(), (histogram.max() as f64 / 1e3).round() / 1e3);
                let tag = interval.tag().unwrap().as_str().to_owned();
                seen.push((interval.start_timestamp(), tag, histogram));
            }
        }
    }
    assert_eq!(times, 2);
    let expected = expected(&all);
    assert_eq!(seen.len(), expected.len());
    for ((start, tag, histogram), (n, wanted, durations)) in seen.iter().zip(expected) {
        assert_eq!((*start, tag.as_str()), (LENGTH * n as u32, wanted));
        let counts = |h: &Histogram<u64>| {
            let recorded = h.iter_recorded();
            let counts = recorded.map(|v| (v.value_iterated_to(), v.count_at_value()));
            counts.collect::<Vec<_>>()
        };
        let wanted = counts(durations.recorded().unwrap());
        assert_eq!(counts(histogram), wanted, "{tag}");
    }
}

/// An interval as the foreign reader has it: instants in milliseconds since 1970, values in nanoseconds.
#[derive(Deserialize)]
struct Foreign {
    tag: String,
    start_ms: f64,
    end_ms: f64,
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

const READER: &str = r#"
const { HistogramLogReader } = require(process.argv[1]);
const reader = new HistogramLogReader(require("fs").readFileSync(process.argv[2], "utf8"), 64);
const all = [];
for (let h; (h = reader.nextIntervalHistogram()); ) {
    const at = (p) => h.getValueAtPercentile(p);
    all.push({
        tag: h.tag, start_ms: h.startTimeStampMsec, end_ms: h.endTimeStampMsec, count: h.totalCount,
        // Not maxValue: it adds the finest difference (32 ns) to the value's own.
        p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100),
    });
}
console.log(JSON.stringify(all));
"#;

#[test]
fn a_foreign_reader_finds_the_same_intervals_and_percentiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let library = root.join("target/npm/hdr-histogram-js/node_modules/hdr-histogram-js");
    assert!(
        library.exists(),
        "{} is missing: run scripts/test, which installs it",
        library.display()
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.hlog");
    let all = intervals();
    write(&path, &all);
    let out = Command::new("node")
        .args(["-e", READER])
        .args([library, path])
        .output()
        .expect("node starts; run scripts/test");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{errors}");
    let seen: Vec<Foreign> = serde_json::from_slice(&out.stdout).expect("it prints JSON");
    let expected = expected(&all);
    assert_eq!(seen.len(), expected.len());
    for (foreign, (n, tag, durations)) in seen.iter().zip(expected) {
        let start = (STARTED + LENGTH.as_secs_f64() * n as f64) * 1e3;
        assert_eq!(foreign.tag, tag);
        assert!(
            (foreign.start_ms - start).abs() < 0.6,
            "{}",
            foreign.start_ms
        );
        let end = start + LENGTH.as_secs_f64() * 1e3;
        assert!((foreign.end_ms - end).abs() < 0.6, "{}", foreign.end_ms);
        assert_eq!(foreign.count, durations.count(), "{tag}");
        let ours = |p| durations.percentile(p).unwrap().as_nanos() as u64;
        for (theirs, p) in [
            (foreign.p50, 50.0),
            (foreign.p90, 90.0),
            (foreign.p99, 99.0),
            (foreign.p999, 99.9),
            (foreign.max, 100.0),
        ] {
            assert_eq!(theirs, ours(p), "{tag} p{p}");
        }
    }
}
