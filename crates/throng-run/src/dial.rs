//! Changes a run's message rate from outside, and pauses its opening.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Steps that double the rate, or halve it.
const TO_DOUBLE: i32 = 5;
/// The most steps either way: a million times the rate.
const MOST: i32 = 20 * TO_DOUBLE;

/// Changes the message rate of a run while it lasts, in steps of a fifth of an octave, and pauses the opening of connections.
/// Clones concern the same run. A run without a constant message rate has no rate to change.
#[derive(Clone, Debug, Default)]
pub struct Dial(Arc<Set>);

/// What a dial is set to.
#[derive(Debug, Default)]
struct Set {
    steps: AtomicI32,
    paused: AtomicBool,
}

impl Dial {
    /// A dial at the rate that is asked for.
    pub fn new() -> Dial {
        Dial::default()
    }

    /// Makes the rate faster by `steps`, or slower if they are negative; five steps double it. The run looks at it several
    /// times per second.
    pub fn turn(&self, steps: i32) {
        let turned = |at: i32| Some(at.saturating_add(steps).clamp(-MOST, MOST));
        // It always returns a new value.
        let _ = (self.0.steps).fetch_update(Ordering::Relaxed, Ordering::Relaxed, turned);
    }

    /// How many steps from the rate that is asked for it is.
    pub(crate) fn steps(&self) -> i32 {
        self.0.steps.load(Ordering::Relaxed)
    }

    /// Pauses opening, or has it go on if it is paused. Once opening is over, this has no effect.
    pub fn pause_or_go_on(&self) {
        self.0.paused.fetch_xor(true, Ordering::Relaxed);
    }

    /// Whether opening is to be paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.0.paused.load(Ordering::Relaxed)
    }
}

/// What the rate is multiplied by, so many steps away.
pub(crate) fn factor(steps: i32) -> f64 {
    2f64.powf(f64::from(steps) / f64::from(TO_DOUBLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_steps_double_the_rate_and_there_is_an_end_both_ways() {
        let dial = Dial::new();
        dial.turn(3);
        dial.clone().turn(2);
        assert_eq!(factor(dial.steps()), 2.0);
        dial.turn(-10);
        assert_eq!(factor(dial.steps()), 0.5);
        dial.turn(i32::MAX);
        assert_eq!(factor(dial.steps()), f64::from(1 << 20));
        dial.turn(i32::MIN);
        assert_eq!(factor(dial.steps()), 1.0 / f64::from(1 << 20));
    }
}
