//! Why a run got no further, as it is reported.

use crate::capacity::LimitKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A limit that the run met, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Which.
    pub limit: LimitKind,
    /// The number of connections that it allows, if known.
    pub allows: Option<u64>,
    /// Whether an error code or a counter names it; otherwise the shape of the failure suggests it.
    pub certain: bool,
    /// What happened, in words.
    pub what: String,
    /// What lifts it.
    pub remedy: String,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.remedy)
    }
}
