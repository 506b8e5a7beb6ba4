//! What a voice prints, and when; and the defaults that go with it.

use crate::Failure;
use crate::cli::Common;
use throng_core::observer::Note;
use throng_core::protocol::Protocol;
use throng_core::scenario::LoadScenario;
use throng_report::json::Outcome;

/// How a load is reported: at its start, while it lasts and at its end, and with which exit code.
pub(crate) trait Voice {
    /// Changes a protocol's options to the voice's defaults.
    fn defaults(&self, _protocol: &mut Protocol) {}

    /// Prints what comes before the run.
    fn start(&self, _scenario: &LoadScenario) {}

    /// Whether progress is shown, unless the user asked for quiet.
    fn shows_progress(&self) -> bool;

    /// The text for a note, if any; `verbosity` is the command line's.
    fn note(&self, note: &Note, verbosity: u8) -> Option<Saying>;

    /// Prints the result of the run. Returns the exit code.
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

/// A text printed while a run lasts.
pub(crate) enum Saying {
    /// Progress or a warning for people, on stderr above the live view.
    Stderr(String),
    /// A part of the result: on stdout.
    Stdout(String),
}
