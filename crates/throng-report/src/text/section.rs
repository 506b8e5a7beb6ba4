//! The layout of a section: a title, and rows with aligned values. In the short form of a summary it is one paragraph.

use super::form::{Form, LABEL};
use super::words::{Word, command, filled, painted, styled, wrapped};
use crate::colour::{BAD, DIM, ODD, PLAIN, TITLE, paint};
use crate::human::{self, count};
use crate::sparkline::sparkline;
use anstyle::Style;
use std::io::{self, Write};
use throng_core::section::{self, Tone};

/// Bars in a sparkline: few enough to leave room for the scale beside it.
const SPARKS: usize = 36;
/// Numbers are at least this wide, so that those of different sections are aligned.
const NUMBER: usize = 11;
/// Remarks that would have less room than this are on lines of their own.
const NARROW: usize = 24;
/// Columns for a title in the short form, including the gap after it.
const TITLES: usize = 14;

/// The rows under one title. A section without rows is not written.
pub(crate) struct Section {
    title: &'static str,
    /// The title in the short form.
    brief: &'static str,
    pub rows: Vec<Row>,
}

pub(crate) struct Row {
    pub label: &'static str,
    pub value: Value,
    style: Style,
    brief: Brief,
}

pub(crate) enum Value {
    /// A number, aligned to the right with the section's others, and a remark.
    Number(String, String),
    /// Text.
    Prose(String),
    /// A sparkline and its scale.
    Sparkline(String),
    /// The words of a command line.
    Command(Vec<String>),
}

/// What the short form has of a row.
enum Brief {
    /// All of it.
    Whole,
    /// All but its remark.
    Number,
    /// All, with another label.
    Labelled(&'static str),
    /// This text instead.
    Text(String),
    /// Nothing.
    Nothing,
}

impl Row {
    /// Its tone.
    pub fn tone(&self) -> Tone {
        match self.style {
            BAD => Tone::Bad,
            ODD => Tone::Odd,
            _ => Tone::Plain,
        }
    }

    /// The short form does not have the row: others imply it.
    pub fn in_full_only(&mut self) {
        self.brief = Brief::Nothing;
    }

    /// The short form has the number without the remark.
    pub fn without_remark(&mut self) {
        self.brief = Brief::Number;
    }

    /// The short form has another label; none if it is empty.
    pub fn labelled(&mut self, label: &'static str) {
        self.brief = Brief::Labelled(label);
    }

    /// The short form has this text instead.
    pub fn in_short(&mut self, text: String) {
        self.brief = Brief::Text(text);
    }
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

/// Things that are counted, as remarks on a count begin with them.
const COUNTED: [&str; 7] = [
    "answers",
    "attempts",
    "clients",
    "connections",
    "events",
    "messages",
    "streams",
];

/// A remark on a count, for a count of one: `connection that was lost` instead of `connections that were lost`.
fn of_one(remark: &str) -> String {
    let ends = remark.find([' ', ',']).unwrap_or(remark.len());
    let (counted, rest) = remark.split_at(ends);
    if !COUNTED.contains(&counted) {
        return remark.to_owned();
    }
    let one = counted.strip_suffix('s').unwrap_or(counted);
    let words = [
        (" were ", " was "),
        (" they ", " it "),
        (" their ", " its "),
        (" match ", " matches "),
    ];
    let rest = words.iter().fold(rest.to_owned(), |rest, (several, one)| {
        rest.replace(several, one)
    });
    format!("{one}{rest}")
}

impl Section {
    pub fn titled(title: &'static str) -> Section {
        Section::named(title, title)
    }

    /// A section with another title in the short form.
    pub fn named(title: &'static str, brief: &'static str) -> Section {
        let rows = Vec::new();
        Section { title, brief, rows }
    }

    /// Its title.
    pub fn title(&self) -> &'static str {
        self.title
    }

    /// The label, value and remark of each row that has a label and a value other than a command line.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, String, String)> {
        self.rows.iter().filter_map(|row| match &row.value {
            _ if row.label.is_empty() => None,
            Value::Number(number, remark) => Some((row.label, number.clone(), remark.clone())),
            Value::Prose(text) | Value::Sparkline(text) => {
                Some((row.label, text.clone(), String::new()))
            }
            Value::Command(_) => None,
        })
    }

