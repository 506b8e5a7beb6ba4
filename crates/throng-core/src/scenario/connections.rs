//! How many connections to open: a number, or as many as can be held, or as keep objectives.

use super::bounds;
use super::objectives::Objectives;
use crate::units::UnitError;
use crate::units::written::{Count, Written, count_text};
use std::fmt;

/// How many connections to open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Connections {
    /// This many; 0 if there is nothing to connect to.
    Number(u32),
    /// As many as can be held, which the run finds out; at most so many, if a number is given.
    Max(Option<u32>),
    /// As many as keep these objectives, which the run finds out; at most so many, if a number is given.
    Keeping(Objectives, Option<u32>),
}

/// How a maximum is written, and what objectives begin with.
const MAX: &str = "max";
const KEEPING: char = '@';
/// The phases of messages are spread over this many connections while their number is not known.
const SPREAD: u32 = 1024;

impl Connections {
    /// Reads a number, `max`, or objectives such as `@p99<50ms`; the latter two may be followed by `:N`.
    ///
    /// # Errors
    /// It is none of these, or out of bounds.
    pub fn parse(text: &str) -> Result<Connections, UnitError> {
        if let Some(objectives) = text.strip_prefix(KEEPING) {
            let (objectives, most) = match objectives.rsplit_once(':') {
                Some((objectives, most)) => (objectives, Some(bounds::connections(most)?)),
                None => (objectives, None),
            };
            return Ok(Connections::Keeping(Objectives::parse(objectives)?, most));
        }
        match text.split_once(':') {
            _ if text == MAX => Ok(Connections::Max(None)),
            Some((MAX, most)) => bounds::connections(most).map(|n| Connections::Max(Some(n))),
            _ => bounds::connections(text).map(Connections::Number),
        }
    }

    /// The most that may be opened.
    pub fn most(self) -> u32 {
        match self {
            Connections::Number(n) => n,
            Connections::Max(most) | Connections::Keeping(_, most) => {
                most.unwrap_or(bounds::MAX_CONNECTIONS)
            }
        }
    }

    /// The number, if one is given that is to be reached.
    pub fn number(self) -> Option<u32> {
        match self {
            Connections::Number(n) => Some(n),
            Connections::Max(_) | Connections::Keeping(..) => None,
        }
    }

    /// Whether the user gave a number, be it only a bound.
    pub fn is_bounded(self) -> bool {
        !matches!(self, Connections::Max(None) | Connections::Keeping(_, None))
    }

    /// Whether the run finds out how many can be held, or keep objectives.
    pub fn is_max(self) -> bool {
        self.number().is_none()
    }

    /// What the connections are to keep, if the run finds out how many do.
    pub fn objectives(self) -> Option<Objectives> {
        match self {
            Connections::Keeping(objectives, _) => Some(objectives),
            Connections::Number(_) | Connections::Max(_) => None,
        }
    }

    /// The same with this bound.
    pub fn up_to(self, most: u32) -> Connections {
        match self {
            Connections::Number(n) => Connections::Number(n.min(most)),
            Connections::Max(_) => Connections::Max(Some(most)),
            Connections::Keeping(objectives, _) => Connections::Keeping(objectives, Some(most)),
        }
    }

    /// Over how many connections the times of messages are spread.
    pub fn spread(self) -> u32 {
        match self {
            Connections::Number(n) => n.max(1),
            Connections::Max(_) | Connections::Keeping(..) => self.most().min(SPREAD),
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
            Connections::Keeping(objectives, None) => write!(f, "{KEEPING}{objectives}"),
            Connections::Keeping(objectives, Some(n)) => {
                write!(f, "{KEEPING}{objectives}:{}", count_text(*n))
            }
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
    use std::time::Duration;

    #[test]
    fn a_number_a_maximum_and_objectives_are_read_as_they_are_written() {
        let objectives = Objectives {
            latency: Some((99.0, Duration::from_millis(50))),
            no_failure: true,
        };
        for (text, connections) in [
            ("50k", Connections::Number(50_000)),
            ("max", Connections::Max(None)),
            ("max:1m", Connections::Max(Some(1_000_000))),
            ("@p99<50ms,failed=0", Connections::Keeping(objectives, None)),
            (
                "@p99<50ms,failed=0:2k",
                Connections::Keeping(objectives, Some(2000)),
            ),
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
            ("@", "write p99<50ms"),
            ("@p99<50ms:", "write"),
            ("@p99<50ms:0", "at least 1"),
        ] {
            let error = Connections::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
