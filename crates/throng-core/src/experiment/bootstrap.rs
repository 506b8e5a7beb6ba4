//! The bootstrap (Efron 1979): what a statistic would have been, had chance drawn other ones of the values that there are.

use super::centre::quantile;
use crate::split_mix::SplitMix;

/// Resamples of `items`, each as many of them, drawn with replacement. Equal seeds give equal ones.
pub fn resampled<T: Clone>(items: &[T], seed: u64) -> impl Iterator<Item = Vec<T>> {
    let mut random = SplitMix(seed);
    let draw = move || {
        // The upper half of a product of 64-bit numbers: below the length, with a bias below 2⁻⁵⁰.
        let mut below = |n: usize| ((u128::from(random.next()) * n as u128) >> 64) as usize;
        let drawn = items.iter().map(|_| items[below(items.len())].clone());
        drawn.collect::<Vec<T>>()
    };
    std::iter::repeat_with(draw)
}

/// The interval that `statistic` of resamples falls into with probability `confidence` (0 to 1): the percentile method, over
/// `resamples` of them (1,000 are usual). Those of which there is no statistic are left out. `None` if less than half have one.
pub fn interval<T: Clone>(
    items: &[T],
    statistic: impl Fn(&[T]) -> Option<f64>,
    confidence: f64,
    resamples: usize,
    seed: u64,
) -> Option<(f64, f64)> {
    let all = resampled(items, seed).take(resamples);
    let found: Vec<f64> = all.filter_map(|sample| statistic(&sample)).collect();
    if found.len() * 2 < resamples {
        return None;
    }
    within(&found, confidence)
}

/// The middle of `found` that has the share `confidence` of it.
pub(super) fn within(found: &[f64], confidence: f64) -> Option<(f64, f64)> {
    let outside = (1.0 - confidence) / 2.0;
    Some((quantile(found, outside)?, quantile(found, 1.0 - outside)?))
}

#[cfg(test)]
mod tests {
    use super::super::centre::{mean, median};
    use super::*;

    #[test]
    fn equal_seeds_give_equal_intervals_and_others_nearly_the_same() {
        let values: Vec<f64> = (0..40).map(|n| f64::from(n * n % 37)).collect();
        let of = |seed| interval(&values, median, 0.95, 1000, seed).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!((of(1).0 - of(2).0).abs() < 3.0, "{:?} {:?}", of(1), of(2));
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_its_standard_error() {
        // The mean of 0, 1, ..., 99 is 49.5, its standard error 28.87 / 10.
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let (low, high) = interval(&values, mean, 0.95, 4000, 3).unwrap();
        for (found, expected) in [(low, 49.5 - 5.66), (high, 49.5 + 5.66)] {
            assert!((found - expected).abs() < 0.4, "{low} {high}");
        }
    }

    #[test]
    fn where_most_resamples_have_no_statistic_there_is_no_interval() {
        let values = [1.0, 2.0, 3.0];
        let rare = |sample: &[f64]| (sample == [1.0, 2.0, 3.0]).then_some(1.0);
        assert_eq!(interval(&values, rare, 0.95, 200, 1), None);
    }
}