    /// Whether a row of it is worth a look: a failure, or something odd.
    pub fn is_odd(&self) -> bool {
        self.rows.iter().any(|row| row.style != PLAIN)
    }

    pub fn push(&mut self, label: &'static str, value: Value, style: Style) -> &mut Row {
        let value = match value {
            Value::Number(number, remark) if number == "1" => {
                Value::Number(number, of_one(&remark))
            }
            other => other,
        };
        self.rows.push(Row {
            label,
            value,
            style,
            brief: Brief::Whole,
        });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    pub fn number(&mut self, label: &'static str, number: String, remark: &str) -> &mut Row {
        self.push(label, Value::Number(number, remark.to_owned()), PLAIN)
    }

    pub fn bad(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), BAD);
    }

    pub fn odd(&mut self, label: &'static str, number: String, remark: &str) {
        self.push(label, Value::Number(number, remark.to_owned()), ODD);
    }

    pub fn prose(&mut self, label: &'static str, text: &str) -> &mut Row {
        self.push(label, Value::Prose(text.to_owned()), PLAIN)
    }

    /// A note.
    pub fn dim(&mut self, text: &str) {
        self.push("", Value::Number(String::new(), text.to_owned()), PLAIN);
    }

    pub fn sparkline(&mut self, label: &'static str, points: &[(f64, f64)]) {
        if let Some((line, greatest)) = sparkline(points, SPARKS) {
            let text = format!("{line} up to {}", human::rate(greatest));
            self.push(label, Value::Sparkline(text), PLAIN)
                .in_full_only();
        }
    }

    /// The kernel's count of sockets, compared with throng's own: the two are independent.
    pub fn kernel_sockets(&mut self, kernel: u64, ours: Option<u64>) {
        match ours {
            None => {
                self.number("kernel's sockets", count(kernel), "");
            }
            Some(ours) if ours == kernel => {
                self.number(
                    "kernel's sockets",
                    count(kernel),
                    "agrees with throng's count",
                )
                .in_short("the kernel agrees".into());
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

    /// Writes the title and a line for each row.
    pub fn write(&self, out: &mut impl Write, form: &Form) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{}", paint(self.title, TITLE, form.colour))?;
        self.write_rows(out, form)
    }

    /// Writes a line for each row.
    pub fn write_rows(&self, out: &mut impl Write, form: &Form) -> io::Result<()> {
        let widest = |row: &Row| match &row.value {
            Value::Number(number, _) => number.chars().count(),
            _ => 0,
        };
        let width = self.rows.iter().map(widest).max().unwrap_or(0).max(NUMBER);
        for row in &self.rows {
            let label = format!("  {:<rest$}", row.label, rest = LABEL - 2);
            let (text, lines, indent) = match &row.value {
                Value::Number(number, remark) => {
                    let number = paint(&format!("{number:>width$}"), row.style, form.colour);
                    let dim = if row.style == PLAIN { DIM } else { PLAIN };
                    let beside = LABEL + width + 2;
                    let own_lines = form.columns < beside + NARROW;
                    let indent = if own_lines { 4 } else { beside };
                    let mut lines = filled(styled(remark, dim), form.columns - indent);
                    let fits = remark.chars().count() + beside <= form.columns;
                    if own_lines && !fits {
                        lines.insert(0, Vec::new());
                    }
                    let lines = lines.iter().map(|line| painted(line, form.colour));
                    (format!("{label}{number}  "), lines.collect(), indent)
                }
                Value::Prose(text) | Value::Sparkline(text) => {
                    (label, wrapped(text, form.room(LABEL)), LABEL)
                }
                Value::Command(words) => (label, command(words, form.room(LABEL)), LABEL),
            };
            write_hanging(out, &text, &lines, indent)?;
        }
        Ok(())
    }

    /// Writes the title and all rows in one paragraph. Numbers that are equal are written once.
    pub fn write_briefly(&self, out: &mut impl Write, form: &Form) -> io::Result<()> {
        let room = form.room(TITLES);
        let title = |title: &str| paint(&format!("{title:<TITLES$}"), TITLE, form.colour);
        let words = self.briefly();
        if !words.is_empty() {
            let lines = filled(words, room).into_iter();
            let lines: Vec<String> = lines.map(|line| painted(&line, form.colour)).collect();
            write_hanging(out, &title(self.brief), &lines, TITLES)?;
        }
        // A command can be pasted, so it has lines of its own.
        for row in &self.rows {
            if let Value::Command(words) = &row.value {
                write_hanging(out, &title("Command"), &command(words, room), TITLES)?;
            }
        }
        Ok(())
    }

    /// The words of its short form.
    fn briefly(&self) -> Vec<Word> {
        let mut parts: Vec<Brevity> = Vec::new();
        for row in &self.rows {
            let Some(part) = Brevity::of(row) else {
                continue;
            };
            let same = |known: &&mut Brevity| {
                known.number == part.number && known.remark.is_empty() && part.remark.is_empty()
            };
            match parts.iter_mut().find(same) {
                Some(known) if !part.number.is_empty() => {
                    known.label += &format!(" = {}", part.label);
                }
                _ => parts.push(part),
            }
        }
        let last = parts.len();
        let words = parts.into_iter().enumerate();
        words
            .flat_map(|(nth, part)| part.words(if nth + 1 == last { "" } else { ";" }))
            .collect()
    }
}

/// A row in the short form.
struct Brevity {
    label: String,
    number: String,
    remark: String,
}

impl Brevity {
    fn of(row: &Row) -> Option<Brevity> {
        let label = match row.brief {
            Brief::Labelled(label) => label,
            _ => row.label,
        };
        let (number, remark) = match (&row.brief, &row.value) {
            (Brief::Nothing, _) | (_, Value::Command(_)) => return None,
            (Brief::Text(text), _) => {
                return Some(Brevity {
                    label: text.clone(),
                    number: String::new(),
                    remark: String::new(),
                });
            }
            (Brief::Number, Value::Number(number, _)) => (number.clone(), String::new()),
            (_, Value::Number(number, remark)) => (number.clone(), remark.clone()),
            (_, Value::Prose(text) | Value::Sparkline(text)) => (text.clone(), String::new()),
        };
        Some(Brevity {
            label: label.to_owned(),
            number,
            remark,
        })
    }

    fn words(self, end: &str) -> impl Iterator<Item = Word> {
        // A remark that goes on with the sentence takes no comma.
        const GOES_ON: [&str; 10] = [
            "and ", "at ", "but ", "by ", "from ", "in ", "of ", "on ", "over ", "to ",
        ];
        let comma = match self.remark.as_str() {
            "" => end,
            remark if GOES_ON.iter().any(|word| remark.starts_with(word)) => "",
            _ if self.label.is_empty() => "",
            _ => ",",
        };
        let text = format!("{} {}", self.label, self.number);
        let remark = match self.remark.as_str() {
            "" => String::new(),
            remark => format!("{remark}{end}"),
        };
        let text: Vec<Word> = styled(&format!("{}{comma}", text.trim()), PLAIN).collect();
        let remark: Vec<Word> = styled(&remark, DIM).collect();
        text.into_iter().chain(remark)
    }
}

/// Writes `lines`, the first after `first`, the others after `indent` blanks.
fn write_hanging(
    out: &mut impl Write,
    first: &str,
    lines: &[String],
    indent: usize,
) -> io::Result<()> {
    let mut lines = lines.iter();
    let beside = lines.next().map_or("", String::as_str);
    writeln!(out, "{}", format!("{first}{beside}").trim_end())?;
    for line in lines {
        writeln!(out, "{:indent$}{line}", "")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_agrees_with_a_count_of_one() {
        for (several, one) in [
            (
                "connections that received something else",
                "connection that received something else",
            ),
            (
                "messages, cut off after they were sent",
                "message, cut off after it was sent",
            ),
            ("streams, before their end", "stream, before its end"),
            (
                "answers that match no message",
                "answer that matches no message",
            ),
            ("refused", "refused"),
            ("connectionsx", "connectionsx"),
            ("", ""),
        ] {
            assert_eq!(of_one(several), one);
        }
    }
}
