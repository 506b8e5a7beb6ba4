//! How latencies were distributed: counts between round bounds, for people and for scripts that draw.

use crate::stats::{Durations, Measured};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The distribution of the latencies of messages, or else of pings, over the whole run. Those without an answer are not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Which latency.
    pub of: HistogramOf,
    /// From the shortest latency to the longest. Each bin begins where the one before it ends; empty bins in between are
    /// present.
    pub bins: Vec<Bin>,
}

/// A latency of messages that [`Latency`](super::Latency) has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistogramOf {
    /// Response time.
    Response,
    /// Service time.
    Service,
    /// Age of message markers.
    Marked,
    /// From a ping to its pong.
    Pong,
}

/// The latencies between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The upper bound, included, in microseconds: 1, 2 or 5 times a power of ten. The lower one is the upper bound of the
    /// bin before; of the first bin, it is the next smaller such number.
    pub to_us: f64,
    /// How many.
    pub count: u64,
}

impl Histogram {
    /// The histogram of the latency that a user would notice first; `None` if no latency of messages was measured. `paced`
    /// says that messages were due at times.
    pub(super) fn of(measured: &Measured, paced: bool) -> Option<Histogram> {
        [
            (HistogramOf::Response, &measured.response, paced),
            (HistogramOf::Service, &measured.service, true),
            (HistogramOf::Marked, &measured.marked, true),
            (HistogramOf::Pong, &measured.pong, true),
        ]
        .into_iter()
        .find(|(_, durations, has)| *has && durations.count() > 0)
        .map(|(of, durations, _)| Histogram {
            of,
            bins: bins(durations),
        })
    }
}

/// `durations` between round bounds.
fn bins(durations: &Durations) -> Vec<Bin> {
    let mut bins: Vec<Bin> = Vec::new();
    let mut bounds = bounds();
    for (value, count) in durations.values() {
        while bins.last().is_none_or(|bin| bin.to_us < us(value)) {
            let Some(to) = bounds.next() else { break };
            // Bins before the first value are left out.
            if !bins.is_empty() || to >= value {
                bins.push(Bin {
                    to_us: us(to),
                    count: 0,
                });
            }
        }
        if let Some(bin) = bins.last_mut() {
            bin.count += count;
        }
    }
    bins
}

/// 1, 2 and 5 times each power of ten, from 100 ns to far beyond the longest duration that is recorded.
fn bounds() -> impl Iterator<Item = Duration> {
    let decades = (2..14).map(|power| 10_u64.pow(power));
    decades
        .flat_map(|decade| [decade, 2 * decade, 5 * decade])
        .map(Duration::from_nanos)
}

fn us(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ms: &[u64]) -> Vec<(f64, u64)> {
        let mut durations = Durations::default();
        for ms in ms {
            durations.record(Duration::from_millis(*ms));
        }
        let bins = bins(&durations).into_iter();
        bins.map(|bin| (bin.to_us, bin.count)).collect()
    }

    #[test]
    fn bins_have_round_bounds_and_no_gap() {
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[3]), [(5_000.0, 1)]);
        assert_eq!(
            of(&[3, 4, 4, 30, 60]),
            [
                (5_000.0, 3),
                (10_000.0, 0),
                (20_000.0, 0),
                (50_000.0, 1),
                (100_000.0, 1)
            ]
        );
    }

    #[test]
    fn every_duration_is_in_a_bin() {
        let mut durations = Durations::default();
        for ns in [0, 1, 99, 100, 101, 4_999_999, 5_000_001] {
            durations.record(Duration::from_nanos(ns));
        }
        durations.record(Duration::MAX);
        let bins = bins(&durations);
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), 8);
        assert_eq!(bins[0].to_us, 0.1);
        assert!(bins.windows(2).all(|pair| pair[0].to_us < pair[1].to_us));
        assert_eq!(bins.last().map(|bin| bin.to_us), Some(5e9));
    }

    #[test]
    fn only_messages_that_were_due_have_a_histogram_of_response_times() {
        let mut measured = Measured::default();
        assert_eq!(Histogram::of(&measured, true), None);
        measured.response.record(Duration::from_millis(3));
        measured.service.record(Duration::from_millis(1));
        let of = |paced| Histogram::of(&measured, paced).map(|h| h.of);
        assert_eq!(of(true), Some(HistogramOf::Response));
        assert_eq!(of(false), Some(HistogramOf::Service));
    }
}
