//! Where the true rate lies, as probabilities on a grid of rates.

use super::evidence::Evidence;
use super::queue::{Expected, Queue};

/// How steeply the share over the bound grows with the rate ([`super::queue`]) is not known. Each of these is as
/// likely as its double, before anything is measured: from hardly at all to within a step of the grid.
const SLOPES: usize = 12;
const LEAST_SLOPE: f64 = 0.003;
/// Trials that scatter as they should, taken to have been before the first.
const USUAL_TRIALS: f64 = 5.0;
/// Scatter is seen only where neither nearly all nor hardly any are over the bound: from this share of what is
/// allowed up to all but so many.
const SEEN: f64 = 0.2;
/// The farthest from its place that a trial counts for the scatter, as the square of standard deviations.
const FARTHEST: f64 = 100.0;

/// How likely the true rate lies in each cell of the grid.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    /// The step at which the first cell begins.
    from: i32,
    weights: Vec<f64>,
    /// How much more trials scattered about the likeliest than a queue's would (Pearson's χ² by its degrees of
    /// freedom, as for overdispersed counts: McCullagh and Nelder, Generalized Linear Models, 4.5); at least 1.
    pub excess: f64,
}

impl Belief {
    /// In the cells from step `from` to step `to`, by what was measured at which steps: how likely all of it is with
    /// the limit in the middle of a cell, summed up over all slopes.
    pub fn new(from: i32, to: i32, queue: Queue, tried: &[(i32, &Evidence)]) -> Belief {
        let to = to.max(from + 1);
        let cells = (to - from) as usize;
        let lowest = tried.iter().map(|t| t.0).min().unwrap_or(from);
        let highest = tried.iter().map(|t| t.0).max().unwrap_or(to);
        // The fewest steps that one tried lies above the beginning of a cell, and how many there are from that on.
        let least = lowest - (to - 1);
        let span = (highest - from - least + 1).max(1);
        let likely: Vec<_> = tried.iter().map(|(_, e)| e.likely(queue.bound)).collect();
        let mut logs = vec![0.0; cells * SLOPES];
        for (i, logs) in logs.chunks_mut(cells).enumerate() {
            let expected: Vec<Expected> = (0..span)
                .map(|n| queue.expected(slope(i), f64::from(least + n) - 0.5))
                .collect();
            for ((step, _), likely) in tried.iter().zip(&likely) {
                for (cell, log) in (from..to).zip(logs.iter_mut()) {
                    *log += likely(&expected[(step - cell - least) as usize], *step <= cell);
                }
            }
        }
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights = vec![0.0; cells];
        for logs in logs.chunks(cells) {
            for (weight, log) in weights.iter_mut().zip(logs) {
                *weight += (log - most).exp();
            }
        }
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        let best = logs.iter().position(|log| *log >= most).unwrap_or(0);
        let middle = f64::from(from + (best % cells) as i32) + 0.5;
        Belief {
            from,
            weights,
            excess: excess(queue, slope(best / cells), middle, tried),
        }
    }

    /// The probability that it lies between two steps.
    pub fn between(&self, low: i32, high: i32) -> f64 {
        let cells = self.weights.len() as i32;
        let at = |step: i32| step.saturating_sub(self.from).clamp(0, cells) as usize;
        self.weights[at(low)..at(high)].iter().sum()
    }

    /// The probability that a rate holds: that the true one is no lower.
    pub fn holds(&self, step: i32) -> f64 {
        self.between(step, i32::MAX)
    }

    /// The step at which the cell begins up to which, itself included, the probability is `share`.
    pub fn quantile(&self, share: f64) -> i32 {
        let mut sum = 0.0;
        let reaches = |w: &f64| {
            sum += w;
            sum >= share
        };
        let cell = self.weights.iter().position(reaches);
        self.from + cell.unwrap_or(self.weights.len() - 1) as i32
    }
}

fn slope(i: usize) -> f64 {
    LEAST_SLOPE * f64::from(1u32 << i)
}

