//! A run second by second as CSV (`--csv`).

use super::output::{Occasion, Opened, Output, file};
use crate::Failure;
use crate::cli::OUTPUT;
use crate::files::Named;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use throng_core::observer::{Interval, Observer, Trouble};
use throng_report::csv::IntervalLog;

/// How long an interval is.
const EVERY: Duration = Duration::from_secs(1);

/// Where the rows are written.
#[derive(Clone, Default, Args)]
pub(crate) struct Csv {
    /// Write a row per second to a file: connections, messages, bytes and percentiles of latencies (CSV)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    csv: Option<PathBuf>,
}

impl Output for Csv {
    fn files(&self) -> Vec<Named> {
        file("--csv", self.csv.as_ref())
    }

    fn open(&self, occasion: &Occasion) -> Opened {
        let Some(path) = &self.csv else {
            return Ok(None);
        };
        let log = IntervalLog::create(path, &occasion.measures, occasion.watches)
            .map_err(|e| Failure::usage(format!("--csv: {e}")))?;
        Ok(Some(Box::new(Rows(Some(log)))))
    }
}

/// The file, until it is finished.
struct Rows(Option<IntervalLog>);

impl Observer for Rows {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        Ok(self
            .0
            .as_mut()
            .map_or(Ok(()), |log| log.interval(interval))?)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(self.0.take().map_or(Ok(()), IntervalLog::finish)?)
    }
}
