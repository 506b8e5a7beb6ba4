//! A line per trial, for plotting.

use std::io::{self, Write};
use throng_core::experiment::sweep::{Point, SweepResult, Trial};

/// The columns after those of the variables.
const COLUMNS: &str =
    "trial,repetition,throughput,p50_us,p99_us,failed,seconds,exit_code,used,objective_met";

/// Writes a header and a line for each finished trial, in the order of the points. What is not known is empty.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_csv(result: &SweepResult, out: &mut impl Write) -> io::Result<()> {
    for variable in &result.plan.variables {
        write!(out, "{},", field(&variable.name))?;
    }
    writeln!(out, "{COLUMNS}")?;
    for point in &result.points {
        for trial in &point.trials {
            line(result, point, trial, out)?;
        }
    }
    Ok(())
}

fn line(
    result: &SweepResult,
    point: &Point,
    trial: &Trial,
    out: &mut impl Write,
) -> io::Result<()> {
    for variable in &result.plan.variables {
        let value = point.values.get(&variable.name).map_or("", String::as_str);
        write!(out, "{},", field(value))?;
    }
    let measured = trial.measured.as_ref();
    let known = |value: Option<f64>| value.map_or_else(String::new, |n| n.to_string());
    let met = measured
        .and_then(|m| m.met())
        .map_or("", |met| if met { "1" } else { "0" });
    writeln!(
        out,
        "{},{},{},{},{},{},{},{},{},{met}",
        trial.number,
        trial.repetition,
        known(measured.and_then(|m| m.throughput)),
        known(measured.and_then(|m| m.p50_us)),
        known(measured.and_then(|m| m.p99_us)),
        measured.map_or_else(String::new, |m| m.failed.to_string()),
        known(measured.map(|m| m.seconds)),
        trial.exit_code,
        u8::from(trial.usable().is_some()),
    )
}

/// A field, in quotes if it has a comma, a quote or a line break (RFC 4180).
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
