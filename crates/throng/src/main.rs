//! `throng`: the command line. Each subcommand is a file that parses, calls and prints.

#![forbid(unsafe_code)]

mod admission;
mod ask;
mod behave;
mod cli;
mod dumping;
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

use clap::error::ErrorKind;
use cli::{Cli, Command};
use std::process::ExitCode;
use throng_core::plan::Shortfall;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and version, which were asked for, and help for who gave nothing.
        Err(e)
            if !e.use_stderr()
                || e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            e.exit()
        }
        Err(e) => {
            eprintln!("throng: {}", in_one_line(&e));
            return ExitCode::from(2);
        }
    };
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

/// What clap says of bad arguments over several lines, with its hint and without the usage.
fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect();
    let mut said = String::new();
    for line in lines {
        if !said.is_empty() {
            said += if said.ends_with(':') { " " } else { "; " };
        }
        said += line
            .trim_start_matches("error: ")
            .trim_start_matches("tip: ");
    }
    said + " (--help says more)"
}

/// Why there is no result: lines for stderr, and the exit code.
#[derive(Debug)]
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
