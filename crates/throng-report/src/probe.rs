//! What a probe found out, for people: what is worth knowing with what to do about it, then what was measured.

use crate::colour::{BAD, GOOD, ODD, paint};
use crate::text::{Form, Section, wrapped};
use std::io::{self, Write};
use throng_core::probe::{Probed, Weight};

/// Writes `result` to `out`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_text(result: &impl Probed, out: &mut impl Write, form: &Form) -> io::Result<()> {
    for finding in &result.outcome().findings {
        let style = match finding.weight {
            Weight::Note => GOOD,
            Weight::Warning => ODD,
            Weight::Failure => BAD,
        };
        write_item("- ", &finding.text, out, form, |line| {
            paint(line, style, form.colour)
        })?;
        if let Some(remedy) = &finding.remedy {
            write_item("  ", remedy, out, form, str::to_owned)?;
        }
    }
    for section in result.sections() {
        Section::from(section).write(out, form)?;
    }
    Ok(())
}

fn write_item(
    mark: &str,
    text: &str,
    out: &mut impl Write,
    form: &Form,
    painted: impl Fn(&str) -> String,
) -> io::Result<()> {
    let lines = wrapped(text, form.columns.saturating_sub(mark.len()));
    for (nth, line) in lines.iter().enumerate() {
        let before = if nth == 0 { mark } else { "  " };
        writeln!(out, "{before}{}", painted(line))?;
    }
    Ok(())
}
