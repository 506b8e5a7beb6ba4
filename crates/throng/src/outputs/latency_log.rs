//! HdrHistogram's interval log (`--latency-log`).

use super::output::{Occasion, Opened, Output, file};
use crate::Failure;
use crate::cli::LATENCY;
use crate::files::Named;
use clap::Args;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throng_core::observer::{Interval, Observer, Trouble};
use throng_report::hdrlog;

/// How long an interval is.
const EVERY: Duration = Duration::from_secs(1);

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
        Ok(Some(Box::new(Log(Some(log)))))
    }
}

/// The log, until it is finished.
struct Log(Option<hdrlog::LatencyLog>);

impl Observer for Log {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let (Some(log), Some(measured)) = (&mut self.0, interval.measured) else {
            return Ok(());
        };
        Ok(log.interval(interval.from, interval.length(), measured)?)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(self.0.take().map_or(Ok(()), hdrlog::LatencyLog::finish)?)
    }
}
