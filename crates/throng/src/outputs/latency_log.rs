//! HdrHistogram's interval log (`--latency-log`).

use super::log::{Lines, Log};
use super::output::{Occasion, Opened, Output, file};
use crate::Failure;
use crate::cli::LATENCY;
use crate::files::Named;
use clap::Args;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use throng_core::observer::Interval;
use throng_core::stats::Measured;
use throng_report::hdrlog;

/// Where the log is written.
#[derive(Clone, Default, Args)]
pub(crate) struct LatencyLog {
    /// Write a histogram of each second's latencies to a file (HdrHistogram interval log)
    #[arg(long, value_name = "FILE", help_heading = LATENCY)]
    latency_log: Option<PathBuf>,
}

impl Output for LatencyLog {
    fn files(&self) -> Vec<Named> {
        file("--latency-log", self.latency_log.as_ref())
    }

    fn open(&self, _occasion: &Occasion) -> Opened {
        let Some(path) = &self.latency_log else {
            return Ok(None);
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let log = hdrlog::LatencyLog::create(path, now.map_or(0.0, |d| d.as_secs_f64()))
            .map_err(|e| Failure::usage(format!("--latency-log: {e}")))?;
        Ok(Some(Box::new(Log::of(log))))
    }
}

impl Lines for hdrlog::LatencyLog {
    fn interval(&mut self, interval: &Interval, measured: &Measured) -> io::Result<()> {
        self.interval(interval.from, interval.length(), measured)
    }

    fn finish(self) -> io::Result<()> {
        self.finish()
    }
}
