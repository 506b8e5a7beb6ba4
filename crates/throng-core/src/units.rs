//! Numbers with units, as people type them: `1m`, `0.25`, `100ms`, `64k`; and as people and programs print them: `10,000`,
//! `10_000`, `1e6`, `1m30s`.
//!
//! Each is parsed once, at the edge, into a type that carries its unit. The error says what was
//! read and what would be right, in one line, ready for stderr.

pub mod written;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a number with a unit could not be read; its text is one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a number, or not one of the units.
    #[error("{} is not {what}; write {like}", quoted(text))]
    Unreadable {
        /// What was read.
        text: String,
        /// What it should be, with its article.
        what: &'static str,
        /// What would be right.
        like: &'static str,
    },
    /// A number that is out of these bounds, which are a sentence.
    #[error("{0}")]
    OutOfBounds(String),
}

/// What the user wrote, in quotes and on one line: control characters are escaped.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.escape_debug())
}

/// A number in front of its unit, without the marks that group its digits.
struct Number {
    /// The digits before the point; empty for 0.
    whole: String,
    /// Those behind it.
    fraction: String,
    /// The power of ten that it is multiplied by.
    exponent: i32,
}

impl Number {
    /// Splits the number from what follows it: `1.5k` into `1.5` and `k`. `None` if it does not begin with one.
    ///
    /// Digits before the point may be grouped: by commas in threes, or anywhere by underscores.
    fn split(text: &str) -> Option<(Number, &str)> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '_');
        let (digits, rest) = text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_plain = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !is_plain(fraction) {
            return None;
        }
        let groups: Vec<&str> = whole.split([',', '_']).collect();
        let (first, others) = groups.split_first()?;
        let grouped = match (whole.contains(','), whole.contains('_')) {
            (false, false) => true,
            (true, true) => false,
            (true, false) => {
                (1..=3).contains(&first.len()) && others.iter().all(|group| group.len() == 3)
            }
            (false, true) => groups.iter().all(|group| !group.is_empty()),
        };
        let number = |exponent| Number {
            whole: groups.concat(),
            fraction: fraction.to_owned(),
            exponent,
        };
        if !grouped {
            return None;
        }
        let Some(power) = rest.strip_prefix(['e', 'E']) else {
            return Some((number(0), rest));
        };
        let signed = power.trim_start_matches(['+', '-']);
        let signs = power.len() - signed.len();
        let end = signs
            + signed
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(signed.len());
        let (power, rest) = power.split_at(end);
        // Two signs are not a number either.
        Some((number(power.parse().ok()?), rest))
    }

    fn value(&self) -> Option<f64> {
        let text = format!("0{}.{}0e{}", self.whole, self.fraction, self.exponent);
        text.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

/// What a number is expected to be, for the error.
struct Expected {
    /// With its article.
    what: &'static str,
    /// What would be right.
    like: &'static str,
}

impl Expected {
    fn error(&self, text: &str) -> UnitError {
        UnitError::Unreadable {
            text: text.to_owned(),
            what: self.what,
            like: self.like,
        }
    }
}

/// `text` as a number times one of `units`. Signs, `inf` and `nan` are not numbers here.
fn scaled(text: &str, units: &[(&str, f64)], expected: &Expected) -> Result<f64, UnitError> {
    let read = || {
        let (number, unit) = Number::split(text)?;
        let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
        Some(number.value()? * factor)
    };
    read().ok_or_else(|| expected.error(text))
}

const DECIMAL: &[(&str, f64)] = &[("", 1.0), ("k", 1e3), ("K", 1e3), ("m", 1e6), ("M", 1e6)];

/// A number of things (connections, messages): a whole number, `k` and `m` are 10^3 and 10^6.
///
/// # Errors
/// Not a number, not whole, or above 4,294,967,295.
pub fn count(text: &str) -> Result<u32, UnitError> {
    const COUNT: Expected = Expected {
        what: "a count",
        like: "1000, 20k or 1m",
    };
    let value = scaled(text, DECIMAL, &COUNT)?;
    if value.fract() != 0.0 || value > f64::from(u32::MAX) {
        let bounds = format!("a count is a whole number up to {}", u32::MAX);
        return Err(UnitError::OutOfBounds(bounds));
    }
    Ok(value as u32)
}

const BINARY: &[(&str, f64)] = &[
    ("", 1.0),
    ("k", 1024.0),
    ("K", 1024.0),
    ("m", 1048576.0),
    ("M", 1048576.0),
    ("g", 1073741824.0),
    ("G", 1073741824.0),
    // As reports write them.
    ("B", 1.0),
    ("KiB", 1024.0),
    ("MiB", 1048576.0),
    ("GiB", 1073741824.0),
];

/// A size in bytes: a whole number, `k`, `m` and `g` are 2^10, 2^20 and 2^30, as are `KiB`, `MiB` and `GiB`.
///
/// # Errors
/// Not a number, or not whole.
pub fn bytes(text: &str) -> Result<u64, UnitError> {
    const SIZE: Expected = Expected {
        what: "a size",
        like: "4096, 64k, 1m or 2g",
    };
    let value = scaled(text, BINARY, &SIZE)?;
    if value.fract() != 0.0 || value >= 2f64.powi(53) {
        let bounds = "a size is a whole number of bytes below 2^53";
        return Err(UnitError::OutOfBounds(bounds.into()));
    }
    Ok(value as u64)
}

const US: u128 = 1_000;
const MS: u128 = 1_000 * US;
const SECOND: u128 = 1_000 * MS;
const MINUTE: u128 = 60 * SECOND;
const HOUR: u128 = 60 * MINUTE;
const DAY: u128 = 24 * HOUR;
const YEAR: u128 = 365 * DAY;

/// The longest span of time that can be asked for.
const LONGEST: u128 = 100 * YEAR;

/// Units of time, in nanoseconds; the first one of a length is how it is written.
const TIMES: &[(&str, u128)] = &[
    ("s", SECOND),
    ("", SECOND),
    ("us", US),
    ("ms", MS),
    ("millisecond", MS),
    ("milliseconds", MS),
    ("second", SECOND),
    ("seconds", SECOND),
    ("m", MINUTE),
    ("min", MINUTE),
    ("minute", MINUTE),
    ("minutes", MINUTE),
    ("h", HOUR),
    ("hr", HOUR),
    ("hour", HOUR),
    ("hours", HOUR),
    ("d", DAY),
    ("day", DAY),
    ("days", DAY),
    ("y", YEAR),
    ("year", YEAR),
    ("years", YEAR),
];

/// A span of time: `us`, `ms`, `s` (also without a unit), `m`, `h`, `d`, `y`, or one of tcpkali's longer
/// words for them, such as `minutes`; fractions allowed. Exact to the nanosecond, the rest is rounded. Several are added,
/// the longest unit first, each with its unit: `1m30s`.
///
/// # Errors
/// Not a number, an unknown unit, or more than a hundred years.
pub fn duration(text: &str) -> Result<Duration, UnitError> {
    const TIME: Expected = Expected {
        what: "a duration",
        like: "250ms, 10s, 1m30s, 2h or 1d",
    };
    let wrong = || TIME.error(text);
    let too_long = || UnitError::OutOfBounds("a duration is at most a hundred years".into());
    let (mut all, mut rest, mut shortest) = (0u128, text, u128::MAX);
    loop {
        let (number, tail) = Number::split(rest).ok_or_else(wrong)?;
        let (unit, tail) = tail.split_at(
            tail.find(|c: char| c.is_ascii_digit())
                .unwrap_or(tail.len()),
        );
        let single = rest.len() == text.len() && tail.is_empty();
        let factor = TIMES.iter().find(|(name, _)| *name == unit);
        let Some((_, factor)) = factor.filter(|(name, factor)| {
            number.exponent == 0 && *factor < shortest && (single || !name.is_empty())
        }) else {
            return Err(wrong());
        };
        let ns = nanoseconds(&number, *factor).and_then(|ns| all.checked_add(ns));
        all = ns.filter(|ns| *ns <= LONGEST).ok_or_else(too_long)?;
        if tail.is_empty() {
            return Ok(Duration::from_nanos(all as u64));
        }
        (rest, shortest) = (tail, *factor);
    }
}

/// `number` of a unit of `factor` nanoseconds; `None` if that is too many.
fn nanoseconds(number: &Number, factor: u128) -> Option<u128> {
    let digits = |text: &str| match text.is_empty() {
        true => Some(0),
        false => text.parse::<u128>().ok(),
    };
    // More digits than these are fractions of a nanosecond for every unit.
    const DIGITS: usize = 18;
    let fraction = &number.fraction[..number.fraction.len().min(DIGITS)];
    let parts = 10u128.pow(fraction.len() as u32);
    let part = (digits(fraction)? * factor + parts / 2) / parts;
    digits(&number.whole)?
        .checked_mul(factor)?
        .checked_add(part)
}

/// One event per nanosecond, the clock's resolution.
pub(crate) const MAX_RATE: f64 = 1e9;

/// Events per second. Always above zero and finite.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

impl Rate {
    /// `n` events per second; `None` unless 0 < n <= 10^9 (one per nanosecond, the clock's resolution).
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

    /// The part of this rate that is `fraction` of it, above 0 and up to 1.
    pub fn part(self, fraction: f64) -> Rate {
        debug_assert!(fraction > 0.0 && fraction <= 1.0, "{fraction}");
        Rate(self.0 * fraction)
    }
}

const A_RATE: Expected = Expected {
    what: "a rate",
    like: "0.1, 250 or 20k (per second)",
};

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Rate, UnitError> {
        let n = scaled(text, DECIMAL, &A_RATE)?;
        Rate::per_second(n).ok_or_else(|| {
            let bounds = "a rate must be above 0 and at most 1,000,000,000 per second";
            UnitError::OutOfBounds(bounds.into())
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

/// Events per second where 0 is allowed: a step of a profile in which nothing is sent.
///
/// # Errors
/// Not a number, or above 10^9.
pub fn rate_or_zero(text: &str) -> Result<f64, UnitError> {
    let n = scaled(text, DECIMAL, &A_RATE)?;
    if n > MAX_RATE {
        let bounds = "a rate is at most 1,000,000,000 per second";
        return Err(UnitError::OutOfBounds(bounds.into()));
    }
    Ok(n)
}

/// Bytes per second, zero or more. Zero says that nothing may pass.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bandwidth(f64);

impl Bandwidth {
    /// The most that can be asked for: a petabyte per second, beyond any existing link.
    const MAX: f64 = 1e15;

    /// `n` bytes per second; `None` unless 0 <= n <= 10^15.
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

/// Units of bandwidth, in bytes per second; see [`Bandwidth::from_str`].
const BANDWIDTHS: &[(&str, f64)] = &[
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
    ("MBps", 1e6),
    ("mBps", 1e6),
    ("GBps", 1e9),
    ("gBps", 1e9),
];

/// Bits per second: `bps`, `kbps`, `Mbps`, `Gbps`. Bytes per second: `Bps`, `kBps`, `MBps`, `GBps`, and a number
/// without a unit. The prefixes are powers of 1000 in either case of letter, as they are for tcpkali; the
/// case of the `b` decides between bits and bytes.
impl FromStr for Bandwidth {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Bandwidth, UnitError> {
        const BANDWIDTH: Expected = Expected {
            what: "a bandwidth",
            like: "64kbps, 10Mbps (bits) or 1MBps (bytes)",
        };
        let n = scaled(text, BANDWIDTHS, &BANDWIDTH)?;
        Bandwidth::bytes_per_second(n).ok_or_else(|| {
            let bounds =
                "a bandwidth is at most 8000000Gbps; write it like 10Mbps (bits) or 1MBps (bytes)";
            UnitError::OutOfBounds(bounds.into())
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
            ("10,000", 10_000),
            ("1,234,567", 1_234_567),
            ("10_000", 10_000),
            ("1_0", 10),
            ("1e3", 1000),
            ("2.5E+6", 2_500_000),
            ("1e3k", 1_000_000),
        ] {
            assert_eq!(count(text), Ok(n), "{text}");
        }
        for text in [
            "",
            "k",
            "-5",
            "+5",
            "1e",
            "1e+",
            "1e+-3",
            "1e-3",
            "e3",
            "1e999",
            "1e99999999999",
            "1,0",
            "1,0000",
            ",000",
            "1,,000",
            "1,000_000",
            "_1",
            "1_",
            "1.0,000",
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
            ("1m30s", 90_000),
            ("1h1.5s", 3_601_500),
            ("1d2h3m4s5ms", 93_784_005),
            ("1,500ms", 1500),
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
        for text in [
            "5x",
            "1w",
            "ms",
            "-1s",
            "99999999999999d",
            ".",
            "s",
            "1.2.3s",
            "1m30",
            "30s1m",
            "1s1s",
            "1m-5s",
            "1e3s",
            "99y99y",
        ] {
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
