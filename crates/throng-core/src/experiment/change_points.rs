//! Where a series of measurements steps from one level to another: change points by E-divisive means (Matteson and James, A
//! Nonparametric Approach for Multiple Change Point Analysis, 2014), tested with Student's t and merged as Hunter does (Fleming
//! and others, ICPE 2023), which is Apache Otava now. Defaults are those of Otava 0.8.

use super::special::student_two_sided;

/// The least p that is told: the arithmetic is no finer, and no difference is impossible by chance.
pub const LEAST_P: f64 = 1e-15;

/// How change points are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoints {
    /// Values that are looked at together. Windows overlap by half.
    pub window: usize,
    /// The greatest p of a change point.
    pub p: f64,
    /// The least relative change, 0 to 1.
    pub least: f64,
    /// The fewest values on either side of a change point, up to the next one.
    pub side: usize,
}

impl Default for ChangePoints {
    fn default() -> Self {
        ChangePoints {
            window: 50,
            p: 0.001,
            least: 0.0,
            side: 1,
        }
    }
}

/// The values on one side of a change point, up to the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Side {
    /// How many there are.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, that of these values and no estimate for others.
    pub deviation: f64,
}

impl Side {
    fn of(values: &[f64]) -> Side {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Side {
            count,
            mean,
            deviation: (squares / count as f64).sqrt(),
        }
    }
}

/// A step in a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The index of the first value after it.
    pub index: usize,
    /// The values before it, since the one before.
    pub before: Side,
    /// The values after it, until the next one.
    pub after: Side,
    /// The probability of such a difference between the two by chance; [`LEAST_P`] stands for less.
    pub p: f64,
}

impl ChangePoint {
    /// The change relative to the mean before; 0 if that is 0.
    pub fn change(&self) -> f64 {
        relative(self.before.mean, self.after.mean)
    }

    /// The change relative to the lesser of both means: 1 for twice as much as well as for half.
    fn magnitude(&self) -> f64 {
        let back = relative(self.after.mean, self.before.mean);
        self.change().abs().max(back.abs())
    }

    /// That at `index`, between the change points `from` and `to`.
    fn at(series: &[f64], from: usize, index: usize, to: usize) -> ChangePoint {
        let (before, after) = (Side::of(&series[from..index]), Side::of(&series[index..to]));
        ChangePoint {
            index,
            before,
            after,
            p: student(&before, &after),
        }
    }
}

fn relative(from: f64, to: f64) -> f64 {
    if from == 0.0 { 0.0 } else { to / from - 1.0 }
}

/// The two-sided p of Student's t test. The deviations are of the values themselves, as Otava takes them.
fn student(a: &Side, b: &Side) -> f64 {
    let freedom = (a.count + b.count) as f64 - 2.0;
    if freedom <= 0.0 || a.mean == b.mean {
        return 1.0;
    }
    let squares = |side: &Side| (side.count as f64 - 1.0) * side.deviation.powi(2);
    let variance = (squares(a) + squares(b)) / freedom;
    let error = (variance * (1.0 / a.count as f64 + 1.0 / b.count as f64)).sqrt();
    student_two_sided((a.mean - b.mean) / error, freedom)
}

/// The change points of `series`, in order. Values that are not finite make none.
pub fn change_points(series: &[f64], how: &ChangePoints) -> Vec<ChangePoint> {
    if !series.iter().all(|v| v.is_finite()) {
        return Vec::new();
    }
    // The first pass lets ten times as much pass, because a change point is surer once its neighbours are known.
    let weak = match how.p {
        p if p < 0.05 => p * 10.0,
        p if p < 0.5 => p * 2.0,
        p => p,
    };
    let indices = split(series, how.window.max(2), weak);
    let mut found = merged(series, indices, how);
    for point in &mut found {
        point.p = point.p.max(LEAST_P);
    }
    found
}

/// The indices of weak change points: those of windows that overlap by half.
fn split(series: &[f64], window: usize, p: f64) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    let mut start = 0;
    while start < series.len() {
        let end = (start + window).min(series.len());
        let new = divided(&series[start..end], p);
        let last = new.iter().max().map_or(0, |last| start + last);
        found.extend(new.into_iter().map(|index| start + index));
        start = last.max(start + window / 2);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The change points of one window: the best candidate of all parts, as long as it is significant.
fn divided(series: &[f64], p: f64) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    loop {
        let edges = edges(&found, series.len());
        let parts = edges.iter().zip(&edges[1..]);
        let mut best: Option<(f64, ChangePoint)> = None;
        for (from, to) in parts.filter(|(from, to)| *to - *from > 1) {
            let (index, q) = candidate(&series[*from..*to]);
            if best.is_none_or(|(most, _)| q > most) {
                best = Some((q, ChangePoint::at(series, *from, from + index, *to)));
            }
        }
        match best {
            Some((_, point)) if point.p <= p => {
                found.push(point.index);
                found.sort_unstable();
            }
            _ => return found,
        }
    }
}

