//! Results as a page for a browser: one HTML file that needs no network, no server and no script, and that throng reads
//! back, since the results are in it.
//!
//! A page says what the text output says, from the same summary, and draws the record. `result.rs` has the parts of a
//! result, `charts.rs` what is drawn, `side_by_side.rs` what compares several, `sweep.rs` a sweep, `document.rs` the frame with the style
//! (`page.css`) and the script (`page.js`), which shows numbers where the pointer is and zooms; `embed.rs` puts results into a
//! page, and finds them there. `live.rs` is the page of a run while it lasts.

mod charts;
mod document;
pub(crate) mod embed;
pub mod live;
mod result;
mod side_by_side;
mod storms;
mod sweep;

pub use side_by_side::Entry;
pub use sweep::{of_ended_sweep, of_sweep, of_sweep_so_far};

use crate::json::Outcome;
use maud::html;

/// The page of one result.
pub fn of_result(outcome: &Outcome) -> String {
    let drawn = html! {
        article.result {
            (result::drawn(outcome, "r1", None))
            (result::embedded(outcome, 1))
        }
        (footer(outcome))
    };
    document::document(&result::title(outcome), &drawn)
}

/// The page of several results: a table of all, then each of them.
pub fn of_results(title: &str, entries: &[Entry]) -> String {
    let drawn = html! {
        (side_by_side::drawn(title, entries, &[]))
        @for (n, entry) in entries.iter().enumerate() {
            article.result {
                (result::drawn(&entry.outcome, &side_by_side::id(n), Some(&entry.name)))
                (result::embedded(&entry.outcome, n + 1))
            }
        }
        @if let Some(first) = entries.first() { (footer(&first.outcome)) }
    };
    document::document(title, &drawn)
}

/// The page of a directory of results: a table of all, in the order of time, and what could not be read, with the reason; then
/// each of the results, to be unfolded. The results themselves are not in it, since the directory has them.
pub fn of_directory(title: &str, entries: &[Entry], unread: &[(String, String)]) -> String {
    let drawn = html! {
        (side_by_side::drawn(title, entries, unread))
        @for (n, entry) in entries.iter().enumerate() {
            details.result id=(side_by_side::id(n)) {
                summary {
                    strong { (entry.name) }
                    " "
                    (result::headline(&entry.outcome))
                }
                (result::drawn(&entry.outcome, &format!("{}-", side_by_side::id(n)), Some(&entry.name)))
            }
        }
        @if let Some(first) = entries.first() { (footer(&first.outcome)) }
    };
    document::document(title, &drawn)
}

/// What a page is, and how to go on with it.
fn footer(outcome: &Outcome) -> maud::Markup {
    html! {
        footer {
            p {
                "Times of a run count from its beginning, and counts are those of the side that the run is about. "
                "Drawn of a result of " (outcome.summary.tool) "."
            }
        }
    }
}
