//! tcpkali: a load with its options.

use crate::cli;
use crate::commands::Command;
use std::ffi::OsString;

/// Reads tcpkali's command line.
pub(super) fn read(words: Vec<OsString>) -> Result<Command, clap::Error> {
    Ok(Command::Load(Box::new(cli::tcpkali::read(words)?)))
}