/// The beginning, the change points and the end.
fn edges(indices: &[usize], end: usize) -> Vec<usize> {
    let mut all = vec![0];
    all.extend(indices);
    all.push(end);
    all
}

/// The index that divides the beginning of `series`, of whatever length, into the two most different parts, and by how much they
/// differ: the energy distance, scaled by their sizes.
fn candidate(series: &[f64]) -> (usize, f64) {
    let count = series.len();
    // Like Otava's, of which the values that stand for no division are 0.
    let mut best = if count > 2 {
        (2, 0.0)
    } else {
        (1, f64::NEG_INFINITY)
    };
    // Distances of each value to all that come before the division; and of those to each other.
    let mut to_left = vec![0.0; count];
    let mut left = 0.0;
    for at in 1..count {
        left += to_left[at - 1];
        for (value, sum) in series.iter().zip(&mut to_left) {
            *sum += (value - series[at - 1]).abs();
        }
        let (mut across, mut right) = (0.0, 0.0);
        for end in at + 1..=count {
            let value = series[end - 1];
            across += to_left[end - 1];
            right += series[at..end - 1]
                .iter()
                .map(|v| (v - value).abs())
                .sum::<f64>();
            let (n, m) = (at as f64, (end - at) as f64);
            let within = |sum: f64, of: f64, other: f64| match of > 1.0 {
                true => other / (of - 1.0) * sum,
                false => 0.0,
            };
            let q = 2.0 / (n + m) * (across - within(left, n, m) - within(right, m, n));
            if q > best.1 {
                best = (at, q);
            }
        }
    }
    best
}

