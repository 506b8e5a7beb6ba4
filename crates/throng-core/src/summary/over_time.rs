//! The run second by second.

use super::stretch::{Stretch, stretches};
use crate::record::Record;
use crate::stats::FailCause;
use serde::{Deserialize, Serialize};

/// An interval of the run: a second, or more of a long one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// End of the interval, in seconds since the run began.
    pub at_s: f64,
    /// Connections open then.
    pub open: u64,
    /// Connections established in it, per second.
    pub established_per_s: f64,
    /// Attempts that failed in it, per second.
    pub failed_per_s: f64,
    /// Messages sent in it, per second (server: reads).
    pub messages_per_s: f64,
    /// Bytes sent in it, per second.
    pub sent_per_s: f64,
    /// Bytes received in it, per second.
    pub received_per_s: f64,
    /// Median latency of messages in it, microseconds; `None` if none was measured.
    pub latency_p50_us: Option<f64>,
    /// Their 99th percentile.
    pub latency_p99_us: Option<f64>,
    /// The longest.
    pub latency_max_us: Option<f64>,
}

/// The run in `record`, stretch by stretch.
pub(super) fn of(record: &Record) -> Vec<Sample> {
    stretches(record).iter().map(sample).collect()
}

fn sample(stretch: &Stretch) -> Sample {
    let per_s = |amount: f64| stretch.per_s(amount);
    let counted = |name: &str| per_s(stretch.counted(name));
    let failed = FailCause::ALL.map(|cause| stretch.counted(&format!("failed.{}", cause.name())));
    let latencies = ["response", "service", "marked"].into_iter();
    let mut latencies = latencies.map(|name| stretch.durations(name));
    let latency = latencies.find(|d| d.count() > 0).unwrap_or_default();
    let at = |percent| Some(latency.percentile(percent)?.as_nanos() as f64 / 1e3);
    Sample {
        at_s: stretch.to_s,
        open: stretch.open,
        established_per_s: per_s(stretch.counted("established") + stretch.counted("accepted")),
        failed_per_s: per_s(failed.iter().sum()),
        messages_per_s: per_s(stretch.messages),
        sent_per_s: counted("bytes_sent"),
        received_per_s: counted("bytes_received"),
        latency_p50_us: at(50.0),
        latency_p99_us: at(99.0),
        latency_max_us: at(100.0),
    }
}
