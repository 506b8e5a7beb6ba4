//! What varies in a sweep: a name and its values, written as a list, as ranges, or both.
//!
//! | written | values |
//! | --- | --- |
//! | `16,128,512` | these |
//! | `100..1000:100` | from 100 to 1,000 in steps of 100 |
//! | `100..12800*2` | from 100 to 12,800, each twice the one before |
//! | `100,200..12800` | the same: each as much times the one before as 200 is of 100 |
//!
//! The end of a range is among the values if the steps meet it. Numbers keep their unit (`10ms..1s` has two, and is refused);
//! `k` and `m` may be mixed with plain numbers, as thousand and million.

use crate::units::{self, quoted};
use std::collections::BTreeSet;
use std::str::FromStr;

/// The most values of a variable.
const MOST: usize = 1000;
/// How far a value may be above the end of a range and still be that end, relative to it: steps are binary fractions.
const ROUNDING: f64 = 1e-9;

/// A variable as the user wrote it: `NAME=VALUES`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vary {
    /// Its name.
    pub name: String,
    /// Its values, in the order given.
    pub values: Vec<String>,
}

/// Why a text is no [`Vary`]. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaryError {
    /// No name, or no values.
    #[error("{} is not NAME=VALUES; write it like connections=100,200..12800 or net.core.somaxconn=16,128", quoted(.0))]
    NoValues(String),
    /// A name with characters that no key, sysctl or word has.
    #[error("{} is no name; write letters, digits, '-', '_' and '.'", quoted(.0))]
    Name(String),
    /// Nothing between two commas.
    #[error("{}: a value is missing between two commas", quoted(.0))]
    Empty(String),
    /// An end of a range that is no number.
    #[error("{} is no range: {} is not a number; write 100..1000:100, 100..12800*2 or 100,200..12800", quoted(.range), quoted(.end))]
    Number {
        /// The range.
        range: String,
        /// The end.
        end: String,
    },
    /// A range that does not say how it goes on.
    #[error("{} does not say which values lie between; write {from}..{to}:STEP for steps, {from}..{to}*FACTOR for factors", quoted(&format!("{from}..{to}")))]
    NoStep {
        /// Its begin.
        from: String,
        /// Its end.
        to: String,
    },
    /// A range that does not lead upwards.
    #[error("{} does not lead upwards: {why}", quoted(.range))]
    Direction {
        /// The range.
        range: String,
        /// Why.
        why: &'static str,
    },
    /// Units that differ.
    #[error("{} mixes units; write all its numbers with the same one", quoted(.0))]
    Units(String),
    /// Too many values.
    #[error("more than {MOST} values; a sweep has at most that many of a variable")]
    TooMany,
    /// A value that is given twice.
    #[error("the value {} is given twice; --repeat N repeats each", quoted(.0))]
    Twice(String),
}

impl FromStr for Vary {
    type Err = VaryError;

    fn from_str(text: &str) -> Result<Vary, VaryError> {
        let (name, values) = text
            .split_once('=')
            .filter(|(name, values)| !name.trim().is_empty() && !values.trim().is_empty())
            .ok_or_else(|| VaryError::NoValues(text.to_owned()))?;
        Vary::new(name.trim(), parse(values)?)
    }
}

impl Vary {
    /// The variable of this name, with these values.
    ///
    /// # Errors
    /// The name is none, there are no values or too many, or one is given twice.
    pub fn new(name: &str, values: Vec<String>) -> Result<Vary, VaryError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(VaryError::Name(name.to_owned()));
        }
        if values.is_empty() {
            return Err(VaryError::NoValues(format!("{name}=")));
        }
        if values.len() > MOST {
            return Err(VaryError::TooMany);
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = values.iter().find(|value| !seen.insert(*value)) {
            return Err(VaryError::Twice(twice.clone()));
        }
        Ok(Vary {
            name: name.to_owned(),
            values,
        })
    }
}

