//! What measurements of one rate say: how sure it is that the rate keeps latency under the bound.
//!
//! A rate holds if the share of answers over the bound is no more than the percentile allows: of p95, 5 %. The
//! share that was measured scatters, and more than it would if answers were independent: whoever waits in a
//! queue waits as long as his neighbours. So a measurement comes in slices of time, the scatter is that of the
//! slices' shares, and where one slice still resembles the next, it is corrected for that (batch means; Law and
//! Kelton, Simulation Modeling and Analysis, 9.5.3). A hiccup that spoils one slice makes the answer unsure, not
//! wrong.

use super::search::{Limit, Observation, Slice};
use std::time::Duration;

/// How much of what was due may be missing in a measurement: the sender's own hiccups are not the server's
/// limit.
const SHORTFALL: f64 = 0.01;
/// The most of what was due that may count as still on its way.
const MOST_ON_THEIR_WAY: f64 = 0.2;
/// Counting begins and ends between messages.
const EDGES: f64 = 3.0;
/// The odds that a rate at which messages were missing is beyond what can be had.
const LOST_ODDS: f64 = 19.0;
/// How many times its standard error a rise of latency within a trial must be to be one, and which share of the
/// bound.
const RISE_ERRORS: f64 = 4.0;
const RISE_SHARE: f64 = 0.05;
/// No rate is surer to hold, or to break, than this: what is not reckoned with happens, too.
const SUREST: f64 = 0.997;
/// Neighbouring slices count as no more alike than this.
const MOST_ALIKE: f64 = 0.7;
/// In so many bounds of time a queue near its limit may well not once grow long, though in the long run it is
/// long as often as is allowed.
const QUIET_BOUNDS: f64 = 100.0;
/// With latency below this share of the bound a rate is not near its limit.
const NEAR: f64 = 0.5;

/// What one measurement says at first sight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    /// Latency was over the bound at the percentile, or messages were missing.
    pub broke: Option<Limit>,
    /// Latency rose all the time, as it does while a queue fills.
    pub rising: bool,
}

/// Reads what was `seen` in `measured`, against `bound`.
pub(super) fn read(seen: &Observation, bound: Duration, measured: Duration) -> Reading {
    Reading {
        broke: broken(seen, bound, measured),
        rising: is_rising(&seen.slices, bound),
    }
}

fn broken(seen: &Observation, bound: Duration, measured: Duration) -> Option<Limit> {
    let seconds = measured.as_secs_f64().max(1e-9);
    // As many as the bound allows may be on their way when counting begins or ends (Little's law). With a bound
    // longer than the measurement that could be all.
    let share = (bound.as_secs_f64() / seconds).min(MOST_ON_THEIR_WAY);
    let on_their_way = seen.asked_per_s * share + EDGES / seconds;
    let missing = |had: f64, wanted: f64| had < wanted * (1.0 - SHORTFALL) - on_their_way;
    let Some(latency) = seen.latency else {
        return Some(Limit::Answers);
    };
    if latency > bound {
        Some(Limit::Latency)
    } else if missing(seen.sent_per_s, seen.asked_per_s) {
        Some(Limit::Sending)
    } else if missing(seen.answered_per_s, seen.sent_per_s) {
        Some(Limit::Answers)
    } else {
        None
    }
}

/// Whether mean latency rises from slice to slice by more than chance, by the slope of a straight line.
fn is_rising(slices: &[Slice], bound: Duration) -> bool {
    let means: Vec<f64> = slices
        .iter()
        .filter(|s| s.samples > 0)
        .map(|s| s.mean.as_secs_f64())
        .collect();
    let n = means.len() as f64;
    if n < 4.0 {
        return false;
    }
    let (middle, mean) = ((n - 1.0) / 2.0, means.iter().sum::<f64>() / n);
    let spread: f64 = (0..means.len()).map(|i| (i as f64 - middle).powi(2)).sum();
    let slope = means
        .iter()
        .enumerate()
        .map(|(i, y)| (i as f64 - middle) * (y - mean))
        .sum::<f64>()
        / spread;
    let off = |(i, y): (usize, &f64)| (y - mean - slope * (i as f64 - middle)).powi(2);
    let error = (means.iter().enumerate().map(off).sum::<f64>() / (n - 2.0) / spread).sqrt();
    slope > RISE_ERRORS * error && slope * (n - 1.0) > RISE_SHARE * bound.as_secs_f64()
}

/// What all measurements of one rate say together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    /// Answers, those over the bound, and whether the slice follows on the one before.
    slices: Vec<(f64, f64, bool)>,
    /// Measurements in which messages were missing.
    lost: u32,
    /// How long it was measured, in bounds.
    bounds: f64,
    /// The highest latency at the percentile, in bounds.
    highest: f64,
}

