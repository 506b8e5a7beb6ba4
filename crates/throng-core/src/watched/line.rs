//! A straight line through points, by least squares.

/// Student's t for 95 %, both sides, by degrees of freedom from 1 on.
const T95: [f64; 10] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
];

/// A line through points whose y has errors, and whose x has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// y per x.
    pub slope: f64,
    /// y where x is 0.
    pub intercept: f64,
    /// The 95 % confidence interval of the slope is this far on either side, if errors are independent and normal.
    pub margin: f64,
}

impl Line {
    /// The line through `points`; `None` for fewer than three, or if all have the same x.
    pub fn through(points: &[(f64, f64)]) -> Option<Line> {
        let n = points.len() as f64;
        if points.len() < 3 {
            return None;
        }
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
        let square = |of: fn(f64, f64) -> f64| -> f64 {
            let each = points.iter().map(|(x, y)| of(x - mean_x, y - mean_y));
            each.sum()
        };
        let xx = square(|x, _| x * x);
        if xx <= 0.0 {
            return None;
        }
        let slope = square(|x, y| x * y) / xx;
        let intercept = mean_y - slope * mean_x;
        let errors = points.iter().map(|(x, y)| y - intercept - slope * x);
        let freedom = points.len() - 2;
        let variance = errors.map(|e| e * e).sum::<f64>() / freedom as f64;
        Some(Line {
            slope,
            intercept,
            margin: t95(freedom) * (variance / xx).sqrt(),
        })
    }
}

/// Beyond the table by its approximation 1.96 + 2.4 / n, which is a hundredth too large at most.
fn t95(freedom: usize) -> f64 {
    let known = freedom.checked_sub(1).and_then(|at| T95.get(at));
    known.copied().unwrap_or(1.96 + 2.4 / freedom as f64 + 0.02)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn points_on_a_line_give_that_line(
            slope in -1e5_f64..1e5,
            intercept in -1e9_f64..1e9,
            xs in prop::collection::btree_set(0_u32..2_000_000, 3..40),
        ) {
            let points: Vec<_> = xs.iter().map(|x| f64::from(*x)).map(|x| (x, slope * x + intercept)).collect();
            let line = Line::through(&points).unwrap();
            let scale = slope.abs().max(intercept.abs()).max(1.0);
            prop_assert!((line.slope - slope).abs() <= 1e-6 * scale, "{:?}", line);
            prop_assert!(line.margin >= 0.0 && line.margin <= 1e-4 * scale, "{:?}", line);
        }

        #[test]
        fn a_sum_s_slope_is_the_sum_of_the_slopes(
            points in prop::collection::vec((0_u32..100_000, 0_u32..1_000_000, 0_u32..1_000_000), 3..40),
        ) {
            let of = |y: fn(f64, f64) -> f64| {
                let each = points.iter().map(|(x, a, b)| (f64::from(*x), y(f64::from(*a), f64::from(*b))));
                Line::through(&each.collect::<Vec<_>>())
            };
            if let (Some(a), Some(b), Some(both)) = (of(|a, _| a), of(|_, b| b), of(|a, b| a + b)) {
                let sum = a.slope + b.slope;
                prop_assert!((both.slope - sum).abs() <= 1e-6 * sum.abs().max(1e3), "{} {}", both.slope, sum);
            }
        }
    }

    #[test]
    fn the_margin_is_that_of_the_textbook() {
        // Five points with errors; slope and standard error by hand: xx = 10, slope 1.99, residuals' squares 0.107.
        let points = [(1.0, 2.2), (2.0, 3.8), (3.0, 6.1), (4.0, 7.9), (5.0, 10.1)];
        let line = Line::through(&points).unwrap();
        assert!((line.slope - 1.99).abs() < 1e-9, "{line:?}");
        assert!((line.intercept - 0.05).abs() < 1e-9, "{line:?}");
        assert!((line.margin - 3.182 * (0.107_f64 / 3.0 / 10.0).sqrt()).abs() < 1e-3);
        assert!(t95(11) > 2.19 && t95(11) < 2.22 && t95(1000) < 1.99);
    }

    #[test]
    fn too_few_points_or_one_x_give_no_line() {
        for points in [
            &[][..],
            &[(0.0, 0.0), (1.0, 1.0)],
            &[(5.0, 1.0), (5.0, 2.0), (5.0, 3.0)],
        ] {
            assert_eq!(Line::through(points), None, "{points:?}");
        }
    }
}
