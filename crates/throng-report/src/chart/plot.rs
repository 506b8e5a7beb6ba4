//! Draws a chart as SVG.
//!
//! The page's script zooms: what it needs for that is in attributes (`data-`).
//!
//! The `<svg>` is as wide as the page lets it be. What depends on its width is placed by percentages (grid, labels), or is in
//! an inner `<svg>` that is stretched from 1,000 by 1,000 units (lines, cells), whose lines keep their width.

use super::scale::Span;
use super::{Chart, Heat, Kind, Point, Series, Unit, table};
use maud::{Markup, html};
use std::fmt::Write;

/// Ticks on the horizontal axis. A narrow page hides every other one.
const TICKS_ACROSS: usize = 8;
/// Ticks on the vertical axis.
const TICKS_UP: usize = 5;
/// Ticks on the vertical axis of a part of the chart: the first of these lists that has some there is shown.
const TICKS_OF_PARTS: [usize; 4] = [TICKS_UP, 10, 25, 80];
/// Units of the inner plane, each way.
const PLANE: f64 = 1000.0;
/// With at most so many points, a line shows each of them as a dot, too.
const FEW: usize = 40;
/// Depths of colour for counts.
const DEPTHS: usize = 8;
/// Series that look different. Those after them look like earlier ones.
pub(super) const LOOKS: usize = 8;

/// A chart with its name, what it shows, its legend and the table of its numbers. `id` is of this chart alone on its page.
pub fn drawn(chart: &Chart, id: &str) -> Markup {
    let (across, upwards) = (chart.across(), chart.upwards());
    html! {
        figure.chart.hot[chart.heat.is_some()] id=(id) {
            figcaption {
                h3 id={ (id) "-name" } { (chart.name) }
                p id={ (id) "-about" } { (chart.about) }
            }
            (legend(chart))
            p.axis { (chart.y.name) }
            div.frame {
                svg.plot role="img" aria-labelledby={ (id) "-name" } aria-describedby={ (id) "-about" }
                    data-axis=[(chart.x.unit == Unit::Seconds).then_some("time")]
                    data-from=(across.from) data-to=(across.to) data-scale=[across.is_log().then_some("log")]
                    data-ticks=(ticks_of_parts(chart, &upwards)) {
                    (grid(chart, &across, &upwards))
                    svg.plane viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%" {
                        @if let Some(heat) = &chart.heat {
                            (cells(heat, &across, &upwards))
                        }
                        @for (n, series) in chart.series.iter().enumerate() {
                            (line(series, n % LOOKS, chart.heat.is_some(), &across, &upwards))
                        }
                    }
                }
            }
            p.axis.across { (chart.x.name) }
            (table::drawn(chart))
        }
    }
}

/// What each series looks like.
fn legend(chart: &Chart) -> Markup {
    html! {
        ul.legend {
            @for (n, series) in chart.series.iter().enumerate() {
                li {
                    svg.key width="28" height="12" aria-hidden="true" {
                        @match series.kind {
                            Kind::Dots => path class={ "dots s" (n % LOOKS) } d="M14 6h0" {},
                            Kind::Area => {
                                rect class={ "area s" (n % LOOKS) } y="2" width="28" height="8" {}
                                path class={ "line s" (n % LOOKS) } d="M0 2H28" {}
                            }
                            _ => path class={ "line s" (n % LOOKS) } d="M0 6H28" {},
                        }
                    }
                    (series.name)
                }
            }
            @if let Some(heat) = &chart.heat {
                li {
                    svg.key width="28" height="12" aria-hidden="true" {
                        @for (n, depth) in [1, 3, 5, 8].into_iter().enumerate() {
                            rect class={ "heat d" (depth) } x=(7 * n) y="1" width="7" height="10" {}
                        }
                    }
                    "the darker, the more " (heat.of)
                }
            }
            @for (_, name) in &chart.levels {
                li {
                    svg.key width="28" height="12" aria-hidden="true" { path.level d="M0 6H28" {} }
                    (name)
                }
            }
            @if let Some((_, _, name)) = &chart.shaded {
                li {
                    svg.key width="28" height="12" aria-hidden="true" { rect.shaded width="28" height="12" {} }
                    (name)
                }
            }
        }
    }
}

