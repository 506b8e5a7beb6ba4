//! A history for people, and as CSV for other programs.

use super::text::write_note;
use crate::colour::{BAD, DIM, GOOD, TITLE, paint};
use crate::text::{Form, wrapped};
use crate::utc::date_and_time;
use std::io::{self, Write};
use throng_core::experiment::LEAST_P;
use throng_core::experiment::compare::{FEWEST, History, Series, Step, Verdict};
use throng_core::human::things;

/// Writes `history` to `out`: for each metric its steps.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_history(history: &History, out: &mut impl Write, form: &Form) -> io::Result<()> {
    let steps: usize = history.series.iter().map(|series| series.steps.len()).sum();
    let points = things(history.points.len() as u64, "point");
    let headline = match (steps, history.points.len() < FEWEST) {
        (0, true) => format!("{points}: {}", too_few()),
        (0, false) => format!("{points}, no step"),
        (n, _) => format!("{points}, {}", things(n as u64, "step")),
    };
    for line in wrapped(&headline, form.columns) {
        writeln!(out, "{}", paint(&line, TITLE, form.colour))?;
    }
    for note in &history.notes {
        write_note(note, out, form)?;
    }
    for series in &history.series {
        write_series(history, series, out, form)?;
    }
    Ok(())
}

fn write_series(
    history: &History,
    series: &Series,
    out: &mut impl Write,
    form: &Form,
) -> io::Result<()> {
    writeln!(
        out,
        "\n{}",
        paint(&series.metric.to_string(), TITLE, form.colour)
    )?;
    if series.steps.is_empty() {
        let known = series.known();
        let few = known < FEWEST && history.points.len() >= FEWEST;
        let words = match few {
            true => format!("known at {}: {}", things(known as u64, "point"), too_few()),
            false => "no step".into(),
        };
        for line in wrapped(&words, form.columns.saturating_sub(2)) {
            writeln!(out, "  {}", paint(&line, DIM, form.colour))?;
        }
        return Ok(());
    }
    for step in &series.steps {
        let style = if step.verdict == Verdict::Worse {
            BAD
        } else {
            GOOD
        };
        for (nth, line) in wrapped(
            &sentence(history, series, step),
            form.columns.saturating_sub(4),
        )
        .iter()
        .enumerate()
        {
            let indent = if nth == 0 { 2 } else { 4 };
            writeln!(out, "{:indent$}{}", "", paint(line, style, form.colour))?;
        }
    }
    Ok(())
}

fn too_few() -> String {
    format!("too few to tell a step from noise; {FEWEST} or more are needed")
}

fn sentence(history: &History, series: &Series, step: &Step) -> String {
    let unit = series.metric.unit();
    let point = &history.points[step.point];
    let change = &step.change;
    // Nothing is impossible by chance.
    let p = match change.p > LEAST_P {
        true => format!("p {:.1e}", change.p),
        false => format!("p < {LEAST_P:e}"),
    };
    format!(
        "{} at {}: from {} to {} ({:+.1} %), means of {} and {}; {p}",
        step.verdict.name(),
        point.name,
        unit.text(change.before.mean),
        unit.text(change.after.mean),
        change.change() * 100.0,
        things(change.before.count as u64, "point"),
        change.after.count,
    )
}

/// Writes `history` to `out` as CSV: a line for each point with its time, its name and its metrics, as Apache Otava reads it. What is not
/// known is empty.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_csv(history: &History, out: &mut impl Write) -> io::Result<()> {
    let metrics: String = history
        .series
        .iter()
        .map(|series| format!(",{}", series.metric))
        .collect();
    writeln!(out, "time,name{metrics}")?;
    for (n, point) in history.points.iter().enumerate() {
        let values = history.series.iter().map(|series| match series.values[n] {
            Some(value) => format!(",{value}"),
            None => ",".into(),
        });
        let values: String = values.collect();
        writeln!(
            out,
            "{}Z,{}{values}",
            date_and_time(point.started_unix_s()),
            quoted(&point.name)
        )?;
    }
    Ok(())
}

/// A field of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_comma_is_quoted() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
