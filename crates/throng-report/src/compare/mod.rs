//! Draws comparisons and histories: for people, as JSON and as CSV.

mod by_point;
mod document;
mod history;
mod material;
mod swept_material;
mod text;

pub(crate) use by_point::notes as notes_by_point;
pub use by_point::write_by_point;
pub use document::{ByPointDocument, ComparisonDocument, HistoryDocument};
pub use history::{write_csv, write_history};
pub use material::{Material, Results};
pub use swept_material::{SweptMaterial, SweptResults, TrialResult};
pub use text::write_comparison;
pub(crate) use text::{differences, how, in_words, medians};
