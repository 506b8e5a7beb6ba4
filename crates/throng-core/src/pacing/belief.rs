//! Where the true rate lies, as probabilities on a grid of rates.

/// How likely the true rate lies in each cell of the grid.
pub(super) struct Belief {
    /// The step at which the first cell begins.
    from: i32,
    weights: Vec<f64>,
}

impl Belief {
    /// In the cells from step `from` to step `to`, by tried steps and how probably each holds. A rate below one
    /// that holds, holds too; so a cell is as likely as it is that all points up to its beginning hold and all
    /// others do not.
    pub fn new(from: i32, to: i32, tried: &[(i32, f64)]) -> Belief {
        let cells = from..to.max(from + 1);
        let of = |cell: i32| -> f64 {
            let of = |(step, holds): &(i32, f64)| match cell >= *step {
                true => holds.ln(),
                false => (1.0 - holds).ln(),
            };
            tried.iter().map(of).sum()
        };
        let logs: Vec<f64> = cells.map(of).collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = logs.iter().map(|l| (l - most).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        Belief { from, weights }
    }

    /// The probability that it lies between two steps.
    pub fn between(&self, low: i32, high: i32) -> f64 {
        let at = |step: i32| (step - self.from).clamp(0, self.weights.len() as i32) as usize;
        self.weights[at(low)..at(high)].iter().sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_between_what_holds_and_what_breaks() {
        let belief = Belief::new(0, 100, &[(20, 0.99), (60, 0.01)]);
        assert!(belief.between(20, 60) > 0.97);
        assert!((39..=41).contains(&belief.quantile(0.5)));
        assert!((belief.between(-5, 500) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_contradicts_counts_as_much_as_it_is_sure() {
        // One is doubtful, and lies between two that agree.
        let belief = Belief::new(0, 100, &[(40, 0.3), (50, 0.95), (60, 0.05)]);
        assert!(belief.between(50, 60) > belief.between(0, 40));
        // Two that contradict each other leave both sides open.
        let belief = Belief::new(45, 55, &[(48, 0.2), (52, 0.8)]);
        let (low, high) = (belief.between(45, 48), belief.between(52, 55));
        assert!((low - high).abs() < 1e-9 && low > 0.3, "{low} {high}");
    }
}
