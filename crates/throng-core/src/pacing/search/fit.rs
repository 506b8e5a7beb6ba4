//! Estimates, from all rates tried, the rate at which the share of answers over the bound is the allowed one.
//!
//! In heavy traffic the logarithm of that share rises linearly with the rate (Kingman; Harrison, Brownian Motion and
//! Stochastic Flow Systems, 5.6). A straight line through the logarithms of shares near the allowed one therefore gives
//! a narrower range than the rates that surely hold and surely break.

use super::point::Point;
use super::terms::Terms;

/// The shares that the line is fitted to: from `LEAST_SHARE` times the allowed share up to `MOST_SHARE`.
const LEAST_SHARE: f64 = 0.1;
const MOST_SHARE: f64 = 0.5;
/// Half the width of the range in standard errors. It is more than the 1.6 of a normal distribution, because the errors
/// themselves are known only roughly. It was chosen by simulation, like the memory of a quiet queue.
const ERRORS: f64 = 3.3;
/// A time of this many bounds counts as one independent answer at most.
const MEMORY: f64 = 3.0;
/// The least slope. A flatter line means that latency does not depend on the rate.
const FLATTEST: f64 = 1.0;

/// The range of rates in which the line puts the limit; `None` if there is no line.
pub(super) fn range(points: &[Point], terms: &Terms) -> Option<(f64, f64)> {
    let (allowed, bound) = (terms.allowed(), terms.bound.as_secs_f64());
    let near: Vec<(f64, f64, f64)> = points
        .iter()
        .filter_map(|p| {
            let share = p.share.mean()?;
            let worth = p.share.worth().min(p.seconds / (MEMORY * bound));
            // The inverse of the variance of the share's logarithm.
            let weight = worth * share / (1.0 - share);
            let seen = (allowed * LEAST_SHARE..=MOST_SHARE).contains(&share);
            seen.then(|| (p.rate.ln(), (share / allowed).ln(), weight))
        })
        .collect();
    let mean = |of: fn(&(f64, f64, f64)) -> f64| {
        near.iter().map(|p| of(p) * p.2).sum::<f64>() / near.iter().map(|p| p.2).sum::<f64>()
    };
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let spread: f64 = near.iter().map(|p| p.2 * (p.0 - x).powi(2)).sum();
    let slope = near
        .iter()
        .map(|p| p.2 * (p.0 - x) * (p.1 - y))
        .sum::<f64>()
        / spread;
    // With fewer than two rates the slope is not a number.
    if slope.is_nan() || slope <= FLATTEST {
        return None;
    }
    let at = x - y / slope;
    let weight: f64 = near.iter().map(|p| p.2).sum();
    let error = (1.0 / weight + (at - x).powi(2) / spread).sqrt() / slope;
    Some(((at - ERRORS * error).exp(), (at + ERRORS * error).exp()))
}

#[cfg(test)]
mod tests {
    use super::super::observation::Slice;
    use super::*;
    use std::time::Duration;

    /// A rate that was measured for ten seconds, with `over` of a thousand answers over the bound in each slice.
    fn point(rate: f64, over: u64) -> Point {
        let slice = |i: u64| Slice {
            samples: 1000,
            over: over + i % 2,
            mean: Duration::from_millis(5),
        };
        let mut point = Point::new(rate);
        point.share.add(&(0..80).map(slice).collect::<Vec<_>>());
        point.seconds = 10.0;
        point
    }

    #[test]
    fn the_line_through_shares_says_where_it_is_the_one_allowed() {
        let terms = Terms::new(Duration::from_millis(10));
        // e^-3 of them at 900/s, as in a queue whose share grows by e with each 50/s.
        let points = [800.0f64, 850.0, 920.0].map(|rate| {
            let share = (-3.0 + (rate - 900.0) / 50.0).exp();
            point(rate, (share * 1000.0) as u64)
        });
        let (from, to) = range(&points, &terms).unwrap();
        assert!(from < 900.0 && 900.0 < to, "{from} {to}");
        assert!(to / from < 1.1, "{from} {to}");
    }

    #[test]
    fn one_rate_or_a_share_that_does_not_grow_gives_no_line() {
        let terms = Terms::new(Duration::from_millis(10));
        assert_eq!(range(&[], &terms), None);
        assert_eq!(range(&[point(900.0, 50)], &terms), None);
        assert_eq!(range(&[point(800.0, 60), point(900.0, 50)], &terms), None);
        // Nothing over the bound, and everything, are on no line.
        let far = [point(400.0, 0), point(900.0, 50), point(1600.0, 990)];
        assert_eq!(range(&far, &terms), None);
    }
}
