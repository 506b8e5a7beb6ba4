//! What came of the expectations: a line each.

use super::form::Form;
use super::words::wrapped;
use crate::colour::{BAD, GOOD, TITLE, paint};
use std::io::{self, Write};
use throng_core::summary::{Expected, Summary};

/// Writes the lines to `out`, if there are any.
pub(super) fn write(summary: &Summary, out: &mut impl Write, form: &Form) -> io::Result<()> {
    let all = &summary.expectations;
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint("Expectations", TITLE, form.colour))?;
    let written = |expected: &Expected| expected.expression.to_string();
    let width = all.iter().map(|e| written(e).chars().count()).max();
    let width = width.unwrap_or(0);
    for expected in all {
        let (tick, style) = match expected.met {
            true => ("✓", GOOD),
            false => ("✗", BAD),
        };
        let tick = paint(tick, style, form.colour);
        let beside = 2 + 1 + 1 + width + 2;
        let lines = match beside + expected.measured.chars().count() <= form.columns {
            true => vec![format!(
                "{:<width$}  {}",
                written(expected),
                expected.measured
            )],
            false => {
                let mut lines = vec![written(expected)];
                lines.extend(wrapped(&expected.measured, form.room(6)));
                lines
            }
        };
        for (nth, line) in lines.iter().enumerate() {
            match nth {
                0 => writeln!(out, "  {tick} {line}")?,
                _ => writeln!(out, "      {line}")?,
            }
        }
    }
    Ok(())
}
