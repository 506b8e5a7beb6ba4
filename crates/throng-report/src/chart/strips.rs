//! Values of several things on one axis, a strip for each: every value a dot, the median a line, an interval a bar.

use super::plot::{LOOKS, share};
use super::scale::{Scale, Span};
use super::unit::Unit;
use maud::{Markup, html};
use std::fmt::Write;

/// Ticks on the axis. A narrow page hides every other one.
const TICKS: usize = 6;

/// A chart of strips.
#[derive(Clone, Debug, PartialEq)]
pub struct Strips {
    /// Its name.
    pub name: String,
    /// What it says, a sentence each.
    pub says: Vec<String>,
    /// The unit of the axis.
    pub unit: Unit,
    /// What the intervals are.
    pub interval: &'static str,
    /// The strips, from the top.
    pub strips: Vec<Strip>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Strip {
    /// Its name.
    pub name: String,
    /// Its values, in their order.
    pub values: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// An interval on the axis.
    pub interval: Option<(f64, f64)>,
}

/// The strips with their axis, and the table of their numbers. `id` is of this chart alone on its page.
pub fn drawn(chart: &Strips, id: &str) -> Markup {
    let values = chart.strips.iter().flat_map(|strip| {
        let ends = strip
            .interval
            .into_iter()
            .flat_map(|(low, high)| [low, high]);
        strip.values.iter().copied().chain(ends)
    });
    let across = around(chart.unit, values);
    let any = chart.strips.iter().any(|strip| strip.interval.is_some());
    html! {
        figure.strips id=(id) {
            figcaption {
                h3 id={ (id) "-name" } { (chart.name) }
                @for line in &chart.says { p { (line) } }
            }
            @for (n, strip) in chart.strips.iter().enumerate() {
                p.axis { (strip.name) }
                div.across {
                    svg.strip role="img" aria-label={ (chart.name) ", " (strip.name) ": " (words(chart, strip)) } {
                        (grid(&across))
                        (drawn_strip(strip, n % LOOKS, &across))
                    }
                }
            }
            div.across {
                svg.ticks aria-hidden="true" {
                    @for (n, tick) in across.ticks(TICKS).into_iter().enumerate() {
                        @if let Some(x) = across.at(tick).map(share) {
                            text.across.odd[n % 2 == 1] x=(x) y="1em" { (chart.unit.tick(tick)) }
                        }
                    }
                }
            }
            ul.legend {
                li { "dot: a round, in their order from top to bottom" }
                li { "line: the median" }
                @if any { li { "bar: " (chart.interval) } }
            }
            (numbers(chart))
        }
    }
}

/// A strip in words.
fn words(chart: &Strips, strip: &Strip) -> String {
    let value = |value| chart.unit.value(value);
    let (low, high) = ends(&strip.values);
    let rounds = crate::human::things(strip.values.len() as u64, "round");
    format!(
        "{rounds} from {} to {}, median {}",
        value(low),
        value(high),
        value(strip.median)
    )
}

fn ends(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, greatest)
}

fn grid(across: &Span) -> Markup {
    html! {
        @for tick in across.ticks(TICKS) {
            @if let Some(x) = across.at(tick).map(share) {
                line.grid x1=(x) x2=(x) y2="100%" {}
            }
        }
    }
}

fn drawn_strip(strip: &Strip, look: usize, across: &Span) -> Markup {
    let many = strip.values.len() as f64;
    // The first round at the top, the last one at the bottom: what drifts over time is a slanted line.
    let mut dots = String::new();
    for (n, value) in strip.values.iter().enumerate() {
        let Some(x) = across.at(*value) else {
            continue;
        };
        let y = (n as f64 + 0.5) / many * 800.0 + 100.0;
        // Writing to a string never fails.
        let _ = write!(dots, "M{:.1} {y:.1}h0", x * 1000.0);
    }
    let place = |value: f64| across.at(value).map(|at| at * 1000.0);
    let bar = strip
        .interval
        .and_then(|(low, high)| Some((place(low)?, place(high)?)));
    html! {
        svg.plane viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%" {
            @if let Some((low, high)) = bar {
                rect class={ "area s" (look) } x=(format!("{low:.1}")) width=(format!("{:.1}", (high - low).max(0.0))) y="0" height="1000" {}
            }
            @if let Some(x) = place(strip.median) {
                path class={ "median s" (look) } d=(format!("M{x:.1} 0V1000")) {}
            }
            path class={ "dots s" (look) } d=(dots) {}
        }
    }
}

