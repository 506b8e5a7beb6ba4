//! The result of a sweep for people: a row for each point, then what each curve shows.

use super::{amount, findings};
use crate::colour::{self, paint};
use crate::human;
use crate::text::wrapped;
use std::collections::BTreeMap;
use std::io::{self, Write};
use throng_core::experiment::sweep::{Figures, Point, SweepResult, Trial};

/// What stands for a value that is not known.
const NONE: &str = "-";
/// What is between two columns.
const GAP: &str = "  ";
/// What is said of a trial that can't be used.
const BUSY: &str = "not all trials are used: in the others this client was the bottleneck, not what it measured; the JSON says how, and \
                    the trials' own results have the finding";
/// Columns that narrow terminals do without.
const RANGE: &str = "range";
const P50: &str = "p50";

/// Draws `result` in lines of at most `columns`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_text(
    result: &SweepResult,
    out: &mut impl Write,
    columns: usize,
    coloured: bool,
) -> io::Result<()> {
    let style = match (result.complete, result.exit_code()) {
        (true, 0) => colour::GOOD,
        _ => colour::BAD,
    };
    for line in wrapped(&verdict(result), columns) {
        writeln!(out, "{}", paint(&line, style, coloured))?;
    }
    for found in findings::each_found(result) {
        for (n, line) in wrapped(&found, columns.saturating_sub(2))
            .iter()
            .enumerate()
        {
            writeln!(out, "{}{line}", if n == 0 { "- " } else { "  " })?;
        }
    }
    writeln!(out)?;
    let mut notes = Notes::default();
    let rows: Vec<Vec<String>> = result
        .points
        .iter()
        .map(|point| row(result, point, &mut notes))
        .collect();
    let header = header(result);
    let shown = Shown::of(&header, &rows, columns);
    let drawn = |row: &[String]| shown.drawn(row);
    writeln!(out, "{}", paint(&drawn(&header), colour::TITLE, coloured))?;
    for row in &rows {
        writeln!(out, "{}", drawn(row))?;
    }
    for (mark, note) in notes.all() {
        let lines = wrapped(&format!("[{mark}] {note}"), columns);
        for (n, line) in lines.iter().enumerate() {
            let newline = if mark == 1 && n == 0 { "\n" } else { "" };
            writeln!(out, "{newline}{line}")?;
        }
    }
    for section in findings::of(result) {
        writeln!(out, "\n{}", paint(&section.title, colour::TITLE, coloured))?;
        for line in &section.lines {
            for (n, part) in wrapped(line, columns.saturating_sub(2)).iter().enumerate() {
                writeln!(out, "{}{part}", if n == 0 { "  " } else { "    " })?;
            }
        }
    }
    Ok(())
}

/// The first line.
pub(crate) fn verdict(result: &SweepResult) -> String {
    let plan = &result.plan;
    if plan.find.is_some() {
        return findings::found(result);
    }
    let trials = human::things(plan.trials() as u64, "trial");
    let points = human::things(plan.points() as u64, "point");
    if !result.complete {
        return format!(
            "Not complete: {} of {trials} of {points}",
            human::count(result.finished() as u64)
        );
    }
    let without = result
        .trials()
        .filter(|trial| trial.measured.is_none())
        .count() as u64;
    let objective = match &plan.objective {
        Some(objective) if result.points.iter().all(|p| p.holds() != Some(true)) => {
            format!("; {objective} holds at none of them")
        }
        _ => String::new(),
    };
    match without {
        0 => format!("{trials} of {points}{objective}"),
        n => format!(
            "{trials} of {points}, {} of them without a result{objective}",
            human::count(n)
        ),
    }
}

fn header(result: &SweepResult) -> Vec<String> {
    let variables = result
        .plan
        .variables
        .iter()
        .map(|variable| variable.name.clone());
    let mut header: Vec<String> = variables.collect();
    header.extend(["trials".into(), result.plan.metric.to_string()]);
    header.extend([RANGE, P50, "p99", "failed"].map(String::from));
    if result.plan.objective.is_some() {
        header.push("met".into());
    }
    header.push("notes".into());
    header
}

