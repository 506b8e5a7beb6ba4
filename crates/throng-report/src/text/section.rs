//! The layout of a section: a title, and rows with aligned values.

use super::words::{COLUMNS, wrapped};
use crate::colour::{BAD, ODD, PLAIN, TITLE, paint};
use crate::human::{self, count};
use crate::sparkline::sparkline;
use anstyle::Style;
use std::io::{self, Write};
use throng_core::section::{self, Tone};

/// Columns for a row's label, including the indent and the gap after it.
pub(super) const LABEL: usize = 20;
/// Bars in a sparkline: few enough to leave room for the scale beside it.
const SPARKS: usize = 36;

/// The rows under one title. A section without rows is not written.
pub(super) struct Section {
    title: &'static str,
    rows: Vec<Row>,
}

struct Row {
    label: &'static str,
    value: Value,
    style: Style,
}

pub(super) enum Value {
    /// A number, aligned to the right with the section's others, and a remark.
    Number(String, String),
    /// Cells of equal width, aligned to the right.
    Cells([String; 5]),
    /// Lines of text, all with the same indent.
    Lines(Vec<String>),
}

/// What core states in rows.
impl From<section::Section> for Section {
    fn from(stated: section::Section) -> Section {
        let mut all = Section::titled(stated.title);
        for row in stated.rows {
            let style = match row.tone {
                Tone::Plain => PLAIN,
                Tone::Odd => ODD,
                Tone::Bad => BAD,
            };
            all.push(row.label, Value::Number(row.value, row.note), style);
        }
        all
    }
}

impl Section {
    pub fn titled(title: &'static str) -> Section {
        let rows = Vec::new();
        Section { title, rows }
    }

    /// Whether it has no rows yet.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn push(&mut self, label: &'static str, value: Value, style: Style) {
        self.rows.push(Row {
            label,
            value,
            style,
        });
    }

    pub fn number(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), PLAIN);
    }

    pub fn bad(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), BAD);
    }

    pub fn odd(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), ODD);
    }

    pub fn prose(&mut self, label: &'static str, text: &str) {
        let lines = wrapped(text, COLUMNS - LABEL);
        self.push(label, Value::Lines(lines), PLAIN);
    }

    pub fn table(&mut self, label: &'static str, cells: [String; 5]) {
        self.push(label, Value::Cells(cells), PLAIN);
    }

    pub fn sparkline(&mut self, label: &'static str, points: &[(f64, f64)]) {
        if let Some((line, greatest)) = sparkline(points, SPARKS) {
            self.prose(label, &format!("{line} up to {}", human::rate(greatest)));
        }
    }

    /// The kernel's count of sockets, compared with throng's own: the two are independent.
    pub fn kernel_sockets(&mut self, kernel: u64, ours: Option<u64>) {
        match ours {
            None => self.number("kernel's sockets", count(kernel), ""),
            Some(ours) if ours == kernel => {
                self.number(
                    "kernel's sockets",
                    count(kernel),
                    "agrees with throng's count",
                );
            }
            // Other programs have connections, too.
            Some(ours) if ours < kernel => {
                let remark = format!("of which throng accounts for {}", count(ours));
                self.number("kernel's sockets", count(kernel), &remark);
            }
            Some(ours) => {
                let remark = format!("but throng counts {}", count(ours));
                self.odd("kernel's sockets", count(kernel), &remark);
            }
        }
    }

    pub fn write(&self, out: &mut impl Write, colour: bool) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{}", paint(self.title, TITLE, colour))?;
        let widest = |row: &Row| match &row.value {
            Value::Number(number, _) => number.chars().count(),
            _ => 0,
        };
        // Wide enough for most numbers, so that those of different sections are aligned.
        let width = self.rows.iter().map(widest).max().unwrap_or(0).max(11);
        for row in &self.rows {
            let label = format!("  {:<rest$}", row.label, rest = LABEL - 2);
            let text = match &row.value {
                Value::Number(number, remark) => {
                    let number = paint(&format!("{number:>width$}"), row.style, colour);
                    format!("{label}{number}  {remark}")
                }
                Value::Cells(cells) => {
                    let cells = cells.iter().map(|cell| format!("{cell:>11}"));
                    label + &cells.collect::<String>()
                }
                Value::Lines(lines) => {
                    let indent = format!("\n{}", " ".repeat(LABEL));
                    label + &lines.join(&indent)
                }
            };
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}
