//! What came of the expectations: a line each.

use crate::colour::{BAD, GOOD, TITLE, paint};
use std::io::{self, Write};
use throng_core::summary::{Expected, Summary};

/// Writes the lines to `out`, if there are any.
pub(super) fn write(summary: &Summary, out: &mut impl Write, colour: bool) -> io::Result<()> {
    let all = &summary.expectations;
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint("Expectations", TITLE, colour))?;
    let written = |expected: &Expected| expected.expression.to_string();
    let width = all.iter().map(|e| written(e).chars().count()).max();
    let width = width.unwrap_or(0);
    for expected in all {
        let (tick, style) = match expected.met {
            true => ("✓", GOOD),
            false => ("✗", BAD),
        };
        writeln!(
            out,
            "  {} {:<width$}  {}",
            paint(tick, style, colour),
            written(expected),
            expected.measured
        )?;
    }
    Ok(())
}
