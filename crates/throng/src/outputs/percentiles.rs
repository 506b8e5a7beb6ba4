//! How long each percentage of the requests took (`throng http -e`).

use super::output::{Output, file};
use crate::Failure;
use crate::cli::OUTPUT;
use crate::files::Named;
use clap::Args;
use std::path::PathBuf;
use throng_report::file::write_whole;
use throng_report::http::{HttpResult, write_percentiles};
use throng_report::json::Outcome;

/// Where the percentages are written.
#[derive(Clone, Default, Args)]
pub(crate) struct Percentages {
    /// Write how long each percentage of the requests took to a file (CSV)
    #[arg(short = 'e', long, value_name = "FILE", help_heading = OUTPUT)]
    percentiles: Option<PathBuf>,
}

impl Output for Percentages {
    fn files(&self) -> Vec<Named> {
        file("-e", self.percentiles.as_ref())
    }

    fn finish(&self, outcome: &Outcome) -> Result<(), Failure> {
        let Some(path) = &self.percentiles else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        write_percentiles(&HttpResult::of(outcome), &mut bytes)
            .and_then(|()| write_whole(path, &bytes))
            .map_err(|e| Failure::fault(e.to_string()))
    }
}
