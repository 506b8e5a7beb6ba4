//! `throng`: the command line. Each subcommand is a file that parses, calls and prints.

#![forbid(unsafe_code)]

mod admission;
mod cli;
mod facts;
mod generate;
mod load;
mod output;
mod run;
mod serve;
mod signals;
mod tune;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Load(args) => load::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Completions { shell } => generate::completions(shell),
        Command::Man { directory } => generate::man_pages(&directory),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, lines }) => {
            for line in lines {
                eprintln!("throng: {line}");
            }
            ExitCode::from(code)
        }
    }
}

/// Why there is no result: lines for stderr, and the exit code.
struct Failure {
    code: u8,
    lines: Vec<String>,
}

impl Failure {
    /// Bad input or an impossible plan: exit code 2.
    fn usage(line: impl Into<String>) -> Failure {
        Failure {
            code: 2,
            lines: vec![line.into()],
        }
    }

    /// Something that was expected to work did not: exit code 1.
    fn fault(line: impl Into<String>) -> Failure {
        Failure {
            code: 1,
            lines: vec![line.into()],
        }
    }
}
