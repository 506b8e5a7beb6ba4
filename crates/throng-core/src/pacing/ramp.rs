//! The arithmetic of a rate that is steady or changes evenly: how many messages a stretch of time has, and when each of
//! them is due.
//!
//! Totals are whole numbers of [`MESSAGE`] parts, so that nothing is lost where stretches meet, however many there are
//! and however long they last. Only the offset within a stretch is a floating-point number, calculated from the end
//! that makes all terms positive. Its error is at most 2 units in the last place of 53 bits, which is below a
//! nanosecond in stretches of up to a month.

/// One message per second in this module's unit of rates: a billionth of a message per second. So 0.1 is exact, and one
/// message in thirty years can be expressed.
pub(super) const PER_SECOND: f64 = 1e9;
/// One message in the unit of totals: (10^-9 messages per second) x (10^-9 s) / 2. The half is from the mean of the
/// rates at both ends. With rates up to 10^9 per second and 584 years, totals stay below 2^125.
pub(super) const MESSAGE: u128 = 2_000_000_000_000_000_000;

/// A stretch of time in which the rate changes evenly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ramp {
    /// Nanoseconds, above 0.
    pub duration: u64,
    /// The rate at its start, in 10^-9 messages per second.
    pub from: u64,
    /// The rate at its end, in 10^-9 messages per second.
    pub to: u64,
}

/// A rate in 10^-9 messages per second; at most one message per nanosecond.
pub(super) fn billionths(per_second: f64) -> u64 {
    (per_second * PER_SECOND)
        .round()
        .min(crate::units::MAX_RATE * PER_SECOND) as u64
}

/// `parts` in messages.
pub(super) fn messages(parts: u128) -> f64 {
    // In two steps, so that whole numbers stay whole.
    (parts / MESSAGE) as f64 + (parts % MESSAGE) as f64 / MESSAGE as f64
}

impl Ramp {
    /// The messages of the whole stretch, in parts.
    pub fn total(&self) -> u128 {
        (u128::from(self.from) + u128::from(self.to)) * u128::from(self.duration)
    }

    /// The messages of its first `offset` nanoseconds, in parts.
    pub fn total_by(&self, offset: u64) -> u128 {
        if offset >= self.duration {
            return self.total();
        }
        let (duration, x) = (u128::from(self.duration), u128::from(offset));
        let steady = 2 * u128::from(self.from) * x;
        // (to - from) x^2 / duration, in two steps for which 128 bits are enough.
        let (whole, rest) = (x * x / duration, x * x % duration);
        let change = |by: u64| u128::from(by) * whole + u128::from(by) * rest / duration;
        if self.to >= self.from {
            steady + change(self.to - self.from)
        } else {
            steady - change(self.from - self.to)
        }
    }

    /// The rate after `offset` nanoseconds.
    pub fn rate_at(&self, offset: u64) -> u64 {
        let (from, to) = (i128::from(self.from), i128::from(self.to));
        let x = i128::from(offset.min(self.duration));
        (from + (to - from) * x / i128::from(self.duration)) as u64
    }

    /// Splits the stretch after `offset` nanoseconds, which must lie within it.
    pub fn cut(&self, offset: u64) -> (Ramp, Ramp) {
        debug_assert!(0 < offset && offset < self.duration);
        let rate = self.rate_at(offset);
        (
            Ramp {
                duration: offset,
                from: self.from,
                to: rate,
            },
            Ramp {
                duration: self.duration - offset,
                from: rate,
                to: self.to,
            },
        )
    }

    /// Finds when the messages of this stretch are due.
    pub fn curve(&self) -> Curve {
        let per_ns = |rate: u64| rate as f64 / (PER_SECOND * 1e9);
        let duration = self.duration as f64;
        let (from, to) = (per_ns(self.from), per_ns(self.to));
        let double_slope = 2.0 * (to - from) / duration;
        if self.from == self.to {
            Curve::Steady { interval: 1.0 / to }
        } else if self.to > self.from {
            Curve::Up {
                from,
                square: from * from,
                double_slope,
            }
        } else {
            Curve::Down {
                duration,
                to,
                square: to * to,
                double_slope: -double_slope,
            }
        }
    }
}

/// The inverse of a ramp's total: the offset in nanoseconds for a number of messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Curve {
    /// The rate is constant.
    Steady { interval: f64 },
    /// The rate grows. Solved from the start.
    Up {
        from: f64,
        square: f64,
        double_slope: f64,
    },
    /// The rate shrinks. Solved from the end, because from the start the last messages would be the small difference of
    /// large numbers.
    Down {
        duration: f64,
        to: f64,
        square: f64,
        double_slope: f64,
    },
}