impl Evidence {
    /// Adds what was `seen` in `measured`, against `bound`, and is read as `reading`.
    pub fn add(
        &mut self,
        seen: &Observation,
        bound: Duration,
        measured: Duration,
        reading: &Reading,
    ) {
        let in_bounds = |d: Duration| d.as_secs_f64() / bound.as_secs_f64().max(1e-9);
        self.bounds += in_bounds(measured);
        self.highest = self.highest.max(seen.latency.map_or(0.0, in_bounds));
        if matches!(reading.broke, Some(Limit::Sending | Limit::Answers)) {
            // The server did not have that rate, so its latency says nothing of it.
            self.lost += 1;
            return;
        }
        // What was measured while the queue was filling is not how it stays; the end is closer to it.
        let from = if reading.rising {
            seen.slices.len() / 2
        } else {
            0
        };
        for (i, slice) in seen.slices[from..].iter().enumerate() {
            if slice.samples > 0 {
                let slice = (slice.samples as f64, slice.over as f64, i > 0);
                self.slices.push(slice);
            }
        }
    }

    /// The probability that the rate holds: that in the long run no more than `allowed` of all answers are over
    /// the bound, if before the first measurement both was as likely.
    pub fn holds(&self, allowed: f64) -> f64 {
        let by_latency = self.by_latency(allowed).clamp(1.0 - SUREST, SUREST);
        let odds = by_latency / (1.0 - by_latency) / LOST_ODDS.powf(f64::from(self.lost));
        (odds / (1.0 + odds)).clamp(1.0 - SUREST, SUREST)
    }

    fn by_latency(&self, allowed: f64) -> f64 {
        let count = self.slices.len() as f64;
        if count < 2.0 {
            return 0.5;
        }
        let samples: f64 = self.slices.iter().map(|s| s.0).sum();
        let share = self.slices.iter().map(|s| s.1).sum::<f64>() / samples;
        let off: Vec<f64> = self.slices.iter().map(|s| s.1 - share * s.0).collect();
        let squares: f64 = off.iter().map(|e| e * e).sum();
        let mut variance = squares / (count - 1.0) / count / (samples / count).powi(2);
        if squares > 0.0 {
            let products = off.windows(2).zip(&self.slices[1..]);
            let products: f64 = products
                .map(|(e, s)| if s.2 { e[0] * e[1] } else { 0.0 })
                .sum();
            // Slices of a short series look less alike than they are.
            let alike = (products / squares + 1.0 / count).clamp(0.0, MOST_ALIKE);
            variance *= (1.0 + alike) / (1.0 - alike);
        }
        // That hardly any were over the bound does not say that none ever are.
        let near = (self.highest / NEAR).min(1.0).powi(2);
        let least = allowed * near * (QUIET_BOUNDS / self.bounds).sqrt();
        let least = least.max(allowed / count);
        student(
            (allowed - share) / variance.max(least * least).sqrt(),
            count - 1.0,
        )
    }
}

/// The distribution function of Student's t with `freedom` degrees of freedom (Abramowitz and Stegun, 26.7.8).
fn student(t: f64, freedom: f64) -> f64 {
    normal(t * (1.0 - 1.0 / (4.0 * freedom)) / (1.0 + t * t / (2.0 * freedom)).sqrt())
}

