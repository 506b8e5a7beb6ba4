//! `throng completions`: completion scripts, generated from the definitions of the options.

use crate::Failure;

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = "Example:\n  throng completions bash > /etc/bash_completion.d/throng")]
pub(crate) struct Args {
    /// Shell to complete for
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, grammar: &clap::Command) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut grammar.clone(), "throng", &mut script);
    crate::output::to_stdout(&script)?;
    Ok(0)
}
