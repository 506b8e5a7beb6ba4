//! A message rate that is changed by hand while the run lasts.

use crate::behave::LoadBehaviours;
use crate::dial::{self, Dial};
use std::time::Duration;
use throng_core::behaviour::Steer;
use throng_core::record::RateChange;
use throng_core::scenario::{LoadScenario, RunRate, Sending};
use throng_core::time::Time;
use throng_core::units::Rate;

/// A rate that a [`Dial`] changes.
pub(crate) struct Turning {
    dial: Dial,
    /// Messages per second that the scenario asks for, over all connections.
    first: f64,
    /// The steps of the dial that are taken into account.
    steps: i32,
    /// Messages per second now.
    pub per_s: f64,
}

impl Turning {
    /// The rate that `scenario` asks for, if it is constant.
    pub fn of(dial: Dial, scenario: &LoadScenario, behaviours: &LoadBehaviours) -> Option<Turning> {
        let first = match &scenario.pace.sending {
            Sending::PerConnection(rate) => rate.get() * f64::from(scenario.own_connections()),
            Sending::WholeRun {
                rate: RunRate::Constant(rate),
                ..
            } => rate.get(),
            _ => return None,
        };
        (behaviours.repeats() && first > 0.0).then_some(Turning {
            dial,
            first,
            steps: 0,
            per_s: first,
        })
    }

    /// What the workers are to be told if the dial was turned, and what that changes `from` then on.
    pub fn turned(&mut self, from: Time) -> Option<(Steer, RateChange)> {
        let steps = self.dial.steps();
        let factor = dial::factor(steps);
        let per_s = self.first * factor;
        if steps == self.steps || Rate::per_second(per_s).is_none() {
            return None;
        }
        let change = RateChange {
            at: Duration::from_nanos(from.0),
            from_per_s: self.per_s,
            to_per_s: per_s,
        };
        (self.steps, self.per_s) = (steps, per_s);
        Some((Steer::Tempo { from, factor }, change))
    }
}
