//! The Mann–Whitney U test (Wilcoxon's rank-sum test): whether one of two samples tends to have the greater values.

use super::special::normal_above;

/// Up to this many pairs of values the distribution of U is computed; beyond, it is as good as normal.
const EXACT_PAIRS: usize = 2500;

/// The result of a Mann–Whitney U test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankSum {
    /// U of the first sample: pairs in which its value is the greater one; equal ones count half.
    pub u: f64,
    /// The two-sided probability of a U at least as far from its mean, if both samples are of one distribution.
    pub p: f64,
    /// Whether `p` is exact, not from the normal approximation.
    pub exact: bool,
}

/// Tests two samples. `p` is exact for samples without equal values, up to fifty each. Otherwise it is from the normal
/// distribution, corrected for ties and for continuity. (SciPy's `mannwhitneyu` has the same as `method='exact'` and
/// `'asymptotic'`.) `None` if a sample is empty or a value is not finite.
pub fn mann_whitney(first: &[f64], second: &[f64]) -> Option<RankSum> {
    let (n, m) = (first.len(), second.len());
    let Ranks { u, ties } = ranks(first, second)?;
    let pairs = (n * m) as f64;
    let greater = u.max(pairs - u);
    if ties == 0.0 && n * m <= EXACT_PAIRS {
        // The distribution is symmetric: P(U >= greater) = P(U <= pairs - greater).
        let at_most = cumulative(n, m)[n * m - greater as usize];
        return Some(RankSum {
            u,
            p: (2.0 * at_most).min(1.0),
            exact: true,
        });
    }
    let count = (n + m) as f64;
    let variance = pairs / 12.0 * (count + 1.0 - ties / (count * (count - 1.0)));
    let z = (greater - pairs / 2.0 - 0.5) / variance.sqrt();
    Some(RankSum {
        u,
        // All values are equal where the variance is 0.
        p: if variance > 0.0 {
            (2.0 * normal_above(z)).min(1.0)
        } else {
            1.0
        },
        exact: false,
    })
}

/// What the ranks of two samples among all their values say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranks {
    /// U of the first sample.
    pub u: f64,
    /// Σ t³ - t over the numbers t of equal values.
    pub ties: f64,
}

/// The ranks of two samples; `None` if one is empty or a value is not finite.
pub(super) fn ranks(first: &[f64], second: &[f64]) -> Option<Ranks> {
    let (n, m) = (first.len(), second.len());
    if n == 0 || m == 0 || !first.iter().chain(second).all(|v| v.is_finite()) {
        return None;
    }
    let mut all: Vec<(f64, bool)> = first.iter().map(|v| (*v, true)).collect();
    all.extend(second.iter().map(|v| (*v, false)));
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // The sum of the first sample's ranks, where equal values share the mean of theirs.
    let (mut ranks, mut ties, mut below) = (0.0, 0.0, 0);
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let count = equal.len() as f64;
        let of_first = equal.iter().filter(|v| v.1).count() as f64;
        ranks += of_first * (below as f64 + (count + 1.0) / 2.0);
        ties += count * count * count - count;
        below += equal.len();
    }
    Some(Ranks {
        u: ranks - (n * (n + 1)) as f64 / 2.0,
        ties,
    })
}

/// The least p that samples of `n` and `m` values can have: that of samples that do not overlap.
pub(super) fn least(n: usize, m: usize) -> f64 {
    // One arrangement of (n + m)! / (n! m!), on either side.
    (1..=n)
        .fold(2.0, |p, i| p * i as f64 / (m + i) as f64)
        .min(1.0)
}

