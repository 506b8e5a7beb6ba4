//! Compares groups of rounds, metric by metric: whether two things differ, by how much, and how sure that is.
//!
//! The unit is the round. Each metric is tested with the Mann–Whitney U test over the rounds' values, and the p of all metrics and
//! groups are adjusted together (Holm), so that a comparison of a thing with itself finds any difference in at most one of twenty
//! cases. The size is the Hodges–Lehmann shift with its interval. Sweeps are compared point by point, and over all points together
//! (van Elteren's test).

mod by_point;
mod compared;
mod comparison;
mod condition;
mod difference;
mod environment;
mod history;
mod notes;
mod overall;
mod round;
mod swept;
#[cfg(test)]
mod tests;
mod usual;

pub use by_point::{Apart, AtPoint, ByPoint, by_point};
pub use compared::{CONFIDENCE, Compared, ERROR};
pub use comparison::{Comparison, compare};
pub use condition::{Condition, ConditionError, Judged};
pub use difference::{Size, Verdict};
pub use environment::Differing;
pub use history::{FEWEST, History, Series, Step, history};
pub use overall::Overall;
pub use round::{Group, Round, Values};
pub use swept::Swept;
pub use usual::{chosen, known, named, usual, wanted};
