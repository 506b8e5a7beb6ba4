//! A sweep on a page: its verdict and table in the words of the text output, and for each curve throughput and latency against
//! what was swept, with every trial as a dot.

use super::document;
use super::embed::{self, Kind as Embedded};
use super::live::{self, Drawn, Place};
use crate::chart::{self, Axis, Chart, Kind, Point, Unit};
use crate::{sweep, text};
use maud::{Markup, html};
use std::collections::BTreeMap;
use throng_core::experiment::sweep::{self as core, Curve, Figures, Measured, SweepResult};

/// Columns of the text output.
const COLUMNS: usize = 110;

/// The page of a sweep.
pub fn of_sweep(result: &SweepResult) -> String {
    let page = html! {
        (drawn(result, "s1"))
        (embedded(result))
    };
    let title = format!("throng sweep: {}", sweep::verdict(result));
    document::document(&title, &page)
}

/// The result as data.
fn embedded(result: &SweepResult) -> Markup {
    // Maps with texts as keys, and numbers: all of it can be written.
    let json = serde_json::to_string(result).unwrap_or_default();
    embed::element(Embedded::Sweep, &json, 1)
}

/// The page of a sweep that goes on: what it is doing `now`, and what the finished trials say.
pub fn of_sweep_so_far(result: &SweepResult, now: &str) -> Drawn {
    let head = head(result, "s1", ("Running", "now"), now);
    of_parts(result, &head, now)
}

/// The page of a sweep that has ended.
pub fn of_ended_sweep(result: &SweepResult) -> Drawn {
    Drawn {
        over: true,
        ..of_parts(result, &ended(result, "s1"), &sweep::verdict(result))
    }
}

fn of_parts(result: &SweepResult, head: &Markup, title: &str) -> Drawn {
    let mut parts = vec![live::part(Place::Top, "part-head", head)];
    parts.extend(charts(result).iter().map(live::of_chart));
    parts.push(live::part(Place::Below, "part-points", &points(result)));
    live::drawn(format!("throng sweep: {title}"), parts)
}

/// How a sweep ended, in a word, and its tone.
pub(super) fn how_it_ended(result: &SweepResult) -> (&'static str, &'static str) {
    match (result.complete, result.exit_code()) {
        (false, _) => ("Not complete", "odd"),
        // A trial beyond what the server bears is no failure of the sweep, and no success of the server.
        (true, 0) if result.trials().any(|trial| trial.reason.is_some()) => ("Complete", "odd"),
        (true, 0) => ("Reached", "good"),
        (true, _) => ("Fell short", "bad"),
    }
}

fn ended(result: &SweepResult, id: &str) -> Markup {
    head(result, id, how_it_ended(result), &sweep::verdict(result))
}

fn head(result: &SweepResult, id: &str, (word, tone): (&str, &str), sentence: &str) -> Markup {
    let command = text::command(&result.plan.command, COLUMNS).join("\n");
    html! {
        header {
            p.when { "throng sweep" }
            h1 id=(id) { span class={ "verdict " (tone) } { (word) } " " (sentence) }
            @if !command.is_empty() { pre.command tabindex="0" aria-label="Command line" { (command) } }
        }
    }
}

/// The table and the findings, in the words of the text output.
fn points(result: &SweepResult) -> Markup {
    let mut words = Vec::new();
    // Writing to memory never fails.
    let _ = sweep::write_text(result, &mut words, COLUMNS, false);
    html! {
        section {
            h2 { "Points" }
            pre tabindex="0" aria-label="Points" { (String::from_utf8_lossy(&words)) }
        }
    }
}

/// All parts. `id` begins the names of its elements.
pub(super) fn drawn(result: &SweepResult, id: &str) -> Markup {
    let charts = charts(result);
    html! {
        article {
            (ended(result, id))
            @if !charts.is_empty() {
                section aria-label="Charts" {
                    div.charts {
                        @for (n, chart) in charts.iter().enumerate() {
                            (chart::drawn(chart, &format!("{id}-c{n}")))
                        }
                    }
                }
            }
            (points(result))
        }
    }
}

/// The charts of all curves; of searches, which have no curve, those of the loads that each tried.
fn charts(result: &SweepResult) -> Vec<Chart> {
    let plan = &result.plan;
    if plan.find.is_some() {
        let load = plan.variables.first().map(|variable| &variable.name);
        let load = load.map_or("", String::as_str);
        let searches = result.searches.iter();
        return searches
            .flat_map(|search| of_line(result, load, &search.others, None))
            .collect();
    }
    let curves = result.curves.iter();
    curves
        .flat_map(|curve| of_line(result, &curve.load, &curve.others, Some(curve)))
        .collect()
}

