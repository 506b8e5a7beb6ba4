//! How long connections are held.

use crate::units::written::{Span, Written, duration_text};
use crate::units::{self, UnitError};
use std::fmt;
use std::time::Duration;

/// How long connections are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// For this long.
    For(Duration),
    /// Until the run is asked to end (Ctrl-C), or its duration is over.
    Forever,
}

/// How a hold without an end is written.
const FOREVER: &str = "forever";

impl Hold {
    /// Reads a duration, or `forever`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Hold, UnitError> {
        match text {
            FOREVER => Ok(Hold::Forever),
            _ => units::duration(text).map(Hold::For),
        }
    }

    /// Its length; `None` if it has no end of its own.
    pub fn length(self) -> Option<Duration> {
        match self {
            Hold::For(length) => Some(length),
            Hold::Forever => None,
        }
    }
}

impl From<Duration> for Hold {
    fn from(length: Duration) -> Hold {
        Hold::For(length)
    }
}

/// As on the command line.
impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::For(length) => f.write_str(&duration_text(*length)),
            Hold::Forever => f.write_str(FOREVER),
        }
    }
}

/// As in a file.
impl Written for Hold {
    type Value = Hold;
    const WHAT: &'static str = Span::WHAT;
    fn read(text: &str) -> Result<Hold, UnitError> {
        Hold::parse(text)
    }
    fn text(value: Hold) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_read_as_it_is_written() {
        for (text, hold) in [
            ("10s", Hold::For(Duration::from_secs(10))),
            ("0s", Hold::For(Duration::ZERO)),
            ("forever", Hold::Forever),
        ] {
            assert_eq!(Hold::parse(text), Ok(hold));
            assert_eq!(hold.to_string(), text);
            assert_eq!(hold.length().is_none(), text == "forever");
        }
        assert!(Hold::parse("for ever").is_err());
    }
}
