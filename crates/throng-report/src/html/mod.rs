//! Results as a page for a browser: one HTML file that needs no network, no server and no script, and that throng reads
//! back, since the results are in it.
//!
//! A page says what the text output says, from the same summary, and draws the record. `result.rs` has the parts of a
//! result, `charts.rs` what is drawn, `side_by_side.rs` what compares several, `comparison.rs` whether they differ, `sweep.rs` a sweep,
//! `against.rs` several, `worklog.rs` a directory of all these, `document.rs` the frame with the style
//! (`page.css`) and the script (`page.js`), which shows numbers where the pointer is and zooms; `embed.rs` puts results into a
//! page, and finds them there. `live.rs` is the page of a run while it lasts.

mod against;
mod charts;
mod comparison;
mod document;
pub(crate) mod embed;
pub mod live;
mod result;
mod side_by_side;
mod storms;
mod sweep;
mod watched;
mod worklog;

pub use comparison::{of_comparison, of_sweeps};
pub use side_by_side::Entry;
pub use sweep::{of_ended_sweep, of_sweep, of_sweep_so_far};
pub use worklog::{Item, of_directory};

use crate::json::Outcome;
use maud::html;

/// The page of one result.
pub fn of_result(outcome: &Outcome) -> String {
    let drawn = html! {
        article.result {
            (result::drawn(outcome, "r1", None))
            (result::embedded(outcome, 1))
        }
        (footer(&outcome.summary.tool))
    };
    document::document(&result::title(outcome), &drawn)
}

/// The page of several results: a table of all, then each of them.
pub fn of_results(title: &str, entries: &[Entry]) -> String {
    let drawn = html! {
        (side_by_side::drawn(title, entries))
        @for (n, entry) in entries.iter().enumerate() {
            article.result {
                (result::drawn(&entry.outcome, &side_by_side::id(n), Some(&entry.name)))
                (result::embedded(&entry.outcome, n + 1))
            }
        }
        @if let Some(first) = entries.first() { (footer(&first.outcome.summary.tool)) }
    };
    document::document(title, &drawn)
}

/// What a page is, and how to go on with it.
fn footer(tool: &str) -> maud::Markup {
    html! {
        footer {
            p {
                "Times of a run count from its beginning, and counts are those of the side that the run is about. "
                "Drawn of a result of " (tool) "."
            }
        }
    }
}
