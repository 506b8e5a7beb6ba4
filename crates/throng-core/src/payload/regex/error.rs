//! Why a regular expression was refused, and where.

/// Why a regular expression was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {what}; {right}")]
pub struct RegexError {
    /// Byte offset in the expression.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub right: String,
}

pub(super) fn refused(at: usize, what: &str, right: &str) -> RegexError {
    RegexError {
        at,
        what: what.into(),
        right: right.into(),
    }
}