impl Curve {
    /// Whether [`Curve::offset`] takes the number of messages left instead of that of messages before.
    pub fn is_from_the_end(&self) -> bool {
        matches!(self, Curve::Down { .. })
    }

    /// The offset in nanoseconds at which `n` messages are before (or are left, see [`Curve::is_from_the_end`]).
    #[inline]
    pub fn offset(&self, n: f64) -> f64 {
        match *self {
            Curve::Steady { interval } => n * interval,
            Curve::Up {
                from,
                square,
                double_slope,
            } => {
                // The root of from x + slope x^2 / 2 = n in the form without a subtraction. For n = 0 and a rate
                // of 0 it is 0/0.
                let root = (square + double_slope * n).sqrt();
                if n > 0.0 {
                    2.0 * n / (from + root)
                } else {
                    0.0
                }
            }
            Curve::Down {
                duration,
                to,
                square,
                double_slope,
            } => {
                let root = (square + double_slope * n).sqrt();
                let left = if n > 0.0 { 2.0 * n / (to + root) } else { 0.0 };
                (duration - left).max(0.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ramp(seconds: u64, from: f64, to: f64) -> Ramp {
        Ramp {
            duration: seconds * 1_000_000_000,
            from: billionths(from),
            to: billionths(to),
        }
    }

    /// The offset at which `parts` of `ramp` are before; `parts` is less than its total.
    fn offset_of(ramp: &Ramp, parts: u128) -> f64 {
        let curve = ramp.curve();
        curve.offset(messages(match curve.is_from_the_end() {
            true => ramp.total() - parts,
            false => parts,
        }))
    }

    #[test]
    fn totals_are_exact() {
        assert_eq!(ramp(10, 1000.0, 1000.0).total(), 10_000 * MESSAGE);
        assert_eq!(ramp(30, 1000.0, 50_000.0).total(), 765_000 * MESSAGE);
        assert_eq!(ramp(10, 0.1, 0.1).total(), MESSAGE);
        let month = ramp(30 * 86_400, 1e9, 1e9);
        assert_eq!(month.total_by(month.duration / 2) * 2, month.total());
    }

    #[test]
    fn the_last_message_of_a_long_ramp_down_to_nothing_is_due_on_the_nanosecond() {
        // One message is left when slope y^2 / 2 = 1, y before the end.
        let down = ramp(36_000, 50_000.0, 0.0);
        let left = (2.0 * 36_000.0 / 50_000.0f64).sqrt() * 1e9;
        let at = offset_of(&down, down.total() - MESSAGE);
        assert!((36_000e9 - at - left).abs() < 0.01, "{at}");
        let up = ramp(36_000, 0.0, 50_000.0);
        let at = offset_of(&up, MESSAGE);
        assert!((at - left).abs() < 0.001, "{at}");
    }

    proptest! {
        #[test]
        fn offset_and_total_are_inverse(
            duration in 1u64..(100 * 86_400_000_000_000),
            from in 0u64..1_000_000_000_000_000,
            to in 0u64..1_000_000_000_000_000,
            at in 0.0f64..1.0,
        ) {
            let ramp = Ramp { duration, from, to };
            let x = (at * duration as f64) as u64;
            let parts = ramp.total_by(x);
            prop_assume!(parts < ramp.total());
            let back = offset_of(&ramp, parts);
            // A steady rate of 0 has no inverse; near it, a part takes a long time.
            let rate = ramp.rate_at(x).max(1) as f64;
            let slack = 2.0 + x as f64 * 1e-15 + 1.0 / rate + (2.0 * duration as f64 / (from.abs_diff(to).max(1) as f64)).sqrt();
            prop_assert!((back - x as f64).abs() <= slack, "{back} {x} {slack}");
        }

        #[test]
        fn the_parts_of_a_cut_carry_what_the_whole_did(
            duration in 2u64..(100 * 86_400_000_000_000),
            from in 0u64..=1_000_000_000_000_000_000,
            to in 0u64..=1_000_000_000_000_000_000,
            at in 0.0f64..1.0,
        ) {
            let ramp = Ramp { duration, from, to };
            let x = ((at * duration as f64) as u64).clamp(1, duration - 1);
            let (a, b) = ramp.cut(x);
            // The rate at the cut is rounded to a billionth per second.
            let difference = ramp.total().abs_diff(a.total() + b.total());
            prop_assert!(difference <= u128::from(duration), "{difference}");
            prop_assert!(ramp.total_by(x).abs_diff(a.total()) <= u128::from(x));
        }
    }
}
