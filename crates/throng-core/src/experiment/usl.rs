//! The Universal Scalability Law (Gunther, Guerrilla Capacity Planning, 2007): the throughput of N users of a system,
//! X(N) = γN / (1 + α(N - 1) + βN(N - 1)).
//!
//! γ is the throughput of one user alone. α, contention, is the share of work that only one can do at a time. β, coherency, is
//! what users take to agree with each other; where it is above 0, throughput falls beyond a peak.
//!
//! The coefficients are fitted by nonlinear least squares within 0 ≤ α ≤ 1, 0 ≤ β ≤ 1 and γ ≥ 0, as R's package `usl` does
//! (3.0: `nlxb`, or `nls` with `port`).

use super::bootstrap::{resampled, within};

/// The bounds of α, β and γ.
const BOUNDS: [(f64, f64); 3] = [(0.0, 1.0), (0.0, 1.0), (0.0, f64::INFINITY)];
/// Steps after which an iteration is given up; it takes some twenty.
const STEPS: u32 = 500;
/// The damping at which no step makes the fit better any more.
const STUCK: f64 = 1e16;
/// The fewest different loads that determine three coefficients.
const LOADS: usize = 3;

/// The law with its coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usl {
    /// Contention, 0 to 1.
    pub alpha: f64,
    /// Coherency, 0 to 1.
    pub beta: f64,
    /// Throughput at a load of 1.
    pub gamma: f64,
}

impl Usl {
    /// The throughput at a load of `n`.
    pub fn at(&self, n: f64) -> f64 {
        self.gamma * n / self.cost(n)
    }

    fn cost(&self, n: f64) -> f64 {
        1.0 + self.alpha * (n - 1.0) + self.beta * n * (n - 1.0)
    }

    /// The load at which throughput is highest; `None` if it rises forever.
    pub fn peak(&self) -> Option<Peak> {
        let load = ((1.0 - self.alpha) / self.beta).sqrt();
        load.is_finite().then(|| Peak {
            load,
            throughput: self.at(load),
        })
    }

    /// The throughput that is approached as load grows, if it is contention alone that bounds it (Amdahl's law); `None` without
    /// contention.
    pub fn limit(&self) -> Option<f64> {
        (self.alpha > 0.0).then(|| self.gamma / self.alpha)
    }

    fn squares(&self, points: &[(f64, f64)]) -> f64 {
        points.iter().map(|(n, x)| (x - self.at(*n)).powi(2)).sum()
    }

    fn array(self) -> [f64; 3] {
        [self.alpha, self.beta, self.gamma]
    }

    fn of([alpha, beta, gamma]: [f64; 3]) -> Usl {
        Usl { alpha, beta, gamma }
    }

    /// How its throughput at `n` changes with each coefficient.
    fn gradient(&self, n: f64) -> [f64; 3] {
        let cost = self.cost(n);
        let steep = -self.gamma * n / (cost * cost);
        [steep * (n - 1.0), steep * n * (n - 1.0), n / cost]
    }
}

/// The highest throughput.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// The load at which it is reached.
    pub load: f64,
    /// The throughput there.
    pub throughput: f64,
}

/// A fitted number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its interval.
    pub interval: (f64, f64),
}

/// A fit of the law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UslFit {
    /// The law.
    pub law: Usl,
    /// α with its interval.
    pub alpha: Estimate,
    /// β with its interval.
    pub beta: Estimate,
    /// γ with its interval.
    pub gamma: Estimate,
    /// The interval of the load at the peak; its upper end is infinite where the data allow for no peak at all.
    pub peak_load: (f64, f64),
    /// The share of the throughput's variance that the law explains: 1 if all points lie on it.
    pub r_squared: f64,
    /// The greatest load that was measured.
    pub greatest_load: f64,
}

impl UslFit {
    /// Whether the data show that there is a peak: β is above 0 for sure.
    pub fn has_peak(&self) -> bool {
        self.beta.interval.0 > 0.0
    }

