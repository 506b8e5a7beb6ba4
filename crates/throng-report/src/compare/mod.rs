//! Draws comparisons and histories: for people, as JSON and as CSV.

mod document;
mod history;
mod text;

pub use document::{ComparisonDocument, HistoryDocument};
pub use history::{write_csv, write_history};
pub use text::write_comparison;
