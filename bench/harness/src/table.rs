//! A table: contestants down, quantities across, with throng's advantage beside each.

use crate::stats::{Advantage, Better, advantage, median};
use crate::trial::Outcome;
use std::fmt::Write;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// Its heading, with the unit.
    pub name: &'static str,
    /// Whether more or less is better.
    pub better: Better,
}

/// A contestant's rounds.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// A note for the reader.
    pub note: &'static str,
    /// Which row it is compared with.
    pub compared_with: usize,
    /// Its numbers in each round, or why it has none.
    pub rounds: Vec<Result<Outcome, String>>,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// What applies to all rows, in one line.
    pub about: String,
    /// The columns.
    pub quantities: &'static [Quantity],
    /// The contestants, the reference first.
    pub rows: Vec<Row>,
}

impl Row {
    fn column(&self, i: usize) -> Vec<Option<f64>> {
        let number = |round: &Result<Outcome, String>| *round.as_ref().ok()?.numbers.get(i)?;
        self.rounds.iter().map(number).collect()
    }
}

/// `12,345`, `1,234.5` or `12.34`: about four digits.
fn number(n: f64) -> String {
    let digits = match n.abs() {
        1000.0.. => 0,
        100.0.. => 1,
        _ => 2,
    };
    let text = format!("{n:.digits$}");
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text.as_str(), None), |(w, f)| (w, Some(f)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |w| ("-", w));
    let mut out = String::from(sign);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        let _ = write!(out, ".{fraction}");
    }
    out
}

fn ratio(a: Option<Advantage>) -> String {
    a.map_or_else(
        || "–".to_owned(),
        |a| format!("{:.2} ({:.2}–{:.2})", a.median, a.least, a.greatest),
    )
}

impl Table {
    fn cells(&self) -> Vec<Vec<String>> {
        let mut head = vec![String::new()];
        for q in self.quantities {
            head.extend([q.name.to_owned(), format!("{} ×", self.rows[0].name)]);
        }
        head.extend(["rounds".to_owned(), "note".to_owned()]);
        let mut cells = vec![head];
        for (r, row) in self.rows.iter().enumerate() {
            let reference = &self.rows[row.compared_with];
            let mut line = vec![row.name.to_owned()];
            for (i, q) in self.quantities.iter().enumerate() {
                let known: Vec<f64> = row.column(i).into_iter().flatten().collect();
                line.push(median(&known).map_or_else(|| "–".to_owned(), number));
                line.push(if r == 0 {
                    "1".to_owned()
                } else {
                    ratio(advantage(&reference.column(i), &row.column(i), q.better))
                });
            }
            let good = row.rounds.iter().filter(|x| x.is_ok()).count();
            line.push(format!("{good}/{}", row.rounds.len()));
            line.push(row.note.to_owned());
            cells.push(line);
        }
        cells
    }

    /// Whether every contestant has numbers for every round.
    pub fn complete(&self) -> bool {
        self.rows.iter().all(|r| r.rounds.iter().all(Result::is_ok))
    }

    /// Why rounds are missing, and remarks on those that are not; each once.
    fn remarks(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for row in &self.rows {
            for round in &row.rounds {
                let line = match round {
                    Err(why) => format!("missing: {}: {why}", row.name),
                    Ok(Outcome {
                        remark: Some(remark),
                        ..
                    }) => format!("note: {remark}"),
                    Ok(_) => continue,
                };
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        lines
    }

    /// As text for a terminal, or as Markdown.
    pub fn draw(&self, markdown: bool) -> String {
        let cells = self.cells();
        let columns = cells[0].len();
        let width = |c: usize| {
            cells
                .iter()
                .map(|l| l[c].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let (edge, gap) = if markdown { ("| ", " | ") } else { ("", "  ") };
        let mut out = String::new();
        let heading = if markdown { "### " } else { "" };
        let _ = writeln!(out, "{heading}{}\n\n{}\n", self.title, self.about);
        for (l, line) in cells.iter().enumerate() {
            let padded: Vec<String> = line
                .iter()
                .zip(&widths)
                .enumerate()
                // Names and notes to the left, numbers to the right.
                .map(|(c, (cell, &w))| match c {
                    0 => format!("{cell:<w$}"),
                    c if c == columns - 1 => format!("{cell:<w$}"),
                    _ => format!("{cell:>w$}"),
                })
                .collect();
            let drawn = format!(
                "{edge}{}{}",
                padded.join(gap),
                if markdown { " |" } else { "" }
            );
            let _ = writeln!(out, "{}", drawn.trim_end());
            if l == 0 && markdown {
                let right = "---:|".repeat(columns - 2);
                let _ = writeln!(out, "|---|{right}---|");
            }
        }
        for remark in self.remarks() {
            let _ = writeln!(out, "{}{remark}", if markdown { "\n" } else { "" });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |name, rounds: &[Option<[f64; 2]>]| Row {
            name,
            note: "",
            compared_with: 0,
            rounds: rounds
                .iter()
                .map(|r| {
                    let numbers = r.ok_or("fell over")?.map(Some).to_vec();
                    Ok(Outcome {
                        numbers,
                        remark: None,
                    })
                })
                .collect(),
        };
        Table {
            title: "T".to_owned(),
            about: "A.".to_owned(),
            quantities: &[
                Quantity {
                    name: "conn/s",
                    better: Better::Higher,
                },
                Quantity {
                    name: "µs/conn",
                    better: Better::Lower,
                },
            ],
            rows: vec![
                row("throng", &[Some([20000.0, 10.0]), Some([30000.0, 10.0])]),
                row("go", &[Some([10000.0, 40.0]), None]),
            ],
        }
    }

    #[test]
    fn a_row_has_medians_and_paired_ratios_and_its_failures_once() {
        let text = table().draw(false);
        let line = |start: &str| {
            let line = text.lines().find(|l| l.starts_with(start)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("throng"), "throng 25,000 1 10.00 1 2/2");
        assert_eq!(
            line("go"),
            "go 10,000 2.00 (2.00–2.00) 40.00 4.00 (4.00–4.00) 1/2"
        );
        assert_eq!(line("missing"), "missing: go: fell over");
    }

    #[test]
    fn markdown_has_as_many_cells_in_each_line() {
        let text = table().draw(true);
        let counts: Vec<usize> = text
            .lines()
            .filter(|l| l.starts_with('|'))
            .map(|l| l.matches('|').count())
            .collect();
        assert_eq!(counts.len(), 4, "{text}");
        assert!(counts.iter().all(|c| *c == counts[0]), "{text}");
    }

    #[test]
    fn numbers_have_about_four_digits_and_separators() {
        for (n, text) in [
            (1_234_567.8, "1,234,568"),
            (1000.0, "1,000"),
            (999.94, "999.9"),
            (12.345, "12.35"),
            (0.0, "0.00"),
            (-1234.0, "-1,234"),
        ] {
            assert_eq!(number(n), text);
        }
    }
}
