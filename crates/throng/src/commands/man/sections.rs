//! The sections of a man page below the options: EXIT STATUS, NOTES, EXAMPLES and SEE ALSO.

use clap_mangen::roff::{Roff, bold, roman};

/// The exit codes of a subcommand that does not run anything.
const USUAL: &str = "0 success; 1 the output could not be written; 2 bad usage.";
/// What begins the paragraph of exit codes.
const CODES: &str = "Exit codes: ";
/// The indent of an example's command, and that of its explanation.
const COMMAND: &str = "  ";
const EXPLANATION: &str = "      ";

/// The sections for the text below the options, and for the pages `others`.
pub(super) fn sections<'a>(text: &str, others: impl Iterator<Item = &'a String>) -> Roff {
    let mut codes = USUAL;
    let mut examples = "";
    let mut notes = Vec::new();
    for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) {
        match (paragraph.strip_prefix(CODES), paragraph.split_once('\n')) {
            (Some(these), _) => codes = these,
            (None, Some((title, these))) if title.starts_with("Example") => examples = these,
            (None, _) => notes.push(paragraph),
        }
    }
    let mut page = Roff::default();
    exit_status(&mut page, codes);
    for (nth, note) in notes.into_iter().enumerate() {
        match nth {
            0 => page.control("SH", ["NOTES"]),
            _ => page.control("PP", []),
        };
        page.text([roman(note)]);
    }
    if !examples.is_empty() {
        page.control("SH", ["EXAMPLES"]);
        draw_examples(&mut page, examples);
    }
    page.control("SH", ["SEE ALSO"]);
    let mut others = others.peekable();
    while let Some(other) = others.next() {
        let after = if others.peek().is_some() {
            "(1),"
        } else {
            "(1)"
        };
        page.text([bold(other), roman(after)]);
    }
    page.control("PP", []);
    page.text([
        bold("throng help"),
        roman(" lists the documents that the program carries."),
    ]);
    page
}

/// Codes are written as `0 MEANING; 1 MEANING.`; a meaning may have semicolons of its own.
fn exit_status(page: &mut Roff, codes: &str) {
    page.control("SH", ["EXIT STATUS"]);
    let mut all: Vec<(&str, String)> = Vec::new();
    for part in codes.trim_end_matches('.').split("; ") {
        let code = part
            .split_once(' ')
            .filter(|(code, _)| code.parse::<u8>().is_ok());
        match (code, all.last_mut()) {
            (Some((code, meaning)), _) => all.push((code, meaning.to_owned())),
            (None, Some((_, meaning))) => *meaning += &format!("; {part}"),
            (None, None) => {}
        }
    }
    for (code, meaning) in all {
        page.control("TP", []);
        page.text([bold(code)]);
        page.text([roman(meaning)]);
    }
}

/// Each command on a line of its own that can be copied, after its explanation.
fn draw_examples(page: &mut Roff, examples: &str) {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in examples.lines() {
        match (line.strip_prefix(EXPLANATION), commands.last_mut()) {
            (Some(text), Some((_, explanation))) => explanation.push(text),
            _ => commands.push((line.trim_start_matches(COMMAND), Vec::new())),
        }
    }
    for (command, explanation) in commands {
        page.control("PP", []);
        if !explanation.is_empty() {
            page.text([roman(explanation.join(" "))]);
            page.control("PP", []);
        }
        page.control("RS", ["4"]);
        page.control("EX", []);
        page.text([roman(command)]);
        page.control("EE", []);
        page.control("RE", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_examples_and_notes_have_sections_of_their_own() {
        let text = "Examples:\n  throng a -x\n      Does a.\n  throng b\n\nA note.\n\nExit codes: 0 good; 1 bad (or so; see there).";
        let others = ["throng".to_owned()];
        let page = sections(text, others.iter()).to_roff();
        for part in [
            ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\ngood\n.TP\n\\fB1\\fR\nbad (or so; see there)\n",
            ".SH NOTES\nA note.\n",
            ".SH EXAMPLES\n.PP\nDoes a.\n.PP\n.RS 4\n.EX\nthrong a \\-x\n.EE\n.RE\n.PP\n.RS 4\n.EX\nthrong b\n",
            ".SH \"SEE ALSO\"\n\\fBthrong\\fR(1)\n",
        ] {
            assert!(page.contains(part), "{part}\nis not in\n{page}");
        }
        let none = sections("", others.iter()).to_roff();
        assert!(none.contains("could not be written"), "{none}");
        assert!(
            !none.contains("NOTES") && !none.contains("EXAMPLES"),
            "{none}"
        );
    }
}
