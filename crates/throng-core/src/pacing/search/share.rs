//! The share of answers over the bound at one rate, with its confidence interval.
//!
//! Answers near the limit are correlated: a message that waits in a queue waits about as long as the one before it, so
//! thousands of answers are worth few independent ones. Batch means estimate how many: the time is cut into a few long
//! batches, and the scatter of their shares tells how many independent answers would scatter as much (Law, Simulation
//! Modeling and Analysis, 9.5.3).

use super::observation::Slice;

/// The least number of batches; there are at most twice as many.
const BATCHES: usize = 8;
/// Half the width of an interval in standard errors. Each end errs with a probability of at most 5 %, although a rate
/// is judged again after each trial.
const ERRORS: f64 = 2.0;

/// All that was measured at one rate.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    slices: Vec<Slice>,
}

impl Share {
    pub fn add(&mut self, slices: &[Slice]) {
        self.slices.extend_from_slice(slices);
    }

    /// The share over the bound; `None` without an answer.
    pub fn mean(&self) -> Option<f64> {
        let (samples, over) = counts(&self.slices);
        (samples > 0.0).then(|| over / samples)
    }

    fn batches(&self) -> impl ExactSizeIterator<Item = (f64, f64)> {
        let length = self.slices.len().div_ceil(2 * BATCHES).max(1);
        self.slices.chunks(length).map(counts)
    }

    /// The number of independent answers that all answers are worth, by the scatter of the batches.
    pub fn worth(&self) -> f64 {
        let (samples, over) = counts(&self.slices);
        let count = self.batches().len() as f64;
        if over == 0.0 || over == samples || count < 2.0 {
            return samples;
        }
        let share = over / samples;
        let scatter: f64 = self
            .batches()
            .map(|(n, over)| (over - share * n).powi(2))
            .sum();
        let variance = scatter / (samples * samples) * count / (count - 1.0);
        (share * (1.0 - share) / variance).min(samples)
    }

    /// The lower end of the interval for the true share, if all answers are worth at most `most` independent ones:
    /// Wilson's interval, corrected for continuity, so that a single long queue by chance proves nothing.
    pub fn least(&self, most: f64) -> f64 {
        let worth = self.worth().min(most);
        let share = self.mean().unwrap_or(0.0) - 0.5 / worth;
        if share > 0.0 {
            self.wilson(share, worth, -1.0)
        } else {
            0.0
        }
    }

    /// The upper end of the interval for the true share, if all answers are worth at most `most` independent ones.
    pub fn greatest(&self, most: f64) -> f64 {
        let worth = self.worth().min(most);
        match self.mean() {
            Some(share) if worth > 0.0 => self.wilson(share, worth, 1.0),
            _ => 1.0,
        }
    }

    /// One end of Wilson's interval (Journal of the American Statistical Association 22, 1927).
    fn wilson(&self, share: f64, worth: f64, side: f64) -> f64 {
        // Student's t by the first term of its series: few batches give only a rough variance.
        let freedom = (self.batches().len() as f64 - 1.0).max(1.0);
        let errors = ERRORS * (1.0 + (ERRORS * ERRORS + 1.0) / (4.0 * freedom));
        let square = errors * errors / worth;
        let half = (square * share * (1.0 - share) + square * square / 4.0).sqrt();
        (share + square / 2.0 + side * half) / (1.0 + square)
    }
}

/// The number of answers, and of those over the bound.
fn counts(slices: &[Slice]) -> (f64, f64) {
    let samples: u64 = slices.iter().map(|s| s.samples).sum();
    let over: u64 = slices.iter().map(|s| s.over).sum();
    (samples as f64, over as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Slices of a thousand answers, of which `over` are over the bound.
    fn share(over: impl IntoIterator<Item = u64>) -> Share {
        let slices = over.into_iter().map(|over| Slice {
            samples: 1000,
            over,
            mean: Duration::from_millis(5),
        });
        Share {
            slices: slices.collect(),
        }
    }

    #[test]
    fn batches_that_agree_are_worth_many_answers_and_those_that_scatter_few() {
        let even = share([48, 52, 50, 49, 51, 50, 47, 53]);
        let bursts = share([0, 0, 400, 0, 0, 0, 0, 0]);
        assert_eq!((even.mean(), bursts.mean()), (Some(0.05), Some(0.05)));
        assert!(even.worth() > 7000.0, "{}", even.worth());
        assert!(bursts.worth() < 30.0, "{}", bursts.worth());
        assert!(even.greatest(1e9) < 0.06 && even.least(1e9) > 0.04);
        assert!(bursts.greatest(1e9) > 0.2 && bursts.least(1e9) < 0.01);
    }

    #[test]
    fn answers_that_are_worth_little_prove_little() {
        let (none, all) = (share([0; 16]), share([1000; 16]));
        assert!(none.greatest(1000.0) < 0.01 && none.greatest(50.0) > 0.05);
        assert!(all.least(1000.0) > 0.9);
        // If a twentieth is over the bound, one time in twenty is in a long queue.
        assert!(all.least(0.5) == 0.0 && all.least(1.0) < 0.05 && all.least(3.0) > 0.05);
    }

    #[test]
    fn nothing_measured_says_nothing() {
        for none in [Share::default(), share([])] {
            assert_eq!(
                (none.mean(), none.least(9.0), none.greatest(9.0)),
                (None, 0.0, 1.0)
            );
        }
    }

    #[test]
    fn long_runs_of_slices_become_longer_batches() {
        let share = share([20; 100]);
        assert!((BATCHES..=2 * BATCHES).contains(&share.batches().len()));
        let answers: f64 = share.batches().map(|b| b.0).sum();
        assert_eq!(answers, 1e5);
    }
}
