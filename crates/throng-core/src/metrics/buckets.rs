//! Durations in a few buckets, as metrics have them.

use super::exponential::{self, Exponential};
use crate::stats::Durations;

/// The upper bounds of the buckets, in nanoseconds: from what a loopback takes to what nobody waits for.
const BOUNDS_NS: [u64; 19] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Durations in buckets. A duration near a bound may be in the bucket beside its own, by the precision of the histogram
/// that it comes from (0.1 %, or 32 ns).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// How many durations are in each bucket; the last one has those above all bounds.
    counts: [u64; BOUNDS_NS.len() + 1],
    sum_s: f64,
    exponential: Exponential,
}

impl Buckets {
    /// Adds `durations`.
    pub fn add(&mut self, durations: &Durations) {
        for (ns, n) in exponential::values(durations) {
            self.exponential.add(ns, n);
            self.counts[BOUNDS_NS.partition_point(|bound| *bound < ns)] += n;
            self.sum_s += ns as f64 * n as f64 / 1e9;
        }
    }

    /// The upper bound of each bucket but the last, in seconds.
    pub fn bounds() -> impl Iterator<Item = f64> {
        BOUNDS_NS.iter().map(|ns| *ns as f64 / 1e9)
    }

    /// How many durations are in each bucket; the last one has no bound.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The same durations in buckets whose bounds need no choice.
    pub fn exponential(&self) -> &Exponential {
        &self.exponential
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, in seconds.
    pub fn sum_s(&self) -> f64 {
        self.sum_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_duration_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut buckets = Buckets::default();
        let mut durations = Durations::default();
        for (us, n) in [(1, 2), (20, 3), (9_000, 4), (11_000_000, 5)] {
            durations.record_many(Duration::from_micros(us), n);
        }
        buckets.add(&durations);
        buckets.add(&Durations::default());
        buckets.add(&durations);
        let filled: Vec<(Option<f64>, u64)> = Buckets::bounds()
            .map(Some)
            .chain([None])
            .zip(buckets.counts().iter().copied())
            .filter(|(_, n)| *n > 0)
            .collect();
        assert_eq!(
            filled,
            [
                (Some(0.000_01), 4),
                (Some(0.000_025), 6),
                (Some(0.01), 8),
                (None, 10)
            ]
        );
        assert_eq!(buckets.count(), 28);
        let sum = 2.0 * (2.0 * 1e-6 + 3.0 * 20e-6 + 4.0 * 9e-3 + 5.0 * 11.0);
        assert!(
            (buckets.sum_s() / sum - 1.0).abs() < 0.001,
            "{}",
            buckets.sum_s()
        );
    }
}
