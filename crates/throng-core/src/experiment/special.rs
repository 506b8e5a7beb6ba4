//! Probabilities of the normal distribution and of Student's t.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Terms after which a series or a continued fraction is given up; each converges in fewer than a hundred.
const TERMS: u32 = 1000;
/// Below this the next term no longer changes a result.
const PRECISE: f64 = 1e-16;
/// Stands for a zero denominator in Lentz's method.
const TINY: f64 = 1e-300;

/// The probability that a standard normal variable exceeds `z`.
pub(super) fn normal_above(z: f64) -> f64 {
    0.5 * erfc(z * FRAC_1_SQRT_2)
}

/// The complementary error function: by the series of erf where that converges fast, else by a continued fraction
/// (Abramowitz and Stegun 7.1.5, 7.1.14).
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < 2.0 {
        let (mut term, mut sum) = (x, x);
        for n in 1..TERMS {
            term *= -x * x / f64::from(n);
            let add = term / f64::from(2 * n + 1);
            sum += add;
            if add.abs() < PRECISE * sum.abs() {
                break;
            }
        }
        return 1.0 - sum * 2.0 / PI.sqrt();
    }
    // x + (1/2)/(x + 1/(x + (3/2)/(x + ...))), from a depth that is enough for x >= 2.
    let mut fraction = x;
    for n in (1..=120).rev() {
        fraction = x + f64::from(n) * 0.5 / fraction;
    }
    (-x * x).exp() / (fraction * PI.sqrt())
}

/// The number that a standard normal variable exceeds with probability `p`, 0 < p < 1. By bisection, which is quick
/// enough for what is asked once per comparison.
pub(super) fn normal_exceeded_with(p: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        match normal_above(middle) > p {
            true => low = middle,
            false => high = middle,
        }
    }
    f64::midpoint(low, high)
}

/// The probability that |T| of Student's distribution with `freedom` degrees of freedom is at least `|t|`.
pub(super) fn student_two_sided(t: f64, freedom: f64) -> f64 {
    match t.is_finite() {
        true => beta_share(freedom / (freedom + t * t), freedom / 2.0, 0.5),
        false => 0.0,
    }
}

/// The logarithm of the gamma function for x > 0: Stirling's series, after a shift to where it is precise.
fn ln_gamma(x: f64) -> f64 {
    if x < 12.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let square = x * x;
    let series =
        1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series / x
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22).
fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    // The fraction converges fast on this side; I_x(a, b) = 1 - I_(1-x)(b, a).
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_share(1.0 - x, b, a);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    let away_from_zero = |n: f64| if n.abs() < TINY { TINY } else { n };
    // Lentz's method.
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let (mut c, mut fraction) = (1.0, d);
    for m in 1..TERMS {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for coefficient in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + coefficient * d);
            c = away_from_zero(1.0 + coefficient / c);
            change *= c * d;
        }
        fraction *= change;
        if (change - 1.0).abs() < PRECISE {
            break;
        }
    }
    front.exp() * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        let error = (found - expected).abs() / expected.abs();
        assert!(error < 1e-11, "{found} and not {expected}");
    }

    #[test]
    fn normal_probabilities_are_those_of_scipy() {
        // scipy.stats.norm.sf(z), SciPy 1.17.
        for (z, p) in [
            (0.0, 0.5),
            (0.5, 0.3085375387259869),
            (1.0, 0.15865525393145707),
            (1.959964, 0.024999999096442398),
            (2.0, 0.022750131948179195),
            (3.0, 0.0013498980316300933),
            (5.0, 2.866515718791933e-07),
            (10.0, 7.61985302416047e-24),
            (30.0, 4.906713927147908e-198),
        ] {
            near(normal_above(z), p);
            near(normal_above(-z), 1.0 - p);
            assert!((normal_exceeded_with(p) - z).abs() < 1e-9, "{z}");
        }
    }

    #[test]
    fn probabilities_of_students_t_are_those_of_scipy() {
        // 2 * scipy.stats.t.sf(t, freedom), SciPy 1.17.
        for (t, freedom, p) in [
            (0.5, 1.0, 0.7048327646991335),
            (1.0, 2.0, 0.4226497308103742),
            (2.0, 5.0, 0.10193947882985835),
            (2.5, 9.5, 0.03258505778960436),
            (5.0, 18.0, 9.28414255737681e-05),
            (12.0, 30.0, 5.580185415199261e-13),
            (0.01, 100.0, 0.9920412102344285),
            (40.0, 48.0, 1.6144804250662465e-38),
        ] {
            near(student_two_sided(t, freedom), p);
            near(student_two_sided(-t, freedom), p);
        }
        assert_eq!(student_two_sided(0.0, 5.0), 1.0);
        assert_eq!(student_two_sided(f64::INFINITY, 5.0), 0.0);
    }
}
