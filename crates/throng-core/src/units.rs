//! Numbers with units, as people type them: `1m`, `0.25`, `100ms`, `64k`.
//!
//! Each is parsed once, at the edge, into a type that carries its unit. The error says what was
//! read and what would be right, in one line, ready for stderr.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a number with a unit could not be read; its text is one line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitError(String);

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnitError {}

/// What the user wrote, in quotes and on one line: control characters are escaped.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.escape_debug())
}

/// Splits `1.5k` into 1.5 and `k`. Signs, exponents, `inf` and `nan` are not numbers here.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let value = text[..end].parse().ok()?;
    Some((value, &text[end..]))
}

/// `text` as a number times one of `units`, or why not, with `like` as the example of a right one.
fn scaled(text: &str, units: &[(&str, f64)], like: &str) -> Result<f64, UnitError> {
    let wrong = || {
        UnitError(format!(
            "{} is not a number with a unit; write it like {like}",
            quoted(text),
        ))
    };
    let (value, unit) = split(text).ok_or_else(wrong)?;
    let (_, factor) = units
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    Ok(value * factor)
}

const DECIMAL: &[(&str, f64)] = &[("", 1.0), ("k", 1e3), ("K", 1e3), ("m", 1e6), ("M", 1e6)];

/// A number of things (connections, messages): a whole number, `k` and `m` are 10^3 and 10^6.
///
/// # Errors
/// Not a number, not whole, or above 4,294,967,295.
pub fn count(text: &str) -> Result<u32, UnitError> {
    let value = scaled(text, DECIMAL, "1000, 20k or 1m")?;
    if value.fract() != 0.0 || value > f64::from(u32::MAX) {
        return Err(UnitError(format!(
            "{} is not a whole number up to {}; write it like 1000, 20k or 1m",
            quoted(text),
            u32::MAX
        )));
    }
    Ok(value as u32)
}

/// A size in bytes: a whole number, `k`, `m` and `g` are 2^10, 2^20 and 2^30.
///
/// # Errors
/// Not a number, or not whole.
pub fn bytes(text: &str) -> Result<u64, UnitError> {
    const UNITS: &[(&str, f64)] = &[
        ("", 1.0),
        ("k", 1024.0),
        ("K", 1024.0),
        ("m", 1048576.0),
        ("M", 1048576.0),
        ("g", 1073741824.0),
        ("G", 1073741824.0),
    ];
    let value = scaled(text, UNITS, "4096, 64k, 1m or 2g")?;
    if value.fract() != 0.0 || value >= 2f64.powi(53) {
        return Err(UnitError(format!(
            "{} is not a whole number of bytes",
            quoted(text),
        )));
    }
    Ok(value as u64)
}

