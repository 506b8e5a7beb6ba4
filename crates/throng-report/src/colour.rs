//! Colours: used on a terminal unless NO_COLOR forbids it (<https://no-color.org>). They are few, and never the only
//! carrier of a meaning.

use anstyle::{AnsiColor, Style};
use std::ffi::OsStr;
use std::io::IsTerminal;

/// All that was asked for was achieved.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Fell short, failed, lost.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Worth a second look.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default().bold();
/// A section's title.
pub(crate) const TITLE: Style = Style::new().bold();
/// The bar of the live view.
pub(crate) const BAR: Style = AnsiColor::Cyan.on_default();
/// A note beside a number.
pub(crate) const DIM: Style = Style::new().dimmed();
/// No style.
pub(crate) const PLAIN: Style = Style::new();

/// Whether to colour output to `stream`: it is a terminal with colours, and NO_COLOR is not set.
pub fn wanted(stream: &impl IsTerminal) -> bool {
    wanted_with(
        stream.is_terminal(),
        std::env::var_os("NO_COLOR").as_deref(),
        std::env::var_os("TERM").as_deref(),
    )
}

fn wanted_with(terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|t| t != "dumb")
}

/// `text` in `style`; unchanged without colour.
pub(crate) fn paint(text: &str, style: Style, colour: bool) -> String {
    if colour && style != PLAIN && !text.is_empty() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_no_no_color() {
        let os = |text: &'static str| Some(OsStr::new(text));
        for (terminal, no_color, term, wanted) in [
            (true, None, os("xterm"), true),
            (true, None, None, true),
            (true, os(""), os("xterm"), true),
            (true, os("1"), os("xterm"), false),
            (true, os("0"), os("xterm"), false),
            (true, None, os("dumb"), false),
            (false, None, os("xterm"), false),
        ] {
            assert_eq!(
                wanted_with(terminal, no_color, term),
                wanted,
                "{terminal} {no_color:?} {term:?}"
            );
        }
    }

    #[test]
    fn paint_leaves_text_alone_without_colour() {
        assert_eq!(paint("x", BAD, false), "x");
        assert_eq!(paint("x", PLAIN, true), "x");
        assert_eq!(paint("x", TITLE, true), "\x1b[1mx\x1b[0m");
    }
}
