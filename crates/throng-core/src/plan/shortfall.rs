//! Shortfalls: limits that are too low for a run, each with what lifts it.

use crate::capacity::{Limit, LimitKind};
use crate::human::things;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A limit that is too low for the connections asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The limit.
    pub kind: LimitKind,
    /// Its value, and what the run needs.
    pub limit: String,
    /// How many connections it would allow.
    pub allows: u64,
    /// What lifts it.
    pub remedy: String,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.words(), self.limit)?;
        // These kinds allow no connection at all.
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
