//! Think time: how long a user waits between an answer and the next request.

use crate::units::written::text_of;
use crate::units::{self, UnitError, written::duration_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The time between an answer and the next message: `2s`, or `1s..5s` for a random time between the two, evenly distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Think {
    from: Duration,
    to: Duration,
}

impl Think {
    /// A time that follows from `random`.
    pub fn pick(&self, random: u64) -> Duration {
        let span = (self.to - self.from).as_nanos() + 1;
        let more = (u128::from(random) * span) >> 64;
        self.from + Duration::from_nanos(more as u64)
    }

    /// The longest time.
    pub fn longest(&self) -> Duration {
        self.to
    }
}

/// Why a text is no think time. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThinkError {
    /// One of its ends is no duration.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// It ends before it begins, or takes no time.
    #[error("{0:?} is no time to think; write it like 2s or 1s..5s")]
    Empty(String),
}

impl FromStr for Think {
    type Err = ThinkError;

    fn from_str(text: &str) -> Result<Think, ThinkError> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (units::duration(from)?, units::duration(to)?);
        match from <= to && !to.is_zero() {
            true => Ok(Think { from, to }),
            false => Err(ThinkError::Empty(text.into())),
        }
    }
}

impl fmt::Display for Think {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration_text(self.from))?;
        match self.from == self.to {
            true => Ok(()),
            false => write!(f, "..{}", duration_text(self.to)),
        }
    }
}

text_of!(Think, ThinkError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_a_range_of_times() {
        let think = |text: &str| text.parse::<Think>();
        let second = think("1s").unwrap();
        assert_eq!(second.pick(0), second.pick(u64::MAX));
        let range = think("1s..3s").unwrap();
        for (random, secs) in [(0, 1.0), (u64::MAX / 2, 2.0), (u64::MAX, 3.0)] {
            let picked = range.pick(random).as_secs_f64();
            assert!((picked - secs).abs() < 1e-6, "{picked}");
        }
        for text in ["2s", "1s..5s", "0..100ms"] {
            let written = think(text).unwrap().to_string();
            assert_eq!(think(&written), think(text), "{written}");
        }
        for text in ["", "0", "0..0", "5s..1s", "1s..", "..1s", "x", "1s..2s..3s"] {
            let error = think(text).unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{text}: {error}");
        }
    }
}
