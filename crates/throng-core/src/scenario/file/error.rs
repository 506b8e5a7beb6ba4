//! What is wrong with a file, and where.

use super::super::check::Contradiction;
use super::place::{Place, Set};
use crate::nearest::nearest;
use serde::de::{Expected, Unexpected};
use std::fmt::{self, Display};

/// The version of the format that is read and written.
pub const VERSION: i64 = 1;

/// What is wrong with a file, and where. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct FileError {
    /// The file's name with line and column, both from 1, or the `--set`.
    pub place: String,
    /// What is wrong.
    pub problem: Box<Problem>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// It is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// It has no version.
    #[error("the file has no version; its first line must be version = {VERSION}")]
    NoVersion,
    /// It has another version.
    #[error("version {0} is unknown; this throng reads version {VERSION}")]
    OtherVersion(String),
    /// It has none of its sections, or several.
    #[error("a scenario has one section: [load], [serve] or [proxy]")]
    OneOfThese,
    /// An unknown key.
    #[error("unknown key '{key}'{}; {}", within(section), instead(nearest, known))]
    UnknownKey {
        /// The key.
        key: String,
        /// The path of its section; empty for the top level of the file.
        section: String,
        /// The most similar known key, if any is similar.
        nearest: Option<String>,
        /// All keys of the section.
        known: Vec<String>,
    },
    /// A value that can't be read.
    #[error("{key}: {what}")]
    Value {
        /// The path of its key.
        key: String,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// Values that contradict each other.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

fn within(section: &str) -> String {
    match section {
        "" => String::new(),
        section => format!(" in [{section}]"),
    }
}

fn instead(nearest: &Option<String>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("known keys: {}", known.join(", ")),
    }
}

/// A problem on its way out of the tree: its place is where it was found, its path grows from the inside outwards.
#[derive(Debug)]
pub(super) struct Wrong {
    problem: Box<Problem>,
    place: Option<Place>,
    path: Vec<String>,
}

impl Wrong {
    /// Sets its place, unless an inner value has set it.
    pub fn at(mut self, place: Place) -> Wrong {
        self.place.get_or_insert(place);
        self
    }

    /// Adds `key` to its path.
    pub fn within(mut self, key: &str) -> Wrong {
        self.path.push(key.to_owned());
        self
    }

    fn value(what: String) -> Wrong {
        let key = String::new();
        Problem::Value { key, what }.into()
    }
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Wrong {
        Wrong {
            problem: Box::new(problem),
            place: None,
            path: Vec::new(),
        }
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Wrong {}

impl serde::de::Error for Wrong {
    fn custom<T: Display>(what: T) -> Wrong {
        Wrong::value(what.to_string().replace('\n', " "))
    }

    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Wrong {
        Wrong::value(format!("{expected} is needed, not {found}"))
    }

    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Wrong {
        Wrong::value(format!("{expected} is needed, not {found}"))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Wrong {
        let known: Vec<String> = known.iter().map(|k| format!("'{k}'")).collect();
        let found = crate::units::quoted(found);
        Wrong::value(format!(
            "unknown value {found}; write {}",
            known.join(" or ")
        ))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Wrong {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        Problem::UnknownKey {
            key: found.escape_debug().to_string(),
            section: String::new(),
            nearest: nearest(found, &known),
            known,
        }
        .into()
    }
}

/// The sources that places refer to.
pub(super) struct Source<'a> {
    pub text: &'a str,
    pub origin: &'a str,
    pub sets: &'a [Set],
}

impl Source<'_> {
    /// The error for a problem, with its place in words.
    pub fn error(&self, wrong: Wrong) -> FileError {
        let Wrong {
            mut problem,
            place,
            mut path,
        } = wrong;
        path.reverse();
        match problem.as_mut() {
            Problem::UnknownKey { section, .. } => *section = path.join("."),
            Problem::Value { key, .. } => *key = path.join("."),
            _ => {}
        }
        let place = match place {
            None => self.origin.to_owned(),
            Some(Place::Set(index)) => match self.sets.get(index) {
                Some(set) => set.to_string(),
                None => self.origin.to_owned(),
            },
            Some(Place::File(at)) => {
                let before = self.text.get(..at).unwrap_or(self.text);
                let line = before.matches('\n').count() + 1;
                let from = before.rfind('\n').map_or(0, |n| n + 1);
                let column = before[from..].chars().count() + 1;
                format!("{}:{line}:{column}", self.origin)
            }
        };
        FileError { place, problem }
    }

    /// The error for a problem of the whole file.
    pub fn whole(&self, problem: Problem) -> FileError {
        self.error(problem.into())
    }
}
