//! The run second by second.

use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most samples a summary holds. A longer run is thinned by joining neighbours.
pub const MAX_SAMPLES: usize = 600;

/// A second of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// End of the interval, in seconds since the run began.
    pub at_s: f64,
    /// Connections up then.
    pub open: u64,
    /// Connections that came up in it, a second.
    pub established_per_s: f64,
    /// Attempts that failed in it, a second.
    pub failed_per_s: f64,
    /// Messages sent in it, a second (server: reads).
    pub messages_per_s: f64,
    /// Bytes sent in it, a second.
    pub sent_per_s: f64,
    /// Bytes received in it, a second.
    pub received_per_s: f64,
}

/// Collects [`Sample`]s from snapshots, thinning them as the run gets long.
#[derive(Debug, Default)]
pub struct Samples {
    kept: Vec<Sample>,
    /// How many snapshots one kept sample stands for.
    stride: u32,
    from: Tally,
    from_s: f64,
    pending: u32,
}

impl Samples {
    /// Takes note of the counts at `elapsed`.
    pub fn push(&mut self, elapsed: Duration, now: &Tally) {
        self.pending += 1;
        if self.pending < self.stride {
            return;
        }
        self.pending = 0;
        let at_s = elapsed.as_secs_f64();
        let seconds = (at_s - self.from_s).max(1e-9);
        let d = now.since(&self.from);
        let per_s = |n: u64| n as f64 / seconds;
        self.kept.push(Sample {
            at_s,
            open: now.open(),
            established_per_s: per_s(d.established + d.accepted),
            failed_per_s: per_s(d.failed_in_all()),
            messages_per_s: per_s(if d.messages_sent > 0 {
                d.messages_sent
            } else {
                d.reads
            }),
            sent_per_s: per_s(d.bytes_sent),
            received_per_s: per_s(d.bytes_received),
        });
        (self.from, self.from_s) = (*now, at_s);
        if self.kept.len() >= MAX_SAMPLES {
            self.thin();
        }
    }

    /// Joins each two neighbours into one.
    fn thin(&mut self) {
        let mut before = 0.0;
        self.kept = self
            .kept
            .chunks(2)
            .map(|pair| {
                let last = pair[pair.len() - 1];
                let total = (last.at_s - before).max(1e-9);
                let mut start = before;
                let mut mean = Sample {
                    established_per_s: 0.0,
                    failed_per_s: 0.0,
                    messages_per_s: 0.0,
                    sent_per_s: 0.0,
                    received_per_s: 0.0,
                    ..last
                };
                for s in pair {
                    let share = (s.at_s - start) / total;
                    mean.established_per_s += s.established_per_s * share;
                    mean.failed_per_s += s.failed_per_s * share;
                    mean.messages_per_s += s.messages_per_s * share;
                    mean.sent_per_s += s.sent_per_s * share;
                    mean.received_per_s += s.received_per_s * share;
                    start = s.at_s;
                }
                before = last.at_s;
                mean
            })
            .collect();
        self.stride = self.stride.max(1) * 2;
    }

    /// The samples so far.
    pub fn into_vec(self) -> Vec<Sample> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;

    #[test]
    fn samples_of_a_long_run_are_thinned_and_still_add_up() {
        let counters = Counters::default();
        let mut samples = Samples::default();
        for second in 1..=5000u64 {
            counters.established.add(second % 7);
            samples.push(Duration::from_secs(second), &counters.read());
        }
        let all = samples.into_vec();
        assert!(all.len() < MAX_SAMPLES && all.len() > MAX_SAMPLES / 4);
        let mut before = 0.0;
        let mut total = 0.0;
        for s in &all {
            total += s.established_per_s * (s.at_s - before);
            before = s.at_s;
        }
        let counted: u64 = (1..=before as u64).map(|s| s % 7).sum();
        assert!((total - counted as f64).abs() < 1e-3, "{total} {counted}");
    }
}