/// What is behind the series: the shaded part, lines at the ticks with their labels, levels.
fn grid(chart: &Chart, across: &Span, upwards: &Span) -> Markup {
    let from_top = |value: f64| upwards.at(value).map(|at| share(1.0 - at));
    html! {
        @if let Some((from, to, _)) = &chart.shaded {
            @if let (Some(from), Some(to)) = (across.at(*from), across.at(*to)) {
                @let (from, to) = (from.clamp(0.0, 1.0), to.clamp(0.0, 1.0));
                rect.shaded x=(share(from)) width=(share(to - from)) height="100%" data-from=(place(from)) data-to=(place(to)) {}
            }
        }
        g.scale {
            @for tick in upwards.ticks(TICKS_UP) {
                @if let Some(y) = from_top(tick) {
                    line.grid x2="100%" y1=(y) y2=(y) {}
                    text.up x="-8" y=(y) dy="0.32em" { (chart.y.unit.tick(tick)) }
                }
            }
            @for (n, tick) in across.ticks(TICKS_ACROSS).into_iter().enumerate() {
                @if let Some(x) = across.at(tick).map(share) {
                    line.tick x1=(x) x2=(x) y1="100%" y2="100%" {}
                    text.across.odd[n % 2 == 1] x=(x) y="100%" dy="1.5em" { (chart.x.unit.tick(tick)) }
                }
            }
        }
        line.base x2="100%" y1="100%" y2="100%" {}
        @for (value, _) in &chart.levels {
            @if let Some(at) = upwards.at(*value) {
                @let y = share(1.0 - at);
                line.level x2="100%" y1=(y) y2=(y) data-at=(place(at)) {}
            }
        }
    }
}

/// Ticks for parts of the vertical axis, in JSON: lists of places with their labels, each list denser than the one before.
fn ticks_of_parts(chart: &Chart, upwards: &Span) -> String {
    let list = |about: &usize| {
        let ticks = upwards.ticks(*about).into_iter();
        let labelled = ticks.filter_map(|tick| {
            let at = (upwards.at(tick)? * 1e4).round() / 1e4;
            Some((at, chart.y.unit.tick(tick)))
        });
        labelled.collect::<Vec<_>>()
    };
    let mut lists: Vec<_> = TICKS_OF_PARTS.iter().map(list).collect();
    lists.dedup();
    // Numbers and texts: all of it can be written.
    serde_json::to_string(&lists).unwrap_or_default()
}

/// A place for the script, 0 to 1.
fn place(of: f64) -> String {
    format!("{of:.4}")
}

/// The cells of a heat map: one path for each depth of colour.
fn cells(heat: &Heat, across: &Span, upwards: &Span) -> Markup {
    let counts = heat.columns.iter().flat_map(|column| &column.counts);
    let most = counts.copied().max().unwrap_or(0);
    let mut paths = vec![String::new(); DEPTHS + 1];
    for column in &heat.columns {
        let (Some(left), Some(right)) = (across.at(column.from), across.at(column.to)) else {
            continue;
        };
        for (bounds, count) in heat.bounds.windows(2).zip(&column.counts) {
            let (Some(low), Some(high)) = (upwards.at(bounds[0]), upwards.at(bounds[1])) else {
                continue;
            };
            let (x, wide) = (left * PLANE, (right - left) * PLANE);
            let (y, tall) = ((1.0 - high) * PLANE, (high - low) * PLANE);
            // Writing to a string never fails.
            let _ = write!(
                paths[depth(*count, most)],
                "M{x:.1} {y:.1}h{wide:.1}v{tall:.1}h-{wide:.1}z"
            );
        }
    }
    html! {
        @for (depth, path) in paths.iter().enumerate().skip(1).filter(|(_, path)| !path.is_empty()) {
            path class={ "heat d" (depth) } d=(path) {}
        }
    }
}

/// How deep the colour of a count is: 0 for none, [`DEPTHS`] for the most. A few among many are still to be seen, so it
/// grows with the logarithm.
fn depth(count: u64, most: u64) -> usize {
    if count == 0 {
        return 0;
    }
    let share = (1.0 + count as f64).ln() / (1.0 + most as f64).ln();
    ((share * DEPTHS as f64).ceil() as usize).clamp(1, DEPTHS)
}

/// A series. Over a heat map it has a halo, so that it can be told from the cells.
fn line(series: &Series, look: usize, halo: bool, across: &Span, upwards: &Span) -> Markup {
    let place = |point: &Point, y: f64| {
        let x = across.at(point.x)? * PLANE;
        Some((x, (1.0 - upwards.at(y)?) * PLANE))
    };
    let places: Vec<Option<(f64, f64)>> = series
        .points
        .iter()
        .map(|point| place(point, point.y?))
        .collect();
    let start = across.at(0.0).unwrap_or(0.0).clamp(0.0, 1.0) * PLANE;
    let stroke = match series.kind {
        Kind::Line => lines(&places),
        Kind::Step | Kind::Area => steps(&places, start).0,
        Kind::Dots => String::new(),
    };
    let few = series.kind == Kind::Line && places.iter().flatten().count() <= FEW;
    let dots = match few || series.kind == Kind::Dots {
        true => places
            .iter()
            .flatten()
            .fold(String::new(), |mut all, (x, y)| {
                let _ = write!(all, "M{x:.1} {y:.1}h0");
                all
            }),
        false => String::new(),
    };
    let spreads = series.points.iter().filter_map(|point| {
        let (least, greatest) = point.spread?;
        let ((x, from), (_, to)) = (place(point, least)?, place(point, greatest)?);
        Some(format!("M{x:.1} {from:.1}V{to:.1}"))
    });
    let spreads: String = spreads.collect();
    html! {
        @if series.kind == Kind::Area {
            path class={ "area s" (look) } d=(steps(&places, start).1) {}
        }
        @if !spreads.is_empty() {
            path class={ "spread s" (look) } d=(spreads) {}
        }
        @if halo && !stroke.is_empty() {
            path.halo d=(stroke) {}
        }
        @if !stroke.is_empty() {
            path class={ "line s" (look) } d=(stroke) {}
        }
        @if !dots.is_empty() {
            path class={ "dots s" (look) } d=(dots) {}
        }
    }
}

