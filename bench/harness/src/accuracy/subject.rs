//! The throng that is measured.

use super::said::Said;
use crate::process::Process;
use crate::settle;
use crate::warm::warm;
use std::time::Duration;

/// How long a run may take beyond its hold: opening and closing a million connections.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// The throng that is measured.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its path.
    pub program: String,
}

impl Subject {
    /// `throng ARGUMENTS`, with JSON on stdout. Words are separated by single blanks.
    pub(super) fn argv(&self, arguments: &str) -> Vec<String> {
        std::iter::once(self.program.as_str())
            .chain(arguments.split(' '))
            .chain(["--output", "json", "--quiet"])
            .map(str::to_owned)
            .collect()
    }

    /// Runs it to its end and reads its summary.
    ///
    /// # Errors
    /// As [`run`].
    pub(super) fn run(&self, arguments: &str, connections: u32) -> Result<Said, String> {
        run(&self.argv(arguments), connections)
    }
}

/// Runs a throng that opens `connections`, and reads what it says.
///
/// # Errors
/// It could not be run, or printed no summary; one line for the user.
pub(super) fn run(argv: &[String], connections: u32) -> Result<Said, String> {
    warm(connections);
    let before = settle::sockets();
    let done = Process::start(argv)?.finish(None, PATIENCE)?;
    settle::settle(before);
    Said::read(&done.stdout)
}
