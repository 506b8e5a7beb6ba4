//! The command line as a whole: throng with its subcommands. Help, man pages and completions are all generated from it.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::cli::unbroken::with_whole_numbers;
use crate::cli::{EXIT_CODES, EXPRESSIONS, UNITS, guess, short, words};
use crate::commands::Command;
use clap::error::ErrorKind;
use clap::{Arg, Command as Clap, CommandFactory, FromArgMatches, Parser};
use std::any::TypeId;
use std::ffi::OsString;
use std::path::PathBuf;

/// Find out how many TCP connections a server, client or network path can hold, by holding them
#[derive(Parser)]
#[command(name = "throng", version, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}\n\n{MORE}"), after_long_help = after_long_help())]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AS_TCPKALI: &str = "Invoked as `tcpkali` (through a link), it accepts tcpkali's options and prints tcpkali's output.";

const EXAMPLES: &str = "\
Examples:
  throng load --self -c 10k
      10,000 connections from this process to itself: both ends, no set-up.
  throng plan
      How many connections this machine can hold, and which limit binds first.";

const MORE: &str = "`throng COMMAND -h` shows a command's most common options, --help all of them. `throng help` lists the topics that it explains.";

fn after_long_help() -> String {
    format!("{EXAMPLES}\n\n{MORE}\n\n{UNITS}\n\n{EXIT_CODES}\n\n{AS_TCPKALI}")
}

/// Reads throng's command line, of which the first word is the program's name.
///
/// # Errors
/// Bad arguments, as clap reports them; or the help or version that was asked for.
pub(crate) fn read(mut words: Vec<OsString>) -> Result<Command, clap::Error> {
    // Help and errors call the program throng whatever the name of its file, as man pages do.
    if let Some(program) = words.first_mut() {
        *program = "throng".into();
    }
    let mut grammar = command();
    if let Some(error) = guess::misread(&words, &grammar) {
        return Err(error);
    }
    let matches = match grammar.try_get_matches_from_mut(&words) {
        Err(e) if e.kind() == ErrorKind::DisplayHelp && !words.iter().any(|w| w == "--help") => {
            short::with_short_help(command()).try_get_matches_from(&words)
        }
        Err(e) if e.kind() == ErrorKind::DisplayHelp => {
            with_whole_numbers(command()).try_get_matches_from(&words)
        }
        other => other,
    };
    let matches = matches.map_err(|e| guess::explained(e, &words))?;
    Cli::from_arg_matches(&matches).map(|cli| cli.command)
}

/// The grammar: that of the arguments, with longer help where that is not tcpkali's. A negative number is
/// the value of the option before it, which refuses it, not an option.
pub(crate) fn command() -> Clap {
    Cli::command().mut_subcommands(|subcommand| {
        let subcommand = subcommand.mut_args(|arg| match takes_a_number(&arg) {
            true => arg.allow_negative_numbers(true),
            false => arg,
        });
        match subcommand.get_name() {
            "load" | "serve" => subcommand.mut_arg("message", |arg| arg.long_help(EXPRESSIONS)),
            _ => subcommand,
        }
    })
}

/// Whether an option's value may be the next word, and is no path or text.
fn takes_a_number(arg: &Arg) -> bool {
    let of = arg.get_value_parser().type_id();
    let text = of == TypeId::of::<PathBuf>() || of == TypeId::of::<OsString>();
    words::takes_value(arg) && !arg.is_positional() && !text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The long options of a subcommand, without those that every subcommand has.
    fn options(subcommand: &str) -> BTreeSet<String> {
        let mut command = command();
        command.build();
        let subcommand = command.find_subcommand(subcommand).expect("a subcommand");
        let long = subcommand.get_arguments().filter_map(|a| a.get_long());
        long.filter(|name| !["help", "version"].contains(name))
            .map(|name| format!("--{name}"))
            .collect()
    }

    #[test]
    fn every_option_belongs_to_the_documented_scenario_or_to_the_report() {
        let page = include_str!("../../../docs/scenario.md");
        let (load, serve) = page.split_once("## Keys of `[serve]`").expect("two lists");
        let reported = options("run");
        for (subcommand, keys) in [("load", load), ("serve", serve)] {
            let missing: Vec<String> = options(subcommand)
                .into_iter()
                .filter(|option| !keys.contains(&format!("`{option}`")))
                .filter(|option| !reported.contains(option) && option != "--print-scenario")
                .collect();
            assert_eq!(missing, [""; 0], "{subcommand}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
