//! Sweeps side by side: each metric against what was swept.

use crate::chart::{Axis, Chart, Kind, Point, Unit};
use throng_core::expect::Metric;
use throng_core::experiment::compare::{AtPoint, ByPoint, Values};
use throng_core::experiment::sweep::number;

/// The variable that is a load wherever it varies.
const LOAD: &str = "connections";

/// Points that differ only in the load.
struct Line<'a> {
    /// What they have in common: `backlog 16`; empty if nothing else varies.
    others: String,
    /// Each with its load, in ascending order.
    points: Vec<(f64, &'a AtPoint)>,
}

/// A chart for each metric, and for each value of the variable that is not the load. None if nothing numeric varies.
pub(super) fn charts(found: &ByPoint) -> Vec<Chart> {
    let Some(load) = load(found) else {
        return Vec::new();
    };
    let lines = lines(found, load);
    let charts = found.metrics().into_iter().flat_map(|metric| {
        let of_line = |line| chart(found, metric, &found.variables[load], line);
        lines.iter().map(of_line).collect::<Vec<_>>()
    });
    charts.collect()
}

/// The variable along which points are drawn.
fn load(found: &ByPoint) -> Option<usize> {
    let numeric = |n: &usize| {
        let mut points = found.points.iter();
        points.all(|point| number(&point.values[*n]).is_some())
    };
    let all: Vec<usize> = (0..found.variables.len()).filter(numeric).collect();
    let usual = all.iter().find(|n| found.variables[**n] == LOAD);
    usual.or(all.first()).copied()
}

fn lines(found: &ByPoint, load: usize) -> Vec<Line<'_>> {
    let mut lines: Vec<Line> = Vec::new();
    for point in &found.points {
        let named = found.variables.iter().zip(&point.values).enumerate();
        let others = named.filter(|(n, _)| *n != load);
        let others: Vec<String> = others
            .map(|(_, (name, value))| format!("{name} {value}"))
            .collect();
        let others = others.join(", ");
        let Some(x) = number(&point.values[load]) else {
            continue;
        };
        match lines.iter_mut().find(|line| line.others == others) {
            Some(line) => line.points.push((x, point)),
            None => lines.push(Line {
                others,
                points: vec![(x, point)],
            }),
        }
    }
    for line in &mut lines {
        line.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    lines
}

fn chart(found: &ByPoint, metric: &Metric, load: &str, line: &Line) -> Chart {
    let at = match line.others.is_empty() {
        true => String::new(),
        false => format!(" at {}", line.others),
    };
    let chart = Chart::new(
        format!("{metric} against {load}{at}"),
        "Each dot is a trial; the lines lead through the medians of the points, with the lowest and the highest.",
        Axis::log(load, Unit::Number),
        Axis::linear(metric.to_string(), metric.unit().into()),
    );
    let of_sweep = |sweep: usize| {
        let points = line.points.iter();
        points.filter_map(move |(x, point)| Some((*x, values(point, metric, sweep)?)))
    };
    let sweeps = || found.sweeps.iter().enumerate();
    let chart = sweeps().fold(chart, |chart, (n, name)| {
        let medians = of_sweep(n).map(|(x, values)| {
            let ends = (values.spread.min, values.spread.max);
            Point {
                spread: (values.rounds.len() > 1).then_some(ends),
                ..Point::new(x, Some(values.median))
            }
        });
        chart.with(format!("{name}: median of a point"), Kind::Line, medians)
    });
    sweeps().fold(chart, |chart, (n, name)| {
        let trials = of_sweep(n).flat_map(|(x, values)| {
            let each = values.rounds.iter();
            each.map(move |value| Point::new(x, Some(*value)))
        });
        chart.with(format!("{name}: trial"), Kind::Dots, trials)
    })
}

/// What a sweep has of a metric at a point.
fn values<'a>(point: &'a AtPoint, metric: &Metric, sweep: usize) -> Option<&'a Values> {
    let of_metric = point
        .comparison
        .compared
        .iter()
        .filter(|c| c.metric == *metric);
    let mut found = of_metric.filter_map(|c| match sweep {
        0 => Some(&c.first),
        n => (n == c.group).then_some(&c.second),
    });
    found.next()
}
