//! Van Elteren's test: the rank-sum test over several strata, such as the points of a sweep. Ranks are taken within a stratum, so
//! that strata need not be alike; a difference that is too small to be told in any one of them may be told in all together.

use super::rank_sum::{cumulative, ranks};
use super::special::normal_above;

/// Up to this many pairs of values in all the distribution is computed; beyond, it is as good as normal.
const EXACT_PAIRS: usize = 2500;

/// The result of van Elteren's test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VanElteren {
    /// By how many standard deviations the first samples rank higher than they would by chance.
    pub z: f64,
    /// The two-sided probability of ranks at least as far from chance, if in each stratum both samples are of one distribution.
    pub p: f64,
    /// Whether `p` is exact, not from the normal approximation.
    pub exact: bool,
}

/// A stratum: two samples.
pub type Stratum<'a> = (&'a [f64], &'a [f64]);

/// Tests two samples in each of `strata` together. A stratum of N values in all counts with the weight 1 / (N + 1), which finds a
/// shift that is about the same in all of them best (van Elteren, On the combination of independent two-sample tests of Wilcoxon,
/// 1960). `p` is exact where all strata have as many values in all and none are equal; otherwise it is from the normal
/// distribution, corrected for ties. `None` without strata, or if a sample is empty or a value is not finite.
pub fn van_elteren(strata: &[Stratum]) -> Option<VanElteren> {
    let (mut above, mut variance, mut pairs) = (0.0, 0.0, 0);
    let (mut u, mut ties) = (0.0, 0.0);
    for (first, second) in strata {
        let ranked = ranks(first, second)?;
        let (n, m) = (first.len(), second.len());
        let (of_pairs, count) = ((n * m) as f64, (n + m) as f64);
        let weight = 1.0 / (count + 1.0);
        above += weight * (ranked.u - of_pairs / 2.0);
        let spread = count + 1.0 - ranked.ties / (count * (count - 1.0));
        variance += weight * weight * of_pairs / 12.0 * spread;
        (u, ties, pairs) = (u + ranked.u, ties + ranked.ties, pairs + n * m);
    }
    if strata.is_empty() {
        return None;
    }
    // All values of each stratum are equal where the variance is 0.
    let z = if variance > 0.0 {
        above / variance.sqrt()
    } else {
        0.0
    };
    let size = |(first, second): &Stratum| first.len() + second.len();
    let alike = strata.windows(2).all(|two| size(&two[0]) == size(&two[1]));
    if ties == 0.0 && alike && pairs <= EXACT_PAIRS {
        // With one weight, the statistic is the sum of all U, whose distribution is symmetric.
        let greater = u.max(pairs as f64 - u);
        let at_most: f64 = distribution(strata)[..=pairs - greater as usize]
            .iter()
            .sum();
        return Some(VanElteren {
            z,
            p: (2.0 * at_most).min(1.0),
            exact: true,
        });
    }
    Some(VanElteren {
        z,
        p: (2.0 * normal_above(z.abs())).min(1.0),
        exact: false,
    })
}

