//! Several results side by side: a table with a row for each, and the charts that compare them.

use super::{charts, result};
use crate::chart;
use crate::human::{self, count};
use crate::json::Outcome;
use crate::text;
use maud::{Markup, html};

/// A result on a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What to call it: the file that it was read from.
    pub name: String,
    /// Other files that have it, too.
    pub also: Vec<String>,
    /// The result.
    pub outcome: Outcome,
}

/// The columns of the table after the name of each result.
pub(super) const COLUMNS: [&str; 6] = [
    "what came of it",
    "connections at once",
    "rate",
    "median",
    "p99",
    "failed",
];
/// Results in a chart that compares them, at most: more lines could not be told from each other.
const COMPARED: usize = 8;

/// The name of the element of a result, by its place on the page.
pub(super) fn id(n: usize) -> String {
    format!("r{}", n + 1)
}

/// The title, the table and the charts.
pub(super) fn drawn(title: &str, entries: &[Entry]) -> Markup {
    let rows = entries.iter().enumerate();
    let rows: Vec<Markup> = rows.map(|(n, entry)| row(&id(n), entry)).collect();
    html! {
        header {
            p.when { "throng" }
            h1 { (title) }
        }
        section {
            h2 { "Side by side" }
            (table("All results", &rows))
            (compared(&entries.iter().collect::<Vec<_>>()))
        }
    }
}

/// A table of these rows.
pub(super) fn table(label: &str, rows: &[Markup]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            table.wide.index {
                thead {
                    tr {
                        th scope="col" { "result" }
                        @for name in COLUMNS { th scope="col" { (name) } }
                    }
                }
                tbody { @for row in rows { (row) } }
            }
        }
    }
}

/// The charts that compare results; none of a single one.
pub(super) fn compared(entries: &[&Entry]) -> Markup {
    let compared = entries.iter().take(COMPARED);
    let compared = compared.map(|e| (e.name.as_str(), &e.outcome.summary, &e.outcome.record));
    let charts = charts::side_by_side(compared);
    html! {
        @if !charts.is_empty() {
            @if entries.len() > COMPARED { p { "The charts have the first " (COMPARED) " results." } }
            div.charts {
                @for (n, chart) in charts.iter().enumerate() {
                    (chart::drawn(chart, &format!("side-c{n}")))
                }
            }
        }
    }
}

/// The cell of a row that says which result it is: a link to its element, other files that have it, when it began.
pub(super) fn named(id: &str, name: &str, also: &[String], began: &str) -> Markup {
    html! {
        th scope="row" {
            a href={ "#" (id) } { (name) }
            @for other in also { div.also { "also " (other) } }
            div.also { (began) }
        }
    }
}

/// The row of a run, which is drawn in the element `id`.
pub(super) fn row(id: &str, entry: &Entry) -> Markup {
    let s = &entry.outcome.summary;
    let (word, tone) = result::ended(s);
    let latency = result::latency(s).map(|(_, p)| p);
    let rate = result::rate(s);
    let c = &s.connections;
    html! {
        tr {
            (named(id, &entry.name, &entry.also, &result::began(s)))
            td.long {
                span class={ "verdict " (tone) } { (word) }
                " "
                (result::headline(&entry.outcome))
                @if !s.command.is_empty() { code { (text::command(&s.command, usize::MAX).join(" ")) } }
            }
            td {
                (count(c.peak))
                @if let Some(asked) = c.asked { " of " (count(asked)) }
            }
            td { @if let Some((per_s, what)) = rate { (human::rate(per_s)) " " (what) } }
            td { (latency.map_or_else(String::new, |p| result::at(p, "p50_us", p.p50_us))) }
            td { (latency.map_or_else(String::new, |p| result::at(p, "p99_us", p.p99_us))) }
            td { (count(result::failed(s))) }
        }
    }
}