/// From point to point, interrupted where there is none.
fn lines(places: &[Option<(f64, f64)>]) -> String {
    let mut path = String::new();
    let mut drawing = false;
    for place in places {
        if let Some((x, y)) = place {
            let _ = write!(path, "{}{x:.1} {y:.1}", if drawing { 'L' } else { 'M' });
        }
        drawing = place.is_some();
    }
    path
}

/// The level of each point from the one before on, the first from `start`: as a line, and as an area down to the axis.
fn steps(places: &[Option<(f64, f64)>], start: f64) -> (String, String) {
    let (mut line, mut area) = (String::new(), String::new());
    let (mut from, mut drawing) = (start, false);
    for (x, y) in places.iter().flatten() {
        let _ = match drawing {
            true => write!(line, "V{y:.1}H{x:.1}"),
            false => write!(line, "M{from:.1} {y:.1}H{x:.1}"),
        };
        let _ = match drawing {
            true => write!(area, "V{y:.1}H{x:.1}"),
            false => write!(area, "M{from:.1} {PLANE}V{y:.1}H{x:.1}"),
        };
        (from, drawing) = (*x, true);
    }
    if drawing {
        let _ = write!(area, "V{PLANE}z");
    }
    (line, area)
}

/// A share of the width or height, as SVG has it.
pub(super) fn share(of: f64) -> String {
    format!("{:.3}%", of * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Axis, Column};

    #[test]
    fn a_line_is_interrupted_where_there_is_no_value() {
        let places = [Some((0.0, 10.0)), Some((5.0, 20.0)), None, Some((9.0, 1.0))];
        assert_eq!(lines(&places), "M0.0 10.0L5.0 20.0M9.0 1.0");
        assert_eq!(lines(&[]), "");
    }

    #[test]
    fn a_step_holds_from_the_point_before() {
        let places = [Some((10.0, 500.0)), Some((20.0, 0.0))];
        let (line, area) = steps(&places, 0.0);
        assert_eq!(line, "M0.0 500.0H10.0V0.0H20.0");
        assert_eq!(area, "M0.0 1000V500.0H10.0V0.0H20.0V1000z");
        assert_eq!(steps(&[], 0.0), (String::new(), String::new()));
    }

    #[test]
    fn one_among_many_has_a_colour_and_none_has_not() {
        for (count, most, deep) in [
            (0, 0, 0),
            (0, 9, 0),
            (1, 1, 8),
            (1, 1_000_000, 1),
            (9, 9, 8),
        ] {
            assert_eq!(depth(count, most), deep, "{count} of {most}");
        }
    }

    #[test]
    fn nothing_in_a_chart_is_taken_for_markup() {
        let evil = "<script>alert('\"&')</script>";
        let axis = || Axis::linear(evil, Unit::Count);
        let mut chart = Chart::new(evil, evil, axis(), axis()).with(
            evil,
            Kind::Line,
            [Point::new(1.0, Some(2.0))],
        );
        chart.levels.push((1.0, evil.into()));
        chart.shaded = Some((0.0, 1.0, evil.into()));
        chart.heat = Some(Heat {
            of: evil.into(),
            bounds: vec![1.0, 2.0],
            columns: vec![Column {
                from: 0.0,
                to: 1.0,
                counts: vec![3],
            }],
        });
        let html = drawn(&chart, "c").into_string();
        assert!(
            !html.contains("<script") && html.contains("&lt;script&gt;"),
            "{html}"
        );
    }

    #[test]
    fn a_chart_of_nothing_is_drawn() {
        for axis in [Axis::linear("", Unit::Seconds), Axis::log("", Unit::Micros)] {
            let chart = Chart::new("empty", "", axis.clone(), axis).with("none", Kind::Area, []);
            let html = drawn(&chart, "c").into_string();
            assert!(html.contains("empty") && !html.contains("NaN"), "{html}");
        }
    }
}