/// The values that a list of values and ranges has.
pub fn parse(text: &str) -> Result<Vec<String>, VaryError> {
    let mut values: Vec<String> = Vec::new();
    for item in text.split(',').map(str::trim) {
        if item.is_empty() {
            return Err(VaryError::Empty(text.to_owned()));
        }
        match item.split_once("..") {
            None => values.push(item.to_owned()),
            Some((from, rest)) => {
                let more = range(item, from, rest, values.last().map(String::as_str))?;
                values.extend(more);
            }
        }
        if values.len() > MOST {
            return Err(VaryError::TooMany);
        }
    }
    Ok(values)
}

/// How a range goes on.
#[derive(Clone, Copy)]
enum By {
    Step(f64),
    Factor(f64),
}

/// The values of a range; `before` is the value in front of it.
fn range(
    item: &str,
    from: &str,
    rest: &str,
    before: Option<&str>,
) -> Result<Vec<String>, VaryError> {
    let number = |end: &str| {
        Quantity::parse(end).ok_or_else(|| VaryError::Number {
            range: item.to_owned(),
            end: end.to_owned(),
        })
    };
    let downwards = |why| VaryError::Direction {
        range: item.to_owned(),
        why,
    };
    let (to, step, factor) = match (rest.split_once(':'), rest.split_once('*')) {
        (Some((to, step)), _) => (to, Some(step), None),
        (None, Some((to, factor))) => (to, None, Some(factor)),
        (None, None) => (rest, None, None),
    };
    let (start, end) = (number(from)?, number(to)?);
    let mut all = vec![start.clone(), end];
    let before = before.filter(|_| step.is_none() && factor.is_none());
    for other in step.iter().chain(before.iter()) {
        all.push(number(other)?);
    }
    let unit = same_unit(&mut all).ok_or_else(|| VaryError::Units(item.to_owned()))?;
    let (first, last) = (all[0].value, all[1].value);
    let (by, whole) = match (step, factor, before) {
        (Some(_), ..) => (By::Step(all[2].value), all[2].value.fract() == 0.0),
        (None, Some(factor), _) => (By::Factor(number(factor)?.value), true),
        (None, None, Some(_)) => {
            let before = all[2].value;
            if before <= 0.0 || first <= before {
                return Err(downwards(
                    "the second number must be above the first, and that above 0",
                ));
            }
            (By::Factor(first / before), before.fract() == 0.0)
        }
        (None, None, None) => {
            return Err(VaryError::NoStep {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
    };
    match by {
        _ if last < first => return Err(downwards("its end is below its begin")),
        By::Step(step) if step <= 0.0 => return Err(downwards("the step must be above 0")),
        By::Factor(factor) if factor <= 1.0 || first <= 0.0 => {
            return Err(downwards(
                "the factor must be above 1, and the begin above 0",
            ));
        }
        _ => {}
    }
    let whole = whole && first.fract() == 0.0;
    let mut values: Vec<String> = Vec::new();
    for n in 0.. {
        let value = match by {
            By::Step(step) => first + f64::from(n) * step,
            By::Factor(factor) => first * factor.powi(n),
        };
        if value > last * (1.0 + ROUNDING) {
            break;
        }
        let text = written(if whole { value.round() } else { value }) + &unit;
        // Small whole numbers times a small factor may round to the same one.
        if values.last() != Some(&text) {
            values.push(text);
        }
        if values.len() > MOST {
            return Err(VaryError::TooMany);
        }
    }
    Ok(values)
}

/// A number and its unit.
#[derive(Clone, Debug)]
struct Quantity {
    value: f64,
    unit: String,
}

impl Quantity {
    fn parse(text: &str) -> Option<Quantity> {
        let text = text.trim();
        let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '_');
        let (number, unit) = text.split_at(text.find(|c| !digits(c)).unwrap_or(text.len()));
        let value = number.replace('_', "").parse().ok()?;
        let letters = |c: char| c.is_ascii_alphabetic() || matches!(c, '%' | '/');
        unit.chars().all(letters).then(|| Quantity {
            value,
            unit: unit.to_owned(),
        })
    }
}

/// The unit that all have in common. Where some have `k` or `m` and others none, all become plain numbers. `None` if units
/// differ otherwise.
fn same_unit(all: &mut [Quantity]) -> Option<String> {
    let unit = all.first()?.unit.clone();
    if all.iter().all(|q| q.unit == unit) {
        return Some(unit);
    }
    for quantity in all {
        quantity.value *= match quantity.unit.as_str() {
            "" => 1.0,
            "k" | "K" => 1e3,
            "m" | "M" => 1e6,
            _ => return None,
        };
    }
    Some(String::new())
}

/// A number with at most six decimals.
fn written(n: f64) -> String {
    let text = format!("{n:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The value as a number: a count, a rate, a fraction, or a span of time in seconds. `None` if it is none.
pub fn number(value: &str) -> Option<f64> {
    let count = units::count(value).ok().map(f64::from);
    let plain = || value.parse::<f64>().ok().filter(|n| n.is_finite());
    let rate = || units::rate_or_zero(value).ok();
    let span = || units::duration(value).ok().map(|span| span.as_secs_f64());
    count.or_else(plain).or_else(rate).or_else(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_and_ranges_have_the_values_that_they_name() {
        for (text, values) in [
            ("16,128,512,1024", "16 128 512 1024"),
            ("on, off", "on off"),
            ("60s:10s:5,off", "60s:10s:5 off"),
            ("100,200..12800", "100 200 400 800 1600 3200 6400 12800"),
            ("100..12800*2", "100 200 400 800 1600 3200 6400 12800"),
            ("1..10000*10", "1 10 100 1000 10000"),
            ("1,3..100", "1 3 9 27 81"),
            ("100..1000:300", "100 400 700 1000"),
            ("0..10:5,50,100", "0 5 10 50 100"),
            ("0..0.3:0.1", "0 0.1 0.2 0.3"),
            ("10ms,20ms..100ms", "10ms 20ms 40ms 80ms"),
            ("1k,2k..8k", "1k 2k 4k 8k"),
            ("500,1k..4k", "500 1000 2000 4000"),
            ("100..2k:950", "100 1050 2000"),
            ("2..9*1.5", "2 3 5 7"),
            ("1..4*1.1", "1 2 3 4"),
            ("5..5:1", "5"),
        ] {
            let parsed = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(parsed.join(" "), values, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused_with_what_would_be_right() {
        for (text, part) in [
            ("connections", "is not NAME=VALUES"),
            ("connections=", "is not NAME=VALUES"),
            ("=1,2", "is not NAME=VALUES"),
            ("a b=1", "is no name"),
            ("c=1,,2", "a value is missing"),
            ("c=1,2,", "a value is missing"),
            ("c=1..9", "1..9:STEP"),
            ("c=a..9:1", "'a' is not a number"),
            ("c=1..b:1", "'b' is not a number"),
            ("c=1..9:x", "'x' is not a number"),
            ("c=x,2..9", "'x' is not a number"),
            ("c=9..1:1", "its end is below its begin"),
            ("c=1..9:0", "the step must be above 0"),
            ("c=1..9*1", "the factor must be above 1"),
            ("c=0..9*2", "the factor must be above 1"),
            ("c=2,1..9", "the second number must be above the first"),
            ("c=0,1..9", "the second number must be above the first"),
            ("c=10ms..1s:10ms", "mixes units"),
            ("c=1..1000000:1", "more than 1000 values"),
            ("c=1,2,1", "'1' is given twice"),
        ] {
            let error = text.parse::<Vary>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn values_are_numbers_where_they_can_be() {
        for (value, expected) in [
            ("100", Some(100.0)),
            ("20k", Some(20_000.0)),
            ("0.25", Some(0.25)),
            ("10ms", Some(0.01)),
            ("on", None),
            ("", None),
        ] {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(vary) = text.parse::<Vary>() {
                prop_assert!(!vary.values.is_empty() && vary.values.len() <= MOST);
            }
        }

        #[test]
        fn a_range_rises_from_its_begin_to_its_end(from in 1u32..1000, times in 1u32..1000, factor in 2u32..9) {
            let to = from * times;
            let values = parse(&format!("{from}..{to}*{factor}")).unwrap();
            let numbers: Vec<f64> = values.iter().map(|v| number(v).unwrap()).collect();
            prop_assert_eq!(numbers[0], f64::from(from));
            prop_assert!(numbers.windows(2).all(|w| w[0] < w[1]));
            let last = *numbers.last().unwrap();
            prop_assert!(last <= f64::from(to) && last * f64::from(factor) > f64::from(to));
        }
    }
}
