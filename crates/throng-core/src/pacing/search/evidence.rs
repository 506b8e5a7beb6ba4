//! What all measurements of one rate say of where the limit lies.
//!
//! The share of answers over the bound counts as that of so many independent answers as the queue can have
//! forgotten itself in that time ([`super::queue`]). How latency went on within a measurement says more: that it rose steadily speaks
//! against a rate that holds, that it stayed level against an overload, and that it hardly moved at all against a queue
//! that by chance is at times long.

use super::found::Limit;
use super::observation::Observation;
use super::queue::Expected;
use super::reading::Reading;
use std::f64::consts::TAU;
use std::time::Duration;

/// One measurement makes nothing less likely than e^-6 (1 in 400): what is not reckoned with happens, too.
const LEAST_LIKELY: f64 = -6.0;
/// The odds that a rate at which messages were missing is beyond what can be had …
const LOST_ODDS: f64 = 19.0;
/// … and that one is at which latency rose all the time. A queue that settles may do so for once.
const RISE_ODDS: f64 = 10.0;
/// Latency that moves by less than this share of the bound from slice to slice does not move: clocks and wake-ups
/// have their own noise.
const LEVEL: f64 = 0.01;
/// Queues are at rest for a while, too. Only movement that is less than this share of what is to be expected (as
/// variance) says something, and then this power of how much less it is.
const CALM: f64 = 0.01;
const CALM_POWER: f64 = 2.0;
/// Fewer steps from slice to slice say nothing of how latency moves.
const FEWEST_STEPS: f64 = 4.0;

/// What was counted in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counted {
    seconds: f64,
    samples: f64,
    over: f64,
}

impl Counted {
    /// As how many independent answers it counts.
    fn worth(&self, expected: &Expected) -> f64 {
        1.0 / (1.0 / self.samples + expected.memory / self.seconds)
    }
}

/// What all measurements of one rate say together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    /// Each measurement that can be judged.
    each: Vec<Counted>,
    all: Counted,
    /// How mean latency moved from slice to slice: how often, the sum in seconds and that of squares.
    steps: f64,
    moved: f64,
    squares: f64,
    /// How long a slice is, in seconds.
    slice: f64,
    trials: u32,
    /// Measurements in which messages were missing, and those in which latency rose all the time.
    lost: u32,
    rises: u32,
}

impl Evidence {
    /// Adds what was `seen` in `measured` and is read as `reading`.
    pub fn add(&mut self, seen: &Observation, measured: Duration, reading: &Reading) {
        self.trials += 1;
        if matches!(reading.broke, Some(Limit::Sending | Limit::Answers)) {
            // The server did not have that rate, so its latency says nothing of it.
            self.lost += 1;
            return;
        }
        // What was measured while the queue was filling is not how it stays; the end is closer to it, if it has
        // come over the bound at all.
        let mut from = 0;
        if reading.rising {
            self.rises += 1;
            if reading.broke.is_none() {
                return;
            }
            from = seen.slices.len() / 2;
        }
        let slices = &seen.slices[from..];
        self.slice = measured.as_secs_f64() / seen.slices.len().max(1) as f64;
        for pair in slices
            .windows(2)
            .filter(|p| p.iter().all(|s| s.samples > 0))
        {
            let step = pair[1].mean.as_secs_f64() - pair[0].mean.as_secs_f64();
            self.steps += 1.0;
            self.moved += step;
            self.squares += step * step;
        }
        let counted = Counted {
            seconds: self.slice * slices.len() as f64,
            samples: slices.iter().map(|s| s.samples as f64).sum(),
            over: slices.iter().map(|s| s.over as f64).sum(),
        };
        if counted.samples > 0.0 {
            self.all.seconds += counted.seconds;
            self.all.samples += counted.samples;
            self.all.over += counted.over;
            self.each.push(counted);
        }
    }

    /// How far each measurement is from what is `expected`, squared, in standard deviations.
    pub fn squares(&self, expected: &Expected) -> impl Iterator<Item = f64> {
        let variance = expected.share * (1.0 - expected.share);
        self.each.iter().map(move |c| {
            (c.over / c.samples - expected.share).powi(2) * c.worth(expected) / variance
        })
    }

