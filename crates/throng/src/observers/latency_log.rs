//! Writes HdrHistogram's interval log (`--latency-log`).

use super::occasion::{Asked, Occasion};
use crate::Failure;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throng_core::observer::{Interval, Observer, Trouble};
use throng_report::hdrlog::LatencyLog;

/// How long an interval is.
const EVERY: Duration = Duration::from_secs(1);

/// The log, until it is finished.
struct Log(Option<LatencyLog>);

pub(super) fn open(occasion: &Occasion) -> Asked {
    let Some(path) = &occasion.report.latency_log else {
        return Ok(None);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let log = LatencyLog::create(path, now.map_or(0.0, |d| d.as_secs_f64()))
        .map_err(|e| Failure::usage(format!("--latency-log: {e}")))?;
    Ok(Some(Box::new(Log(Some(log)))))
}

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
        Ok(self.0.take().map_or(Ok(()), LatencyLog::finish)?)
    }
}
