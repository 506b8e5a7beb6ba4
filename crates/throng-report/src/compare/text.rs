//! A comparison for people: for each other group what it differs in, what to know before that is believed, then each metric.

use crate::colour::{BAD, DIM, GOOD, PLAIN, TITLE, paint};
use crate::text::{Form, wrapped};
use anstyle::Style;
use std::io::{self, Write};
use throng_core::experiment::compare::{
    Compared, Comparison, Condition, Differing, Group, Judged, Verdict,
};
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
        let style = style_of(comparison.of_group(group).map(|c| c.verdict));
        write_lines(&headline, style, 0, out, form)?;
    }
    let groups = comparison.groups.iter().map(|group| group.name.as_str());
    let differences = differences(groups, &comparison.differing);
    for note in differences.iter().chain(&comparison.notes) {
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

/// The style of a headline over what was `found`.
pub(super) fn style_of(found: impl Iterator<Item = Verdict>) -> Style {
    let verdicts: Vec<Verdict> = found.collect();
    let any = |verdict| verdicts.contains(&verdict);
    match (any(Verdict::Worse), any(Verdict::Better)) {
        (true, _) => BAD,
        (false, true) => GOOD,
        (false, false) => TITLE,
    }
}

/// In what groups of these names differ, a line each.
pub(crate) fn differences<'a>(
    groups: impl Iterator<Item = &'a str> + Clone,
    differing: &[Differing],
) -> Vec<String> {
    let line = |differing: &Differing| {
        // The floor comes last.
        let names = groups.clone().chain(["the floor"]).zip(&differing.values);
        let values = names.filter(|(_, values)| !values.is_empty());
        let values: Vec<String> = values
            .map(|(name, values)| format!("{} in {name}", values.join(" and ")))
            .collect();
        format!("{}: {}", differing.name, values.join(", "))
    };
    differing.iter().map(line).collect()
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

pub(super) fn write_lines(
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
    let rows = compared.iter().map(|c| (c.metric.to_string(), *c));
    write_rows(&rows.collect::<Vec<_>>(), comparison.tests, out, form)?;
    write_lines(&how("rounds", comparison.tests), DIM, 0, out, form)
}

/// The medians of what is compared.
pub(crate) fn medians(c: &Compared) -> String {
    let unit = c.metric.unit();
    format!(
        "{} → {}",
        unit.text(c.first.median),
        unit.text(c.second.median)
    )
}

/// The style of a verdict.
pub(super) fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Worse => BAD,
        Verdict::Better => GOOD,
        Verdict::Same => DIM,
        _ => PLAIN,
    }
}

/// Writes a row for each of what is compared, with what it is called.
pub(super) fn write_rows(
    rows: &[(String, &Compared)],
    tests: usize,
    out: &mut impl Write,
    form: &Form,
) -> io::Result<()> {
    let width = |text: &str| text.chars().count();
    let names = rows.iter().map(|(name, _)| width(name));
    let all_medians = rows.iter().map(|(_, c)| width(&medians(c)));
    let (name_width, median_width) = (names.max().unwrap_or(0), all_medians.max().unwrap_or(0));
    for (name, c) in rows {
        let style = style(c.verdict);
        let sentence = c.sentence(tests);
        let head = format!("  {name:name_width$}  {:median_width$}", medians(c));
        if width(&head) + 2 + width(&sentence) <= form.columns {
            writeln!(out, "{head}  {}", paint(&sentence, style, form.colour))?;
            continue;
        }
        match width(head.trim_end()) <= form.columns {
            true => writeln!(out, "{}", head.trim_end())?,
            false => writeln!(out, "  {name}\n      {}", medians(c))?,
        }
        write_lines(&sentence, style, 6, out, form)?;
    }
    Ok(())
}

/// What the numbers are, where rounds are called `rounds`.
pub(crate) fn how(rounds: &str, tests: usize) -> String {
    let medians = format!("Medians of the {rounds}");
    let shift = "and the shift between them with its 95 % interval. A thing compared with itself shows a difference";
    match tests {
        0 => medians + ".",
        1 => format!("{medians}, {shift} in at most 1 of 20 comparisons."),
        tests => format!(
            "{medians}, {shift}, in any of the {tests} tests, in at most 1 of 20 comparisons."
        ),
    }
}

fn write_conditions(comparison: &Comparison, out: &mut impl Write, form: &Form) -> io::Result<()> {
    let judged = comparison.judged.iter().map(|judged| {
        let (_, group, _) = judged;
        let of = match comparison.groups.len() {
            2 => String::new(),
            _ => format!(" in {}", comparison.groups[*group].name),
        };
        (of, judged)
    });
    write_judged(judged, out, form)
}

/// Writes what came of conditions, each with where that is.
pub(super) fn write_judged<'a>(
    judged: impl Iterator<Item = (String, &'a (Condition, usize, Judged))>,
    out: &mut impl Write,
    form: &Form,
) -> io::Result<()> {
    for (n, (place, (condition, _, judged))) in judged.enumerate() {
        if n == 0 {
            writeln!(out, "\n{}", paint("Conditions", TITLE, form.colour))?;
        }
        let (tick, words) = in_words(*judged);
        let style = if *judged == Judged::Passed { GOOD } else { BAD };
        writeln!(
            out,
            "  {} {condition}{place}: {words}",
            paint(tick, style, form.colour)
        )?;
    }
    Ok(())
}

/// The mark of what came of a condition, and the words for it.
pub(crate) fn in_words(judged: Judged) -> (&'static str, &'static str) {
    match judged {
        Judged::Passed => ("✓", "passed"),
        Judged::Failed => ("✗", "failed"),
        Judged::Unknown => ("✗", "failed: it can't be told"),
    }
}
