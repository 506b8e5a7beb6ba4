//! The load that a fleet is asked for: a command line within its own.

use super::refusals::check_outputs;
use crate::commands::{http, load, run as run_file};
use crate::{Failure, usage};
use clap::FromArgMatches;
use std::ffi::OsString;
use std::path::Path;
use throng_fleet::undividable;

/// The load that `words` ask for: a command line of `throng load`, `http` or `run`, or a scenario file and options of `run`.
pub(super) fn asked(words: &[OsString], grammar: &clap::Command) -> Result<load::Asked, Failure> {
    let is_command = |word: &OsString| ["load", "http", "run"].iter().any(|name| word == *name);
    let first = words.first().filter(|word| !is_command(word));
    if let Some(word) = first.filter(|word| !Path::new(word).exists()) {
        return Err(Failure::usage(format!(
            "'{}' is neither load, http or run nor a scenario file; write throng fleet run --agents local:4 load -c 1k HOST:PORT",
            word.display()
        )));
    }
    let file = first.map(|_| OsString::from("run"));
    let matches = parsed(file.iter().chain(words), grammar)?;
    let Some((name, matches)) = matches.subcommand() else {
        return Err(Failure::usage("nothing to run"));
    };
    match name {
        "load" => load_of(&read(matches)?),
        "http" => match read::<http::Args>(matches)? {
            args if args.print_scenario => Err(prints()),
            args => http::asked(&args),
        },
        _ => match read::<run_file::Args>(matches)? {
            args if args.print_scenario => Err(prints()),
            args => run_file::asked(&args),
        },
    }
}

/// Checks that a fleet of this many agents, somewhere else, takes `words`, a command line of `throng load`. What is in files that it
/// names is known only there: with some, its options are checked one by one.
pub(super) fn check_load(
    words: &[OsString],
    agents: usize,
    grammar: &clap::Command,
) -> Result<(), Failure> {
    let matches = parsed(words, grammar)?;
    let Some((_, matches)) = matches.subcommand() else {
        return Err(Failure::usage("nothing to run"));
    };
    let args: load::Args = read(matches)?;
    if !load::inputs(&args).is_empty() {
        return Ok(());
    }
    let asked = load_of(&args)?;
    check_outputs(&asked.report)?;
    undividable(&asked.scenario, agents).map_or(Ok(()), |why| Err(Failure::usage(why)))
}

fn load_of(args: &load::Args) -> Result<load::Asked, Failure> {
    match args.print_scenario {
        true => Err(prints()),
        false => load::asked(args),
    }
}

fn prints() -> Failure {
    Failure::usage("--print-scenario runs nothing: leave out what is before it")
}

fn parsed<'a>(
    words: impl IntoIterator<Item = &'a OsString>,
    grammar: &clap::Command,
) -> Result<clap::ArgMatches, Failure> {
    let program = OsString::from("throng");
    let words = std::iter::once(program).chain(words.into_iter().cloned());
    let matches = grammar.clone().try_get_matches_from(words);
    matches.map_err(|e| Failure::usage(usage::in_one_line(&e)))
}

/// The arguments of a subcommand.
fn read<A: FromArgMatches>(matches: &clap::ArgMatches) -> Result<A, Failure> {
    A::from_arg_matches(matches).map_err(|e| Failure::usage(usage::in_one_line(&e)))
}