/// What is drawn of the points that differ only in `load`: throughput on linear and on logarithmic axes, and latency.
fn of_line(
    result: &SweepResult,
    load: &str,
    others: &BTreeMap<String, String>,
    curve: Option<&Curve>,
) -> Vec<Chart> {
    let line = Line::of(result, load, others);
    let others: Vec<String> = others
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let at = match others.is_empty() {
        true => String::new(),
        false => format!(" at {}", others.join(", ")),
    };
    let metric = result.plan.metric.to_string();
    let unit = Unit::from(result.plan.metric.unit());
    let about = "Each dot is a trial; the line leads through the medians of the points, with the lowest and the highest. Trials in which this client was the bottleneck are left out.";
    let throughput = |scale: &str, x: Axis, y: Axis| {
        let name = format!("{metric} against {load}{at}, {scale}");
        let throughput = |measured: &Measured| measured.throughput;
        let mut chart = line.chart(Chart::new(name, about, x, y), throughput, |p| p.throughput);
        if let Some(curve) = curve {
            let law = line.law(curve);
            if !law.is_empty() {
                chart = chart.with("fit of the Universal Scalability Law", Kind::Line, law);
            }
            let knee = curve.knee.iter().filter_map(|knee| {
                let x = core::number(&knee.value)?;
                Some(Point::new(x, knee.throughput))
            });
            let knee: Vec<Point> = knee.collect();
            if !knee.is_empty() {
                chart = chart.with("knee (Kneedle)", Kind::Dots, knee);
            }
        }
        chart
    };
    let latency = line.chart(
        Chart::new(
            format!("p99 against {load}{at}"),
            about,
            Axis::log(load, Unit::Number),
            Axis::log("99th percentile", Unit::Micros),
        ),
        |measured| measured.p99_us,
        |point| point.p99_us,
    );
    let all = [
        throughput(
            "linear",
            Axis::linear(load, Unit::Number),
            Axis::linear(metric.clone(), unit),
        ),
        throughput(
            "logarithmic",
            Axis::log(load, Unit::Number),
            Axis::log(metric.clone(), unit),
        ),
        latency,
    ];
    let shown = |chart: &Chart| chart.series.iter().any(|series| !series.points.is_empty());
    all.into_iter().filter(shown).collect()
}

/// The points along a load, each with it as a number.
struct Line<'r>(Vec<(f64, &'r core::Point)>);

impl<'r> Line<'r> {
    fn of(result: &'r SweepResult, load: &str, others: &BTreeMap<String, String>) -> Line<'r> {
        let belongs = |point: &&core::Point| {
            let mut others = others.iter();
            others.all(|(name, value)| point.values.get(name) == Some(value))
        };
        let points = result.points.iter().filter(belongs);
        let points = points.filter_map(|point| {
            let value = point.values.get(load)?;
            Some((core::number(value)?, point))
        });
        let mut points: Vec<_> = points.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line(points)
    }

    /// Adds the trials and the medians to `chart`.
    fn chart(
        &self,
        chart: Chart,
        of_trial: impl Fn(&Measured) -> Option<f64>,
        of_point: impl Fn(&core::Point) -> Option<Figures>,
    ) -> Chart {
        let trials = self.0.iter().flat_map(|(x, point)| {
            let measured = point.trials.iter().filter_map(core::Trial::usable);
            measured.map(|measured| (*x, measured)).collect::<Vec<_>>()
        });
        let dots =
            trials.filter_map(|(x, measured)| Some(Point::new(x, Some(of_trial(measured)?))));
        let dots: Vec<Point> = dots.collect();
        let medians = self.0.iter().filter_map(|(x, point)| {
            let figures = of_point(point)?;
            Some(Point {
                spread: (figures.count > 1).then_some((figures.min, figures.max)),
                ..Point::new(*x, Some(figures.median))
            })
        });
        let medians: Vec<Point> = medians.collect();
        chart
            .with("median of a point", Kind::Line, medians)
            .with("trial", Kind::Dots, dots)
    }

    /// The fitted law at the loads of the points.
    fn law(&self, curve: &Curve) -> Vec<Point> {
        let Some(law) = &curve.scalability else {
            return Vec::new();
        };
        let (alpha, beta, gamma) = (law.alpha.value, law.beta.value, law.gamma.value);
        let at = |n: f64| gamma * n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0));
        let points = self.0.iter().map(|(n, _)| Point::new(*n, Some(at(*n))));
        points.collect()
    }
}
