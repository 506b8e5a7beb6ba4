//! Writes each round trip as a line of CSV (`--samples`).

use super::occasion::{Asked, Occasion};
use crate::Failure;
use std::time::Duration;
use throng_core::observer::{Interval, Observer, Trouble};
use throng_report::samples::SampleLog;

/// How often round trips are written down.
const EVERY: Duration = Duration::from_secs(1);

/// The file, until it is finished.
struct Samples(Option<SampleLog>);

pub(super) fn open(occasion: &Occasion) -> Asked {
    let Some(path) = &occasion.report.samples else {
        return Ok(None);
    };
    let log = SampleLog::create(path).map_err(|e| Failure::usage(format!("--samples: {e}")))?;
    Ok(Some(Box::new(Samples(Some(log)))))
}

impl Observer for Samples {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let (Some(log), Some(measured)) = (&mut self.0, interval.measured) else {
            return Ok(());
        };
        Ok(log.write(&measured.samples)?)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(self.0.take().map_or(Ok(()), SampleLog::finish)?)
    }
}
