//! A comparison for people: for each other group what it differs in, what to know before that is believed, then each metric.

use crate::colour::{BAD, DIM, GOOD, PLAIN, TITLE, paint};
use crate::text::{Form, wrapped};
use anstyle::Style;
use std::io::{self, Write};
use throng_core::experiment::compare::{Compared, Comparison, Group, Judged, Verdict};
use throng_core::human::things;

/// Writes `comparison` to `out`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_comparison(
    comparison: &Comparison,
    out: &mut impl Write,
    form: &Form,
) -> io::Result<()> {
    for group in 1..comparison.groups.len() {
        let headline = comparison.headline(group);
        write_lines(&headline, style_of(comparison, group), 0, out, form)?;
    }
    for differing in &comparison.differing {
        let groups = comparison.groups.iter().map(|group| group.name.as_str());
        // The floor comes last.
        let names = groups.chain(["the floor"]).zip(&differing.values);
        let values = names.filter(|(_, values)| !values.is_empty());
        let values: Vec<String> = values
            .map(|(name, values)| format!("{} in {name}", values.join(" and ")))
            .collect();
        write_note(
            &format!("{}: {}", differing.name, values.join(", ")),
            out,
            form,
        )?;
    }
    for note in &comparison.notes {
        write_note(note, out, form)?;
    }
    for group in 1..comparison.groups.len() {
        let compared: Vec<&Compared> = comparison.of_group(group).collect();
        if !compared.is_empty() {
            write_table(comparison, group, &compared, out, form)?;
        }
    }
    write_conditions(comparison, out, form)
}

fn style_of(comparison: &Comparison, group: usize) -> Style {
    let any = |verdict| comparison.of_group(group).any(|c| c.verdict == verdict);
    match (any(Verdict::Worse), any(Verdict::Better)) {
        (true, _) => BAD,
        (false, true) => GOOD,
        (false, false) => TITLE,
    }
}

/// A sentence to know before the rest is believed.
pub(super) fn write_note(note: &str, out: &mut impl Write, form: &Form) -> io::Result<()> {
    for (nth, line) in wrapped(note, form.columns.saturating_sub(2))
        .iter()
        .enumerate()
    {
        writeln!(out, "{} {line}", if nth == 0 { "-" } else { " " })?;
    }
    Ok(())
}

fn write_lines(
    text: &str,
    style: Style,
    indent: usize,
    out: &mut impl Write,
    form: &Form,
) -> io::Result<()> {
    for line in wrapped(text, form.columns.saturating_sub(indent)) {
        writeln!(out, "{:indent$}{}", "", paint(&line, style, form.colour))?;
    }
    Ok(())
}

fn write_table(
    comparison: &Comparison,
    group: usize,
    compared: &[&Compared],
    out: &mut impl Write,
    form: &Form,
) -> io::Result<()> {
    let (first, second) = (&comparison.groups[0], &comparison.groups[group]);
    let rounds = |group: &Group| things(group.rounds.len() as u64, "round");
    writeln!(out)?;
    let title = format!(
        "{} ({}) → {} ({})",
        first.name,
        rounds(first),
        second.name,
        rounds(second)
    );
    write_lines(&title, TITLE, 0, out, form)?;
    let medians = |c: &Compared| {
        let unit = c.metric.unit();
        format!(
            "{} → {}",
            unit.text(c.first.median),
            unit.text(c.second.median)
        )
    };
    let widest = |of: &dyn Fn(&Compared) -> String| {
        compared
            .iter()
            .map(|c| of(c).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name_width, median_width) = (widest(&|c| c.metric.to_string()), widest(&medians));
    for c in compared {
        let style = match c.verdict {
            Verdict::Worse => BAD,
            Verdict::Better => GOOD,
            Verdict::Same => DIM,
            _ => PLAIN,
        };
        let sentence = c.sentence(comparison.tests);
        let head = format!(
            "  {:name_width$}  {:median_width$}",
            c.metric.to_string(),
            medians(c)
        );
        if head.chars().count() + 2 + sentence.chars().count() <= form.columns {
            writeln!(out, "{head}  {}", paint(&sentence, style, form.colour))?;
            continue;
        }
        match head.trim_end().chars().count() <= form.columns {
            true => writeln!(out, "{}", head.trim_end())?,
            false => writeln!(out, "  {}\n      {}", c.metric, medians(c))?,
        }
        write_lines(&sentence, style, 6, out, form)?;
    }
    let how = match comparison.tests {
        0 => "Medians of the rounds.".into(),
        1 => "Medians of the rounds, and the shift between them with its 95 % interval. A thing compared with itself shows a difference in at most 1 of 20 comparisons.".into(),
        tests => format!("Medians of the rounds, and the shift between them with its 95 % interval. A thing compared with itself shows a difference, in any of the {tests} tests, in at most 1 of 20 comparisons."),
    };
    write_lines(&how, DIM, 0, out, form)
}

fn write_conditions(comparison: &Comparison, out: &mut impl Write, form: &Form) -> io::Result<()> {
    if comparison.judged.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint("Conditions", TITLE, form.colour))?;
    for (condition, group, judged) in &comparison.judged {
        let (tick, style, words) = match judged {
            Judged::Passed => ("✓", GOOD, "passed"),
            Judged::Failed => ("✗", BAD, "failed"),
            Judged::Unknown => ("✗", BAD, "failed: it can't be told"),
        };
        let of = match comparison.groups.len() {
            2 => String::new(),
            _ => format!(" in {}", comparison.groups[*group].name),
        };
        writeln!(
            out,
            "  {} {condition}{of}: {words}",
            paint(tick, style, form.colour)
        )?;
    }
    Ok(())
}