    /// Whether a peak is beyond the greatest load that was measured, and so an extrapolation.
    pub fn peak_is_beyond(&self) -> bool {
        self.law
            .peak()
            .is_none_or(|peak| peak.load > self.greatest_load)
    }

    /// What to know before the peak is relied on; `None` if the data reach past it.
    pub fn caution(&self) -> Option<String> {
        let to = crate::human::short(self.greatest_load);
        if self.law.peak().is_none() {
            return Some(format!(
                "throughput goes on rising up to a load of {to}, the greatest that was measured; if there is one, it is beyond"
            ));
        }
        match (self.has_peak(), self.peak_is_beyond()) {
            (false, _) => Some(format!(
                "the data show no peak: up to a load of {to}, throughput may as well go on rising; measure at greater loads"
            )),
            (true, true) => Some(format!(
                "the peak is an extrapolation: the greatest load that was measured is {to}; measure beyond the peak"
            )),
            (true, false) => None,
        }
    }
}

/// Why the law can't be fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UslError {
    /// Too few points.
    #[error(
        "the scalability law needs throughput at 3 different loads or more, in 4 measurements or more; there are {loads} loads and {points} measurements"
    )]
    TooFew {
        /// Different loads.
        loads: usize,
        /// Measurements.
        points: usize,
    },
    /// A load below 1, a throughput that is negative, or a number that is not finite.
    #[error("the scalability law needs loads of 1 or more and throughputs of 0 or more")]
    OutOfRange,
    /// Nothing but zeros.
    #[error("no throughput is above 0")]
    Nothing,
}

/// Fits the law to `points`: load (1 or more) and throughput, a point for each round. The intervals have `confidence` (0 to 1):
/// they are from 1,000 resamples of the residuals, which `seed` determines.
///
/// # Errors
/// There are too few points, or they are out of range.
pub fn usl(points: &[(f64, f64)], confidence: f64, seed: u64) -> Result<UslFit, UslError> {
    let sound = |(n, x): &(f64, f64)| n.is_finite() && x.is_finite() && *n >= 1.0 && *x >= 0.0;
    if !points.iter().all(sound) {
        return Err(UslError::OutOfRange);
    }
    let mut loads: Vec<f64> = points.iter().map(|p| p.0).collect();
    loads.sort_unstable_by(f64::total_cmp);
    loads.dedup();
    if loads.len() < LOADS || points.len() <= LOADS {
        return Err(UslError::TooFew {
            loads: loads.len(),
            points: points.len(),
        });
    }
    let greatest = points.iter().map(|p| p.1).fold(0.0, f64::max);
    if greatest == 0.0 {
        return Err(UslError::Nothing);
    }
    let law = solve(points, None);
    let mean = points.iter().map(|p| p.1).sum::<f64>() / points.len() as f64;
    let variance: f64 = points.iter().map(|p| (p.1 - mean).powi(2)).sum();
    let resampled = refitted(points, law, seed);
    let of = |number: fn(&Usl) -> f64| Estimate {
        value: number(&law),
        interval: {
            let found: Vec<f64> = resampled.iter().map(number).collect();
            within(&found, confidence).unwrap_or((f64::NAN, f64::NAN))
        },
    };
    Ok(UslFit {
        alpha: of(|law| law.alpha),
        beta: of(|law| law.beta),
        gamma: of(|law| law.gamma),
        peak_load: peak_interval(&resampled, confidence),
        r_squared: match variance > 0.0 {
            true => 1.0 - law.squares(points) / variance,
            false => 1.0,
        },
        greatest_load: loads[loads.len() - 1],
        law,
    })
}

/// The interval of the peak's load. It is sought among inverses, which are 0 where there is no peak.
fn peak_interval(laws: &[Usl], confidence: f64) -> (f64, f64) {
    let inverse = |law: &Usl| law.peak().map_or(0.0, |peak| 1.0 / peak.load);
    let inverses: Vec<f64> = laws.iter().map(inverse).collect();
    let (low, high) = within(&inverses, confidence).unwrap_or((0.0, 0.0));
    (1.0 / high, 1.0 / low)
}

