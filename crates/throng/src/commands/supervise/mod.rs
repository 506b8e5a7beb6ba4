//! `throng supervise`: runs a command for `throng sweep` and `throng lab`, and ends it with all that it started once that is over. It is not in
//! the help: nobody needs it by hand.

use crate::Failure;
use std::ffi::OsString;
use throng_host::supervised::supervise;

/// Run a command until stdin ends
#[derive(clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// The command
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
}

/// Runs the command. Returns its exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    supervise(&args.command).map_err(|e| Failure::fault(format!("can't supervise a command: {e}")))
}
