//! How many connections to open: a number, or as many as can be held.

use super::bounds;
use crate::units::UnitError;
use crate::units::written::{Count, Written, count_text};
use std::fmt;

/// How many connections to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// This many; 0 if there is nothing to connect to.
    Number(u32),
    /// As many as can be held, which the run finds out; at most so many, if a number is given.
    Max(Option<u32>),
}

/// How a maximum is written.
const MAX: &str = "max";
/// The phases of messages are spread over this many connections while their number is not known.
const SPREAD: u32 = 1024;

impl Connections {
    /// Reads a number, `max` or `max:N`.
    ///
    /// # Errors
    /// It is none of these, or out of bounds.
    pub fn parse(text: &str) -> Result<Connections, UnitError> {
        match text.split_once(':') {
            _ if text == MAX => Ok(Connections::Max(None)),
            Some((MAX, most)) => bounds::connections(most).map(|n| Connections::Max(Some(n))),
            _ => bounds::connections(text).map(Connections::Number),
        }
    }

    /// The most that may be opened.
    pub fn most(self) -> u32 {
        match self {
            Connections::Number(n) | Connections::Max(Some(n)) => n,
            Connections::Max(None) => bounds::MAX_CONNECTIONS,
        }
    }

    /// The number, if one is given that is to be reached.
    pub fn number(self) -> Option<u32> {
        match self {
            Connections::Number(n) => Some(n),
            Connections::Max(_) => None,
        }
    }

    /// Whether the user gave a number, be it only a bound.
    pub fn is_bounded(self) -> bool {
        self != Connections::Max(None)
    }

    /// Whether the run finds out how many can be held.
    pub fn is_max(self) -> bool {
        matches!(self, Connections::Max(_))
    }

    /// Over how many connections the times of messages are spread.
    pub fn spread(self) -> u32 {
        match self {
            Connections::Number(n) => n.max(1),
            Connections::Max(_) => self.most().min(SPREAD),
        }
    }
}

impl PartialEq<u32> for Connections {
    fn eq(&self, n: &u32) -> bool {
        self.number() == Some(*n)
    }
}

impl From<u32> for Connections {
    fn from(n: u32) -> Connections {
        Connections::Number(n)
    }
}

/// As on the command line.
impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Connections::Number(n) => f.write_str(&count_text(*n)),
            Connections::Max(None) => f.write_str(MAX),
            Connections::Max(Some(n)) => write!(f, "{MAX}:{}", count_text(*n)),
        }
    }
}

/// As in a file, where it may be 0.
impl Written for Connections {
    type Value = Connections;
    const WHAT: &'static str = Count::WHAT;
    fn read(text: &str) -> Result<Connections, UnitError> {
        match bounds::up_to_connections(text) {
            Ok(n) => Ok(Connections::Number(n)),
            Err(_) => Connections::parse(text),
        }
    }
    fn text(value: Connections) -> String {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_maximum_are_read_as_they_are_written() {
        for (text, connections) in [
            ("50k", Connections::Number(50_000)),
            ("max", Connections::Max(None)),
            ("max:1m", Connections::Max(Some(1_000_000))),
        ] {
            assert_eq!(Connections::parse(text), Ok(connections));
            assert_eq!(Connections::read(text), Ok(connections));
            assert_eq!(connections.to_string(), text);
        }
        assert_eq!(Connections::read("0"), Ok(Connections::Number(0)));
    }

    #[test]
    fn what_is_neither_is_refused_with_what_would_be_right() {
        for (text, says) in [
            ("0", "at least 1"),
            ("200m", "at most 100m"),
            ("max:0", "at least 1"),
            ("max:", "write"),
            ("most", "write"),
            ("maximum", "write"),
        ] {
            let error = Connections::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
