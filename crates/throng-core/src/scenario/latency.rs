//! Percentiles of latency, as users write them.

use crate::units::quoted;
use serde::{Deserialize, Serialize};

/// A percentile, from 0 to 100 (the maximum), and how the user wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percentile {
    value: f64,
    written: String,
}

impl Percentile {
    /// tcpkali's default percentiles.
    pub fn usual() -> Vec<Percentile> {
        ["95", "99", "99.5"]
            .iter()
            .filter_map(|p| Percentile::parse(p).ok())
            .collect()
    }

    /// Reads one percentile.
    ///
    /// # Errors
    /// Not a number from 0 to 100 in decimal digits, or longer than [`Percentile::LONGEST`].
    pub fn parse(text: &str) -> Result<Percentile, PercentileError> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if !digits(whole) || !digits(fraction) {
            return Err(PercentileError::Unreadable(text.to_owned()));
        }
        if text.len() > Self::LONGEST {
            return Err(PercentileError::TooManyDigits(text.to_owned()));
        }
        match text.parse() {
            Ok(value) if value <= 100.0 => Ok(Percentile {
                value,
                written: text.to_owned(),
            }),
            _ => Err(PercentileError::OutOfBounds(text.to_owned())),
        }
    }

    /// Reads several percentiles, separated by commas or slashes.
    ///
    /// # Errors
    /// Those of [`Percentile::parse`], or an empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Percentile>, PercentileError> {
        text.split([',', '/'])
            .map(|p| Percentile::parse(p.trim()))
            .collect()
    }

    /// The most characters of a percentile: no histogram has more decimals.
    pub const LONGEST: usize = 15;

    /// Its value, from 0 to 100.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// As the user wrote it: `99.50` stays `99.50`.
    pub fn written(&self) -> &str {
        &self.written
    }
}

impl TryFrom<String> for Percentile {
    type Error = PercentileError;
    fn try_from(text: String) -> Result<Percentile, PercentileError> {
        Percentile::parse(&text)
    }
}

impl From<Percentile> for String {
    fn from(p: Percentile) -> String {
        p.written
    }
}

/// Why a percentile could not be read. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PercentileError {
    /// Not decimal digits.
    #[error("{} is not a percentile; write it like 95 or 99.5", quoted(.0))]
    Unreadable(String),
    /// Longer than [`Percentile::LONGEST`].
    #[error("{} has more digits than histograms distinguish; write it like 95 or 99.5", quoted(.0))]
    TooManyDigits(String),
    /// Above 100.
    #[error("{} is not a percentile from 0 to 100; write it like 95 or 99.5", quoted(.0))]
    OutOfBounds(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_keep_how_they_were_written() {
        for (text, values) in [
            ("95", &[95.0][..]),
            ("50.0,100.0", &[50.0, 100.0]),
            ("50/100", &[50.0, 100.0]),
            ("0, 99.95/100", &[0.0, 99.95, 100.0]),
        ] {
            let list = Percentile::parse_list(text).unwrap();
            let read: Vec<f64> = list.iter().map(Percentile::value).collect();
            assert_eq!(read, values, "{text}");
            for p in &list {
                assert!(text.contains(p.written()));
            }
        }
        let usual: Vec<String> = Percentile::usual().into_iter().map(String::from).collect();
        assert_eq!(usual, ["95", "99", "99.5"]);
    }

    #[test]
    fn what_is_no_percentile_is_reported_in_one_line() {
        for text in [
            "",
            "p99",
            "-1",
            "100.1",
            "95,",
            ",95",
            "95;99",
            "9.",
            ".5",
            "1e1",
            "nan",
            "+5",
            "99.9999999999999999",
        ] {
            let error = Percentile::parse_list(text).unwrap_err().to_string();
            assert!(!error.contains('\n') && error.contains("99.5"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error(text: String) {
            if let Ok(list) = Percentile::parse_list(&text) {
                prop_assert!(list.iter().all(|p| (0.0..=100.0).contains(&p.value())));
            }
        }
    }
}
