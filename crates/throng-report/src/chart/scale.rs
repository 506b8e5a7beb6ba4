//! Where a value is on an axis, and where the axis has ticks.

use super::unit::{Steps, Unit};

/// How values are laid out on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios. Values that are not above 0 have no place.
    Log,
}

/// An axis with its ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    scale: Scale,
    steps: Steps,
    /// The value at its beginning.
    pub from: f64,
    /// The value at its end.
    pub to: f64,
}

impl Span {
    /// Whether equal distances are equal ratios.
    pub fn is_log(&self) -> bool {
        self.scale == Scale::Log
    }

    /// An axis on which all `values` have a place: from 0 or the least value to the greatest, rounded if `round`.
    pub fn of(scale: Scale, unit: Unit, values: impl Iterator<Item = f64>, round: bool) -> Span {
        let steps = unit.steps();
        let placed = values.filter(|v| v.is_finite() && (scale == Scale::Linear || *v > 0.0));
        let (mut least, mut greatest) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in placed {
            (least, greatest) = (least.min(value), greatest.max(value));
        }
        let (from, to) = match scale {
            _ if least > greatest => (
                match scale {
                    Scale::Linear => 0.0,
                    Scale::Log => 0.1,
                },
                1.0,
            ),
            Scale::Linear => {
                let from = least.min(0.0);
                let to = if greatest > from {
                    greatest
                } else {
                    from + 1.0
                };
                match round {
                    true => {
                        let step = steps.at_least((to - from) / 4.0);
                        (from, from + step * ((to - from) / step - 1e-9).ceil())
                    }
                    false => (from, to),
                }
            }
            Scale::Log => {
                let (from, to) = match round {
                    true => (below(least), Steps::Decimal.at_least(greatest)),
                    false => (least, greatest),
                };
                (from, if to > from { to } else { from * 10.0 })
            }
        };
        Span {
            scale,
            steps,
            from,
            to,
        }
    }

    /// An axis from one end to the other.
    pub fn between(scale: Scale, unit: Unit, from: f64, to: f64) -> Span {
        Span {
            scale,
            steps: unit.steps(),
            from,
            to,
        }
    }

    /// The place of `value`: 0 at the beginning of the axis, 1 at its end; `None` if it has none.
    pub fn at(&self, value: f64) -> Option<f64> {
        let place = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log if value <= 0.0 => return None,
            Scale::Log => (value / self.from).ln() / (self.to / self.from).ln(),
        };
        place.is_finite().then_some(place)
    }

    /// Round values on the axis, about `about` of them.
    pub fn ticks(&self, about: usize) -> Vec<f64> {
        let about = about.max(1) as f64;
        let decades = (self.to / self.from).log10();
        match self.scale {
            Scale::Log if decades >= 1.0 => {
                let each = (decades / about).ceil().max(1.0) as i32;
                let first = (self.from.log10() - 1e-9).ceil() as i32;
                let last = (self.to.log10() + 1e-9).floor() as i32;
                let powers = (first..=last).filter(|power| (power - first) % each == 0);
                let parts: &[f64] = match 3.0 * decades <= about + 1.0 {
                    true => &[1.0, 2.0, 5.0],
                    false => &[1.0],
                };
                let before = (first - 1..first).chain(powers);
                before
                    .flat_map(|power| parts.iter().map(move |part| part * 10f64.powi(power)))
                    .filter(|tick| self.has(*tick))
                    .collect()
            }
            _ => {
                let step = self.steps.at_least((self.to - self.from) / about);
                let first = (self.from / step - 1e-9).ceil();
                let count = ((self.to / step + 1e-9).floor() - first).max(0.0) as usize;
                (0..=count).map(|n| (first + n as f64) * step).collect()
            }
        }
    }

    fn has(&self, value: f64) -> bool {
        self.at(value)
            .is_some_and(|at| (-1e-6..=1.0 + 1e-6).contains(&at))
    }
}

/// The greatest of 1, 2 and 5 times powers of ten that is not above `value`, which is above 0.
fn below(value: f64) -> f64 {
    let decade = 10f64.powf((value.log10() + 1e-12).floor());
    let steps = [5.0, 2.0, 1.0].map(|step| step * decade);
    let round = steps.into_iter().find(|step| *step <= value * (1.0 + 1e-9));
    round.unwrap_or(decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(scale: Scale, unit: Unit, values: &[f64]) -> Span {
        Span::of(scale, unit, values.iter().copied(), true)
    }

    #[test]
    fn a_linear_axis_begins_at_0_and_ends_at_a_round_value() {
        for (unit, values, to, ticks) in [
            (
                Unit::Count,
                &[][..],
                1.0,
                &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0][..],
            ),
            (
                Unit::Count,
                &[0.0, 0.0],
                1.0,
                &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            ),
            (
                Unit::Count,
                &[3.0, 95.0],
                100.0,
                &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0],
            ),
            (
                Unit::Seconds,
                &[0.0, 100.0],
                120.0,
                &[0.0, 30.0, 60.0, 90.0, 120.0],
            ),
            (
                Unit::BytesPerSecond,
                &[3.9 * 1024.0],
                4096.0,
                &[0.0, 1024.0, 2048.0, 3072.0, 4096.0],
            ),
        ] {
            let span = span(Scale::Linear, unit, values);
            assert!((span.to - to).abs() < 1e-9, "{values:?}: {span:?}");
            let made = span.ticks(5);
            assert!(
                made.len() == ticks.len()
                    && made.iter().zip(ticks).all(|(a, b)| (a - b).abs() < 1e-9),
                "{values:?}: {made:?}"
            );
        }
    }

    #[test]
    fn a_log_axis_has_a_place_for_all_that_is_above_0() {
        let span = span(Scale::Log, Unit::Micros, &[0.0, 130.0, 42_000.0]);
        assert_eq!(span.at(0.0), None);
        for (value, least, most) in [(130.0, 0.0, 0.1), (42_000.0, 0.9, 1.0)] {
            let at = span.at(value).unwrap();
            assert!((least..=most).contains(&at), "{value}: {at}");
        }
        assert_eq!(span.ticks(5), [100.0, 1e3, 1e4]);
        for values in [&[][..], &[5.0], &[1.0, 1e9], &[0.001, 0.0011]] {
            let span = Span::of(Scale::Log, Unit::Micros, values.iter().copied(), true);
            let ticks = span.ticks(5);
            assert!(
                !ticks.is_empty() && ticks.len() <= 10,
                "{values:?}: {ticks:?}"
            );
            assert!(ticks.iter().all(|tick| span.has(*tick)), "{ticks:?}");
            assert!(values.iter().all(|value| span.has(*value)), "{span:?}");
        }
    }
}
