//! Metrics as OpenTelemetry's protocol has them (`--otlp`): the JSON form of an `ExportMetricsServiceRequest` of OTLP 1.
//!
//! opentelemetry-proto defines the messages. In JSON, 64-bit integers are strings.

use serde_json::{Value as Json, json};
use throng_core::metrics::{Kind, Metric, Point, SCALE, Unit, Value};

/// The Content-Type of the form.
pub const CONTENT_TYPE: &str = "application/json";

/// What the metrics are of, and when they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Attributes of the resource, such as `service.name`.
    pub attributes: Vec<(&'static str, String)>,
    /// throng's version.
    pub version: &'static str,
    /// When the run began, in nanoseconds since 1970.
    pub started_unix_ns: u64,
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: values are since the run began.
const CUMULATIVE: u8 = 2;

/// The request that exports `metrics`, read at `now_unix_ns` (nanoseconds since 1970).
pub fn request(metrics: &[Metric], source: &Source, now_unix_ns: u64) -> Vec<u8> {
    let times = Times {
        started: source.started_unix_ns.to_string(),
        now: now_unix_ns.to_string(),
    };
    let attributes = source.attributes.iter();
    let attributes: Vec<Json> = attributes
        .map(|(key, value)| attribute(key, value))
        .collect();
    let metrics: Vec<Json> = metrics.iter().map(|metric| times.metric(metric)).collect();
    let request = json!({
        "resourceMetrics": [{
            "resource": { "attributes": attributes },
            "scopeMetrics": [{
                "scope": { "name": "throng", "version": source.version },
                "metrics": metrics,
            }],
        }],
    });
    request.to_string().into_bytes()
}

/// The name of a metric.
pub fn name(metric: &Metric) -> String {
    format!("throng.{}", metric.name)
}

/// From when and to when values are.
struct Times {
    started: String,
    now: String,
}

impl Times {
    fn metric(&self, metric: &Metric) -> Json {
        let points: Vec<Json> = metric.points.iter().map(|p| self.point(p)).collect();
        let mut json = json!({ "name": name(metric), "description": metric.help });
        json["unit"] = match metric.unit {
            Unit::None => "".into(),
            Unit::Seconds => "s".into(),
            Unit::Bytes => "By".into(),
        };
        let (kind, data) = match metric.kind {
            Kind::Gauge => ("gauge", json!({ "dataPoints": points })),
            Kind::Counter => (
                "sum",
                json!({
                    "dataPoints": points,
                    "aggregationTemporality": CUMULATIVE,
                    "isMonotonic": true,
                }),
            ),
            Kind::Histogram => (
                "exponentialHistogram",
                json!({ "dataPoints": points, "aggregationTemporality": CUMULATIVE }),
            ),
        };
        json[kind] = data;
        json
    }

    fn point(&self, point: &Point) -> Json {
        let labels = point.labels.iter();
        let attributes: Vec<Json> = labels.map(|(key, value)| attribute(key, value)).collect();
        let mut json = json!({
            "attributes": attributes,
            "startTimeUnixNano": self.started,
            "timeUnixNano": self.now,
        });
        match &point.value {
            Value::Whole(n) => {
                json["asInt"] = i64::try_from(*n).unwrap_or(i64::MAX).to_string().into()
            }
            Value::Real(n) => json["asDouble"] = (*n).into(),
            Value::Distribution(buckets) => {
                let exponential = buckets.exponential();
                json["count"] = buckets.count().to_string().into();
                json["sum"] = buckets.sum_s().into();
                json["scale"] = SCALE.into();
                json["zeroCount"] = exponential.zero().to_string().into();
                if let Some((first, counts)) = exponential.dense() {
                    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
                    // An index here is that of the lower bound.
                    json["positive"] = json!({ "offset": first - 1, "bucketCounts": counts });
                }
            }
        }
        json
    }
}

fn attribute(key: &str, value: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": value } })
}
