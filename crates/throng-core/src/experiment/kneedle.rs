//! Kneedle (Satopää and others, Finding a "Kneedle" in a Haystack, 2011): the point of a curve where it bends most.
//!
//! The curve is scaled to the unit square. Its knee is where it is farthest above the diagonal, once it has come back towards it
//! by more than the mean distance of points, times a sensitivity. It is found as by the Python package `kneed` with straight
//! lines between points.

/// How a curve bends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bend {
    /// Rises steeply, then flatly: throughput over load.
    RisingConcave,
    /// Rises flatly, then steeply: latency over load.
    RisingConvex,
    /// Falls flatly, then steeply.
    FallingConcave,
    /// Falls steeply, then flatly.
    FallingConvex,
}

/// The index of the first knee of the curve through `points`, which are in ascending order of x. `None` if it has none: a straight
/// line has none, and neither has one that does not bend back before its end. `sensitivity` is 1 in the paper; greater ones
/// look for a longer way back.
pub fn knee(points: &[(f64, f64)], bend: Bend, sensitivity: f64) -> Option<usize> {
    let last = points.len().checked_sub(1)?;
    if !points.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
        return None;
    }
    let xs = scaled(points.iter().map(|p| p.0))?;
    let mut ys = scaled(points.iter().map(|p| p.1))?;
    // Each bend becomes a rising concave curve, from the other end where that is needed.
    let (mirrored, reversed) = match bend {
        Bend::RisingConcave => (false, false),
        Bend::FallingConvex => (true, false),
        Bend::FallingConcave => (false, true),
        Bend::RisingConvex => (true, true),
    };
    if mirrored {
        ys.iter_mut().for_each(|y| *y = 1.0 - *y);
    }
    if reversed {
        ys.reverse();
    }
    let above: Vec<f64> = ys.iter().zip(&xs).map(|(y, x)| y - x).collect();
    // Each end is compared with its only neighbour.
    let neighbours = |at: usize| [above[at.saturating_sub(1)], above[(at + 1).min(last)]];
    let is_maximum = |at: usize| neighbours(at).iter().all(|n| above[at] >= *n);
    let is_minimum = |at: usize| neighbours(at).iter().all(|n| above[at] <= *n);
    let way_back = sensitivity / last as f64;
    // The last maximum, and below which value the curve has come back from it.
    let mut from: Option<(usize, f64)> = None;
    for at in 0..last {
        if is_maximum(at) {
            from = Some((at, above[at] - way_back));
        }
        if is_minimum(at) {
            // Beyond a minimum, a way back is from the next maximum.
            from = None;
        }
        match from {
            Some((knee, bound)) if above[at + 1] < bound => {
                return Some(if reversed { last - knee } else { knee });
            }
            _ => {}
        }
    }
    None
}

/// `values` scaled to 0 to 1; `None` if they are all equal.
fn scaled(values: impl Iterator<Item = f64> + Clone) -> Option<Vec<f64>> {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
    (high > low).then(|| values.map(|v| (v - low) / (high - low)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(ys: &[f64]) -> Vec<(f64, f64)> {
        ys.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect()
    }

    #[test]
    fn knees_are_those_of_kneed() {
        // The tests of kneed 0.9 (tests/test_sample.py), with its data; interp_method is interp1d.
        let rising_concave = [0.0, 60.0, 80.0, 85.0, 90.0, 95.0, 96.0, 97.0, 98.0, 99.0];
        let falling_concave = [99.0, 98.0, 97.0, 96.0, 95.0, 90.0, 85.0, 80.0, 60.0, 0.0];
        let rising_convex = [1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 15.0, 20.0, 40.0, 100.0];
        let falling_convex = [100.0, 40.0, 20.0, 15.0, 10.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        for (ys, bend, at) in [
            (&rising_concave[..], Bend::RisingConcave, 2),
            (&falling_concave[..], Bend::FallingConcave, 7),
            (&rising_convex[..], Bend::RisingConvex, 7),
            (&falling_convex[..], Bend::FallingConvex, 2),
            (&rising_concave[..7], Bend::RisingConcave, 2),
            (&falling_concave[..7], Bend::FallingConcave, 4),
            (&rising_convex[..7], Bend::RisingConvex, 4),
            (&falling_convex[..7], Bend::FallingConvex, 2),
        ] {
            assert_eq!(knee(&points(ys), bend, 1.0), Some(at), "{bend:?} {ys:?}");
        }
    }

    #[test]
    fn the_knee_of_the_papers_second_figure() {
        let curve = |n: u32| (f64::from(n) / 9.0, -1.0 / (f64::from(n) / 9.0 + 0.1) + 5.0);
        let curve: Vec<(f64, f64)> = (0..10).map(curve).collect();
        assert_eq!(knee(&curve, Bend::RisingConcave, 1.0), Some(2));
    }

    #[test]
    fn a_line_has_no_knee_and_neither_has_what_is_no_curve() {
        for ys in [
            &[][..],
            &[1.0],
            &[1.0, 2.0],
            &[3.0; 8],
            &[1.0, 2.0, 3.0, 4.0, 5.0],
            &[1.0, f64::NAN, 2.0],
        ] {
            assert_eq!(knee(&points(ys), Bend::RisingConcave, 1.0), None, "{ys:?}");
        }
    }

    #[test]
    fn a_more_sensitive_search_stops_at_a_smaller_bend() {
        // test_flat_maxima of kneed 0.9: a small step back at 1, and the great bend at 8, as high above the diagonal as at 7.
        let ys = [
            1.0,
            0.787701317715959,
            0.7437774524158126,
            0.6559297218155198,
            0.5065885797950219,
            0.36749633967789164,
            0.2547584187408492,
            0.16251830161054173,
            0.10395314787701318,
            0.06734992679355783,
            0.043923865300146414,
            0.027818448023426062,
            0.01903367496339678,
            0.013177159590043924,
            0.010248901903367497,
            0.007320644216691069,
            0.005856515373352855,
            0.004392386530014641,
        ];
        assert_eq!(knee(&points(&ys), Bend::FallingConvex, 0.0), Some(1));
        assert_eq!(knee(&points(&ys), Bend::FallingConvex, 1.0), Some(8));
    }
}
