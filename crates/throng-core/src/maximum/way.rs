//! How opening went on the way to the most connections: its rate and its latency, and from how many on they became worse.

use crate::experiment::{Bend, knee};
use crate::stats::Durations;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A step ends when this much more is held, as a factor, or after a second. A long way has longer steps.
const GROWTH: f64 = 1.25;
const LONGEST: Duration = Duration::from_secs(1);
/// How many steps there are until these take twice as long.
const STEPS: usize = 32;
/// The least number of steps of which a knee says something.
const ENOUGH: usize = 6;
/// How many connections a step needs to count for the knee: the latency of a few is chance.
const MANY: u64 = 20;
/// How much longer connecting takes at last than at a knee.
const WORSE: f64 = 3.0;

/// A stretch of the way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// When it ended, in seconds since the run began.
    pub at_s: f64,
    /// Connections that were held at its end.
    pub connections: u64,
    /// Connections established per second in it.
    pub per_s: f64,
    /// The median time to connect, µs; `None` if none was established.
    pub connect_p50_us: Option<f64>,
    /// 99 of 100 connected within this time, µs.
    pub connect_p99_us: Option<f64>,
}

/// The steps so far.
#[derive(Clone, Debug, Default)]
pub struct Way {
    steps: Vec<Step>,
    from: Duration,
    held: u64,
    established: u64,
}

impl Way {
    /// Whether a step ends at `at` with `held` connections.
    pub fn is_due(&self, at: Duration, held: u64) -> bool {
        let longest = LONGEST * 2u32.pow((self.steps.len() / STEPS).min(10) as u32);
        held as f64 >= (self.held as f64 * GROWTH).max(1.0) || at >= self.from + longest
    }

    /// Ends a step: what is held, how many were established since the run began, and how long those of the step took.
    pub fn step(&mut self, at: Duration, held: u64, established: u64, connect: &Durations) {
        let seconds = at.saturating_sub(self.from).as_secs_f64();
        let new = established.saturating_sub(self.established);
        let micros = |p: f64| connect.percentile(p).map(|d| d.as_nanos() as f64 / 1e3);
        if seconds > 0.0 && new > 0 {
            self.steps.push(Step {
                at_s: at.as_secs_f64(),
                connections: held,
                per_s: new as f64 / seconds,
                connect_p50_us: micros(50.0),
                connect_p99_us: micros(99.0),
            });
        }
        (self.from, self.held, self.established) = (at, held, established);
    }

    /// All steps, in order of time.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// From how many connections on connecting took much longer; `None` if it did not.
    pub fn knee(&self) -> Option<u64> {
        let curve: Vec<(f64, f64)> = self
            .steps
            .iter()
            .filter(|step| step.connections >= MANY)
            .filter_map(|step| Some((step.connections as f64, step.connect_p50_us?)))
            .collect();
        if curve.len() < ENOUGH || curve.windows(2).any(|two| two[0].0 >= two[1].0) {
            return None;
        }
        let at = knee(&curve, Bend::RisingConvex, 1.0)?;
        let worse = curve.last()?.1 >= curve[at].1 * WORSE;
        worse.then(|| curve[at].0 as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way on which connecting takes `ms` milliseconds at each number of connections.
    fn way(ms: impl Fn(u64) -> u64) -> Way {
        let mut way = Way::default();
        for n in 1..=20 {
            let held = n * 100;
            let mut connect = Durations::default();
            (0..100).for_each(|_| connect.record(Duration::from_millis(ms(held))));
            way.step(Duration::from_secs(n), held, held, &connect);
        }
        way
    }

    #[test]
    fn a_knee_is_where_connecting_begins_to_take_longer() {
        let bends = way(|held| 2 + held.saturating_sub(1500) / 2);
        let knee = bends.knee().expect("it has one");
        assert!((1400..=1600).contains(&knee), "{knee}");
        assert_eq!(way(|_| 2).knee(), None);
        assert_eq!(way(|held| 2 + held / 1000).knee(), None);
    }

    #[test]
    fn a_step_ends_with_growth_or_with_time_and_says_what_it_brought() {
        let mut way = Way::default();
        assert!(way.is_due(Duration::from_millis(20), 1));
        let mut connect = Durations::default();
        connect.record(Duration::from_millis(3));
        way.step(Duration::from_millis(500), 100, 100, &connect);
        assert!(!way.is_due(Duration::from_millis(600), 124));
        assert!(way.is_due(Duration::from_millis(600), 125));
        assert!(way.is_due(Duration::from_millis(1500), 100));
        let step = way.steps()[0];
        assert_eq!((step.connections, step.per_s), (100, 200.0));
        assert!(
            step.connect_p50_us
                .is_some_and(|us| (2900.0..3100.0).contains(&us))
        );
        // Nothing was established: nothing to tell.
        way.step(Duration::from_secs(2), 100, 100, &Durations::default());
        assert_eq!(way.steps().len(), 1);
    }
}
