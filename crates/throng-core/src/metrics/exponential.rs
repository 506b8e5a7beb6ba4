//! Durations in exponential buckets, as Prometheus' native histograms and OpenTelemetry's exponential histograms have them: each
//! bound is the same multiple of the one below, so that no range has to be chosen and any quantile has the same relative error.

use crate::stats::Durations;
use std::collections::BTreeMap;

/// The scale of the buckets: bounds are powers of 2^(2^-SCALE), which is 1.022. A quantile that is taken from the buckets is
/// within a bucket of the true one, so off by at most 2.2 %.
pub const SCALE: i32 = 5;

/// Durations in exponential buckets, in seconds. The bucket with index i has those above BASE^(i-1) up to BASE^i, where BASE is
/// 2^(2^-[`SCALE`]); a duration near a bound may be in the bucket beside its own, by the precision of the histogram that it
/// comes from (0.1 %, or 32 ns).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exponential {
    /// How many durations are in each bucket that has any.
    counts: BTreeMap<i32, u64>,
    /// Durations of 0.
    zero: u64,
}

impl Exponential {
    /// Adds `n` durations of `ns` nanoseconds.
    pub(super) fn add(&mut self, ns: u64, n: u64) {
        match ns {
            0 => self.zero += n,
            ns => *self.counts.entry(index(ns)).or_default() += n,
        }
    }

    /// How many durations are 0.
    pub fn zero(&self) -> u64 {
        self.zero
    }

    /// The buckets without gaps: the index of the first one that has any, and how many durations it and each that follows has,
    /// up to the last that has any. `None` if there are none.
    pub fn dense(&self) -> Option<(i32, Vec<u64>)> {
        let (first, last) = (*self.counts.keys().next()?, *self.counts.keys().last()?);
        let count = |index| self.counts.get(&index).copied().unwrap_or(0);
        Some((first, (first..=last).map(count).collect()))
    }

    /// The buckets that have any: runs of such that follow one another, each with the index of its first.
    pub fn runs(&self) -> Vec<(i32, Vec<u64>)> {
        let mut runs: Vec<(i32, Vec<u64>)> = Vec::new();
        for (index, count) in &self.counts {
            match runs.last_mut() {
                Some((first, counts)) if *first + counts.len() as i32 == *index => {
                    counts.push(*count);
                }
                _ => runs.push((*index, vec![*count])),
            }
        }
        runs
    }
}

/// The index of the bucket of `ns` nanoseconds, which are not 0.
fn index(ns: u64) -> i32 {
    let buckets_per_octave = f64::from(1 << SCALE);
    ((ns as f64 / 1e9).log2() * buckets_per_octave).ceil() as i32
}

/// All of `durations`, as nanoseconds in the middle of what the histogram can tell apart, each with its number.
pub(super) fn values(durations: &Durations) -> impl Iterator<Item = (u64, u64)> {
    let recorded = durations.recorded().into_iter();
    recorded.flat_map(|histogram| {
        histogram.iter_recorded().map(move |value| {
            let ns = histogram.median_equivalent(value.value_iterated_to());
            (ns, value.count_at_value())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bound(index: i32) -> f64 {
        2f64.powf(f64::from(index) / f64::from(1 << SCALE))
    }

    #[test]
    fn buckets_that_follow_one_another_are_one_run() {
        let mut all = Exponential::default();
        assert_eq!((all.dense(), all.runs()), (None, vec![]));
        // A second is the upper bound of bucket 0.
        for (ns, n) in [
            (0, 7),
            (1_000_000_000, 2),
            (1_010_000_000, 3),
            (2_000_000_000, 1),
        ] {
            all.add(ns, n);
        }
        assert_eq!(all.zero(), 7);
        assert_eq!(all.runs(), [(0, vec![2, 3]), (32, vec![1])]);
        let (first, counts) = all.dense().unwrap();
        assert_eq!(
            (first, counts.len(), counts.iter().sum::<u64>()),
            (0, 33, 6)
        );
    }

    proptest! {
        #[test]
        fn a_duration_is_within_its_bucket(ns in 1u64..4_000_000_000_000) {
            let seconds = ns as f64 / 1e9;
            let index = index(ns);
            prop_assert!(seconds <= bound(index) * (1.0 + 1e-12));
            prop_assert!(seconds > bound(index - 1) * (1.0 - 1e-12));
            prop_assert!(bound(index) / bound(index - 1) < 1.022);
        }
    }
}