/// Drops change points until all are between enough values, significant and great enough: of those with too few the weakest first,
/// then the weakest of all.
fn merged(series: &[f64], indices: Vec<usize>, how: &ChangePoints) -> Vec<ChangePoint> {
    let points = |indices: &[usize]| -> Vec<ChangePoint> {
        let edges = edges(indices, series.len());
        let each = indices.iter().enumerate();
        each.map(|(n, index)| ChangePoint::at(series, edges[n], *index, edges[n + 2]))
            .collect()
    };
    let mut indices = indices;
    loop {
        let all = points(&indices);
        let weakest = |key: fn(&ChangePoint) -> f64| {
            let each = all.iter().enumerate();
            // The first of equals.
            each.reduce(|a, b| if key(b.1) > key(a.1) { b } else { a })
        };
        let few = |point: &ChangePoint| point.before.count.min(point.after.count) < how.side;
        if let Some((at, _)) = all
            .iter()
            .enumerate()
            .filter(|(_, point)| few(point))
            .reduce(|a, b| if b.1.p > a.1.p { b } else { a })
        {
            indices.remove(at);
            continue;
        }
        let Some((at, point)) = weakest(|point| point.p) else {
            return all;
        };
        let drop = match point.p < how.p {
            false => at,
            true => match weakest(|point| -point.magnitude()) {
                Some((at, point)) if point.magnitude() <= how.least => at,
                _ => return all,
            },
        };
        indices.remove(drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Nightly throughput of TigerBeetle, from tests/tigerbeetle_test.py of Otava 0.8.
    fn tigerbeetle() -> Vec<f64> {
        let numbers = include_str!("../../tests/data/tigerbeetle.txt");
        numbers
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect()
    }

    fn indices(series: &[f64], how: ChangePoints) -> Vec<usize> {
        change_points(series, &how)
            .iter()
            .map(|point| point.index)
            .collect()
    }

    #[test]
    fn change_points_of_otavas_own_tests() {
        // tests/analysis_test.py, tests/series_test.py and tests/change_point_divisive_test.py of Otava 0.8.
        let halved = [
            1.02, 0.95, 0.99, 1.00, 1.12, 1.00, 1.01, 0.98, 1.01, 0.96, 0.50, 0.51, 0.48, 0.48,
            0.55, 0.50, 0.49, 0.51, 0.50, 0.49,
        ];
        let first = [
            1.02, 0.95, 0.99, 1.00, 1.12, 0.90, 0.50, 0.51, 0.48, 0.48, 0.55,
        ];
        let second = [
            2.02, 2.03, 2.01, 2.04, 1.82, 1.85, 1.79, 1.81, 1.80, 1.76, 1.78,
        ];
        let zeros = [
            0.0, 0.0, 0.0, 1.00, 1.12, 0.90, 0.50, 0.51, 0.48, 0.48, 0.55,
        ];
        let usual = ChangePoints::default();
        for (series, how, expected) in [
            (
                &halved[..],
                ChangePoints {
                    window: 10,
                    p: 0.0001,
                    ..usual
                },
                &[10][..],
            ),
            (&first[..], usual, &[6]),
            (&second[..], usual, &[4]),
            (
                &second[..],
                ChangePoints {
                    least: 0.2,
                    ..usual
                },
                &[],
            ),
            (&zeros[..], usual, &[3, 6]),
            (&[][..], usual, &[]),
            (&[1.0], usual, &[]),
            (&[1.0, 2.0], usual, &[]),
            (&[5.0; 40], usual, &[]),
            (&[1.0, f64::NAN, 9.0], usual, &[]),
        ] {
            assert_eq!(indices(series, how), expected, "{series:?}");
        }
    }

    #[test]
    fn change_points_of_tigerbeetles_history_are_those_of_otava() {
        let window = 30;
        // Where Otava keeps more, in the last column: when it drops a change point, it tests only the next one again, not the one
        // before, whose p is then that of a part which no longer exists. With both tested again, it finds what is found here.
        for (p, least, expected, more) in [
            (0.01, 0.05, &[15, 71][..], &[][..]),
            (0.05, 0.05, &[15, 71], &[]),
            (0.1, 0.05, &[10, 11, 15, 71], &[363]),
            (
                0.01,
                0.0,
                &[15, 61, 71, 95, 117, 131, 142, 148, 165, 169, 192, 212, 260],
                &[26],
            ),
            (
                0.001,
                0.0,
                &[15, 61, 71, 95, 117, 131, 142, 148, 192, 212],
                &[260],
            ),
            (0.0001, 0.0, &[71, 95, 117, 131, 142, 148, 192, 212], &[]),
            (0.00001, 0.0, &[71, 95, 131, 192, 212], &[]),
        ] {
            let how = ChangePoints {
                window,
                p,
                least,
                side: 1,
            };
            assert_eq!(indices(&tigerbeetle(), how), expected, "{how:?}");
            assert!(more.iter().all(|at| !expected.contains(at)), "{how:?}");
        }
    }

    #[test]
    fn a_change_point_says_what_was_before_and_after() {
        let series: Vec<f64> = (0..20)
            .map(|n| if n < 12 { 100.0 } else { 80.0 } + f64::from(n % 3))
            .collect();
        let [point] = change_points(&series, &ChangePoints::default())[..] else {
            panic!("one change point");
        };
        assert_eq!(
            (point.index, point.before.count, point.after.count),
            (12, 12, 8)
        );
        assert_eq!((point.before.mean, point.after.mean), (101.0, 80.875));
        assert!(
            (point.change() + 0.199).abs() < 0.001 && point.p < 1e-6,
            "{point:?}"
        );
    }

    #[test]
    fn a_level_has_as_many_values_as_asked() {
        let level = |level: f64, count: usize| -> Vec<f64> {
            (0..count).map(|n| level + (n % 3) as f64).collect()
        };
        let series = |parts: &[(f64, usize)]| -> Vec<f64> {
            let parts = parts.iter().map(|(of, count)| level(*of, *count));
            parts.collect::<Vec<_>>().concat()
        };
        for (parts, one, two) in [
            (&[(100.0, 10), (200.0, 1)][..], &[10][..], &[][..]),
            (&[(200.0, 1), (100.0, 10)], &[1], &[]),
            (&[(100.0, 10), (200.0, 2)], &[10], &[10]),
            (&[(200.0, 2), (100.0, 10)], &[2], &[2]),
            // Without its single value in the middle, the step between two levels is still one.
            (&[(100.0, 10), (120.0, 1), (200.0, 10)], &[10, 11], &[11]),
            (&[(100.0, 10), (180.0, 1), (200.0, 10)], &[10, 11], &[10]),
        ] {
            let series = series(parts);
            for (side, expected) in [(1, one), (2, two)] {
                let how = ChangePoints {
                    side,
                    ..ChangePoints::default()
                };
                assert_eq!(indices(&series, how), expected, "{side}: {parts:?}");
            }
        }
    }

    #[test]
    fn no_p_is_0() {
        let series: Vec<f64> = (0..8).map(|n| if n < 4 { 1.0 } else { 2.0 }).collect();
        let found = change_points(&series, &ChangePoints::default());
        assert_eq!((found[0].index, found[0].p), (4, LEAST_P));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_great_step_is_found_where_it_is_whatever_the_unit(
            before in 5usize..30,
            after in 5usize..30,
            noise in prop::collection::vec(-1.0..1.0f64, 60),
            unit in 0.001..1e6f64,
        ) {
            let level = |n: usize| if n < before { 100.0 } else { 150.0 };
            let series: Vec<f64> = (0..before + after).map(|n| (level(n) + noise[n]) * unit).collect();
            let found = change_points(&series, &ChangePoints { least: 0.1, ..ChangePoints::default() });
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].index, before);
        }
    }
}