/// P(U ≤ u) for each u from 0 to `n * m`, for samples of `n` and `m` different values of one distribution.
///
/// The greatest of i + j values is of the first sample with probability i / (i + j), and then it exceeds all j of the
/// second; so the distribution for (i, j) follows from those for (i - 1, j) and (i, j - 1). Nothing is subtracted, so
/// nothing is lost to rounding.
pub(super) fn cumulative(n: usize, m: usize) -> Vec<f64> {
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        // With no value in the second sample, U is 0.
        let mut next = vec![vec![1.0]];
        for j in 1..=m {
            let (of_first, of_second) = (i as f64 / (i + j) as f64, j as f64 / (i + j) as f64);
            let mut p = vec![0.0; i * j + 1];
            for (u, above) in row[j].iter().enumerate() {
                p[u + j] += of_first * above;
            }
            for (u, above) in next[j - 1].iter().enumerate() {
                p[u] += of_second * above;
            }
            next.push(p);
        }
        row = next;
    }
    let mut sum = 0.0;
    let last = row.pop().unwrap_or_default();
    let running = last.into_iter().map(|p| {
        sum += p;
        sum
    });
    running.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_distribution_of_u_is_that_of_all_arrangements() {
        // C(4, 2) = 6 arrangements of two and two values: U is 0, 1, 2, 2, 3, 4.
        let expected = [1.0, 2.0, 4.0, 5.0, 6.0].map(|n| n / 6.0);
        for (found, expected) in cumulative(2, 2).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15);
        }
        for (n, m, p) in [
            (1, 1, 1.0),
            (3, 3, 0.1),
            (4, 4, 2.0 / 70.0),
            (2, 8, 2.0 / 45.0),
        ] {
            assert!((least(n, m) - p).abs() < 1e-12, "{n} {m}");
        }
        let large = cumulative(50, 50);
        assert!((large[2500] - 1.0).abs() < 1e-12 && large[0] > 0.0);
    }

    #[test]
    fn p_is_that_of_scipy() {
        // scipy.stats.mannwhitneyu(a, b), method='exact' or 'asymptotic', SciPy 1.17.
        for (a, b, u, p, exact) in [
            (
                &[1.5, 2.5, 3.5][..],
                &[4.0, 5.0, 6.0, 7.0][..],
                0.0,
                0.05714285714285714,
                true,
            ),
            (
                &[10.346, 10.822, 10.33, 8.697, 10.905, 10.446],
                &[10.263, 11.381, 11.165, 11.094, 10.828, 11.347, 10.064],
                11.0,
                0.18065268065268064,
                true,
            ),
            (
                &[
                    9.837, 9.518, 10.599, 10.04, 9.708, 9.218, 9.743, 10.008, 9.724, 11.294,
                ],
                &[
                    12.507, 8.789, 9.611, 11.325, 11.078, 11.714, 11.717, 13.618, 10.388, 11.122,
                ],
                22.0,
                0.035462989023360536,
                true,
            ),
            (
                &[14.0, 11.0, 11.0, 9.0, 7.0, 10.0, 10.0, 8.0],
                &[10.0, 11.0, 9.0, 11.0, 11.0, 11.0, 10.0, 12.0, 13.0],
                23.5,
                0.23456116434918528,
                false,
            ),
            (
                &[1.0, 1.0, 2.0, 2.0, 3.0],
                &[2.0, 2.0, 3.0, 3.0, 3.0, 4.0],
                5.5,
                0.08404320025728729,
                false,
            ),
            (
                &[5.0, 5.0, 5.0, 5.0],
                &[5.0, 5.0, 5.0, 6.0],
                6.0,
                0.4532547047537364,
                false,
            ),
        ] {
            let found = mann_whitney(a, b).unwrap();
            assert_eq!((found.u, found.exact), (u, exact), "{a:?} {b:?}");
            assert!((found.p - p).abs() < 1e-12 * p, "{found:?} and not {p}");
        }
    }

    #[test]
    fn the_permeability_of_membranes_as_in_hollander_and_wolfe() {
        // Nonparametric Statistical Methods, 1973, 69f; R's wilcox.test gives W = 35, p = 0.1272 (one-sided).
        let at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let earlier = [1.15, 0.88, 0.90, 0.74, 1.21];
        let found = mann_whitney(&at_term, &earlier).unwrap();
        assert_eq!(found.u, 35.0);
        assert!((found.p - 0.2544).abs() < 5e-5, "{found:?}");
    }

    #[test]
    fn equal_values_are_no_difference_and_nothing_is_no_test() {
        assert_eq!(mann_whitney(&[7.0; 5], &[7.0; 9]).unwrap().p, 1.0);
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[1.0], &[f64::NAN]), None);
    }

    proptest! {
        #[test]
        fn the_test_depends_on_order_alone_and_is_symmetric(
            a in prop::collection::vec(-20i32..20, 1..15),
            b in prop::collection::vec(-20i32..20, 1..15),
        ) {
            let of = |v: &[i32], f: fn(f64) -> f64| -> Vec<f64> { v.iter().map(|n| f(f64::from(*n))).collect() };
            let plain = |v: &[i32]| of(v, |x| x);
            let there = mann_whitney(&plain(&a), &plain(&b)).unwrap();
            let back = mann_whitney(&plain(&b), &plain(&a)).unwrap();
            prop_assert!((0.0..=1.0).contains(&there.p));
            prop_assert!((there.p - back.p).abs() < 1e-12);
            prop_assert!((there.u + back.u - (a.len() * b.len()) as f64).abs() < 1e-9);
            let stretched = mann_whitney(&of(&a, f64::exp), &of(&b, f64::exp)).unwrap();
            prop_assert_eq!(stretched, there);
        }
    }
}
