//! Why a regular expression was refused, and where.

use std::fmt;

/// Why a regular expression was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexError {
    /// Byte offset in the expression.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for RegexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}; {}", self.at, self.what, self.right)
    }
}

impl std::error::Error for RegexError {}

pub(super) fn refused(at: usize, what: &str, right: &str) -> RegexError {
    RegexError {
        at,
        what: what.into(),
        right: right.into(),
    }
}
