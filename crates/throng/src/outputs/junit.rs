//! A report of JUnit (`--junit`).

use super::output::{Output, file};
use crate::Failure;
use crate::cli::OUTPUT;
use crate::files::Named;
use clap::Args;
use std::path::PathBuf;
use throng_report::file::write_whole;
use throng_report::json::Outcome;
use throng_report::junit::write_junit;

/// Where the report is written.
#[derive(Clone, Default, Args)]
pub(crate) struct Junit {
    /// Write a test case for the verdict and for each --expect to a file (JUnit XML)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    junit: Option<PathBuf>,
}

impl Output for Junit {
    fn files(&self) -> Vec<Named> {
        file("--junit", self.junit.as_ref())
    }

    fn finish(&self, outcome: &Outcome) -> Result<(), Failure> {
        let Some(path) = &self.junit else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        write_junit(&outcome.summary, &mut bytes)
            .and_then(|()| write_whole(path, &bytes))
            .map_err(|e| Failure::fault(e.to_string()))
    }
}