/// The law fitted to resamples: its own throughput plus residuals drawn at random. Resampled points would often have fewer than
/// three loads. Residuals of a fit are smaller than errors are, by the three coefficients, which the factor makes up for.
fn refitted(points: &[(f64, f64)], law: Usl, seed: u64) -> Vec<Usl> {
    const RESAMPLES: usize = 1000;
    let (count, freedom) = (points.len() as f64, (points.len() - LOADS) as f64);
    let residuals: Vec<f64> = points
        .iter()
        .map(|(n, x)| (x - law.at(*n)) * (count / freedom).sqrt())
        .collect();
    let drawn = resampled(&residuals, seed).take(RESAMPLES);
    drawn
        .map(|residuals| {
            let again: Vec<(f64, f64)> = points
                .iter()
                .zip(residuals)
                .map(|((n, _), residual)| (*n, (law.at(*n) + residual).max(0.0)))
                .collect();
            solve(&again, Some(law))
        })
        .collect()
}

/// The law with the least squares: the best of several iterations that begin at different coefficients, or of one that begins
/// near `like`.
fn solve(points: &[(f64, f64)], like: Option<Usl>) -> Usl {
    let greatest = points.iter().map(|p| p.0).fold(1.0, f64::max);
    let gamma = points.iter().map(|(n, x)| x / n).fold(0.0, f64::max);
    let mut starts: Vec<Usl> = like.into_iter().collect();
    // β of a peak at the greatest load, at a third of it and far beyond; contention from none to nearly all.
    for beta in [1.0, 10.0, 0.01].map(|peak| (peak / (greatest * greatest)).min(1.0)) {
        for alpha in [0.01, 0.3, 1.0 / greatest] {
            starts.push(Usl { alpha, beta, gamma });
        }
    }
    let kept = if like.is_some() { 2 } else { starts.len() };
    let fitted = starts
        .into_iter()
        .take(kept)
        .map(|start| descended(points, start));
    let best = fitted.min_by(|a, b| a.squares(points).total_cmp(&b.squares(points)));
    best.unwrap_or(Usl {
        alpha: 0.0,
        beta: 0.0,
        gamma,
    })
}

/// Levenberg and Marquardt's method. A coefficient at its bound stays there as long as the fit would get better beyond.
fn descended(points: &[(f64, f64)], start: Usl) -> Usl {
    let (mut law, mut squares, mut damping) = (start, start.squares(points), 1e-3);
    for _ in 0..STEPS {
        let (mut curvature, mut slope) = ([[0.0; 3]; 3], [0.0; 3]);
        for (n, x) in points {
            let (gradient, residual) = (law.gradient(*n), x - law.at(*n));
            for i in 0..3 {
                slope[i] += gradient[i] * residual;
                for j in 0..3 {
                    curvature[i][j] += gradient[i] * gradient[j];
                }
            }
        }
        let at = law.array();
        for i in 0..3 {
            let (low, high) = BOUNDS[i];
            let held = at[i] <= low && slope[i] < 0.0 || at[i] >= high && slope[i] > 0.0;
            if held || curvature[i][i] == 0.0 {
                slope[i] = 0.0;
                curvature.iter_mut().for_each(|row| row[i] = 0.0);
                curvature[i] = [0.0; 3];
                curvature[i][i] = 1.0;
            }
        }
        loop {
            let mut damped = curvature;
            for (i, row) in damped.iter_mut().enumerate() {
                row[i] *= 1.0 + damping;
            }
            let step = solved(damped, slope);
            let mut next = at;
            for i in 0..3 {
                next[i] = (at[i] + step[i]).clamp(BOUNDS[i].0, BOUNDS[i].1);
            }
            let next = Usl::of(next);
            let left = next.squares(points);
            if left < squares {
                (law, squares) = (next, left);
                damping = (damping / 10.0).max(1e-12);
                break;
            }
            damping *= 10.0;
            if damping > STUCK {
                return law;
            }
        }
    }
    law
}

