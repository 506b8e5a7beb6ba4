//! Documents: Markdown as text for a terminal.

use super::{table, width};
use crate::colour::{TITLE, paint};
use crate::text::{shell_lines, wrapped};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The first words of lines of code that are commands.
const COMMANDS: [&str; 4] = ["throng ", "sudo ", "tcpkali ", "jq "];
/// Columns by which code is moved to the right.
const CODE: usize = 4;

/// `markdown` as text in lines of at most `columns`. Code keeps its line breaks; longer lines of it are broken between
/// words, commands so that they can be pasted. With `colour`, headings are bold; without, they are underlined.
pub fn document(markdown: &str, columns: usize, colour: bool) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut drawing = Drawing {
        events,
        at: 0,
        colour,
        drawn: String::new(),
    };
    drawing.blocks("", columns);
    let text = drawing.drawn.trim_end();
    format!("{text}\n")
}

struct Drawing<'a> {
    events: Vec<Event<'a>>,
    at: usize,
    colour: bool,
    drawn: String,
}

impl<'a> Drawing<'a> {
    fn next(&mut self) -> Option<Event<'a>> {
        let event = self.events.get(self.at).cloned();
        self.at += 1;
        event
    }

    /// Draws blocks up to the end of the one that they are in. Each line begins with `indent`.
    fn blocks(&mut self, indent: &str, columns: usize) {
        while let Some(event) = self.next() {
            match event {
                Event::Start(Tag::Heading { level, .. }) => self.heading(level),
                Event::Start(Tag::Paragraph) => {
                    let text = self.inline();
                    self.lines(
                        indent,
                        &wrapped(&text, columns.saturating_sub(indent.len())),
                    );
                    self.drawn.push('\n');
                }
                Event::Start(Tag::CodeBlock(_)) => {
                    let code = self.inline();
                    let room = columns.saturating_sub(indent.len() + CODE);
                    let lines = code.lines().flat_map(|line| code_lines(line, room));
                    let lines = lines.map(|line| format!("{:CODE$}{line}", ""));
                    self.lines(indent, &lines.collect::<Vec<_>>());
                    self.drawn.push('\n');
                }
                Event::Start(Tag::List(first)) => self.items(first, indent, columns),
                Event::Start(Tag::Table(_)) => {
                    let rows = self.rows();
                    let table = table::draw(&rows, columns.saturating_sub(indent.len()));
                    let lines: Vec<String> = table.lines().map(str::to_owned).collect();
                    self.lines(indent, &lines);
                    self.drawn.push('\n');
                }
                // The text of an item in a list without blank lines, which is no paragraph.
                Event::Text(_)
                | Event::Code(_)
                | Event::Start(Tag::Emphasis | Tag::Strong | Tag::Link { .. }) => {
                    self.at -= 1;
                    let text = self.inline();
                    // What ended the text ends the item, or begins a block in it.
                    self.at -= 1;
                    self.lines(
                        indent,
                        &wrapped(&text, columns.saturating_sub(indent.len())),
                    );
                }
                Event::Start(_) => self.blocks(indent, columns),
                Event::End(_) => return,
                _ => {}
            }
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let text = self.inline();
        self.drawn += &paint(&text, TITLE, self.colour);
        let rule = match level {
            HeadingLevel::H1 => "=",
            HeadingLevel::H2 => "-",
            _ => "",
        };
        if !self.colour && !rule.is_empty() {
            self.drawn += &format!("\n{}", rule.repeat(width(&text)));
        }
        self.drawn += "\n\n";
    }

    /// The items of a list, with numbers from `first` on or with dashes.
    fn items(&mut self, first: Option<u64>, indent: &str, columns: usize) {
        let mut number = first;
        while let Some(Event::Start(Tag::Item)) = self.next() {
            let mark = match &mut number {
                Some(n) => {
                    *n += 1;
                    format!("{}. ", *n - 1)
                }
                None => "- ".to_owned(),
            };
            let began = self.drawn.len();
            let below = format!("{indent}{:1$}", "", mark.len());
            self.blocks(&below, columns);
            let kept = self.drawn.trim_end().len();
            self.drawn.truncate(kept);
            self.drawn.push('\n');
            let marked = format!("{indent}{mark}");
            if self.drawn[began..].starts_with(&below) {
                self.drawn
                    .replace_range(began..began + below.len(), &marked);
            }
        }
        self.drawn.push('\n');
    }

    /// The cells of a table, row by row; the heading is the first.
    fn rows(&mut self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        while let Some(event) = self.next() {
            match event {
                Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
                Event::Start(Tag::TableCell) => {
                    let cell = self.inline();
                    rows.extend(rows.is_empty().then(Vec::new));
                    let row = rows.len() - 1;
                    rows[row].push(cell);
                }
                Event::End(TagEnd::Table) => break,
                _ => {}
            }
        }
        rows
    }

    /// The text up to the end of the block that it is in, or up to a block inside of that. Code loses its marks, and a
    /// link keeps its text, and its address if that is on the web.
    fn inline(&mut self) -> String {
        let mut text = String::new();
        let mut addresses = Vec::new();
        while let Some(event) = self.next() {
            match event {
                Event::Text(part) | Event::Code(part) => text += &part,
                Event::SoftBreak | Event::HardBreak => text.push(' '),
                Event::Start(Tag::Link { dest_url, .. }) => addresses.push(dest_url),
                Event::End(TagEnd::Link) => {
                    let address = addresses.pop();
                    if let Some(address) = address.filter(|a| a.starts_with("http")) {
                        text += &format!(" ({address})");
                    }
                }
                Event::Start(Tag::Emphasis | Tag::Strong)
                | Event::End(TagEnd::Emphasis | TagEnd::Strong) => {}
                Event::Start(_) | Event::End(_) => break,
                _ => {}
            }
        }
        text
    }

    fn lines(&mut self, indent: &str, lines: &[String]) {
        for line in lines {
            self.drawn += format!("{indent}{line}").trim_end();
            self.drawn.push('\n');
        }
    }
}

