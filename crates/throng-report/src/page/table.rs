//! Tables: in aligned columns, or row by row where the page is too narrow for that.

use super::{indented, width};
use crate::text::wrapped;

/// Blanks between columns.
const GAP: usize = 2;
/// A narrower column of prose is harder to read than a list.
const NARROW: usize = 16;

/// The rows of a table, the first of which is its heading, in lines of at most `columns`.
pub(super) fn draw(rows: &[Vec<String>], columns: usize) -> String {
    match fitting(rows, columns) {
        Some(widths) => aligned(rows, &widths),
        None => listed(rows, columns),
    }
}

/// The width of each column, if all fit: as wide as its cells are, or less if those can be wrapped.
fn fitting(rows: &[Vec<String>], columns: usize) -> Option<Vec<usize>> {
    let count = rows.iter().map(Vec::len).max()?;
    let most = |of: &dyn Fn(&str) -> usize| -> Vec<usize> {
        let cells = |at: usize| rows.iter().filter_map(move |row| row.get(at));
        (0..count)
            .map(|at| cells(at).map(|cell| of(cell)).max().unwrap_or(0))
            .collect()
    };
    let mut widths = most(&width);
    let longest_word = |cell: &str| cell.split_whitespace().map(width).max().unwrap_or(0);
    let least = most(&longest_word);
    let least = |at: usize| least[at].max(NARROW);
    let room = columns.checked_sub(GAP * (count - 1))?;
    while widths.iter().sum::<usize>() > room {
        let shrinking = (0..count).filter(|at| widths[*at] > least(*at));
        let widest = shrinking.max_by_key(|at| widths[*at])?;
        widths[widest] -= 1;
    }
    Some(widths)
}

fn aligned(rows: &[Vec<String>], widths: &[usize]) -> String {
    let mut drawn = String::new();
    for (nth, row) in rows.iter().enumerate() {
        let headless = nth == 0 && row.iter().all(String::is_empty);
        if headless {
            continue;
        }
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(widths)
            .map(|(c, w)| wrapped(c, *w))
            .collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut text = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                let part = cell.get(line).map_or("", String::as_str);
                text += &format!("{part:width$}{:GAP$}", "");
            }
            drawn += text.trim_end();
            drawn.push('\n');
        }
        if nth == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            drawn += &rules.join(&" ".repeat(GAP));
            drawn.push('\n');
        }
    }
    drawn
}

/// Each row as its first cell and, below it, the others. Those of more than two columns have their headings.
fn listed(rows: &[Vec<String>], columns: usize) -> String {
    let Some((heading, rows)) = rows.split_first() else {
        return String::new();
    };
    let mut drawn = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let heading = heading.get(at).map_or("", String::as_str);
            drawn += &match (at, heading) {
                (0, _) => indented(cell, 0, columns),
                (1, _) if row.len() == 2 => indented(cell, 4, columns),
                (_, "") => indented(cell, 4, columns),
                (_, heading) => indented(&format!("{heading}: {cell}"), 4, columns),
            };
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(|cell| (*cell).to_owned()).collect();
        of.iter().map(row).collect()
    }

    #[test]
    fn columns_are_aligned_and_wrapped_and_listed_where_they_do_not_fit() {
        let table = rows(&[
            &["metric", "meaning"],
            &["lost", "connections lost while held"],
        ]);
        assert_eq!(
            draw(&table, 40),
            "metric  meaning\n------  ---------------------------\nlost    connections lost while held\n"
        );
        assert_eq!(
            draw(&table, 28),
            "metric  meaning\n------  --------------------\nlost    connections lost\n        while held\n"
        );
        assert_eq!(
            draw(&table, 20),
            "lost\n    connections lost\n    while held\n"
        );
        let three = rows(&[&["", "one", ""], &["aaaaaaa", "b", "c"]]);
        assert_eq!(draw(&three, 14), "aaaaaaa\n    one: b\n    c\n");
    }

    #[test]
    fn a_heading_without_words_is_left_out() {
        assert_eq!(draw(&rows(&[&["", ""], &["a", "b"]]), 40), "a  b\n");
    }
}
