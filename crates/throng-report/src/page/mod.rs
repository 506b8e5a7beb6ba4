//! Pages for a terminal: lists of options with their help, and documents that are written in Markdown.

mod document;
mod table;

pub use document::document;

use crate::text::{COLUMNS, belong_together, wrapped};
use std::io::{self, IsTerminal};
use terminal_size::terminal_size_of;

/// The widest page, in columns: longer lines of prose are hard to read.
const WIDEST: usize = 100;

/// Columns for a page on stdout: those of the terminal, at most 100. Without a terminal, `$COLUMNS`, or else 80.
pub fn columns() -> usize {
    let stdout = io::stdout();
    let of_terminal = match stdout.is_terminal() {
        true => terminal_size_of(stdout).map(|(width, _)| usize::from(width.0)),
        false => None,
    };
    let asked = || std::env::var("COLUMNS").ok()?.parse().ok();
    let columns = of_terminal.or_else(asked).unwrap_or(COLUMNS);
    // Less than 20 columns show nothing.
    columns.clamp(20, WIDEST)
}

/// Terms in one column, and what each means in another, in lines of at most `columns`. Where terms would take more than
/// half of them, meanings stand below.
pub fn list(rows: &[(String, String)], columns: usize) -> String {
    let widest = rows.iter().map(|(term, _)| width(term)).max().unwrap_or(0);
    let beside = 2 + widest + 2;
    let mut drawn = String::new();
    for (term, meaning) in rows {
        if beside * 2 > columns {
            drawn += &format!("  {term}\n");
            drawn += &indented(meaning, 10, columns);
            continue;
        }
        let lines = wrapped(meaning, columns - beside);
        let terms = std::iter::once(term.as_str()).chain(std::iter::repeat(""));
        for (term, line) in terms.zip(&lines) {
            drawn += format!("  {term:widest$}  {line}").trim_end();
            drawn.push('\n');
        }
    }
    drawn
}

/// A paragraph in lines of at most `columns`, each after `indent` blanks.
pub fn indented(text: &str, indent: usize, columns: usize) -> String {
    let lines = wrapped(text, columns.saturating_sub(indent));
    let line = |line: &String| format!("{}\n", format!("{:indent$}{line}", "").trim_end());
    lines.iter().map(line).collect()
}

/// `text` with `blank` for the blank between a number and its unit: for a program that breaks lines at blanks alone.
pub fn with_fixed_blanks(text: &str, blank: char) -> String {
    let mut words = text.split(' ').peekable();
    let mut fixed = String::new();
    while let Some(word) = words.next() {
        fixed += word;
        if let Some(next) = words.peek() {
            let last = word.rsplit('\n').next().unwrap_or_default();
            let next = next.split('\n').next().unwrap_or_default();
            fixed.push(if belong_together(last, next) {
                blank
            } else {
                ' '
            });
        }
    }
    fixed
}

/// How many columns `text` takes.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_within_numbers_are_fixed() {
        assert_eq!(
            with_fixed_blanks("at most 10 s,\n12 ms  or 5 of them", '_'),
            "at most 10_s,\n12_ms  or 5 of them"
        );
    }

    #[test]
    fn meanings_stand_beside_their_terms_if_there_is_room() {
        let rows = [
            ("-c, --connections <N>", "How many"),
            ("--self", "Also both"),
        ]
        .map(|(term, meaning)| (term.to_owned(), meaning.to_owned()));
        assert_eq!(
            list(&rows, 80),
            "  -c, --connections <N>  How many\n  --self                 Also both\n"
        );
        assert_eq!(
            list(&rows, 30),
            "  -c, --connections <N>\n          How many\n  --self\n          Also both\n"
        );
        let long = [("-v".to_owned(), "one two three".to_owned())];
        assert_eq!(list(&long, 14), "  -v  one two\n      three\n");
    }
}
