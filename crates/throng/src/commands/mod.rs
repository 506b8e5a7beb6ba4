//! The subcommands. Each is a folder with its arguments (`Args`, whose doc comment is its line in the help) and a
//! thin body (`run`): parse, call, print. It is registered by its line below, which says if it is given the grammar of the
//! whole command line.

use crate::Failure;

macro_rules! commands {
    (grammar = $grammar:ident; $($name:ident: $module:ident($($given:ident)?),)*) => {
        $(pub(crate) mod $module;)*

        /// A subcommand with its arguments.
        #[derive(clap::Subcommand)]
        pub(crate) enum Command {
            $(#[allow(missing_docs)] $name(Box<$module::Args>),)*
        }

        impl Command {
            /// Runs the subcommand. Returns the exit code.
            pub fn run(&self, $grammar: fn() -> clap::Command) -> Result<u8, Failure> {
                match self {
                    $(Command::$name(args) => $module::run(args $(, &$given())?),)*
                }
            }
        }
    };
}

commands! {
    grammar = grammar;
    Load: load(),
    Http: http(),
    Serve: serve(),
    Proxy: proxy(),
    Run: run(),
    Fleet: fleet(grammar),
    Agent: agent(),
    Plan: plan(),
    Tune: tune(),
    Merge: merge(),
    Compare: compare(),
    Report: report(),
    Worklog: worklog(),
    Sweep: sweep(grammar),
    Probe: probe(),
    Watch: watch(),
    Lab: lab(grammar),
    Completions: completions(grammar),
    Man: man(grammar),
    Help: help(grammar),
    Supervise: supervise(),
}