fn row(result: &SweepResult, point: &Point, notes: &mut Notes) -> Vec<String> {
    let plan = &result.plan;
    let values = plan.variables.iter().map(|variable| {
        let value = point.values.get(&variable.name);
        value.cloned().unwrap_or_default()
    });
    let mut row: Vec<String> = values.collect();
    row.push(match (point.used, point.asked) {
        (used, asked) if used == asked => human::count(u64::from(used)),
        (used, asked) => format!("{used} of {asked}"),
    });
    row.push(known(point.throughput, |f| {
        amount(&plan.metric, centre(plan.trim, f))
    }));
    row.push(match point.throughput {
        Some(f) if f.count > 1 => {
            let (min, max) = (amount(&plan.metric, f.min), amount(&plan.metric, f.max));
            format!("{min} to {max}")
        }
        _ => NONE.into(),
    });
    row.push(known(point.p50_us, |f| human::micros(f.median)));
    row.push(known(point.p99_us, |f| human::micros(f.median)));
    row.push(human::count(point.failed));
    if plan.objective.is_some() {
        row.push(match point.met {
            Some(met) if point.used > 0 => format!("{met}/{}", point.used),
            _ => NONE.into(),
        });
    }
    row.push(notes.of(point));
    row
}

/// What the table shows of several values: their median, or the mean of those that are not trimmed.
fn centre(trim: u32, figures: Figures) -> f64 {
    match trim {
        0 => figures.median,
        _ => figures.trimmed_mean,
    }
}

fn known(figures: Option<Figures>, draw: impl Fn(Figures) -> String) -> String {
    figures.map_or_else(|| NONE.into(), draw)
}

/// The columns that are shown, each with its width.
struct Shown(Vec<(usize, usize)>);

impl Shown {
    /// All columns if they fit, or else those without which the others do.
    fn of(header: &[String], rows: &[Vec<String>], columns: usize) -> Shown {
        let width = |at: usize| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.chain([header[at].chars().count()]).max().unwrap_or(0)
        };
        let mut shown: Vec<(usize, usize)> = (0..header.len()).map(|at| (at, width(at))).collect();
        for left_out in [RANGE, P50] {
            let wide: usize = shown.iter().map(|(_, width)| width + GAP.len()).sum();
            if wide > columns + GAP.len() {
                shown.retain(|(at, _)| header[*at] != left_out);
            }
        }
        Shown(shown)
    }

    fn drawn(&self, row: &[String]) -> String {
        let cells = self
            .0
            .iter()
            .map(|(at, width)| format!("{:>width$}", row[*at]));
        let cells: Vec<String> = cells.collect();
        cells.join(GAP).trim_end().to_owned()
    }
}

/// The first of several reasons, and how many more trials have one.
fn first_of(mut reasons: impl Iterator<Item = String>) -> Option<String> {
    let first = reasons.next()?;
    Some(match reasons.count() as u64 {
        0 => first,
        n => format!("{first} (and {} like it)", human::things(n, "trial")),
    })
}

/// What is said below the table about trials, with a number for each different sentence.
#[derive(Default)]
struct Notes {
    numbers: BTreeMap<String, usize>,
}

impl Notes {
    /// The marks of a point's notes.
    fn of(&mut self, point: &Point) -> String {
        let mut marks: Vec<usize> = Vec::new();
        let missing = u64::from(point.asked).saturating_sub(point.trials.len() as u64);
        let unfinished = (missing > 0).then(|| "not finished".to_owned());
        let measured = |trial: &&Trial| trial.measured.is_some();
        let short = point.trials.iter().filter(measured).filter_map(|trial| {
            let reason = trial.reason.as_ref()?;
            Some(format!("fell short: {reason}"))
        });
        let without = point
            .trials
            .iter()
            .filter(|trial| !measured(trial))
            .map(|trial| {
                let reason = trial.reason.as_deref().unwrap_or("unknown");
                format!("no result (exit code {}): {reason}", trial.exit_code)
            });
        let busy = point
            .trials
            .iter()
            .any(|trial| measured(&trial) && trial.usable().is_none());
        let busy = busy.then(|| BUSY.to_owned());
        // The trials of a point have much the same reason, with other numbers in it.
        let of_trials = busy
            .into_iter()
            .chain(first_of(short))
            .chain(first_of(without));
        for text in unfinished.into_iter().chain(of_trials) {
            let next = self.numbers.len() + 1;
            let mark = *self.numbers.entry(text).or_insert(next);
            if !marks.contains(&mark) {
                marks.push(mark);
            }
        }
        let marks: Vec<String> = marks.iter().map(|mark| format!("[{mark}]")).collect();
        marks.join(" ")
    }

    /// All of them, in the order of their marks.
    fn all(&self) -> Vec<(usize, &str)> {
        let mut all: Vec<(usize, &str)> = self
            .numbers
            .iter()
            .map(|(text, n)| (*n, text.as_str()))
            .collect();
        all.sort_unstable();
        all
    }
}
