//! Whether an expectation is met by what was measured.

use super::{Expectation, Op, Unit};
use crate::human;

/// The rounding of shares, relative to all.
const ROUNDING: f64 = 1e-12;

/// What was measured of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Its value.
    Known {
        /// In the unit of the metric.
        value: f64,
        /// What it is a share of, where it may be one.
        of: Option<f64>,
        /// Whether the true value may be greater.
        at_least: bool,
    },
    /// It is not known, for this reason.
    Unknown(String),
}

impl Reading {
    /// A number that is known and no share of anything.
    pub fn known(value: f64) -> Reading {
        Reading::Known {
            value,
            of: None,
            at_least: false,
        }
    }

    /// A number of things, of so many.
    pub fn share(value: u64, of: u64) -> Reading {
        Reading::Known {
            value: value as f64,
            of: Some(of as f64),
            at_least: false,
        }
    }

    /// The value, or why there is none.
    pub fn or_unknown(value: Option<f64>, why: &str) -> Reading {
        value.map_or_else(|| Reading::Unknown(why.into()), Reading::known)
    }
}

/// What came of an expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Whether it is met.
    pub met: bool,
    /// The value, in the unit of the bound; `None` if it is unknown.
    pub value: Option<f64>,
    /// Whether the true value may be greater.
    pub at_least: bool,
    /// The name of the unit, as in the JSON form.
    pub unit: &'static str,
    /// The value for people, or why it is not known.
    pub text: String,
}

impl Expectation {
    /// Compares `reading` with the bound. What is not known does not meet it; neither does a value that may be greater
    /// where a greater one would not.
    pub fn judge(&self, reading: &Reading) -> Told {
        let unknown = |why: &str| Told {
            met: false,
            value: None,
            at_least: false,
            unit: self.unit(),
            text: format!("unknown: {why}"),
        };
        let (value, of, at_least) = match reading {
            Reading::Unknown(why) => return unknown(why),
            Reading::Known { value, .. } if !value.is_finite() => return unknown("not a number"),
            Reading::Known {
                value,
                of,
                at_least,
            } => (*value, *of, *at_least),
        };
        // Shares are compared without dividing, so that 999 of 1,000 are 99.9 %.
        let (left, right, value) = match (self.percent, of) {
            (false, _) => (value, self.bound, value),
            (true, Some(of)) if of > 0.0 => (value * 100.0, self.bound * of, value / of * 100.0),
            (true, _) => return unknown("a share of nothing"),
        };
        let equal = (left - right).abs() <= right.abs() * ROUNDING;
        let met = match self.op {
            Op::Less => !at_least && left < right && !equal,
            Op::AtMost => !at_least && (left < right || equal),
            Op::Equal => !at_least && equal,
            // A greater value is as good.
            Op::More => left > right && !equal,
            Op::AtLeast => left > right || equal,
        };
        Told {
            met,
            value: Some(value),
            at_least,
            unit: self.unit(),
            text: self.text(value, reading, at_least),
        }
    }

    /// The name of the unit that the value is in.
    fn unit(&self) -> &'static str {
        match self.percent {
            true => "percent",
            false => self.metric.unit().name(),
        }
    }

    fn text(&self, value: f64, reading: &Reading, at_least: bool) -> String {
        let text = match (self.metric.unit(), reading) {
            (
                Unit::CountOf(_),
                Reading::Known {
                    value: n,
                    of: Some(of),
                    ..
                },
            ) => {
                let both = format!("{} of {}", whole(*n), whole(*of));
                match human::percent(*n, *of).filter(|_| self.percent) {
                    Some(percent) => format!("{percent}, {both}"),
                    None => both,
                }
            }
            (unit, _) => unit.text(value),
        };
        match at_least {
            true => format!("> {text}"),
            false => text,
        }
    }
}

fn whole(n: f64) -> String {
    human::count(n as u64)
}
