//! The centre and the spread of a few measured values.

/// Whether there are values, all of them finite.
fn sound(values: &[f64]) -> bool {
    !values.is_empty() && values.iter().all(|v| v.is_finite())
}

/// The values in ascending order.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut all = values.to_vec();
    all.sort_unstable_by(f64::total_cmp);
    all
}

/// The median of values in ascending order.
fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(sorted[half - 1], sorted[half]),
        _ => sorted[half],
    }
}

/// The median. `None` without values, or if one is not finite.
pub fn median(values: &[f64]) -> Option<f64> {
    sound(values).then(|| middle(&sorted(values)))
}

/// The arithmetic mean. `None` without values, or if one is not finite.
pub fn mean(values: &[f64]) -> Option<f64> {
    sound(values).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The mean without the lowest and the highest value; of one or two values, their mean. `None` without values, or if one is
/// not finite.
pub fn trimmed_mean(values: &[f64]) -> Option<f64> {
    if values.len() < 3 {
        return mean(values);
    }
    sound(values).then(|| {
        let all = sorted(values);
        let inner = &all[1..all.len() - 1];
        inner.iter().sum::<f64>() / inner.len() as f64
    })
}

/// The value below which the share `q` (0 to 1) of all values lies, interpolated between neighbours (type 7 of Hyndman and
/// Fan 1996, the default of R and NumPy). `None` without values, or if one is not finite.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if !sound(values) || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let all = sorted(values);
    let at = q * (all.len() - 1) as f64;
    let (below, above) = (all[at.floor() as usize], all[at.ceil() as usize]);
    Some(below + (above - below) * at.fract())
}

/// How far values lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The lowest value.
    pub min: f64,
    /// The highest value.
    pub max: f64,
    /// The median absolute deviation from the median, not scaled: half of the values are within it.
    pub mad: f64,
}

impl Spread {
    /// The spread of `values`. `None` without values, or if one is not finite.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let centre = median(values)?;
        let away: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
        let all = sorted(values);
        Some(Spread {
            min: all[0],
            max: all[all.len() - 1],
            mad: median(&away)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn centres_of_a_few_values() {
        for (values, median_, trimmed) in [
            (&[][..], None, None),
            (&[5.0], Some(5.0), Some(5.0)),
            (&[5.0, 1.0], Some(3.0), Some(3.0)),
            (&[9.0, 1.0, 2.0], Some(2.0), Some(2.0)),
            (&[1.0, 100.0, 2.0, 4.0], Some(3.0), Some(3.0)),
            (&[1.0, 2.0, 3.0, 4.0, 100.0], Some(3.0), Some(3.0)),
            (&[1.0, f64::NAN], None, None),
            (&[1.0, 2.0, 3.0, f64::INFINITY], None, None),
        ] {
            assert_eq!(median(values), median_, "{values:?}");
            assert_eq!(trimmed_mean(values), trimmed, "{values:?}");
        }
    }

    #[test]
    fn spread_is_told_by_extremes_and_by_what_half_of_the_values_keep_to() {
        let spread = Spread::of(&[10.0, 11.0, 9.0, 10.0, 50.0]).unwrap();
        assert_eq!((spread.min, spread.max, spread.mad), (9.0, 50.0, 1.0));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn quantiles_are_interpolated() {
        let values = [4.0, 1.0, 3.0, 2.0];
        for (q, value) in [
            (0.0, Some(1.0)),
            (0.25, Some(1.75)),
            (0.5, Some(2.5)),
            (1.0, Some(4.0)),
            (1.1, None),
        ] {
            assert_eq!(quantile(&values, q), value, "{q}");
        }
    }

    proptest! {
        #[test]
        fn centres_lie_within_the_values_and_do_not_depend_on_their_order(
            mut values in prop::collection::vec(-1e6..1e6f64, 1..30)
        ) {
            let spread = Spread::of(&values).unwrap();
            let of = |values: &[f64]| [median(values), quantile(values, 0.3)].map(Option::unwrap);
            let found = of(&values);
            for centre in found {
                prop_assert!((spread.min..=spread.max).contains(&centre));
            }
            let trimmed = trimmed_mean(&values).unwrap();
            prop_assert!(trimmed >= spread.min - 1e-6 && trimmed <= spread.max + 1e-6);
            values.reverse();
            prop_assert_eq!(of(&values), found);
        }
    }
}
