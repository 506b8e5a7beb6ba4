//! Sends metrics to StatsD (`--statsd`).

use super::occasion::{Asked, Occasion};
use crate::Failure;
use std::time::Duration;
use throng_core::observer::{Interval, Observer, Trouble};
use throng_core::record::AskedLatencies;
use throng_core::stats::{Durations, Measured};
use throng_core::summary::latencies;
use throng_host::names;
use throng_report::statsd::{Statsd, StatsdTick};

/// How often metrics are sent.
const EVERY: Duration = Duration::from_secs(1);

struct Metrics {
    to: Statsd,
    asked: AskedLatencies,
    /// The length of a window of latencies; `None` for latencies since the start.
    window: Option<Duration>,
    /// When the current window began.
    began: Duration,
    /// What was measured in that window.
    measured: Measured,
}

pub(super) fn open(occasion: &Occasion) -> Asked {
    let report = occasion.report;
    let Some(asked) = &report.statsd else {
        return Ok(None);
    };
    let wrong = |why: String| {
        let place = format!("--statsd-host {} --statsd-port {}", asked.host, asked.port);
        Failure::usage(format!("{place}: {why}"))
    };
    let addresses = names::addresses(&asked.host, asked.port).map_err(|e| wrong(e.to_string()))?;
    let mut to = Statsd::open(&addresses, &asked.namespace).map_err(|e| wrong(e.to_string()))?;
    to.send(&StatsdTick::default());
    Ok(Some(Box::new(Metrics {
        to,
        asked: report.latencies.asked(occasion.measure),
        window: asked.latency_window,
        began: Duration::ZERO,
        measured: Measured::default(),
    })))
}

impl Observer for Metrics {
    /// After a second, or at the end of the window.
    fn collects(&self, from: Duration) -> Option<Duration> {
        let second = from + EVERY;
        Some(self.window.map_or(second, |w| second.min(self.began + w)))
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let counts = |c: &throng_core::observer::Counts| (c.recent, c.now);
        let (opened, accepted) = (
            interval.opened.as_ref().map(counts),
            interval.accepted.as_ref().map(counts),
        );
        let mut tick = StatsdTick::of(
            interval.length(),
            opened.as_ref().map(|(recent, now)| (recent, now)),
            accepted.as_ref().map(|(recent, now)| (recent, now)),
        );
        if let Some(measured) = interval.measured {
            self.measured.merge(measured.clone());
            self.measured.samples.clear();
        }
        tick.latencies = match self.window {
            None => latencies(&self.asked, &self.measured, &Durations::default()),
            Some(window) if interval.to >= self.began + window => {
                self.began = interval.to;
                let window = std::mem::take(&mut self.measured);
                latencies(&self.asked, &window, &Durations::default())
            }
            Some(_) => Vec::new(),
        };
        self.to
            .send(&tick)
            .map_or(Ok(()), |line| Err(Trouble(line)))
    }

    /// Sends zeros, so that graphs return to zero.
    fn finish(&mut self) -> Result<(), Trouble> {
        self.to.send(&StatsdTick::default());
        Ok(())
    }
}