    /// How likely this is for each that is `expected`: its logarithm, but for a constant. `holds`: the rate is not
    /// above the limit.
    pub fn likely(&self, bound: f64) -> impl Fn(&Expected, bool) -> f64 {
        let Counted { samples, over, .. } = self.all;
        let share = if samples > 0.0 { over / samples } else { 0.0 };
        let part = |x: f64| if x > 0.0 { x * x.ln() } else { 0.0 };
        let most = part(share) + part(1.0 - share);
        let scatter = TAU * share * (1.0 - share);
        let (steps, slice) = (self.steps, self.slice);
        let (mean, square) = (self.moved / steps, self.squares / steps);
        let level = (LEVEL * bound).powi(2);
        let variance = (square - mean * mean).max(0.0) + level;
        let has_steps = steps >= FEWEST_STEPS && over < 0.5 * samples;
        let least = LEAST_LIKELY * f64::from(self.trials);
        let lost = LOST_ODDS.ln() * f64::from(self.lost);
        let rises = RISE_ODDS.ln() * f64::from(self.rises);
        let all = self.all;
        move |expected, holds| {
            let mut log = 0.0;
            if expected.drift == 0.0 {
                log -= rises;
            }
            if samples > 0.0 {
                // The binomial probability as a density of the share, by Stirling's formula.
                let worth = all.worth(expected);
                let fits = share * expected.ln_over + (1.0 - share) * expected.ln_under;
                log += worth * (fits - most);
                if scatter > 0.0 {
                    log += 0.5 * ((1.0 + worth * scatter) / (1.0 + samples * scatter)).ln();
                }
            }
            if has_steps {
                // Student's t, against latency that grows by the drift: only if it did not grow so much.
                let missing = expected.drift * slice - mean;
                if expected.drift > 0.0 && missing > 0.0 {
                    let t_squared = missing * missing * steps / variance;
                    log -= steps / 2.0 * (t_squared / (steps - 1.0)).ln_1p();
                }
                // Means of neighbouring slices of a Brownian motion are 2/3 of a slice's way apart, squared.
                let way =
                    1.0 / (1.0 / (2.0 / 3.0 * expected.wander * slice) + 1.0 / expected.spread);
                let calm = (square + level) / way;
                if calm < CALM {
                    log += CALM_POWER * (calm / CALM).ln();
                }
            }
            log.max(least) - if holds { lost } else { 0.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::observation::Slice;
    use super::super::queue::Queue;
    use super::super::reading;
    use super::*;

    const BOUND: Duration = Duration::from_millis(10);
    const SECOND: Duration = Duration::from_secs(1);

    fn ms(ms: f64) -> Duration {
        Duration::from_secs_f64(ms / 1e3)
    }

    /// A second at 8000/s with so many over the bound in each slice, and such mean latencies.
    fn seen(over: &[u64; 8], means: impl Fn(usize) -> f64) -> Observation {
        let slice = |(i, over): (usize, &u64)| Slice {
            samples: 1000,
            over: *over,
            mean: ms(means(i)),
        };
        let late = over.iter().sum::<u64>() > 400;
        Observation {
            asked_per_s: 8e3,
            sent_per_s: 8e3,
            answered_per_s: 8e3,
            latency: Some(ms(if late { 12.0 } else { 8.0 })),
            samples: 8000,
            slices: over.iter().enumerate().map(slice).collect(),
        }
    }

    fn evidence(all: &[Observation]) -> Evidence {
        let mut evidence = Evidence::default();
        for seen in all {
            evidence.add(seen, SECOND, &reading::read(seen, BOUND, SECOND));
        }
        evidence
    }

    /// By how much more likely it is so many steps above the limit than as many below.
    fn for_above(evidence: &Evidence, slope: f64, steps: f64) -> f64 {
        let queue = Queue::new(BOUND, 0.05, 0.01);
        let likely = evidence.likely(queue.bound);
        likely(&queue.expected(slope, steps), false) - likely(&queue.expected(slope, -steps), true)
    }

    const SWAYS: fn(usize) -> f64 = |i| [3.0, 5.0, 2.0, 4.0, 6.0, 3.0, 5.0, 4.0][i];

    #[test]
    fn more_over_the_bound_than_allowed_speaks_for_a_rate_above_the_limit_and_less_against() {
        for (over, above) in [(300, 1.0), (150, 1.0), (90, 1.0), (10, -1.0), (0, -1.0)] {
            let found = for_above(&evidence(&[seen(&[over; 8], SWAYS)]), 0.2, 5.0);
            assert!(found * above > 0.2, "{over}: {found}");
        }
    }

    #[test]
    fn a_second_measurement_of_the_same_says_more_than_one_but_thousands_of_answers_are_no_proof() {
        let quiet = seen(&[20; 8], SWAYS);
        let once = for_above(&evidence(std::slice::from_ref(&quiet)), 0.2, 3.0);
        let twice = for_above(&evidence(&[quiet.clone(), quiet]), 0.2, 3.0);
        assert!(twice < 1.5 * once && once < -0.2, "{once} {twice}");
        // Were the 8000 answers independent it would be e^-80.
        assert!(once > -4.0, "{once}");
    }

    #[test]
    fn the_slower_a_queue_forgets_the_less_a_measurement_says() {
        let over = evidence(&[seen(&[90; 8], SWAYS)]);
        let queue = Queue::new(BOUND, 0.05, 0.01);
        let slow = Queue {
            excess: 4.0,
            ..queue
        };
        let says = |queue: Queue| {
            let likely = over.likely(queue.bound);
            likely(&queue.expected(0.2, 0.0), true) - likely(&queue.expected(0.2, -10.0), true)
        };
        assert!(says(queue) > 2.0 * says(slow) && says(slow) > 0.0);
    }

    #[test]
    fn latency_that_stays_level_speaks_against_an_overload_and_a_rise_for_it() {
        let level = evidence(&[seen(&[0; 8], |_| 1.0)]);
        let rising = evidence(&[seen(&[0; 8], |i| 1.0 + i as f64)]);
        let found = for_above(&level, 3.0, 2.0);
        assert!(found < -2.0, "{found}");
        assert!(for_above(&rising, 3.0, 2.0) > 2.0);
        // A queue that is known for its noise could have looked so by chance.
        assert!(for_above(&level, 0.05, 2.0) > -5.0);
    }

    #[test]
    fn what_was_lost_counts_against_a_rate_and_no_measurement_counts_for_everything() {
        let lost = Observation {
            sent_per_s: 6e3,
            ..seen(&[0; 8], |_| 1.0)
        };
        let once = for_above(&evidence(&[lost]), 0.2, 5.0);
        assert!((once - LOST_ODDS.ln()).abs() < 1e-9, "{once}");
        let all_over = evidence(&[seen(&[1000; 8], |_| 50.0)]);
        let queue = Queue::new(BOUND, 0.05, 0.01);
        let likely = all_over.likely(queue.bound);
        assert_eq!(likely(&queue.expected(0.2, -200.0), true), LEAST_LIKELY);
    }
}
