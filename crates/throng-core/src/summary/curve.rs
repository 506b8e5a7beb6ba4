//! Latencies at ever higher percentiles: the curve that shows a tail.

use super::latency::{percentile, unanswered_pings};
use super::totals::Totals;
use crate::expect::{Latency, latencies};
use crate::record::Record;
use crate::stats::Durations;

/// The parts of a decade at which a curve has points: of what is left above 90 %, 99 %, 99.9 % and so on.
const TAILS: [f64; 8] = [1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.15];

/// A latency over the whole run at ever higher percentiles. Messages without an answer count with their wait, as they do
/// in [`Percentiles`](super::Percentiles).
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Which latency.
    pub of: &'static Latency,
    /// Number of values.
    pub count: u64,
    /// From the least to the greatest percentile.
    pub points: Vec<CurvePoint>,
}

/// A point of a [`Curve`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The share of values above it: 0.01 is the 99th percentile.
    pub tail: f64,
    /// Microseconds.
    pub us: f64,
    /// Whether that is a lower bound, because answers are missing.
    pub at_least: bool,
}

/// The curve of each latency that was measured in `record`, in the order in which `--expect` has them. All have their points
/// at the same percentiles. A curve ends where less than one value is left above: its last point is the maximum.
pub fn curves(record: &Record) -> Vec<Curve> {
    let t = Totals::of(record);
    let pings = unanswered_pings(&t.measured);
    let none = Durations::default();
    let mut all = Vec::new();
    for latency in latencies() {
        let unmeasured = match latency.name {
            "response" => !t.asked.paced,
            "marked" => t.markers_ahead() > 0,
            _ => false,
        };
        let measured = t.measured.named();
        let measured = measured.filter(|(name, _)| *name == latency.name).last();
        let Some((_, measured)) = measured.filter(|_| !unmeasured) else {
            continue;
        };
        let unanswered = match latency.name {
            "response" | "service" => &t.unanswered,
            "pong" => &pings,
            _ => &none,
        };
        let mut values = measured.clone();
        values.merge(unanswered);
        let points: Vec<CurvePoint> = tails(values.count())
            .filter_map(|tail| {
                let (value, at_least) = percentile(&values, unanswered, 100.0 * (1.0 - tail))?;
                Some(CurvePoint {
                    tail,
                    us: value.as_nanos() as f64 / 1e3,
                    at_least,
                })
            })
            .collect();
        if !points.is_empty() {
            all.push(Curve {
                of: latency,
                count: values.count(),
                points,
            });
        }
    }
    all
}

/// The shares above the points of a curve of so many values.
fn tails(count: u64) -> impl Iterator<Item = f64> {
    let decades = (0..=20).map(|decade| 0.1_f64.powi(decade));
    let tails = decades.flat_map(|decade| TAILS.map(|part| part * decade));
    let mut last = false;
    // The first that leaves less than one value above it is the maximum.
    tails.take_while(move |tail| !std::mem::replace(&mut last, tail * (count as f64) < 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_end_with_the_first_above_which_there_is_less_than_one_value() {
        let of = |count| tails(count).collect::<Vec<_>>();
        assert_eq!(of(0), [1.0]);
        assert_eq!(of(1), [1.0, 0.8]);
        assert_eq!(of(3).last(), Some(&0.3));
        let many = of(1_000_000);
        assert!(many.windows(2).all(|pair| pair[0] > pair[1]));
        let [.., before, last] = many[..] else {
            panic!("{many:?}")
        };
        assert!(before * 1e6 >= 1.0 && last * 1e6 < 1.0, "{before} {last}");
    }
}
