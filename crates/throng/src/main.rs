//! `throng`: the command line. Each subcommand is a file that parses, calls and prints.

#![forbid(unsafe_code)]

mod admission;
mod cli;
mod evidence;
mod facts;
mod generate;
mod load;
mod output;
mod plan;
mod run;
mod serve;
mod signals;
mod tune;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;
use throng_core::plan::Shortfall;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Load(args) => load::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Plan(args) => plan::run(&args),
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
    /// A run that the plan refuses.
    fn impossible(short: Vec<Shortfall>) -> Failure {
        let mut lines: Vec<String> = short.iter().map(ToString::to_string).collect();
        if short.iter().any(|s| s.allows > 0) {
            lines.push("`throng plan` shows all limits; --force goes ahead all the same".into());
        }
        Failure { code: 2, lines }
    }

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
