//! What programs that load HTTP servers share.

use super::refused::{self, Refused};
use crate::commands::http::Args;
use clap::FromArgMatches;
use std::ffi::OsString;

/// Every status: other programs count any answer as complete, and tell what its status was.
pub(super) const ALL_STATUSES: &str = "1xx,2xx,3xx,4xx,5xx";

/// What all have: `command` has the name and the options of its own.
pub(super) fn program(
    command: clap::Command,
    after_help: &'static str,
    refused: &[Refused],
) -> clap::Command {
    let command = command
        .about("Measure an HTTP server")
        .version(concat!("(throng ", env!("CARGO_PKG_VERSION"), ")"))
        .max_term_width(100)
        .after_help(after_help)
        // If an option is repeated, the last one counts.
        .args_override_self(true);
    refused::with(command, refused)
}

/// Reads `words`, without the name of a program, as `throng http` does.
pub(super) fn translated(words: Vec<OsString>) -> Result<Args, clap::Error> {
    let command = <Args as clap::Args>::augment_args(clap::Command::new("throng http"));
    let all = std::iter::once("throng http".into()).chain(words);
    Args::from_arg_matches(&command.try_get_matches_from(all)?)
}

/// The words of an option and its value.
pub(super) fn option(name: &str, value: impl Into<OsString>) -> [OsString; 2] {
    [name.into(), value.into()]
}
