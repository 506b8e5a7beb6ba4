//! A comparison of sweeps for people: for each other sweep what it differs in, what to know before that is believed, then each metric
//! with a row for each point.

use super::text::{
    differences, how, style, style_of, write_judged, write_lines, write_note, write_rows,
};
use crate::colour::{DIM, TITLE};
use crate::text::Form;
use std::io::{self, Write};
use throng_core::experiment::compare::{ByPoint, Compared};

/// Writes `found` to `out`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_by_point(found: &ByPoint, out: &mut impl Write, form: &Form) -> io::Result<()> {
    for sweep in 1..found.sweeps.len() {
        let points = found.of_sweep(sweep).map(|(_, c)| c.verdict);
        let overall = found.overall_of(sweep).map(|o| o.verdict);
        let style = style_of(points.chain(overall));
        write_lines(&found.headline(sweep), style, 0, out, form)?;
    }
    for note in notes(found) {
        write_note(&note, out, form)?;
    }
    for sweep in 1..found.sweeps.len() {
        for metric in found.metrics() {
            let of_metric = found.of_sweep(sweep).filter(|(_, c)| c.metric == *metric);
            let rows: Vec<(String, &Compared)> =
                of_metric.map(|(point, c)| (found.name(point), c)).collect();
            if rows.is_empty() {
                continue;
            }
            let title = format!("{metric}: {} → {}", found.sweeps[0], found.sweeps[sweep]);
            writeln!(out)?;
            write_lines(&title, TITLE, 0, out, form)?;
            let overall = found.overall_of(sweep).find(|o| o.metric == *metric);
            if let Some(overall) = overall {
                let words = format!("overall: {}", overall.sentence());
                write_lines(&words, style(overall.verdict), 2, out, form)?;
            }
            write_rows(&rows, found.tests, out, form)?;
        }
    }
    if found.found().next().is_some() {
        write_lines(&how("trials", found.tests), DIM, 0, out, form)?;
    }
    if !found.overall.is_empty() {
        let how = "Overall: van Elteren's test, whose strata are the points, and the median of their shifts.";
        write_lines(how, DIM, 0, out, form)?;
    }
    let judged = found.judged().map(|(point, judged)| {
        let (_, sweep, _) = judged;
        let of = match found.sweeps.len() {
            2 => String::new(),
            _ => format!(" of {}", found.sweeps[*sweep]),
        };
        (format!(" at {}{of}", found.name(point)), judged)
    });
    write_judged(judged, out, form)
}

/// What to know before the rest is believed, a sentence each: first in what the sweeps differ besides.
pub(crate) fn notes(found: &ByPoint) -> Vec<String> {
    let mut all = differences(found.sweeps.iter().map(String::as_str), &found.differing);
    all.extend(found.notes.clone());
    for point in &found.points {
        let notes = point.comparison.notes.iter();
        all.extend(notes.map(|note| format!("at {}: {note}", found.name(point))));
    }
    all
}
