//! Metrics in Prometheus' text format, version 0.0.4 (`--prometheus`), under the names that its conventions demand: the
//! prefix `throng_`, base units, `_total` at the end of counters. `protobuf.rs` has the format with native histograms.

pub mod protobuf;

use std::fmt::Write;
use throng_core::metrics::{Buckets, Kind, Metric, Point, Unit, Value};

/// The Content-Type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics as text.
pub fn text(metrics: &[Metric]) -> String {
    let mut out = String::with_capacity(16 * 1024);
    for metric in metrics {
        // Writing to a string never fails.
        let _ = write_metric(metric, &mut out);
    }
    out
}

/// The name of a metric.
pub fn name(metric: &Metric) -> String {
    let unit = match metric.unit {
        Unit::None => "",
        Unit::Seconds => "_seconds",
        Unit::Bytes => "_bytes",
    };
    let end = match metric.kind {
        Kind::Counter => "_total",
        Kind::Gauge | Kind::Histogram => "",
    };
    format!("throng_{}{unit}{end}", metric.name)
}

fn write_metric(metric: &Metric, out: &mut String) -> std::fmt::Result {
    let name = name(metric);
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
    for point in &metric.points {
        match &point.value {
            Value::Whole(n) => writeln!(out, "{name}{} {n}", labels(point, None))?,
            Value::Real(n) => writeln!(out, "{name}{} {n}", labels(point, None))?,
            Value::Distribution(buckets) => write_buckets(&name, point, buckets, out)?,
        }
    }
    Ok(())
}

/// A bucket has all values up to its bound, so those of the buckets below it, too.
fn write_buckets(
    name: &str,
    point: &Point,
    buckets: &Buckets,
    out: &mut String,
) -> std::fmt::Result {
    let mut below = 0;
    let bounds = Buckets::bounds().map(|bound| bound.to_string());
    for (bound, n) in bounds.chain(["+Inf".to_owned()]).zip(buckets.counts()) {
        below += n;
        writeln!(out, "{name}_bucket{} {below}", labels(point, Some(&bound)))?;
    }
    let labels = labels(point, None);
    writeln!(out, "{name}_sum{labels} {}", buckets.sum_s())?;
    writeln!(out, "{name}_count{labels} {}", buckets.count())
}

/// The labels of a value, and the bound of its bucket.
fn labels(point: &Point, bound: Option<&str>) -> String {
    let given = point.labels.iter().map(|(name, value)| {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    let all: Vec<String> = given
        .chain(bound.map(|le| format!("le=\"{le}\"")))
        .collect();
    match all.as_slice() {
        [] => String::new(),
        all => format!("{{{}}}", all.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use throng_core::stats::Durations;

    #[test]
    fn a_metric_is_its_help_its_type_and_a_line_for_each_value() {
        let metric = Metric {
            name: "sent".into(),
            help: "Bytes with a \\ in them.".into(),
            kind: Kind::Counter,
            unit: Unit::Bytes,
            points: vec![
                Point {
                    labels: vec![("side", "opened".into()), ("cause", "a \"b\"\n\\".into())],
                    value: Value::Whole(u64::MAX),
                },
                Point {
                    labels: Vec::new(),
                    value: Value::Real(0.25),
                },
            ],
        };
        assert_eq!(
            text(&[metric]),
            "# HELP throng_sent_bytes_total Bytes with a \\\\ in them.\n\
             # TYPE throng_sent_bytes_total counter\n\
             throng_sent_bytes_total{side=\"opened\",cause=\"a \\\"b\\\"\\n\\\\\"} 18446744073709551615\n\
             throng_sent_bytes_total 0.25\n"
        );
    }

    #[test]
    fn the_buckets_of_a_histogram_are_cumulative() {
        let mut durations = Durations::default();
        durations.record_many(Duration::from_micros(20), 3);
        durations.record(Duration::from_secs(60));
        let mut buckets = Buckets::default();
        buckets.add(&durations);
        let metric = Metric {
            name: "connect".into(),
            help: "It.".into(),
            kind: Kind::Histogram,
            unit: Unit::Seconds,
            points: vec![Point {
                labels: Vec::new(),
                value: Value::Distribution(buckets),
            }],
        };
        let text = text(&[metric]);
        for line in [
            "throng_connect_seconds_bucket{le=\"0.00001\"} 0",
            "throng_connect_seconds_bucket{le=\"0.000025\"} 3",
            "throng_connect_seconds_bucket{le=\"10\"} 3",
            "throng_connect_seconds_bucket{le=\"+Inf\"} 4",
            "throng_connect_seconds_count 4",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
    }
}