/// A line of code in lines of at most `columns`.
fn code_lines(line: &str, columns: usize) -> Vec<String> {
    if width(line) <= columns {
        return vec![line.to_owned()];
    }
    let code = line.trim_start();
    let indent = &line[..line.len() - code.len()];
    if !COMMANDS.iter().any(|command| code.starts_with(command)) {
        let further = format!("{indent}  ");
        let lines = wrapped(code, columns.saturating_sub(further.len()));
        let indents = std::iter::once(indent).chain(std::iter::repeat(further.as_str()));
        return indents
            .zip(lines)
            .map(|(indent, line)| format!("{indent}{line}"))
            .collect();
    }
    // A remark stands above its command, since a line that ends within a remark can't be continued.
    let (command, remark) = code.split_once("  # ").unwrap_or((code, ""));
    let remark = match remark {
        "" => Vec::new(),
        remark => wrapped(remark, columns.saturating_sub(2)),
    };
    let remark = remark.into_iter().map(|line| format!("# {line}"));
    remark
        .chain(shell_lines(command.trim_end(), columns))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_block_is_drawn_for_a_terminal() {
        for (markdown, columns, drawn) in [
            ("# Title", 80, "Title\n=====\n"),
            (
                "## Part\n\nand\nthe `rest`.",
                80,
                "Part\n----\n\nand the rest.\n",
            ),
            ("one **two** *three*\nfour", 9, "one two\nthree\nfour\n"),
            ("- a\n- b c\n  d\n", 5, "- a\n- b c\n  d\n"),
            ("3. a\n4. b\n\nc", 80, "3. a\n4. b\n\nc\n"),
            ("- a\n\n  more\n- b\n", 80, "- a\n\n  more\n- b\n"),
            ("1. **a** b\n", 80, "1. a b\n"),
            ("- a\n  - b\n  - c\n", 80, "- a\n  - b\n  - c\n"),
            (
                "see [that](that.md#x) and [it](https://a.b)",
                80,
                "see that and it (https://a.b)\n",
            ),
            ("x\n\n    -m 'a  b'\n\ny", 13, "x\n\n    -m 'a  b'\n\ny\n"),
            (
                "x\n\n      a = 1 + 2\n",
                12,
                "x\n\n      a =\n        1 +\n        2\n",
            ),
            (
                "x\n\n    throng load -m 'a  b'  # a remark\n",
                21,
                "x\n\n    # a remark\n    throng load -m \\\n      'a  b'\n",
            ),
            ("```sh\nthrong\n```\n", 80, "    throng\n"),
            (
                "| a | b |\n| --- | --- |\n| `x \\| y` | z |\n",
                80,
                "a      b\n-----  -\nx | y  z\n",
            ),
        ] {
            assert_eq!(document(markdown, columns, false), drawn, "{markdown:?}");
        }
        assert_eq!(document("# A\n\nb", 80, true), "\u{1b}[1mA\u{1b}[0m\n\nb\n");
    }
}
