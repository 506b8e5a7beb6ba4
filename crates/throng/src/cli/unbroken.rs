//! Keeps a number and its unit on one line where clap breaks help texts.

use clap::Command;
use clap::builder::StyledStr;
use throng_report::{colour, page};

/// A blank at which no line is broken.
const FIXED: char = '\u{a0}';

/// `command` with help texts in which no line ends between a number and its unit. [`drawn`] draws such help.
pub(crate) fn with_whole_numbers(command: Command) -> Command {
    let mut command = command.mut_args(|mut arg| {
        if let Some(help) = arg.get_help().map(fixed) {
            arg = arg.help(help);
        }
        if let Some(help) = arg.get_long_help().map(fixed) {
            arg = arg.long_help(help);
        }
        arg
    });
    if let Some(text) = command.get_after_help().map(fixed) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_after_long_help().map(fixed) {
        command = command.after_long_help(text);
    }
    command.mut_subcommands(with_whole_numbers)
}

fn fixed(text: &StyledStr) -> String {
    page::with_fixed_blanks(&text.to_string(), FIXED)
}

/// What clap has to say, for a stream that has colours if `coloured`.
pub(crate) fn drawn(said: &clap::Error, coloured: bool) -> String {
    let text = said.render();
    let text = match coloured {
        true => text.ansi().to_string(),
        false => text.to_string(),
    };
    text.replace(FIXED, " ")
}

/// The same for stdout.
pub(crate) fn drawn_for_stdout(said: &clap::Error) -> String {
    drawn(said, colour::wanted(&std::io::stdout()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    #[test]
    fn clap_breaks_no_line_within_a_number() {
        let help = "Wait this long, at most 10 s per attempt";
        let command = Command::new("x").arg(Arg::new("a").long("a").help(help));
        for width in 20..60 {
            let command = with_whole_numbers(command.clone()).term_width(width);
            let said = command.try_get_matches_from(["x", "--help"]).unwrap_err();
            let text = drawn(&said, false);
            assert!(text.contains("10 s"), "{width}: {text}");
        }
    }
}
