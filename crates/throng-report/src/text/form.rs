//! The form of a summary: how wide it is, whether it is coloured, how much of it is written.

use super::words::COLUMNS;

/// Columns for a row's label, including the indent and the gap after it.
pub(super) const LABEL: usize = 20;

/// How a summary is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Columns that lines may take. Below 40, some numbers take more.
    pub columns: usize,
    /// Whether to write in colour.
    pub colour: bool,
    /// Whether all counts are written, each in a row of its own, though all went well.
    pub whole: bool,
}

impl Default for Form {
    /// As it is written to a file.
    fn default() -> Form {
        Form {
            columns: COLUMNS,
            colour: false,
            whole: false,
        }
    }
}

impl Form {
    /// Columns after an indent.
    pub(super) fn room(&self, indent: usize) -> usize {
        self.columns.saturating_sub(indent)
    }
}
