//! What `throng tune` says: the table of settings and what was done about them ([`write_text`],
//! [`write_json`]), and the texts to take elsewhere: a shell script ([`script`]), a container's flags
//! ([`container`]), the equivalents on other systems ([`foreign`]).

pub mod container;
pub mod foreign;
pub mod script;
mod table;

pub use table::write_text;

use std::io::{self, Write};
use throng_core::tune::Report;

/// Writes `report` to `out` as one indented JSON object and a newline (docs/tune.md).
///
/// # Errors
/// What `out` says.
pub fn write_json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")
}

/// `text` in lines of at most `width` characters, each after `indent`. A longer word has a line for
/// itself.
fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut line = String::from(indent);
    for word in text.split_whitespace() {
        let empty = line.len() == indent.len();
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
            lines += line.trim_end();
            lines.push('\n');
            line = indent.to_owned();
        } else if !empty {
            line.push(' ');
        }
        line += word;
    }
    lines += line.trim_end();
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(wrapped("one two three", "# ", 9), "# one two\n# three\n");
        assert_eq!(wrapped("overlong x", "", 4), "overlong\nx\n");
        assert_eq!(wrapped("", "  ", 9), "\n");
    }
}
