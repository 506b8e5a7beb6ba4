//! Metrics in Prometheus' protobuf format, which has native histograms: a `MetricFamily` of io.prometheus.client (metrics.proto of
//! its client_model) for each metric, each after its length.

use super::name;
use throng_core::metrics::{Buckets, Kind, Metric, Point, SCALE, Value};

/// The Content-Type of the format.
pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Up to this, values count as 0: what Prometheus' own clients have. A threshold above 0 says that the histogram is a native one,
/// also while it is empty.
const ZERO_THRESHOLD: f64 = 2.938735877055719e-39;

/// Whether a client that sends this `Accept` field wants this format rather than text.
pub fn is_wanted(accept: &str) -> bool {
    let mut best = (0.0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|p| p.split_once('=')).collect();
        let value = |name: &str| {
            let mut all = parameters.iter();
            let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim_matches('"'))
        };
        let quality: f64 = value("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
        match media.as_str() {
            "application/vnd.google.protobuf"
                if value("proto") == Some("io.prometheus.client.MetricFamily")
                    && value("encoding") == Some("delimited") =>
            {
                best.0 = f64::max(best.0, quality);
            }
            "text/plain" | "text/*" | "*/*" => best.1 = f64::max(best.1, quality),
            _ => {}
        }
    }
    best.0 > 0.0 && best.0 >= best.1
}

/// The metrics in this format.
pub fn families(metrics: &[Metric]) -> Vec<u8> {
    let mut out = Message::default();
    for metric in metrics {
        let family = family(metric);
        out.varint(family.0.len() as u64);
        out.0.extend(family.0);
    }
    out.0
}

/// `MetricFamily`.
fn family(metric: &Metric) -> Message {
    let mut family = Message::default();
    family.text(1, &name(metric));
    family.text(2, &metric.help);
    family.number(
        3,
        match metric.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        },
    );
    for point in &metric.points {
        family.message(4, &of_point(metric.kind, point));
    }
    family
}

/// `Metric`.
fn of_point(kind: Kind, point: &Point) -> Message {
    let mut metric = Message::default();
    for (label, value) in &point.labels {
        let mut pair = Message::default();
        pair.text(1, label);
        pair.text(2, value);
        metric.message(1, &pair);
    }
    let field = match kind {
        Kind::Gauge => 2,
        Kind::Counter => 3,
        Kind::Histogram => 7,
    };
    metric.message(
        field,
        &match &point.value {
            Value::Whole(n) => of_number(*n as f64),
            Value::Real(n) => of_number(*n),
            Value::Distribution(buckets) => of_buckets(buckets),
        },
    );
    metric
}

/// `Gauge` or `Counter`.
fn of_number(n: f64) -> Message {
    let mut value = Message::default();
    value.double(1, n);
    value
}

/// `Histogram`, with classic buckets for servers that want these.
fn of_buckets(buckets: &Buckets) -> Message {
    let mut histogram = Message::default();
    histogram.number(1, buckets.count());
    histogram.double(2, buckets.sum_s());
    let mut below = 0;
    for (bound, n) in Buckets::bounds().zip(buckets.counts()) {
        below += n;
        let mut bucket = Message::default();
        bucket.number(1, below);
        bucket.double(2, bound);
        histogram.message(3, &bucket);
    }
    let exponential = buckets.exponential();
    histogram.signed(5, SCALE.into());
    histogram.double(6, ZERO_THRESHOLD);
    histogram.number(7, exponential.zero());
    // A span begins so many buckets after the end of the one before, and counts are differences.
    let (mut end, mut last) = (0, 0);
    let mut deltas = Message::default();
    for (first, counts) in exponential.runs() {
        let mut span = Message::default();
        span.signed(1, i64::from(first - end));
        span.number(2, counts.len() as u64);
        histogram.message(12, &span);
        for count in &counts {
            deltas.varint(zigzag(*count as i64 - last));
            last = *count as i64;
        }
        end = first + counts.len() as i32;
    }
    if !deltas.0.is_empty() {
        histogram.message(13, &deltas);
    }
    histogram
}

/// A message as it is written so far (https://protobuf.dev/programming-guides/encoding).
#[derive(Default)]
struct Message(Vec<u8>);

/// Wire types.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    fn number(&mut self, field: u64, n: u64) {
        self.key(field, VARINT);
        self.varint(n);
    }

    fn signed(&mut self, field: u64, n: i64) {
        self.number(field, zigzag(n));
    }

    fn double(&mut self, field: u64, n: f64) {
        self.key(field, FIXED_64);
        self.0.extend(n.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }
}

/// Small numbers of either sign as small numbers.
fn zigzag(n: i64) -> u64 {
    (n << 1 ^ n >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use throng_core::metrics::Unit;
    use throng_core::stats::Durations;

    #[test]
    fn the_format_is_for_those_who_ask_for_it_first() {
        const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, wanted) in [
            // Prometheus 2.42 with and without native histograms.
            (
                format!("{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1".into(),
                false,
            ),
            (PROTOBUF.into(), true),
            (format!("{PROTOBUF};q=0.3, text/plain;q=0.5"), false),
            (format!("{PROTOBUF};q=0, text/plain;q=0"), false),
            (PROTOBUF.replace("delimited", "text"), false),
            (PROTOBUF.replace("MetricFamily", "Other"), false),
            ("*/*".into(), false),
            (String::new(), false),
        ] {
            assert_eq!(is_wanted(&accept), wanted, "{accept}");
        }
    }

    #[test]
    fn a_message_has_the_bytes_that_the_encoding_demands() {
        let mut message = Message::default();
        message.number(1, 150);
        message.signed(2, -2);
        message.text(3, "hi");
        message.double(4, 1.0);
        assert_eq!(
            message.0,
            [
                &[0x08, 0x96, 0x01, 0x10, 0x03, 0x1a, 2, b'h', b'i', 0x21][..],
                &1f64.to_le_bytes()
            ]
            .concat()
        );
    }

    #[test]
    fn buckets_are_spans_and_differences() {
        let mut durations = Durations::default();
        // 1 s is the upper bound of bucket 0: what is a little longer is in the next one.
        durations.record_many(Duration::from_millis(1010), 5);
        durations.record_many(Duration::from_millis(1030), 2);
        durations.record_many(Duration::from_millis(2010), 3);
        let mut buckets = Buckets::default();
        buckets.add(&durations);
        let message = of_buckets(&buckets);
        // Two buckets from 1 on, then after 30 that are empty one more; 5, then 3 less, then 1 more.
        let end = [
            &[12 << 3 | 2, 4, 0x08, 2, 0x10, 2][..],
            &[12 << 3 | 2, 4, 0x08, 60, 0x10, 1],
            &[13 << 3 | 2, 3, 10, 5, 2],
        ];
        let end = end.concat();
        assert!(message.0.ends_with(&end), "{:?}", message.0);
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
        let all = families(std::slice::from_ref(&metric));
        assert!(all.ends_with(&end));
        // Its length comes first: more than 127, so in two bytes.
        let length = usize::from(all[0] & 0x7f) | usize::from(all[1]) << 7;
        assert_eq!(all.len(), length + 2);
    }
}
