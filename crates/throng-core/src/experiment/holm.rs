//! Several tests at once: by chance, one of twenty finds a difference at 5 % where there is none.

use super::rank_sum::least;

/// The probabilities `p` of several tests, adjusted so that the chance of any false finding among them is as small as that of
/// one (Holm, A simple sequentially rejective multiple test procedure, 1979). It holds however the tests depend on each
/// other.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut so_far = 0.0f64;
    for (rank, at) in order.into_iter().enumerate() {
        so_far = so_far.max(p[at] * (p.len() - rank) as f64).min(1.0);
        adjusted[at] = so_far;
    }
    adjusted
}

/// The fewest rounds of two things each, with which the least p of the Mann–Whitney U test is `error / tests` or less: with
/// fewer, not even rounds that do not overlap at all show a difference.
pub fn least_rounds(tests: usize, error: f64) -> usize {
    let enough = |rounds: &usize| least(*rounds, *rounds) * tests.max(1) as f64 <= error;
    (1..40).find(enough).unwrap_or(40)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn adjusted_probabilities_are_those_of_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[]), [0.0; 0]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn more_tests_need_more_rounds() {
        for (tests, rounds) in [(1, 4), (2, 5), (6, 5), (7, 6), (12, 6), (23, 6), (24, 7)] {
            assert_eq!(least_rounds(tests, 0.05), rounds, "{tests}");
        }
    }

    proptest! {
        #[test]
        fn adjusting_keeps_the_order_and_makes_nothing_surer(
            p in prop::collection::vec(0.0..1.0f64, 1..20)
        ) {
            let adjusted = holm(&p);
            for (a, b) in p.iter().zip(&adjusted) {
                prop_assert!(b >= a && *b <= 1.0 && *b <= a * p.len() as f64 + 1.0);
            }
            for (i, j) in (0..p.len()).zip(1..p.len()) {
                if p[i] < p[j] {
                    prop_assert!(adjusted[i] <= adjusted[j]);
                }
            }
        }
    }
}
