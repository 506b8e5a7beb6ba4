//! How one metric differs between two groups: the verdict, and the sentence for it.

use super::super::shift::Shift;
use crate::expect::{Better, Metric, Unit};

/// What rounds say about a metric of two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The second is better.
    Better,
    /// The second is worse.
    Worse,
    /// No difference that chance does not explain.
    NoDifference,
    /// A difference, but not beyond what the same thing differs by at another time.
    WithinFloor,
    /// Every round has the same value.
    Same,
    /// So few rounds show no difference, however great it is.
    TooFewRounds,
}

impl Verdict {
    /// Its name in the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::NoDifference => "no_difference",
            Verdict::WithinFloor => "within_floor",
            Verdict::Same => "same",
            Verdict::TooFewRounds => "too_few_rounds",
        }
    }

    /// Whether the two differ.
    pub fn differs(self) -> bool {
        matches!(self, Verdict::Better | Verdict::Worse)
    }

    /// That of a difference of this sign.
    pub(super) fn of(better: Better, shift: f64) -> Verdict {
        match (better, shift > 0.0) {
            (Better::Higher, true) | (Better::Lower, false) => Verdict::Better,
            (Better::Higher, false) | (Better::Lower, true) => Verdict::Worse,
        }
    }
}

/// By how much the second group is greater.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// A share of the first: 0.05 is 5 % more.
    Relative(Shift),
    /// In the unit of the metric, where a value is 0 and there is no share of it.
    Absolute(Shift),
}

impl Size {
    /// The shift, whatever it is a share of.
    pub fn shift(&self) -> Shift {
        match self {
            Size::Relative(shift) | Size::Absolute(shift) => *shift,
        }
    }

    /// `12.3 % slower`; `3 more`.
    pub fn words(&self, metric: &Metric) -> String {
        format!(
            "{} {}",
            self.amount(metric, self.shift().estimate),
            direction(metric, self.shift().estimate)
        )
    }

    /// The interval in words, from the smaller end: `8.1 % to 16.0 %`; with signs if it has both directions: `-2.1 % to +1.8 %`.
    pub fn interval_words(&self, metric: &Metric) -> Option<String> {
        let (low, high) = self.shift().interval?;
        let [from, to] = [low, high].map(|end| self.amount(metric, end));
        Some(match (low < 0.0, high > 0.0) {
            (true, true) => format!("-{from} to +{to}"),
            (true, false) => format!("{to} to {from}"),
            (false, _) => format!("{from} to {to}"),
        })
    }

    /// A value of it without a sign: `12.3 %`.
    pub(super) fn amount(&self, metric: &Metric, value: f64) -> String {
        match self {
            Size::Relative(_) => percent(value),
            Size::Absolute(_) => metric.unit().text(value.abs()),
        }
    }
}

/// A share as a percentage without its sign, with about three digits: `0.42 %`, `8.1 %`, `12.3 %`, `150 %`.
fn percent(share: f64) -> String {
    let percent = share.abs() * 100.0;
    match percent {
        _ if percent < 0.995 => format!("{percent:.2} %"),
        _ if percent < 99.95 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// The word for more, or for less.
fn direction(metric: &Metric, shift: f64) -> &'static str {
    let (more, less) = match (metric, metric.unit()) {
        (Metric::Latency(..), _) => ("slower", "faster"),
        (_, Unit::Rate | Unit::Throughput) => ("higher", "lower"),
        (_, Unit::Count | Unit::CountOf(_)) => ("more", "fewer"),
        (_, Unit::Time | Unit::Bytes) => ("more", "less"),
    };
    if shift > 0.0 { more } else { less }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(estimate: f64, low: f64, high: f64) -> Shift {
        Shift {
            estimate,
            interval: Some((low, high)),
        }
    }

    #[test]
    fn differences_have_words_that_fit_the_metric() {
        for (metric, size, words, interval) in [
            (
                "response.p99",
                Size::Relative(size(0.123, 0.081, 0.16)),
                "12.3 % slower",
                "8.1 % to 16.0 %",
            ),
            (
                "response.p99",
                Size::Relative(size(-0.123, -0.16, -0.081)),
                "12.3 % faster",
                "8.1 % to 16.0 %",
            ),
            (
                "response.p99",
                Size::Relative(size(0.001, -0.021, 0.018)),
                "0.10 % slower",
                "-2.1 % to +1.8 %",
            ),
            (
                "answers/s",
                Size::Relative(size(-0.5, -0.6, -0.4)),
                "50.0 % lower",
                "40.0 % to 60.0 %",
            ),
            (
                "failed",
                Size::Absolute(size(3.0, 1.0, 1200.0)),
                "3 more",
                "1 to 1,200",
            ),
            (
                "lost",
                Size::Absolute(size(-2.5, -4.0, -1.0)),
                "2.5 fewer",
                "1 to 4",
            ),
            (
                "cpu_us_per_message",
                Size::Relative(size(2.0, 1.5, 3.0)),
                "200 % more",
                "150 % to 300 %",
            ),
            (
                "user_bytes_per_connection",
                Size::Absolute(size(-2048.0, -4096.0, 0.0)),
                "2.00 KiB less",
                "0 B to 4.00 KiB",
            ),
        ] {
            let metric = Metric::parse(metric).unwrap();
            assert_eq!(size.words(&metric), words);
            assert_eq!(size.interval_words(&metric).as_deref(), Some(interval));
        }
    }

    #[test]
    fn more_is_better_of_some_metrics_and_worse_of_others() {
        for (metric, shift, verdict) in [
            ("response.p50", 0.1, Verdict::Worse),
            ("response.p50", -0.1, Verdict::Better),
            ("answers/s", 0.1, Verdict::Better),
            ("held/s", -0.1, Verdict::Worse),
            ("failed", 1.0, Verdict::Worse),
        ] {
            let better = Metric::parse(metric).unwrap().better();
            assert_eq!(Verdict::of(better, shift), verdict, "{metric}");
        }
    }
}
