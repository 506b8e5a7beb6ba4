//! Metrics that leave once a second while a run lasts, and zeros at its beginning and end, so that graphs
//! come down.

use crate::Failure;
use std::time::Duration;
use throng_core::scenario::StatsdAsked;
use throng_core::stats::Tally;
use throng_core::summary::LatencyAt;
use throng_report::statsd::{Statsd, StatsdTick};

/// How often.
const EVERY: Duration = Duration::from_secs(1);

/// A run's metrics.
pub(crate) struct Metrics {
    statsd: Statsd,
    next: Duration,
    /// When the last ones left, and the counts then: of connections that were opened, and accepted.
    from: (Duration, Tally, Tally),
}

impl Metrics {
    /// For the server that was asked for.
    pub fn open(asked: &StatsdAsked) -> Result<Metrics, Failure> {
        let statsd = Statsd::open(&asked.host, asked.port, &asked.namespace).map_err(|e| {
            Failure::usage(format!(
                "--statsd-host '{}': can't send there: {e}",
                asked.host
            ))
        })?;
        let mut metrics = Metrics {
            statsd,
            next: EVERY,
            from: (Duration::ZERO, Tally::default(), Tally::default()),
        };
        // Nobody has sent before, so nothing can have failed yet.
        metrics.zero();
        Ok(metrics)
    }

    /// Takes note of the counts at `at`, and sends what is due, with the `latencies` that there are then.
    /// Returns a line for the user if that is the first time it fails.
    pub fn note(
        &mut self,
        at: Duration,
        opened: Option<&Tally>,
        accepted: Option<&Tally>,
        latencies: impl FnOnce() -> Vec<LatencyAt>,
    ) -> Option<String> {
        if at < self.next {
            return None;
        }
        self.next = at + EVERY;
        let (then, opened_then, accepted_then) = self.from;
        let since = |now: Option<&Tally>, then: &Tally| now.map(|now| (now.since(then), *now));
        let opened = since(opened, &opened_then);
        let accepted = since(accepted, &accepted_then);
        let mut tick = StatsdTick::of(
            at.saturating_sub(then),
            opened.as_ref().map(|(recent, now)| (recent, now)),
            accepted.as_ref().map(|(recent, now)| (recent, now)),
        );
        tick.latencies = latencies();
        let now = |side: Option<(Tally, Tally)>| side.map(|(_, now)| now).unwrap_or_default();
        self.from = (at, now(opened), now(accepted));
        self.statsd.send(&tick)
    }

    /// Says that nothing moves and nothing is open.
    pub fn zero(&mut self) {
        self.statsd.send(&StatsdTick::default());
    }
}