/// Solves three linear equations by elimination, with each row divided by the roots of the diagonal, since the coefficients
/// are of very different size. A row without a pivot gives 0.
fn solved(mut rows: [[f64; 3]; 3], mut right: [f64; 3]) -> [f64; 3] {
    let scale = [0, 1, 2].map(|i| rows[i][i].sqrt());
    for i in 0..3 {
        for j in 0..3 {
            rows[i][j] /= scale[i] * scale[j];
        }
        right[i] /= scale[i];
    }
    for i in 0..3 {
        for below in i + 1..3 {
            if rows[i][i] == 0.0 {
                continue;
            }
            let factor = rows[below][i] / rows[i][i];
            let above = rows[i];
            for (value, above) in rows[below].iter_mut().zip(above) {
                *value -= factor * above;
            }
            right[below] -= factor * right[i];
        }
    }
    let mut found = [0.0; 3];
    for i in (0..3).rev() {
        let known: f64 = (i + 1..3).map(|j| rows[i][j] * found[j]).sum();
        found[i] = if rows[i][i] == 0.0 {
            0.0
        } else {
            (right[i] - known) / rows[i][i]
        };
    }
    [0, 1, 2].map(|i| found[i] / scale[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gunther 2007: ray-geometry intersections per second on an SGI Origin 2000, by processors.
    const RAYTRACER: [(f64, f64); 11] = [
        (1.0, 20.0),
        (4.0, 78.0),
        (8.0, 130.0),
        (12.0, 170.0),
        (16.0, 190.0),
        (20.0, 200.0),
        (24.0, 210.0),
        (28.0, 230.0),
        (32.0, 260.0),
        (48.0, 280.0),
        (64.0, 310.0),
    ];
    /// SPEC SDM91 on a Sun SPARCcenter 2000: scripts per hour, by users.
    const SPECSDM91: [(f64, f64); 7] = [
        (1.0, 64.9),
        (18.0, 995.9),
        (36.0, 1652.4),
        (72.0, 1853.2),
        (108.0, 1828.9),
        (144.0, 1775.0),
        (216.0, 1702.2),
    ];

    #[track_caller]
    fn near(found: f64, expected: f64, within: f64) {
        let error = (found - expected).abs();
        assert!(
            error <= within * expected.abs(),
            "{found} and not {expected}"
        );
    }

    #[test]
    fn coefficients_are_those_of_rs_usl() {
        // usl 3.0.3, tests/*.Rout.save, as many digits as are printed there.
        let made = [
            (1.0, 1.0),
            (2.0, 1.8868),
            (4.0, 3.0769),
            (6.0, 3.5294),
            (8.0, 3.5398),
            (10.0, 3.3557),
        ];
        for (points, alpha, beta, gamma) in [
            (&SPECSDM91[..], 0.02773, 1.044e-4, 90.00),
            (&RAYTRACER[..6], 0.02444, 0.00163, 20.85605),
            (&made[..], 0.02, 0.02, 1.0),
        ] {
            let law = usl(points, 0.95, 1).unwrap().law;
            near(law.alpha, alpha, 0.003);
            near(law.beta, beta, 0.003);
            near(law.gamma, gamma, 0.001);
        }
    }

    #[test]
    fn the_peak_is_that_of_rs_usl() {
        let fit = usl(&SPECSDM91, 0.95, 1).unwrap();
        let peak = fit.law.peak().unwrap();
        near(peak.load, 96.51956, 1e-4);
        near(peak.throughput, 1884.0, 1e-3);
        near(fit.law.limit().unwrap(), 3246.0, 1e-3);
        near(
            Usl {
                alpha: 0.001,
                beta: 1e-5,
                ..fit.law
            }
            .peak()
            .unwrap()
            .load,
            316.0696,
            1e-4,
        );
        assert!(
            fit.has_peak() && !fit.peak_is_beyond() && fit.caution().is_none(),
            "{fit:?}"
        );
        let (low, high) = fit.peak_load;
        assert!(low < 96.5 && 96.5 < high && high < 216.0, "{fit:?}");
        assert!((0.98..1.0).contains(&fit.r_squared), "{fit:?}");
    }

    #[test]
    fn without_coherency_there_is_no_peak_and_the_fit_says_so() {
        let fit = usl(&RAYTRACER, 0.95, 1).unwrap();
        // scipy.optimize.least_squares within the same bounds, SciPy 1.17. The vignette of usl says, too, that β is 0 here.
        assert_eq!(fit.law.beta, 0.0, "{fit:?}");
        near(fit.law.alpha, 0.0577707811, 1e-6);
        near(fit.law.gamma, 21.8488429, 1e-6);
        near(fit.law.limit().unwrap(), 378.1988495, 1e-6);
        assert_eq!(fit.law.peak(), None);
        assert!(!fit.has_peak() && fit.peak_load.1.is_infinite(), "{fit:?}");
        assert!(
            fit.caution()
                .unwrap()
                .starts_with("throughput goes on rising up to a load of ")
        );
    }

    #[test]
    fn a_peak_beyond_the_data_is_an_extrapolation() {
        let law = Usl {
            alpha: 0.02,
            beta: 1e-4,
            gamma: 500.0,
        };
        let points: Vec<(f64, f64)> = (1..=12)
            .map(|n| (f64::from(n * 6), law.at(f64::from(n * 6))))
            .collect();
        let fit = usl(&points, 0.95, 1).unwrap();
        near(fit.law.peak().unwrap().load, 98.995, 1e-4);
        assert!(fit.caution().unwrap().contains("extrapolation"), "{fit:?}");
    }

    #[test]
    fn what_determines_no_law_is_refused() {
        for (points, error) in [
            (
                &[][..],
                UslError::TooFew {
                    loads: 0,
                    points: 0,
                },
            ),
            (
                &[(1.0, 2.0), (2.0, 3.0), (3.0, 4.0)],
                UslError::TooFew {
                    loads: 3,
                    points: 3,
                },
            ),
            (
                &[(1.0, 2.0), (2.0, 3.0), (2.0, 3.0), (2.0, 4.0)],
                UslError::TooFew {
                    loads: 2,
                    points: 4,
                },
            ),
            (
                &[(0.0, 2.0), (2.0, 3.0), (3.0, 3.0), (4.0, 4.0)],
                UslError::OutOfRange,
            ),
            (
                &[(1.0, 2.0), (2.0, f64::NAN), (3.0, 3.0), (4.0, 4.0)],
                UslError::OutOfRange,
            ),
            (
                &[(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.0, 0.0)],
                UslError::Nothing,
            ),
        ] {
            assert_eq!(usl(points, 0.95, 1), Err(error), "{points:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn points_on_a_law_give_that_law(
            alpha in 0.0..0.3f64,
            peak in 20.0..400.0f64,
            gamma in 0.01..1e5f64,
            unit in 1.0..2000.0f64,
        ) {
            let law = Usl { alpha, beta: (1.0 - alpha) / (peak * peak), gamma };
            let points: Vec<(f64, f64)> = (0..10).map(|n| 1.0 + f64::from(n * n) * 4.0).map(|n| (n, law.at(n))).collect();
            let found = solve(&points, None);
            prop_assert!((found.at(peak) / law.at(peak) - 1.0).abs() < 1e-6, "{found:?} {law:?}");
            prop_assert!((found.peak().unwrap().load / peak - 1.0).abs() < 1e-3, "{found:?} {law:?}");
            // Throughput in another unit changes γ alone.
            let other: Vec<(f64, f64)> = points.iter().map(|(n, x)| (*n, x * unit)).collect();
            let other = solve(&other, None);
            prop_assert!((other.gamma / found.gamma / unit - 1.0).abs() < 1e-4);
        }
    }
}
