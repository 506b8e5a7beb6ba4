//! The output of `throng tune`: the table of settings with what was done about them ([`write_text`]; [`crate::json`]
//! for the JSON form), a shell script ([`script`]), flags for a container ([`container`]) and its entry point ([`entrypoint`]),
//! sample configurations of other programs ([`samples`]), and scripts for other operating systems ([`foreign`]).

pub mod container;
pub mod entrypoint;
pub mod foreign;
pub mod samples;
pub mod script;
mod table;

pub use table::write_text;

/// Breaks `text` into lines of at most `width` characters, each after `indent`. A longer word gets a line of its own.
pub(crate) fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let columns = width.saturating_sub(indent.chars().count());
    let lines = crate::text::wrapped(text, columns).into_iter();
    lines
        .map(|line| format!("{indent}{line}").trim_end().to_owned() + "\n")
        .collect()
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