/// The table: a row for each strip, with all its values.
fn numbers(chart: &Strips) -> Markup {
    let value = |value| chart.unit.value(value);
    let most = chart.strips.iter().map(|strip| strip.values.len()).max();
    html! {
        details.numbers {
            summary { "Numbers" }
            div.scroll tabindex="0" role="region" aria-label={ "Numbers of: " (chart.name) } {
                table {
                    thead {
                        tr {
                            th scope="col" { "rounds of" }
                            th scope="col" { "median" }
                            th scope="col" { (chart.interval) }
                            @for n in 1..=most.unwrap_or(0) { th scope="col" { (n) } }
                        }
                    }
                    tbody {
                        @for strip in &chart.strips {
                            tr {
                                th scope="row" { (strip.name) }
                                td { (value(strip.median)) }
                                td {
                                    @if let Some((low, high)) = strip.interval { (value(low)) " to " (value(high)) }
                                }
                                @for n in 0..most.unwrap_or(0) {
                                    td { @if let Some(one) = strip.values.get(n) { (value(*one)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A linear axis around `values`, of which the least and the greatest are a little away from its ends. It does not begin at 0.
fn around(unit: Unit, values: impl Iterator<Item = f64>) -> Span {
    let all: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let (least, greatest) = match all.is_empty() {
        true => (0.0, 1.0),
        false => ends(&all),
    };
    let apart = greatest - least;
    let room = match apart > 0.0 {
        true => apart * 0.06,
        // All the same: a tenth of the value to either side.
        false => (least.abs() * 0.1).max(0.5),
    };
    let from = match least >= 0.0 {
        true => (least - room).max(0.0),
        false => least - room,
    };
    Span::between(Scale::Linear, unit, from, greatest + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strips(values: &[&[f64]]) -> Strips {
        let strip = |values: &&[f64]| Strip {
            name: "<b>".into(),
            values: values.to_vec(),
            median: values[0],
            interval: Some((values[0] * 0.9, values[0] * 1.2)),
        };
        Strips {
            name: "p99".into(),
            says: vec!["slower & so on".into()],
            unit: Unit::Micros,
            interval: "an interval",
            strips: values.iter().map(strip).collect(),
        }
    }

    #[test]
    fn every_value_has_a_dot_and_a_cell_and_nothing_is_taken_for_markup() {
        let html = drawn(&strips(&[&[10.0, 12.0, 11.0], &[20.0]]), "c").into_string();
        assert_eq!(html.matches("h0").count(), 4, "{html}");
        for cell in [
            "10.0 µs",
            "12.0 µs",
            "11.0 µs",
            "20.0 µs",
            "9.0 µs to 12.0 µs",
        ] {
            let found = html.contains(cell) || html.contains(&cell.replace("9.0 ", "9.00 "));
            assert!(found, "{cell}: {html}");
        }
        assert!(!html.contains("<b>") && !html.contains("NaN"), "{html}");
    }

    #[test]
    fn an_axis_has_all_values_within_its_ends() {
        for values in [&[][..], &[0.0], &[5.0, 5.0], &[100.0, 104.0], &[-1.0, 1.0]] {
            let span = around(Unit::Micros, values.iter().copied());
            for value in values {
                let at = span.at(*value).unwrap();
                assert!((0.0..1.0).contains(&at), "{values:?}: {at}");
            }
            assert!(!span.ticks(TICKS).is_empty(), "{values:?}");
        }
        // What differs by a few percent fills the axis.
        let span = around(Unit::Micros, [100.0, 104.0].into_iter());
        assert!(span.at(100.0).unwrap() < 0.1 && span.at(104.0).unwrap() > 0.9);
    }
}
