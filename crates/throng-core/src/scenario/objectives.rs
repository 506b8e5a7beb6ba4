//! What the most connections are to keep: a bound of message latency, no failures, or both (`-c '@p99<50ms,failed=0'`).

use super::bounds;
use super::latency::Percentile;
use crate::units::UnitError;
use crate::units::written::duration_text;
use std::fmt;
use std::time::Duration;

/// What the most connections are to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objectives {
    /// A percentile of message latency, 0 to 100, and the bound that it must not exceed.
    pub latency: Option<(f64, Duration)>,
    /// Whether nothing may fail: no attempt to connect, no connection, no answer.
    pub no_failure: bool,
}

/// How the second one is written.
const NO_FAILURE: &str = "failed=0";

impl Objectives {
    /// Reads `p99<50ms`, `failed=0`, or both with a comma between them.
    ///
    /// # Errors
    /// It is none of these, or one is given twice.
    pub fn parse(text: &str) -> Result<Objectives, UnitError> {
        let mut all = Objectives::default();
        for part in text.split(',').map(str::trim) {
            let twice = match part == NO_FAILURE {
                true => std::mem::replace(&mut all.no_failure, true),
                false => all.latency.replace(latency(part)?).is_some(),
            };
            if twice {
                return Err(UnitError::OutOfBounds(format!(
                    "'{}': one bound of latency and one of failures are possible",
                    text.escape_debug()
                )));
            }
        }
        Ok(all)
    }
}

/// Reads `p99<50ms`.
fn latency(text: &str) -> Result<(f64, Duration), UnitError> {
    let unreadable = || UnitError::Unreadable {
        text: text.to_owned(),
        what: "an objective",
        like: "p99<50ms, failed=0, or both with a comma between them",
    };
    let (of, bound) = text.split_once('<').ok_or_else(unreadable)?;
    let digits = of.trim().strip_prefix('p').ok_or_else(unreadable)?;
    // Alone, a number would be seconds.
    let bound = bound.trim();
    if bound.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(unreadable());
    }
    let percentile =
        Percentile::parse(digits).map_err(|why| UnitError::OutOfBounds(why.to_string()))?;
    Ok((percentile.value(), bounds::positive(bound)?))
}

/// As on the command line, without the `@`.
impl fmt::Display for Objectives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((percentile, bound)) = self.latency {
            write!(f, "p{percentile}<{}", duration_text(bound))?;
        }
        let comma = if self.latency.is_some() { "," } else { "" };
        match self.no_failure {
            true => write!(f, "{comma}{NO_FAILURE}"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_as_they_are_written() {
        let latency = Some((99.9, Duration::from_millis(50)));
        for (text, latency, no_failure) in [
            ("p99.9<50ms", latency, false),
            ("failed=0", None, true),
            ("p99.9<50ms,failed=0", latency, true),
        ] {
            let read = Objectives::parse(text).expect(text);
            assert_eq!((read.latency, read.no_failure), (latency, no_failure));
            assert_eq!(read.to_string(), text);
        }
        let spaced = Objectives::parse("failed=0, p99.9 < 50ms").expect("spaces do no harm");
        assert_eq!(spaced.to_string(), "p99.9<50ms,failed=0");
    }

    #[test]
    fn what_is_no_objective_is_refused_with_what_would_be_right() {
        for (text, says) in [
            ("", "write p99<50ms"),
            ("p99", "write p99<50ms"),
            ("99<50ms", "write p99<50ms"),
            ("p99>50ms", "write p99<50ms"),
            ("failed<1%", "write p99<50ms"),
            ("p101<50ms", "from 0 to 100"),
            ("p99<0ms", "longer than 0"),
            ("p99<50", "write p99<50ms"),
            ("p99<5ms,p50<1ms", "one bound"),
            ("failed=0,failed=0", "one bound"),
        ] {
            let error = Objectives::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
