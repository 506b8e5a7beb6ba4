//! What changed of a buffer, as bytes for a terminal.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::io::Write;

/// Terminals that know it show all of an update at once (mode 2026); others ignore it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
const CLEAR: &str = "\x1b[0m\x1b[2J";

/// The bytes that make a terminal that shows `before` show `after`. Without `before` it is cleared first. Without `colour`
/// only bold and dim remain.
pub fn between(before: Option<&Buffer>, after: &Buffer, colour: bool) -> Vec<u8> {
    let mut out = BEGIN.as_bytes().to_vec();
    let blank = Buffer::empty(after.area);
    if before.is_none() {
        out.extend_from_slice(CLEAR.as_bytes());
    }
    let mut next = None;
    let mut style = String::new();
    for (x, y, cell) in before.unwrap_or(&blank).diff(after) {
        // Writing to a vector never fails.
        if next != Some((x, y)) {
            let _ = write!(out, "\x1b[{};{}H", y + 1, x + 1);
        }
        let wanted = style_of(cell, colour);
        if wanted != style {
            let _ = write!(out, "\x1b[0{wanted}m");
            style = wanted;
        }
        out.extend_from_slice(cell.symbol().as_bytes());
        // What is wider than a column leaves the cursor elsewhere.
        next = cell.symbol().is_ascii().then_some((x + 1, y));
    }
    if !style.is_empty() {
        out.extend_from_slice(b"\x1b[0m");
    }
    out.extend_from_slice(END.as_bytes());
    out
}

/// The parameters of a style after a reset, each after a semicolon.
fn style_of(cell: &Cell, colour: bool) -> String {
    let mut style = String::new();
    for (modifier, code) in [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2")] {
        if cell.modifier.contains(modifier) {
            style += code;
        }
    }
    if colour {
        style += &match cell.fg {
            Color::Red => ";31".to_owned(),
            Color::Green => ";32".to_owned(),
            Color::Yellow => ";33".to_owned(),
            Color::Cyan => ";36".to_owned(),
            Color::Indexed(n) => format!(";38;5;{n}"),
            _ => String::new(),
        };
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    fn text(bytes: &[u8]) -> &str {
        let text = std::str::from_utf8(bytes).unwrap();
        text.strip_prefix(BEGIN).unwrap().strip_suffix(END).unwrap()
    }

    #[test]
    fn only_what_changed_is_written_and_colours_only_where_they_are_wanted() {
        let area = Rect::new(0, 0, 10, 2);
        let mut before = Buffer::empty(area);
        before.set_string(0, 0, "one two", Style::new());
        let mut after = before.clone();
        after.set_string(4, 0, "ten", Style::new().fg(Color::Red).bold());
        let drawn = between(Some(&before), &after, true);
        assert_eq!(text(&drawn), "\x1b[1;5H\x1b[0;1;31mten\x1b[0m");
        let plain = between(Some(&before), &after, false);
        assert_eq!(text(&plain), "\x1b[1;5H\x1b[0;1mten\x1b[0m");
        assert_eq!(text(&between(Some(&after), &after, true)), "");
        let whole = between(None, &before, true);
        assert!(text(&whole).starts_with(CLEAR), "{}", text(&whole));
        assert!(text(&whole).ends_with("two"), "{}", text(&whole));
    }
}
