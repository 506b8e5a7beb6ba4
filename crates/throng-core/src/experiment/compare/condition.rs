//! Conditions on a difference (`--fail-if`): `response.p99>+5%`, `answers/s<-2%`, `failed>+0`.

use super::compared::Compared;
use super::difference::{Size, Verdict};
use super::usual::known;
use crate::expect::{Metric, Unit};
use crate::units::quoted;
use std::fmt;
use std::str::FromStr;

/// A difference that is not to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The name of the metric, as it was written.
    pub metric: String,
    /// Whether the difference is to be above the bound, not below.
    above: bool,
    /// The bound: a share, or a count.
    bound: f64,
    relative: bool,
    written: String,
}

/// Why a text is no condition. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// Not of that form.
    #[error("{} is no condition; write METRIC>+PERCENT% or METRIC<-PERCENT%, such as 'response.p99>+5%'", quoted(.0))]
    Form(String),
    /// Not a metric.
    #[error(transparent)]
    Metric(#[from] crate::expect::UnknownMetric),
    /// A number without a percent sign, of a metric that is no count.
    #[error("{} has no unit; write {}%", quoted(.written), .written.escape_debug())]
    NoUnit {
        /// The condition.
        written: String,
    },
    /// A bound on the side that is no change.
    #[error("{} is true without any change; write {}", quoted(.written), .like)]
    NoChange {
        /// The condition.
        written: String,
        /// What would be right.
        like: &'static str,
    },
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Condition, ConditionError> {
        let form = || ConditionError::Form(text.to_owned());
        let at = text.find(['>', '<']).ok_or_else(form)?;
        let (name, rest) = (text[..at].trim(), &text[at + 1..]);
        let above = text[at..].starts_with('>');
        known(name)?;
        // A statistic alone is of a latency.
        let is_count = Metric::parse(name)
            .is_ok_and(|metric| matches!(metric.unit(), Unit::Count | Unit::CountOf(_)));
        let rest = rest.trim();
        let (number, relative) = match rest.strip_suffix('%') {
            Some(number) => (number.trim(), true),
            None => (rest, false),
        };
        let number: f64 = number.parse().map_err(|_| form())?;
        if !number.is_finite() {
            return Err(form());
        }
        if !relative && !is_count {
            return Err(ConditionError::NoUnit {
                written: text.to_owned(),
            });
        }
        match above {
            true if number < 0.0 => {
                return Err(ConditionError::NoChange {
                    written: text.to_owned(),
                    like: "METRIC>+PERCENT% for an increase, or METRIC<-PERCENT% for a decrease",
                });
            }
            false if number > 0.0 => {
                return Err(ConditionError::NoChange {
                    written: text.to_owned(),
                    like: "METRIC<-PERCENT% for a decrease, or METRIC>+PERCENT% for an increase",
                });
            }
            _ => {}
        }
        Ok(Condition {
            metric: name.to_owned(),
            above,
            bound: if relative { number / 100.0 } else { number },
            relative,
            written: text.to_owned(),
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What came of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The difference is not there, or it is smaller.
    Passed,
    /// It is there.
    Failed,
    /// It can't be told.
    Unknown,
}

impl Judged {
    /// Its name in the JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Judged::Passed => "passed",
            Judged::Failed => "failed",
            Judged::Unknown => "unknown",
        }
    }
}

impl Condition {
    /// Judges what was found of its metric. It fails if the difference is more than noise and its estimate is beyond the bound. What
    /// can't be told does not pass.
    pub fn judge(&self, found: Option<&Compared>) -> Judged {
        let Some(found) = found else {
            return Judged::Unknown;
        };
        let estimate = match (found.size, self.relative) {
            _ if found.verdict == Verdict::Same => return Judged::Passed,
            _ if found.verdict == Verdict::TooFewRounds => return Judged::Unknown,
            (Some(Size::Relative(shift)), true) => shift.estimate,
            // No share of nothing; but a metric that does not differ has not changed by any share either.
            (Some(Size::Absolute(_)), true) if found.verdict.differs() => return Judged::Unknown,
            (Some(Size::Absolute(_)), true) => return Judged::Passed,
            (_, false) => found.second.median - found.first.median,
            (None, true) => return Judged::Unknown,
        };
        let beyond = match self.above {
            true => estimate > self.bound,
            false => estimate < self.bound,
        };
        match beyond && found.verdict.differs() {
            true => Judged::Failed,
            false => Judged::Passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_metric_and_a_change() {
        for text in [
            "response.p99>+5%",
            "p99 > 5 %",
            "answers/s<-2.5%",
            "failed>+0",
            "lost>3",
            "connect.max<-0%",
        ] {
            let condition: Condition = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(condition.to_string(), text);
        }
        for (text, why) in [
            ("", "no condition"),
            ("p99", "no condition"),
            ("p99>", "no condition"),
            ("p99>five%", "no condition"),
            ("p99>inf%", "no condition"),
            ("p98x>5%", "no metric 'p98x'"),
            ("p99>5", "p99>5%"),
            ("p99>-5%", "METRIC<-PERCENT%"),
            ("answers/s<5%", "METRIC>+PERCENT%"),
        ] {
            let error = text.parse::<Condition>().expect_err(text).to_string();
            assert!(
                error.contains(why) && !error.contains('\n'),
                "{text}: {error}"
            );
        }
    }
}
