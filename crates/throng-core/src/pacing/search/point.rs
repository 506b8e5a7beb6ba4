//! A rate that was tried, and the verdict on it.

use super::found::Limit;
use super::observation::Observation;
use super::share::Share;
use super::terms::Terms;
use super::trial;
use std::time::Duration;

/// A rate breaks if messages are missing in this many of its trials.
const CONFIRM: u32 = 2;
/// A rate breaks if latency rises all through this many of its trials.
const RISES: u32 = 3;
/// Rising latency over the bound by this factor is an overload.
const FAR_OVER: f64 = 2.0;
/// At a share g above its capacity, a queue takes L/g to grow to a latency of L. Rates that differ by g therefore look
/// alike for that long, and telling them apart takes many times as long. A time of this many L/g counts as one
/// independent answer at most; L is the measured latency when the question is whether the rate holds.
const QUIET_MEMORY: f64 = 4.5;
/// As `QUIET_MEMORY`, but L is the bound: for the question whether the rate breaks.
const BUSY_MEMORY: f64 = 4.0;

/// Whether a rate keeps latency under the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    Breaks,
    Unsure,
}

/// A rate that was tried.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub rate: f64,
    pub share: Share,
    /// How long it was measured, without trials that say nothing about its share.
    pub seconds: f64,
    pub trials: u32,
    pub verdict: Verdict,
    /// What broke in the last trial that did.
    pub limit: Option<Limit>,
    /// Latency at the percentile in each trial with answers, in rising order.
    latencies: Vec<Duration>,
    /// Trials in which messages were missing.
    lost: u32,
    /// Trials in which latency rose all the time.
    rises: u32,
    /// Trials that were an overload.
    overloads: u32,
}

impl Point {
    pub fn new(rate: f64) -> Point {
        Point {
            rate,
            share: Share::default(),
            seconds: 0.0,
            trials: 0,
            verdict: Verdict::Unsure,
            limit: None,
            latencies: vec![],
            lost: 0,
            rises: 0,
            overloads: 0,
        }
    }

    /// Adds what was `seen` in a trial of length `measured`. Returns whether the trial leaves a queue behind.
    pub fn add(&mut self, seen: &Observation, bound: Duration, measured: Duration) -> bool {
        let broke = trial::broken(seen, bound, measured);
        let rising = trial::is_rising(&seen.slices, bound);
        let far_over = seen.latency.is_none_or(|l| l > bound.mul_f64(FAR_OVER));
        self.trials += 1;
        if let Some(latency) = seen.latency {
            let at = self.latencies.partition_point(|l| *l < latency);
            self.latencies.insert(at, latency);
        }
        self.limit = broke.or(rising.then_some(Limit::Latency)).or(self.limit);
        let mut slices = &seen.slices[..];
        if broke.is_some_and(|limit| limit != Limit::Latency) {
            // The server did not receive that rate, so its latency says nothing about it.
            self.lost += 1;
            slices = &[];
        } else if rising {
            // Latency while the queue was filling is not the steady one; the end is closer to it.
            self.rises += 1;
            self.overloads += u32::from(far_over);
            slices = match broke {
                Some(_) => &slices[slices.len() / 2..],
                None => &[],
            };
        }
        self.share.add(slices);
        self.seconds +=
            measured.as_secs_f64() * slices.len() as f64 / seen.slices.len().max(1) as f64;
        rising || broke.is_some() && far_over
    }

    /// Latency at the percentile: the median over all trials.
    pub fn latency(&self) -> Option<Duration> {
        self.latencies.get(self.latencies.len() / 2).copied()
    }

    /// The verdict from the measurements. `gap` is the logarithm of the ratio of the rates between which the limit is
    /// known to lie.
    pub fn judge(&self, terms: &Terms, gap: f64) -> Verdict {
        let often = |n: u32, least: u32| n >= least && 2 * n >= self.trials;
        if often(self.lost, CONFIRM) || often(self.rises, RISES) || self.overloads > 0 {
            return Verdict::Breaks;
        }
        let worth = |memory: f64, latency: Duration| {
            // In a closed loop, what was under way is gone after one latency.
            let part = if terms.closed_loop { 1.0 } else { gap / memory };
            self.seconds * part / latency.as_secs_f64().max(1e-9)
        };
        let quiet = self.latency().unwrap_or(terms.bound).min(terms.bound);
        if self.share.least(worth(BUSY_MEMORY, terms.bound)) > terms.allowed() {
            Verdict::Breaks
        } else if self.share.greatest(worth(QUIET_MEMORY, quiet)) < terms.allowed()
            && 2 * self.rises.max(self.lost) <= self.trials
        {
            Verdict::Holds
        } else {
            Verdict::Unsure
        }
    }

    /// Whether it seems to hold, however unsure that is.
    pub fn seems_to_hold(&self, terms: &Terms) -> bool {
        let few = self.share.mean().is_some_and(|s| s <= terms.allowed());
        few && 2 * self.rises.max(self.lost) <= self.trials
    }
}
