//! The numbers of a chart as a table: what the plot shows, for whoever reads instead, and what the page's script shows where
//! the pointer is.

use super::{Chart, Point};
use maud::{Markup, html};

/// A table with a row for each place on the horizontal axis, and a column for each series. A row states its place in the
/// plot (`data-x`, 0 to 1).
pub(super) fn drawn(chart: &Chart) -> Markup {
    let across = chart.across();
    html! {
        details.numbers {
            summary { "Numbers" }
            div.scroll tabindex="0" role="region" aria-label={ "Numbers of: " (chart.name) } {
                table {
                    thead {
                        tr {
                            th scope="col" { (chart.x.name) }
                            @for series in &chart.series {
                                th scope="col" { (series.name) }
                            }
                        }
                    }
                    tbody {
                        @for x in places(chart) {
                            @let place = across.at(x).unwrap_or(0.0);
                            tr data-x=(format!("{place:.4}")) {
                                th scope="row" { (chart.x.unit.value(x)) }
                                @for series in &chart.series {
                                    td { (cell(chart, series.points.iter().filter(|p| p.x == x))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Every place at which a series has a point, once, from left to right.
fn places(chart: &Chart) -> Vec<f64> {
    let points = chart.series.iter().flat_map(|s| &s.points);
    let mut all: Vec<f64> = points.map(|point| point.x).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

/// The values of a series at one place.
fn cell<'p>(chart: &Chart, points: impl Iterator<Item = &'p Point>) -> String {
    let value = |value| chart.y.unit.value(value);
    let texts = points.filter_map(|point| {
        let bound = if point.at_least { "> " } else { "" };
        let spread = point
            .spread
            .map(|(least, greatest)| format!(" ({} to {})", value(least), value(greatest)));
        Some(format!(
            "{bound}{}{}",
            value(point.y?),
            spread.unwrap_or_default()
        ))
    });
    texts.collect::<Vec<_>>().join(", ")
}
