//! throng's own voice.

use super::speak::{Saying, Voice};
use crate::Failure;
use crate::cli::{Common, DETAILS};
use crate::output;
use throng_core::observer::Note;
use throng_core::scenario::LoadScenario;
use throng_report::json::Outcome;

pub(super) struct Throng;

impl Voice for Throng {
    fn shows_progress(&self) -> bool {
        true
    }

    fn note(&self, note: &Note, verbosity: u8) -> Option<Saying> {
        let said = match note {
            // The live view shows it.
            Note::Ramped { .. } => return None,
            Note::Planned(_) | Note::OfAgent { .. } if verbosity < DETAILS => return None,
            said => said.to_string(),
        };
        let lines: Vec<String> = said.lines().map(|line| format!("throng: {line}")).collect();
        Some(Saying::Stderr(lines.join("\n")))
    }

    fn finish(
        &self,
        outcome: &Outcome,
        _scenario: &LoadScenario,
        common: &Common,
    ) -> Result<u8, Failure> {
        output::outcome(outcome, common)?;
        Ok(outcome.summary.exit_code())
    }
}
