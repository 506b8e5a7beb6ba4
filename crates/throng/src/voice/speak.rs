//! What a voice says, and when.

use crate::Failure;
use crate::cli::Common;
use throng_core::observer::Note;
use throng_core::scenario::LoadScenario;
use throng_report::json::Outcome;

/// How a load is told of: what is said when it starts, while it lasts and at its end, and the exit code.
pub(crate) trait Voice {
    /// Says what there is to say before the run.
    fn start(&self, _scenario: &LoadScenario) {}

    /// Whether progress is shown, unless the user asked for quiet.
    fn shows_progress(&self) -> bool;

    /// What to say of a note; `verbosity` is that of the command line.
    fn note(&self, note: &Note, verbosity: u8) -> Option<Saying>;

    /// Prints what came of the run. Returns the exit code.
    ///
    /// # Errors
    /// The result can't be written.
    fn finish(
        &self,
        outcome: &Outcome,
        scenario: &LoadScenario,
        common: &Common,
    ) -> Result<u8, Failure>;
}

/// What is said while a run lasts.
pub(crate) enum Saying {
    /// Progress or a warning, for people: above the live view, on stderr.
    Stderr(String),
    /// A part of the result: on stdout.
    Stdout(String),
}