/// A span of time: `us`, `ms`, `s` (also without a unit), `m`, `h`, `d`, `y`, or one of tcpkali's longer
/// words for them, such as `minutes`; fractions allowed.
///
/// # Errors
/// Not a number, an unknown unit, or more than a hundred years.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    const UNITS: &[(&str, f64)] = &[
        ("", 1.0),
        ("us", 1e-6),
        ("ms", 1e-3),
        ("millisecond", 1e-3),
        ("milliseconds", 1e-3),
        ("s", 1.0),
        ("second", 1.0),
        ("seconds", 1.0),
        ("m", 60.0),
        ("min", 60.0),
        ("minute", 60.0),
        ("minutes", 60.0),
        ("h", 3600.0),
        ("hr", 3600.0),
        ("hour", 3600.0),
        ("hours", 3600.0),
        ("d", 86400.0),
        ("day", 86400.0),
        ("days", 86400.0),
        ("y", 365.0 * 86400.0),
        ("year", 365.0 * 86400.0),
        ("years", 365.0 * 86400.0),
    ];
    let seconds = scaled(text, UNITS, "250ms, 10s, 5m, 2h or 1d")?;
    if seconds > 100.0 * 365.0 * 86400.0 {
        return Err(UnitError(format!(
            "{} is longer than a hundred years",
            quoted(text),
        )));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// One event a nanosecond, the clock's grain.
pub(crate) const MAX_RATE: f64 = 1e9;

/// Events per second. Always above zero and finite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

impl Rate {
    /// `n` events a second; `None` unless 0 < n <= 10^9 (one a nanosecond, the clock's grain).
    pub fn per_second(n: f64) -> Option<Rate> {
        (n > 0.0 && n <= MAX_RATE).then_some(Rate(n))
    }

    /// Events per second.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Nanoseconds from one event to the next, not rounded.
    pub fn interval_ns(self) -> f64 {
        1e9 / self.0
    }

    /// The share of this rate that one of `parts` equal parts carries.
    pub fn share(self, parts: u32) -> Rate {
        Rate(self.0 / f64::from(parts.max(1)))
    }
}

impl TryFrom<f64> for Rate {
    type Error = UnitError;
    fn try_from(n: f64) -> Result<Rate, UnitError> {
        Rate::per_second(n).ok_or_else(|| {
            UnitError(format!(
                "{n} is not a rate above 0 and up to 1000m a second"
            ))
        })
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> f64 {
        rate.0
    }
}

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Rate, UnitError> {
        let n = scaled(text, DECIMAL, "0.1, 250 or 20k (a second)")?;
        Rate::per_second(n).ok_or_else(|| {
            UnitError(format!(
                "{} is not a rate above 0 and up to 1000m a second",
                quoted(text),
            ))
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// Events per second where none is an answer too: a step of a profile in which nothing is sent.
///
/// # Errors
/// Not a number, or above 10^9.
pub fn rate_or_zero(text: &str) -> Result<f64, UnitError> {
    let n = scaled(text, DECIMAL, "0, 0.1, 250 or 20k (a second)")?;
    if n > MAX_RATE {
        return Err(UnitError(format!(
            "{} is not a rate up to 1000m a second",
            quoted(text),
        )));
    }
    Ok(n)
}

/// Bytes per second, zero or more. Zero says that nothing may pass.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Bandwidth(f64);

impl Bandwidth {
    /// The most that can be asked for: a petabyte a second, beyond any link there is.
    const MAX: f64 = 1e15;

    /// `n` bytes a second; `None` unless 0 <= n <= 10^15.
    pub fn bytes_per_second(n: f64) -> Option<Bandwidth> {
        (0.0..=Bandwidth::MAX).contains(&n).then_some(Bandwidth(n))
    }

    /// Bytes per second.
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether nothing may pass.
    pub fn is_zero(self) -> bool {
        self.0 == 0.0
    }
}

impl TryFrom<f64> for Bandwidth {
    type Error = UnitError;
    fn try_from(n: f64) -> Result<Bandwidth, UnitError> {
        Bandwidth::bytes_per_second(n).ok_or_else(|| {
            UnitError(format!(
                "{n} is not a bandwidth from 0 to 10^15 bytes a second"
            ))
        })
    }
}

impl From<Bandwidth> for f64 {
    fn from(bandwidth: Bandwidth) -> f64 {
        bandwidth.0
    }
}

/// Bits a second: `bps`, `kbps`, `Mbps`, `Gbps`. Bytes a second: `Bps`, `kBps`, `MBps`, `GBps`, and a number
/// without a unit. The prefixes are powers of 1000 in either case of letter, as they are for tcpkali; the
/// case of the `b` decides between bits and bytes.
impl FromStr for Bandwidth {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Bandwidth, UnitError> {
        const UNITS: &[(&str, f64)] = &[
            ("", 1.0),
            ("bps", 1.0 / 8.0),
            ("kbps", 1e3 / 8.0),
            ("Kbps", 1e3 / 8.0),
            ("mbps", 1e6 / 8.0),
            ("Mbps", 1e6 / 8.0),
            ("gbps", 1e9 / 8.0),
            ("Gbps", 1e9 / 8.0),
            ("Bps", 1.0),
            ("kBps", 1e3),
            ("KBps", 1e3),
            ("mBps", 1e6),
            ("MBps", 1e6),
            ("gBps", 1e9),
            ("GBps", 1e9),
        ];
        let n = scaled(text, UNITS, "64kbps, 10Mbps (bits) or 1MBps (bytes)")?;
        Bandwidth::bytes_per_second(n).ok_or_else(|| {
            UnitError(format!(
                "{} is more than any link carries; write it like 64kbps, 10Mbps (bits) or 1MBps (bytes)",
quoted(text),
            ))
        })
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B/s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_take_decimal_units() {
        for (text, n) in [
            ("0", 0),
            ("7", 7),
            ("1k", 1000),
            ("1.5k", 1500),
            ("1m", 1_000_000),
            ("2M", 2_000_000),
        ] {
            assert_eq!(count(text), Ok(n), "{text}");
        }
        for text in [
            "",
            "k",
            "-5",
            "+5",
            "1e3",
            ".",
            "1.5",
            "1kk",
            "1 k",
            "inf",
            "nan",
            "5g",
            "4294967296",
            "1.2.3",
        ] {
            assert!(count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_sizes_and_rates_take_their_units() {
        for (text, ms) in [
            ("10", 10_000),
            ("250ms", 250),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1y", 31_536_000_000),
            ("3minutes", 180_000),
            (".5", 500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(bytes("64k"), Ok(65536));
        assert_eq!(bytes("1.5k"), Ok(1536));
        assert_eq!("0.1".parse::<Rate>().map(Rate::get), Ok(0.1));
        assert_eq!("20k".parse::<Rate>().map(Rate::get), Ok(20_000.0));
        for text in ["0", "-1", "2000m", "fast", ""] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["5x", "1w", "ms", "-1s", "99999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_error_names_what_was_read_and_what_would_be_right() {
        let text = count("-5").unwrap_err().to_string();
        assert!(text.contains("'-5'") && text.contains("20k"), "{text}");
    }

    #[test]
    fn bandwidths_are_bits_or_bytes_by_the_case_of_the_b() {
        for (text, bytes) in [
            ("0", 0.0),
            ("125", 125.0),
            ("1kbps", 125.0),
            ("1.5Mbps", 187_500.0),
            ("1gbps", 125e6),
            ("8bps", 1.0),
            ("1Bps", 1.0),
            ("1kBps", 1000.0),
            ("2MBps", 2e6),
            ("10GBps", 1e10),
        ] {
            assert_eq!(
                text.parse::<Bandwidth>().map(Bandwidth::get),
                Ok(bytes),
                "{text}"
            );
        }
        for text in [
            "",
            "1k",
            "1kb",
            "1KBPS",
            "99999999999GBps",
            "-1kbps",
            "1 kbps",
            "fast",
        ] {
            let error = text.parse::<Bandwidth>().unwrap_err().to_string();
            assert!(error.contains("10Mbps"), "{text}: {error}");
        }
    }
}
