//! A limit that is in the way of a plan, with what lifts it.

use crate::capacity::{Limit, LimitKind};
use crate::human::things;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A limit that is too low for what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// Which one.
    pub kind: LimitKind,
    /// What is short, with its value and what would be needed.
    pub limit: String,
    /// How many connections it would allow.
    pub allows: u64,
    /// What lifts it.
    pub remedy: String,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.words(), self.limit)?;
        // What can't work at all has no number of connections that fits.
        match self.kind {
            LimitKind::Engine | LimitKind::SourceAddress => write!(f, ". {}", self.remedy),
            _ => {
                let verb = if self.allows == 1 { "fits" } else { "fit" };
                let fitting = things(self.allows, "connection");
                write!(f, "; at most {fitting} {verb}. {}", self.remedy)
            }
        }
    }
}

impl Shortfall {
    pub(super) fn of(limit: &Limit) -> Shortfall {
        Shortfall {
            kind: limit.kind,
            limit: limit.value.clone(),
            allows: limit.allows.unwrap_or(0),
            remedy: limit.remedy(),
        }
    }
}