/// The normal distribution function, to 1e-7 (Abramowitz and Stegun, 7.1.26).
fn normal(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let tail = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))))
        * (-x * x).exp()
        / 2.0;
    if z > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(10);

    fn ms(ms: f64) -> Duration {
        Duration::from_secs_f64(ms / 1e3)
    }

    fn seen(asked: f64, sent: f64, answered: f64, latency: f64) -> Observation {
        Observation {
            asked_per_s: asked,
            sent_per_s: sent,
            answered_per_s: answered,
            latency: (latency > 0.0).then(|| ms(latency)),
            samples: answered as u64,
            slices: vec![],
        }
    }

    fn slices(over: &[u64], means: impl Fn(usize) -> f64) -> Observation {
        let slice = |(i, over): (usize, &u64)| Slice {
            samples: 1000,
            over: *over,
            mean: ms(means(i)),
        };
        Observation {
            slices: over.iter().enumerate().map(slice).collect(),
            ..seen(1e4, 1e4, 1e4, 9.0)
        }
    }

    fn evidence(all: &[Observation]) -> Evidence {
        let mut evidence = Evidence::default();
        for seen in all {
            let second = Duration::from_secs(1);
            evidence.add(seen, BOUND, second, &read(seen, BOUND, second));
        }
        evidence
    }

    #[test]
    fn a_bound_longer_than_the_measurement_does_not_excuse_everything() {
        let seen = seen(1e8, 1e5, 1e5, 500.0);
        let reading = read(&seen, Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(reading.broke, Some(Limit::Sending));
    }

    #[test]
    fn a_measurement_is_read_for_what_it_says() {
        for (seen, broke) in [
            (seen(1e4, 1e4, 1e4, 2.0), None),
            (seen(1e4, 1e4, 1e4, 11.0), Some(Limit::Latency)),
            (seen(1e4, 9e3, 9e3, 2.0), Some(Limit::Sending)),
            (seen(1e4, 1e4, 9e3, 2.0), Some(Limit::Answers)),
            (seen(1e4, 1e4, 0.0, 0.0), Some(Limit::Answers)),
            // A few are missing at the edges of what was counted.
            (seen(100.0, 96.0, 92.0, 2.0), None),
        ] {
            assert_eq!(read(&seen, BOUND, Duration::from_secs(1)).broke, broke);
        }
    }

    #[test]
    fn a_queue_that_fills_is_seen_and_one_that_only_sways_is_not() {
        let rising = |means: fn(usize) -> f64| {
            read(&slices(&[0; 8], means), BOUND, Duration::from_secs(1)).rising
        };
        assert!(rising(|i| 1.0 + 0.5 * i as f64));
        assert!(rising(|i| 1.0 + 0.2 * i as f64 + [0.0, 0.1][i % 2]));
        assert!(!rising(|i| [3.0, 5.0, 2.0, 4.0, 6.0, 3.0, 5.0, 4.0][i]));
        assert!(!rising(|i| 5.0 - 0.2 * i as f64));
        // By a hundredth of the bound: that is nothing.
        assert!(!rising(|i| 1.0 + 0.01 * i as f64));
    }

    #[test]
    fn slices_that_agree_make_sure_and_one_that_does_not_makes_unsure() {
        let holds = |over: &[u64]| evidence(&[slices(over, |_| 3.0)]).holds(0.05);
        let far = Observation {
            latency: Some(ms(1.0)),
            ..slices(&[0; 8], |_| 1.0)
        };
        assert!(evidence(&[far]).holds(0.05) > 0.99);
        assert!(holds(&[1000; 8]) < 0.01);
        // Close to the bound one quiet second is not enough.
        let quiet = slices(&[0; 8], |_| 3.0);
        let once = holds(&[0; 8]);
        assert!((0.75..0.9).contains(&once), "{once}");
        assert!(evidence(&vec![quiet; 5]).holds(0.05) > 0.95);
        let over = slices(&[90, 95, 88, 91, 96, 90, 89, 93], |_| 5.0);
        assert!(evidence(&vec![over; 5]).holds(0.05) < 0.05);
        // Half a second's stall is no limit yet, but then nobody knows.
        let stall = holds(&[0, 0, 0, 900, 0, 0, 0, 0]);
        assert!((0.1..0.5).contains(&stall), "{stall}");
        let even = holds(&[20, 90, 10, 60, 100, 30, 70, 20]);
        assert!((0.4..0.6).contains(&even), "{even}");
    }

    #[test]
    fn neighbours_that_are_alike_count_for_less() {
        let holds = |over: &[u64]| evidence(&vec![slices(over, |_| 3.0); 6]).holds(0.05);
        let (mixed, alike) = (
            holds(&[10, 170, 12, 166, 9, 168, 11, 171]),
            holds(&[10, 12, 9, 11, 170, 166, 168, 171]),
        );
        assert!(mixed + 0.02 < alike, "{mixed} {alike}");
    }

    #[test]
    fn a_second_measurement_outweighs_a_loss_only_with_more_of_its_kind() {
        let good = Observation {
            latency: Some(ms(1.0)),
            ..slices(&[0; 8], |_| 1.0)
        };
        let lost = Observation {
            sent_per_s: 8e3,
            ..good.clone()
        };
        let once = evidence(&[lost.clone(), good.clone()]).holds(0.05);
        let twice = evidence(&[lost.clone(), lost, good]).holds(0.05);
        assert!(once > 0.9 && twice < 0.5, "{once} {twice}");
    }

    #[test]
    fn the_distributions_are_those_of_the_tables() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.96, 0.024_997_9)] {
            assert!((normal(z) - p).abs() < 1e-6, "{z}");
        }
        for (t, freedom, p) in [(1.895, 7.0, 0.95), (-2.365, 7.0, 0.025), (2.0, 60.0, 0.977)] {
            assert!((student(t, freedom) - p).abs() < 0.006, "{t}");
        }
    }
}
