//! What may go wrong in a run that still counts as reached.

use crate::units::written::{As, Written, count_text};
use crate::units::{self, UnitError};
use serde::{Deserialize, Serialize};

/// What may go wrong in a run that still counts as reached (docs/verdict.md). By default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Allow {
    /// Connections that are lost during the hold, of those asked for.
    #[serde(with = "As::<Tolerance>")]
    pub lost: Tolerance,
    /// Messages that are not answered, of those whose answers are looked for.
    #[serde(with = "As::<Tolerance>")]
    pub unanswered: Tolerance,
}

/// How many of something are tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// This many.
    Count(u32),
    /// This percentage of all: 0 to 100.
    Percent(f64),
}

impl Default for Tolerance {
    fn default() -> Tolerance {
        Tolerance::Count(0)
    }
}

impl Tolerance {
    /// Reads `20`, `1k` or `0.1%`.
    ///
    /// # Errors
    /// Neither a count nor a percentage from 0 to 100.
    pub fn parse(text: &str) -> Result<Tolerance, UnitError> {
        let Some(percent) = text.strip_suffix('%') else {
            return units::count(text).map(Tolerance::Count);
        };
        match percent.parse::<f64>() {
            Ok(p) if (0.0..=100.0).contains(&p) => Ok(Tolerance::Percent(p)),
            _ => Err(UnitError::OutOfBounds(
                "a percentage from 0% to 100% is needed".into(),
            )),
        }
    }

    /// Whether `n` of `all` are tolerated.
    pub fn covers(self, n: u64, all: u64) -> bool {
        match self {
            Tolerance::Count(most) => n <= most.into(),
            // A connection that is lost again after it came back counts again.
            Tolerance::Percent(percent) => {
                percent >= 100.0 || n as f64 <= all as f64 * percent / 100.0
            }
        }
    }
}

impl Written for Tolerance {
    type Value = Tolerance;
    const WHAT: &'static str = "a count such as 20, or a percentage such as \"0.1%\"";
    fn read(text: &str) -> Result<Tolerance, UnitError> {
        Tolerance::parse(text)
    }
    fn text(value: Tolerance) -> String {
        match value {
            Tolerance::Count(n) => count_text(n),
            Tolerance::Percent(percent) => format!("{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_percentages_are_read_and_cover_what_they_say() {
        for (text, covered, not) in [
            ("0", 0, 1),
            ("20", 20, 21),
            ("1k", 1000, 1001),
            ("0%", 0, 1),
            ("0.1%", 2, 3),
            // One that is lost again after it came back counts again, so there may be more than all.
            ("100%", 2001, u64::MAX),
        ] {
            let tolerance = Tolerance::parse(text).unwrap();
            assert!(tolerance.covers(covered, 2000), "{text}");
            assert_eq!(tolerance.covers(not, 2000), not == u64::MAX, "{text}");
            assert_eq!(Tolerance::parse(&Tolerance::text(tolerance)), Ok(tolerance));
        }
        for text in ["", "%", "-1%", "100.1%", "nan%", "1x", "-1"] {
            assert!(Tolerance::parse(text).is_err(), "{text}");
        }
    }
}
