//! Annotations and a summary for GitHub's workflows (`--github`).

use super::output::{Occasion, Opened, Output};
use crate::Failure;
use crate::cli::OUTPUT;
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use throng_report::github::{write_annotations, write_markdown};
use throng_report::json::Outcome;

/// The variable in which the runner of a workflow names the file of a step's summary.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// Whether a workflow runs throng.
#[derive(Clone, Default, Args)]
pub(crate) struct Github {
    /// Annotate a workflow of GitHub with what fell short, and add the result to its summary
    #[arg(long, help_heading = OUTPUT)]
    github: bool,
}

impl Output for Github {
    /// A summary of the step that can't be written is found before the run.
    fn open(&self, _: &Occasion) -> Opened {
        if let Some(path) = step_summary().filter(|_| self.github) {
            append_to(&path).map_err(|e| Failure::usage(cannot_write(&path, &e)))?;
        }
        Ok(None)
    }

    /// The runner reads stderr, too, where annotations leave a summary on stdout as it is.
    fn finish(&self, outcome: &Outcome) -> Result<(), Failure> {
        if !self.github {
            return Ok(());
        }
        let summary = &outcome.summary;
        let mut lines = Vec::new();
        let drawn = write_annotations(summary, &mut lines);
        drawn.map_err(|e| Failure::fault(format!("can't draw annotations: {e}")))?;
        // A closed stderr is not an error.
        let _ = io::stderr().write_all(&lines);
        let Some(path) = step_summary() else {
            return Ok(());
        };
        let mut markdown = Vec::new();
        write_markdown(summary, &mut markdown)
            .and_then(|()| append_to(&path)?.write_all(&markdown))
            .map_err(|e| Failure::fault(cannot_write(&path, &e)))
    }
}

/// The file of the step's summary; `None` outside of a workflow.
fn step_summary() -> Option<OsString> {
    std::env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty())
}

/// Opens it. Earlier commands of the step may have written there, so it is not replaced.
fn append_to(path: &OsStr) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

fn cannot_write(path: &OsStr, e: &io::Error) -> String {
    let path = path.to_string_lossy();
    format!("can't write {path} ({STEP_SUMMARY}): {e}")
}
