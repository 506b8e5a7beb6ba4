//! Writes each request for gnuplot (`throng http -g`).

use super::occasion::{Asked, Occasion};
use crate::Failure;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use throng_core::observer::{Interval, Observer, Trouble};
use throng_report::http::Requests;

/// How often requests are gathered.
const EVERY: Duration = Duration::from_secs(1);

/// The requests, until they are written.
struct Gnuplot(Option<Requests>);

pub(super) fn open(occasion: &Occasion) -> Asked {
    let Some(path) = &occasion.report.gnuplot else {
        return Ok(None);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let requests = Requests::to(path.clone(), now.unwrap_or_default())
        .map_err(|e| Failure::usage(format!("-g: {e}")))?;
    Ok(Some(Box::new(Gnuplot(Some(requests)))))
}

impl Observer for Gnuplot {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        if let (Some(requests), Some(measured)) = (&mut self.0, interval.measured) {
            requests.add(&measured.samples);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        Ok(self.0.take().map_or(Ok(()), Requests::finish)?)
    }
}
