//! Expectations: conditions on what a run measures, such as `response.p99<10ms` or `answers>=99.9%`. One that is not met, or
//! whose value is not known, fails the run.
//!
//! An expectation is `METRIC OP VALUE`: a [`Metric`] by its name, one of `<`, `<=`, `>`, `>=` and `=`, and a value with the
//! unit of the metric. [`judge`](Expectation::judge) compares it with what was measured; the summary measures.

mod judge;
mod metric;
#[cfg(test)]
mod tests;

pub use judge::{Reading, Told};
pub use metric::{
    Better, ENOUGH_TO_DIVIDE, Latency, Metric, Needs, Scalar, Statistic, Unit, UnknownMetric,
    described, latencies,
};

use crate::units::{self, Bandwidth, UnitError, quoted};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a value is compared with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `=`
    Equal,
}

impl Op {
    /// The operator, and what follows it. Longer ones come first.
    const WRITTEN: [(&'static str, Op); 6] = [
        ("<=", Op::AtMost),
        (">=", Op::AtLeast),
        ("==", Op::Equal),
        ("<", Op::Less),
        (">", Op::More),
        ("=", Op::Equal),
    ];

    /// Whether it bounds a value from above.
    pub fn is_upper(self) -> bool {
        matches!(self, Op::Less | Op::AtMost | Op::Equal)
    }

    /// Whether it bounds a value from below.
    pub fn is_lower(self) -> bool {
        matches!(self, Op::More | Op::AtLeast | Op::Equal)
    }
}

/// A condition on what a run measures. It is written as the user wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expectation {
    metric: Metric,
    op: Op,
    /// In the unit of the metric, or in percent.
    bound: f64,
    /// Whether the bound is a percentage of all.
    percent: bool,
    written: String,
}

/// Why a text is no expectation. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpectationError {
    /// No operator.
    #[error("{} has no comparison; write METRIC<VALUE, with one of < <= > >= =, such as 'response.p99<10ms'", quoted(.0))]
    NoComparison(String),
    /// `=<` or `=>`.
    #[error("{} is no comparison; write {}", quoted(.written), quoted(.meant))]
    Backwards {
        /// The comparison.
        written: &'static str,
        /// The expectation that is meant.
        meant: String,
    },
    /// No such metric.
    #[error(transparent)]
    Metric(#[from] UnknownMetric),
    /// The value can't be read.
    #[error("{metric}: {why}")]
    Value {
        /// The metric.
        metric: String,
        /// Why.
        why: UnitError,
    },
    /// A span of time without a unit.
    #[error("{metric}: {} has no unit; write {}ms or {}s", quoted(.value), .value.escape_debug(), .value.escape_debug())]
    NoUnit {
        /// The metric.
        metric: String,
        /// The value.
        value: String,
    },
    /// A percentage of what is no share of anything.
    #[error("{metric}: a percentage of what? Write {like}")]
    NoShare {
        /// The metric.
        metric: String,
        /// What would be right.
        like: &'static str,
    },
    /// A percentage with something behind it.
    #[error("{metric}: {} follows the percentage; write {}%", quoted(.after), .share.escape_debug())]
    AfterPercent {
        /// The metric.
        metric: String,
        /// The percentage, without its sign.
        share: String,
        /// What follows it.
        after: String,
    },
    /// A measured value is never exactly equal.
    #[error("{0} is measured: compare it by <= or >=, not by =")]
    NeverEqual(String),
}

impl FromStr for Expectation {
    type Err = ExpectationError;

    fn from_str(text: &str) -> Result<Expectation, ExpectationError> {
        let none = || ExpectationError::NoComparison(text.to_owned());
        let at = text.find(['<', '>', '=']).ok_or_else(none)?;
        let (name, rest) = text.split_at(at);
        for (written, meant) in [("=<", "<="), ("=>", ">=")] {
            if let Some(value) = rest.strip_prefix(written) {
                let meant = format!("{name}{meant}{value}");
                return Err(ExpectationError::Backwards { written, meant });
            }
        }
        let (op, value) = Op::WRITTEN
            .iter()
            .find_map(|(written, op)| Some((*op, rest.strip_prefix(written)?)))
            .ok_or_else(none)?;
        let metric = Metric::parse(name.trim())?;
        let value = value.trim();
        let (bound, percent) = match value.split_once('%') {
            Some((share, after)) => {
                let percent = share_of(&metric, share)?;
                if !after.is_empty() {
                    return Err(ExpectationError::AfterPercent {
                        metric: metric.to_string(),
                        share: share.to_owned(),
                        after: after.to_owned(),
                    });
                }
                (percent, true)
            }
            None => (amount(&metric, value)?, false),
        };
        let counted = matches!(metric.unit(), Unit::Count | Unit::CountOf(_));
        if op == Op::Equal && !counted {
            return Err(ExpectationError::NeverEqual(metric.to_string()));
        }
        Ok(Expectation {
            metric,
            op,
            bound,
            percent,
            written: text.to_owned(),
        })
    }
}

fn share_of(metric: &Metric, text: &str) -> Result<f64, ExpectationError> {
    let like = match metric.unit() {
        Unit::CountOf(_) => {
            return match text.trim().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
                _ => Err(ExpectationError::Value {
                    metric: metric.to_string(),
                    why: UnitError::OutOfBounds("a percentage from 0% to 100% is needed".into()),
                }),
            };
        }
        Unit::Count => "a count such as 1000 or 20k",
        Unit::Time => "a time such as 250us, 10ms or 2s",
        Unit::Rate => "a rate such as 250 or 20k",
        Unit::Throughput => "a throughput such as 10MiB/s or 100Mbps",
        Unit::Bytes => "a size such as 512 or 4KiB",
    };
    let metric = metric.to_string();
    Err(ExpectationError::NoShare { metric, like })
}

fn amount(metric: &Metric, text: &str) -> Result<f64, ExpectationError> {
    let a_second = text.strip_suffix("/s");
    let value = match metric.unit() {
        Unit::Count | Unit::CountOf(_) => units::count(text).map(f64::from),
        Unit::Time => {
            let number = |c: char| c.is_ascii_digit() || c == '.';
            if !text.is_empty() && text.chars().all(number) {
                return Err(ExpectationError::NoUnit {
                    metric: metric.to_string(),
                    value: text.to_owned(),
                });
            }
            units::duration(text).map(|span| span.as_nanos() as f64 / 1e3)
        }
        Unit::Rate => units::rate_or_zero(a_second.unwrap_or(text)),
        Unit::Bytes => units::bytes(text).map(|n| n as f64),
        Unit::Throughput => match a_second {
            Some(bytes) => units::bytes(bytes).map(|n| n as f64),
            None => text.parse().map(Bandwidth::get),
        },
    };
    value.map_err(|why| ExpectationError::Value {
        metric: metric.to_string(),
        why,
    })
}

impl Expectation {
    /// What is to be within bounds.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Whether it is about this metric.
    pub fn is_about(&self, scalar: Scalar) -> bool {
        self.metric == Metric::Scalar(scalar)
    }

    /// How it is compared.
    pub fn op(&self) -> Op {
        self.op
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl TryFrom<String> for Expectation {
    type Error = ExpectationError;
    fn try_from(text: String) -> Result<Expectation, ExpectationError> {
        text.parse()
    }
}

impl From<Expectation> for String {
    fn from(expectation: Expectation) -> String {
        expectation.written
    }
}
