//! What one trial of a rate shows: whether the rate broke, and whether a queue was filling.

use super::found::Limit;
use super::observation::{Observation, Slice};
use std::time::Duration;

/// The share of due messages that may be missing in a measurement: a hiccup of the sender is not the server's limit.
const SHORTFALL: f64 = 0.01;
/// The largest share of due messages that may count as still in flight.
const MOST_ON_THEIR_WAY: f64 = 0.2;
/// Messages that may be missing because counting starts and ends between messages.
const EDGES: f64 = 3.0;
/// The least rise of latency within a trial, in standard errors of the slope of a line.
const RISE_ERRORS: f64 = 4.0;
/// The least rise of latency within a trial, in standard errors of the mean step from slice to slice. A queue's length
/// is a random walk, which often lies along some line, but whose steps are independent.
const STEP_ERRORS: f64 = 5.0;
/// The least rise of latency within a trial, as a share of the bound.
const RISE_SHARE: f64 = 0.01;

/// What broke in a trial of length `measured`: latency exceeded `bound` at the percentile, or messages were missing.
pub(super) fn broken(seen: &Observation, bound: Duration, measured: Duration) -> Option<Limit> {
    if seen.broke.is_some() {
        return seen.broke;
    }
    let seconds = measured.as_secs_f64().max(1e-9);
    // As many messages as arrive within the bound may be in flight when counting starts or ends (Little's law). With
    // a bound longer than the measurement, that could be all of them. A queue that grew by chance holds as many as
    // arrive within its longest wait.
    let longest = seen.slices.iter().map(|s| s.mean).max().unwrap_or_default();
    let share = (bound.max(longest * 2).as_secs_f64() / seconds).min(MOST_ON_THEIR_WAY);
    let on_their_way = seen.asked_per_s * share + EDGES / seconds;
    let missing = |had: f64, wanted: f64| had < wanted * (1.0 - SHORTFALL) - on_their_way;
    // Answers that were not wanted are why some are missing if there would be enough with them.
    let of_answers = || match missing(seen.answered_per_s + seen.unwanted_per_s, seen.sent_per_s) {
        false if seen.unwanted_per_s > 0.0 => Limit::Unwanted,
        _ => Limit::Answers,
    };
    let Some(latency) = seen.latency else {
        return Some(of_answers());
    };
    if latency > bound {
        Some(Limit::Latency)
    } else if missing(seen.sent_per_s, seen.asked_per_s) {
        Some(Limit::Sending)
    } else if missing(seen.answered_per_s, seen.sent_per_s) {
        Some(of_answers())
    } else {
        None
    }
}

/// Whether mean latency rises from slice to slice by more than chance, by the slope of a fitted line.
pub(super) fn is_rising(slices: &[Slice], bound: Duration) -> bool {
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
    let steps: Vec<f64> = means.windows(2).map(|w| w[1] - w[0]).collect();
    let step = steps.iter().sum::<f64>() / (n - 1.0);
    let scatter = steps.iter().map(|x| (x - step).powi(2)).sum::<f64>() / (n - 2.0) / (n - 1.0);
    step > STEP_ERRORS * scatter.sqrt()
        && slope > RISE_ERRORS * error
        && slope * (n - 1.0) > RISE_SHARE * bound.as_secs_f64()
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
            unwanted_per_s: 0.0,
            latency: (latency > 0.0).then(|| ms(latency)),
            samples: answered as u64,
            slices: vec![],
            broke: None,
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

    #[test]
    fn a_bound_longer_than_the_measurement_does_not_excuse_everything() {
        let seen = seen(1e8, 1e5, 1e5, 500.0);
        let broke = broken(&seen, Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(broke, Some(Limit::Sending));
    }

    #[test]
    fn the_limit_is_read_from_a_measurement() {
        for (seen, broke) in [
            (seen(1e4, 1e4, 1e4, 2.0), None),
            (seen(1e4, 1e4, 1e4, 11.0), Some(Limit::Latency)),
            (seen(1e4, 9e3, 9e3, 2.0), Some(Limit::Sending)),
            (seen(1e4, 1e4, 9e3, 2.0), Some(Limit::Answers)),
            (seen(1e4, 1e4, 0.0, 0.0), Some(Limit::Answers)),
            // A few are missing at the edges of the count.
            (seen(100.0, 96.0, 92.0, 2.0), None),
        ] {
            assert_eq!(broken(&seen, BOUND, Duration::from_secs(1)), broke);
        }
    }

    #[test]
    fn answers_that_were_not_wanted_are_told_from_missing_ones() {
        for (wanted, unwanted, latency, broke) in [
            (0.0, 1e4, 0.0, Limit::Unwanted),
            (9e3, 1e3, 2.0, Limit::Unwanted),
            // Most were not answered at all.
            (0.0, 2e3, 0.0, Limit::Answers),
            (5e3, 2e3, 2.0, Limit::Answers),
            (9e3, 1e3, 11.0, Limit::Latency),
        ] {
            let seen = Observation {
                unwanted_per_s: unwanted,
                ..seen(1e4, 1e4, wanted, latency)
            };
            assert_eq!(broken(&seen, BOUND, Duration::from_secs(1)), Some(broke));
        }
    }

    #[test]
    fn a_queue_that_fills_is_seen_and_one_that_only_sways_is_not() {
        let rising = |means: fn(usize) -> f64| is_rising(&slices(&[0; 8], means).slices, BOUND);
        assert!(rising(|i| 1.0 + 0.5 * i as f64));
        assert!(rising(|i| 1.0 + 0.2 * i as f64 + [0.0, 0.1][i % 2]));
        assert!(!rising(|i| [3.0, 5.0, 2.0, 4.0, 6.0, 3.0, 5.0, 4.0][i]));
        assert!(!rising(|i| 5.0 - 0.2 * i as f64));
        // A hundredth of the bound is no rise.
        assert!(!rising(|i| 1.0 + 0.01 * i as f64));
    }
}