fn excess(queue: Queue, slope: f64, limit: f64, tried: &[(i32, &Evidence)]) -> f64 {
    let usual = Queue {
        excess: 1.0,
        ..queue
    };
    let (mut sum, mut count) = (USUAL_TRIALS, USUAL_TRIALS);
    for (step, evidence) in tried {
        let expected = usual.expected(slope, f64::from(*step) - limit);
        if (queue.allowed * SEEN..1.0 - SEEN).contains(&expected.share) {
            for square in evidence.squares(&expected) {
                sum += square.min(FARTHEST);
                count += 1.0;
            }
        }
    }
    (sum / count).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::observation::{Observation, Slice};
    use super::super::reading;
    use super::*;
    use std::time::Duration;

    const BOUND: Duration = Duration::from_millis(10);

    /// A second at 8000/s in which so many of a thousand were over the bound.
    fn evidence(over: &[u64]) -> Evidence {
        let mut evidence = Evidence::default();
        for over in over {
            let sways = [3.0, 5.0, 2.0, 4.0, 6.0, 3.0, 5.0, 4.0];
            let slices = sways.iter().map(|ms| Slice {
                samples: 1000,
                over: *over,
                mean: Duration::from_secs_f64(ms / 1e3),
            });
            let seen = Observation {
                asked_per_s: 8e3,
                sent_per_s: 8e3,
                answered_per_s: 8e3,
                latency: Some(BOUND.mul_f64(if *over > 50 { 1.2 } else { 0.8 })),
                samples: 8000,
                slices: slices.collect(),
            };
            let second = Duration::from_secs(1);
            evidence.add(&seen, second, &reading::read(&seen, BOUND, second));
        }
        evidence
    }

    fn belief(from: i32, to: i32, tried: &[(i32, &[u64])]) -> Belief {
        let tried: Vec<_> = tried.iter().map(|(step, o)| (*step, evidence(o))).collect();
        let tried: Vec<_> = tried.iter().map(|(step, e)| (*step, e)).collect();
        Belief::new(from, to, Queue::new(BOUND, 0.05, 0.01), &tried)
    }

    #[test]
    fn it_lies_between_what_holds_and_what_breaks() {
        let belief = belief(0, 100, &[(20, &[0, 0]), (60, &[1000, 1000])]);
        assert!(belief.between(18, 62) > 0.9, "{}", belief.between(18, 62));
        assert!((25..=58).contains(&belief.quantile(0.5)));
        assert!((belief.between(-5, 500) - 1.0).abs() < 1e-9);
        assert!(belief.holds(20) > 0.9 && belief.holds(60) < 0.1);
    }

    #[test]
    fn before_anything_is_measured_all_is_as_likely() {
        let belief = belief(-10, 10, &[]);
        assert!((belief.between(-10, 0) - 0.5).abs() < 1e-9);
        assert_eq!(belief.excess, 1.0);
    }

    #[test]
    fn how_the_share_grows_from_rate_to_rate_says_where_it_is_the_one_allowed() {
        let tried: [(i32, &[u64]); 5] = [
            (20, &[12; 40]),
            (25, &[18; 40]),
            (30, &[27; 40]),
            (35, &[40; 40]),
            (40, &[60; 40]),
        ];
        let belief = belief(0, 80, &tried);
        // One step is a factor of e^0.08.
        let middle = belief.quantile(0.5);
        assert!((34..=40).contains(&middle), "{middle}");
        // That five rates agree makes surer than that two do.
        assert!(belief.between(32, 43) > 0.8);
    }

    #[test]
    fn trials_that_scatter_more_than_a_queue_does_make_unsure() {
        let even: [(i32, &[u64]); 2] = [(20, &[30; 8]), (30, &[80; 8])];
        let wild: [(i32, &[u64]); 2] = [
            (20, &[0, 0, 0, 240, 0, 0, 0, 0]),
            (30, &[640, 0, 0, 0, 0, 0, 0, 0]),
        ];
        let (even, wild) = (belief(0, 60, &even), belief(0, 60, &wild));
        assert!(even.excess < 1.5 && wild.excess > 2.0, "{}", wild.excess);
    }
}
