//! A history for people, and as CSV for other programs.

use crate::colour::{BAD, DIM, GOOD, TITLE, paint};
use crate::text::{Form, wrapped};
use std::io::{self, Write};
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
        (0, true) => {
            format!("{points}: too few to tell a step from noise; {FEWEST} or more are needed")
        }
        (0, false) => format!("{points}, no step"),
        (n, _) => format!("{points}, {}", things(n as u64, "step")),
    };
    for line in wrapped(&headline, form.columns) {
        writeln!(out, "{}", paint(&line, TITLE, form.colour))?;
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
        return writeln!(out, "  {}", paint("no step", DIM, form.colour));
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

fn sentence(history: &History, series: &Series, step: &Step) -> String {
    let unit = series.metric.unit();
    let point = &history.points[step.point];
    let change = &step.change;
    format!(
        "{} at {}: from {} to {} ({:+.1} %), means of {} and {}; p {:.1e}",
        step.verdict.name(),
        point.name,
        unit.text(change.before.mean),
        unit.text(change.after.mean),
        change.change() * 100.0,
        things(change.before.count as u64, "point"),
        change.after.count,
        change.p,
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
            "{},{}{values}",
            utc(point.started_unix_s()),
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

/// Seconds since 1970 as `2026-11-27T19:27:13Z`.
fn utc(unix_s: f64) -> String {
    let seconds = unix_s.max(0.0) as u64;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Counted from 1 March of the year 0, so that a leap day is the last of its year; 400 years have 146,097 days.
    let from_march = days + 719_468;
    let (era, of_era) = (from_march / 146_097, from_march % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year + era * 400 + next;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        // date -u -d @SECONDS +%FT%TZ
        for (seconds, text) in [
            (0.0, "1970-01-01T00:00:00Z"),
            (951_782_400.0, "2000-02-29T00:00:00Z"),
            (1_709_251_199.9, "2024-02-29T23:59:59Z"),
            (1_760_000_000.25, "2025-10-09T08:53:20Z"),
            (4_107_542_399.0, "2100-02-28T23:59:59Z"),
            (4_107_542_400.0, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn a_name_with_a_comma_is_quoted() {
        assert_eq!(quoted("a b"), "a b");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
