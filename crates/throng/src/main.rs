//! `throng`: the command line. Each subcommand is a file that parses, calls and prints.

#![forbid(unsafe_code)]

mod ask;
mod cli;
mod command_line;
mod commands;
mod dump;
mod elsewhere;
mod failure;
mod files;
mod grammar;
mod keys;
mod live_page;
mod output;
mod outputs;
mod programs;
mod responder;
mod results;
mod screen;
mod signals;
mod terminal;
mod usage;
mod voice;

use clap::error::ErrorKind;
use cli::unbroken;
use failure::Failure;
use std::io::stderr;
use std::process::ExitCode;
use throng_report::colour;

fn main() -> ExitCode {
    let command = match programs::read(std::env::args_os()) {
        Ok(command) => command,
        // Help and version on request, and help if no subcommand is given.
        Err(e)
            if !e.use_stderr()
                || e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            let code = ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
            if e.use_stderr() {
                eprint!("{}", unbroken::drawn(&e, colour::wanted(&stderr())));
                return code;
            }
            let said = output::to_stdout(unbroken::drawn_for_stdout(&e).as_bytes());
            return said.map_or_else(report, |()| code);
        }
        Err(e) => {
            eprintln!("throng: {}", usage::in_one_line(&e));
            return ExitCode::from(2);
        }
    };
    match command.run(grammar::command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => report(failure),
    }
}

/// Prints a failure. Returns its exit code.
fn report(Failure { code, lines }: Failure) -> ExitCode {
    for line in lines {
        eprintln!("throng: {line}");
    }
    ExitCode::from(code)
}
