//! The result as a page for a browser (`--report`).

use super::output::{Output, file};
use crate::Failure;
use crate::cli::OUTPUT;
use crate::files::Named;
use clap::Args;
use std::path::PathBuf;
use throng_report::file::write_whole;
use throng_report::html;
use throng_report::json::Outcome;

/// Where the page is written.
#[derive(Clone, Default, Args)]
pub(crate) struct Report {
    /// Write a page for a browser, with charts and with the result in it, to a file (HTML)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    report: Option<PathBuf>,
}

impl Output for Report {
    fn files(&self) -> Vec<Named> {
        file("--report", self.report.as_ref())
    }

    fn finish(&self, outcome: &Outcome) -> Result<(), Failure> {
        let Some(path) = &self.report else {
            return Ok(());
        };
        let page = html::of_result(outcome);
        write_whole(path, page.as_bytes()).map_err(|e| Failure::fault(e.to_string()))
    }
}
