//! What is to be seen of a server with a queue, so far above or below the highest rate that it holds.
//!
//! Measurements near the limit scatter far more than independent answers would: whoever waits in a queue waits as
//! long as his neighbours, and a long queue takes long to go. How long follows from how steeply latency answers to
//! the rate. In heavy traffic the work in a queue is a reflected Brownian motion (Kingman; Harrison, Brownian Motion
//! and Stochastic Flow Systems, 5.6): with capacity c, rate r and a gap θ = (c − r)/c it is over a bound b in the share
//! e^(−2θb/σ²) of time. So the logarithm of that share, here the *depth* −ln p, falls evenly to nothing while the rate
//! goes up to the capacity, by some *slope* for each step of the grid. Share allowed and slope together give θ at the
//! limit and σ² = 2·grain·b/slope, and these give how long the queue remembers, how it wanders, and how it grows
//! once it is over its capacity. Only the slope remains unknown: it is small for a server far below its capacity
//! that now and then is slow, and hardly has an end for one that is as fast each time.

use std::time::Duration;

/// The share over the bound at or above the capacity, less what came while the queue was growing: 97 %.
const LEAST_DEPTH: f64 = 0.03;
/// Deeper than this nothing is over the bound.
const MOST_DEPTH: f64 = 60.0;
/// However far the capacity is, answers of one such stretch are alike, in bounds: where few are slow but those very,
/// each holds up all that come meanwhile. For light tails it is too much, and makes them seem less sure than they are.
const MEMORY_BOUNDS: f64 = 3.0;
/// The formula is for a measurement much longer than the memory. Near the limit it is not, and the queue that one rate
/// leaves goes over to the next; by simulation that makes for this much more.
const CARRIED_OVER: f64 = 1.5;
/// Close to the capacity a queue crosses the bound by chance in b²/σ², which is half of bound·slope/grain. It takes
/// no longer than some such times to become another one.
const LONGEST_MEMORY: f64 = 2.0;
/// No queue is spread more widely than at this depth, as it would take longer than a measurement to get there.
const WIDEST_DEPTH: f64 = 0.5;

/// What is asked of the queue, and what is known of all its measurements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    /// Latency is to stay at or under this, in seconds …
    pub bound: f64,
    /// … but for this share of answers.
    pub allowed: f64,
    /// The logarithm of the ratio of neighbouring rates on the grid.
    pub grain: f64,
    /// How much longer it remembers than it should, by how measurements scattered; 1 if it does not.
    pub excess: f64,
}

/// What is to be seen at one rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The share over the bound in the long run.
    pub share: f64,
    /// The logarithms of that and of the rest.
    pub ln_over: f64,
    pub ln_under: f64,
    /// So many seconds say as much of it as one independent answer.
    pub memory: f64,
    /// By how much latency grows without end, in seconds a second; zero below the capacity.
    pub drift: f64,
    /// Variance of latency's way in a second, in s², and of where it is in the long run.
    pub wander: f64,
    pub spread: f64,
}

impl Queue {
    pub fn new(bound: Duration, allowed: f64, grain: f64) -> Queue {
        Queue {
            bound: bound.as_secs_f64(),
            allowed,
            grain,
            excess: 1.0,
        }
    }

    /// What is to be seen so many `steps` above the limit (below, if negative), if the logarithm of the share over
    /// the bound changes by `slope` with each.
    pub fn expected(&self, slope: f64, steps: f64) -> Expected {
        let depth = -self.allowed.ln() - slope * steps;
        let ln_over = -depth.clamp(LEAST_DEPTH, MOST_DEPTH);
        let share = ln_over.exp();
        // In units of bound·slope/grain. Below the capacity it is the asymptotic variance of the share of time over
        // the bound, 2σ²/θ²·p(1 − p − p·depth), by p(1 − p). Above it is how long the queue takes to the bound.
        let memory = if depth > 0.0 {
            4.0 / (depth * depth) * (1.0 - share * depth / (1.0 - share)).max(0.0)
        } else {
            1.0 / -depth
        };
        let unit = self.bound * slope / self.grain;
        let queue = unit * memory.clamp(0.0, LONGEST_MEMORY);
        Expected {
            share,
            ln_over,
            ln_under: (-share).ln_1p(),
            memory: self.excess * (MEMORY_BOUNDS * self.bound + CARRIED_OVER * queue),
            drift: (-depth * self.grain / slope).max(0.0),
            wander: 2.0 * self.grain * self.bound / slope,
            spread: 2.0 * (self.bound / depth.max(WIDEST_DEPTH)).powi(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M/M/1 with capacity 1000/s and the bound at 20 ms: in the long run p95 is at it at 850/s.
    #[test]
    fn a_queue_with_random_service_times_is_as_its_law_says() {
        let queue = Queue::new(Duration::from_millis(20), 0.05, 0.01);
        let slope = 850.0 * 0.02 * 0.01;
        for steps in [-10.0, 0.0, 5.0] {
            let rate = 850.2 * (1.0 + 0.01 * steps);
            let share = (-(1000.0 - rate) * 0.02f64).exp();
            let expected = queue.expected(slope, steps);
            assert!((expected.share / share - 1.0).abs() < 0.02, "{steps}");
            assert_eq!(expected.drift, 0.0);
            assert!((expected.ln_over.exp() + expected.ln_under.exp() - 1.0).abs() < 1e-9);
        }
        // It takes about 4/(capacity (1 − ρ)²) to forget, a few tenths of a second; an answer over the bound less.
        let memory = queue.expected(slope, 0.0).memory;
        assert!((0.1..0.35).contains(&memory), "{memory}");
    }

    #[test]
    fn beyond_its_capacity_latency_grows_by_what_is_too_much() {
        let queue = Queue::new(Duration::from_millis(10), 0.05, 0.01);
        // With such a slope the capacity is a step above the limit.
        let slope = -0.05f64.ln();
        assert!(queue.expected(slope, 0.9).drift == 0.0);
        let drift = queue.expected(slope, 4.0).drift;
        assert!((drift - 0.03).abs() < 1e-9, "{drift}");
        // At 3 % too much it takes a third of a second to be over 10 ms.
        let memory = queue.expected(slope, 4.0).memory;
        assert!((0.3..0.6).contains(&memory), "{memory}");
    }
}