/// The probability of each sum of all U.
fn distribution(strata: &[Stratum]) -> Vec<f64> {
    let mut all = vec![1.0];
    for (first, second) in strata {
        let cumulative = cumulative(first.len(), second.len());
        let before = [0.0].iter().chain(&cumulative);
        let own: Vec<f64> = cumulative.iter().zip(before).map(|(p, q)| p - q).collect();
        let mut sums = vec![0.0; all.len() + own.len() - 1];
        for (u, p) in all.iter().enumerate() {
            for (v, q) in own.iter().enumerate() {
                sums[u + v] += p * q;
            }
        }
        all = sums;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::rank_sum::mann_whitney;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn p_is_that_of_a_computation_by_scipy() {
        // Ranks by scipy.stats.rankdata, variances by their formula, scipy.stats.norm.sf; exact ones by convolving the
        // distributions of U that counting all arrangements gives. SciPy 1.17. The e2e
        // tests compute them again, from the results of throng compare.
        for (strata, z, p, exact) in REFERENCE {
            let found = van_elteren(strata).unwrap();
            assert_eq!(found.exact, *exact, "{strata:?}");
            assert!((found.z - z).abs() < 1e-9, "{found:?} and not {z}");
            assert!((found.p - p).abs() < 1e-9 * p, "{found:?} and not {p}");
        }
    }

    /// Strata, and their z and p.
    type Known = (&'static [Stratum<'static>], f64, f64, bool);

    const REFERENCE: &[Known] = &[
        (
            &[
                (
                    &[10.346, 10.822, 10.33, 8.697, 10.905],
                    &[10.263, 11.381, 11.165, 11.094, 10.828],
                ),
                (&[1.2, 1.5, 0.9, 1.1, 1.4], &[1.3, 1.6, 1.7, 1.45, 1.05]),
                (
                    &[100.0, 104.0, 99.0, 97.0, 101.0],
                    &[102.0, 103.0, 105.0, 106.0, 98.0],
                ),
            ],
            -2.3517884877065565,
            0.02019757785536319,
            true,
        ),
        (
            &[
                (&[9.8, 9.5, 10.6], &[12.5, 8.7, 9.6, 11.3]),
                (&[9.7, 9.2, 9.75, 10.1], &[11.7, 13.6, 10.4]),
            ],
            -1.75,
            0.10448979591836735,
            true,
        ),
        (
            &[
                (&[14.0, 11.0, 11.0, 9.0], &[10.0, 11.0, 9.0, 11.0, 12.0]),
                (&[1.0, 1.0, 2.0, 2.0, 3.0], &[2.0, 2.0, 3.0, 3.0, 3.0, 4.0]),
            ],
            -1.1007149822009383,
            0.27102072353168216,
            false,
        ),
        (
            &[
                (&[5.0, 6.0, 7.0], &[8.0, 9.0, 10.0, 11.0]),
                (&[3.0, 1.0, 2.0], &[2.5, 3.5]),
                (&[0.1, 0.4], &[0.2, 0.3, 0.5]),
            ],
            -2.3145502494313788,
            0.020637558243972183,
            false,
        ),
    ];

    #[test]
    fn strata_together_tell_what_none_of_them_tells() {
        let (low, high) = ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]);
        let alone = mann_whitney(&low, &high).unwrap().p;
        let together = van_elteren(&[(&low[..], &high[..]); 4]).unwrap();
        assert!((alone - 0.1).abs() < 1e-12);
        // One arrangement of 20 in each, on either side.
        assert!(
            (together.p - 2.0 / 20f64.powi(4)).abs() < 1e-15,
            "{together:?}"
        );
        assert!(together.z < 0.0 && together.exact);
        // Differences in both directions are no common one.
        let mixed = van_elteren(&[(&low, &high), (&high, &low)]).unwrap();
        assert_eq!((mixed.z, mixed.p), (0.0, 1.0));
    }

    #[test]
    fn nothing_is_no_test() {
        assert_eq!(van_elteren(&[]), None);
        assert_eq!(van_elteren(&[(&[1.0], &[])]), None);
        assert_eq!(van_elteren(&[(&[1.0], &[f64::NAN])]), None);
        let same = van_elteren(&[(&[7.0; 3], &[7.0; 3])]).unwrap();
        assert_eq!((same.z, same.p), (0.0, 1.0));
    }

    proptest! {
        #[test]
        fn one_stratum_of_different_values_is_the_rank_sum_test(
            values in prop::collection::hash_set(-1000i32..1000, 2..16),
            at in 1usize..15,
        ) {
            let all: Vec<f64> = values.into_iter().map(f64::from).collect();
            let (a, b) = all.split_at(at.min(all.len() - 1));
            let one = van_elteren(&[(a, b)]).unwrap();
            let same = mann_whitney(a, b).unwrap();
            prop_assert!((one.p - same.p).abs() < 1e-9);
            let back = van_elteren(&[(b, a)]).unwrap();
            prop_assert!((one.p - back.p).abs() < 1e-9 && (one.z + back.z).abs() < 1e-9);
        }
    }
}
