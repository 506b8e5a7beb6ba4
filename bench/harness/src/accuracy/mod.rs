//! Accuracy: what throng was asked for against what it did, as tables. No other program takes part. Where possible, the
//! other end is a receiver of this program's own, so that throng is not its own witness.

mod bandwidth;
mod grid;
mod poisson;
mod profile;
mod rates;
mod receiver;
mod said;
mod search;
mod subject;

pub use subject::Subject;

use crate::process::stopped;
use crate::suite::Effort;
use grid::Grid;

/// As `--only` calls it.
pub const NAME: &str = "accuracy";
/// Its parts, which `--only` also takes.
pub const PARTS: [&str; 5] = [
    rates::NAME,
    bandwidth::NAME,
    poisson::NAME,
    profile::NAME,
    search::NAME,
];

/// Measures the parts that are in `parts` (all, if it is empty), and prints a table after each.
/// Returns whether every run took place; how accurate they were is for the reader.
pub fn measure(subject: &Subject, parts: &[String], effort: Effort, markdown: bool) -> bool {
    let wanted = |name: &str| parts.is_empty() || parts.iter().any(|p| p == name);
    let mut all_ran = true;
    type Part = fn(&Subject, Effort) -> (Vec<Grid>, bool);
    let measures: [(&str, Part); 5] = [
        (rates::NAME, rates::measure),
        (bandwidth::NAME, bandwidth::measure),
        (poisson::NAME, poisson::measure),
        (profile::NAME, profile::measure),
        (search::NAME, search::measure),
    ];
    for (name, measure) in measures {
        if wanted(name) && !stopped() {
            let (grids, ran) = measure(subject, effort);
            all_ran &= ran;
            for grid in grids {
                println!("{}", grid.draw(markdown));
            }
        }
    }
    all_ran
}
