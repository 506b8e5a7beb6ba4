//! `throng help`: the help of a subcommand, or one of the documents that the program carries.

mod topics;

pub(crate) use topics::TOPICS;

use crate::cli::unbroken::{drawn_for_stdout, with_whole_numbers};
use crate::{Failure, output};
use throng_core::nearest::nearest;
use throng_report::{colour, page};
use topics::Topic;

const EXAMPLES: &str = "\
Examples:
  throng help messages
      How to write messages that differ from each other.
  throng help load
      Every option of `throng load`; the same as throng load --help.";

/// Explain a topic or a subcommand
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Topic or subcommand [default: list them]
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
}

/// Prints the help.
pub(crate) fn run(args: &Args, grammar: &clap::Command) -> Result<u8, Failure> {
    let columns = page::columns();
    let text = match &args.topic {
        None => list(grammar, columns),
        Some(name) => match TOPICS.iter().find(|topic| topic.name == name) {
            Some(topic) => document(topic, columns),
            None => full_help(name, grammar).ok_or_else(|| unknown(name, grammar))?,
        },
    };
    output::to_stdout(text.as_bytes()).map(|()| 0)
}

/// The full help of a subcommand; `None` if there is none of this name.
fn full_help(subcommand: &str, grammar: &clap::Command) -> Option<String> {
    grammar.find_subcommand(subcommand)?;
    let grammar = with_whole_numbers(grammar.clone());
    let help = grammar.try_get_matches_from(["throng", subcommand, "--help"]);
    help.err().map(|help| drawn_for_stdout(&help))
}

fn document(topic: &Topic, columns: usize) -> String {
    let colour = colour::wanted(&std::io::stdout());
    let others: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
    let others = format!("`throng help TOPIC` has {}.", others.join(", "));
    let text = page::document(topic.text, columns, colour);
    format!("{text}\n{}", page::indented(&others, 0, columns))
}

/// The topics, then the subcommands.
fn list(grammar: &clap::Command, columns: usize) -> String {
    let rows = TOPICS.map(|topic| (topic.name.to_owned(), topic.about.to_owned()));
    let topics = page::list(&rows, columns);
    let shown = grammar.get_subcommands().filter(|sub| !sub.is_hide_set());
    let subcommands = shown.map(|sub| {
        let about = sub.get_about().map(ToString::to_string);
        (sub.get_name().to_owned(), about.unwrap_or_default())
    });
    let subcommands = page::list(&subcommands.collect::<Vec<_>>(), columns);
    format!(
        "Usage: throng help TOPIC, or throng help COMMAND\n\nTopics:\n{topics}\nCommands:\n{subcommands}"
    )
}

fn unknown(name: &str, grammar: &clap::Command) -> Failure {
    let topics = TOPICS.iter().map(|topic| topic.name);
    let subcommands = grammar.get_subcommands().map(clap::Command::get_name);
    let all: Vec<String> = topics.chain(subcommands).map(str::to_owned).collect();
    let meant = nearest(name, &all).map(|it| format!("did you mean `throng help {it}`? "));
    Failure::usage(format!(
        "there is no help on '{}': {}`throng help` lists the topics",
        name.escape_debug(),
        meant.unwrap_or_default()
    ))
}
