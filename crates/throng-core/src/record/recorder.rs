//! Records a run while it lasts.

use super::interval::packed;
use super::intervals::MAX_INTERVALS;
use super::{BASE, Interval, Intervals, Phase, Reading};
use crate::stats::{Measured, PackedDurations};
use std::collections::BTreeMap;
use std::time::Duration;

/// Gathers the intervals of a run. However long the run is, it keeps at most [`MAX_INTERVALS`]: at that number each two
/// neighbours are joined, and later intervals are as wide.
#[derive(Debug)]
pub struct Recorder {
    intervals: Intervals,
    /// Base intervals in one.
    width: u32,
    /// What was measured since the start.
    whole: Measured,
    /// The present interval, which is not complete.
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    /// Without histograms: those are packed once, at its end.
    interval: Interval,
    measured: Measured,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            intervals: Intervals::default(),
            width: 1,
            whole: Measured::default(),
            pending: None,
        }
    }
}

impl Recorder {
    /// Adds what was counted and measured from `from` to `to`, since the run began. Pieces must be in order of time and
    /// may have any length. Samples in `measured` are not kept.
    pub fn add(
        &mut self,
        from: Duration,
        to: Duration,
        phase: Phase,
        opened: Option<Reading>,
        accepted: Option<Reading>,
        mut measured: Measured,
    ) {
        measured.samples = Vec::new();
        let number = number(from);
        let piece = Interval {
            first: number - number % self.width,
            width: self.width,
            from,
            to,
            phase,
            opened,
            accepted,
            histograms: BTreeMap::new(),
        };
        match &mut self.pending {
            Some(pending) => {
                pending.interval.join(piece, self.width);
                pending.measured.merge(measured);
            }
            None => {
                self.pending = Some(Pending {
                    interval: piece,
                    measured,
                });
            }
        }
        let first = self.pending.as_ref().map_or(0, |p| p.interval.first);
        if to >= self.end(first) {
            self.end_interval();
        }
    }

    /// When the interval that contains `at` should end; a little later is harmless.
    pub fn due(&self, at: Duration) -> Duration {
        let number = number(at);
        self.end(number - number % self.width)
    }

    /// When the interval ends whose first base interval is `first`.
    fn end(&self, first: u32) -> Duration {
        BASE.saturating_mul(first.saturating_add(self.width))
    }

    fn end_interval(&mut self) {
        let Some(Pending {
            mut interval,
            measured,
        }) = self.pending.take()
        else {
            return;
        };
        interval.histograms = packed(&measured, PackedDurations::coarse);
        self.whole.merge(measured);
        let second_half = (interval.first / self.width) % 2 == 1;
        // Pieces come in order: there is none of the same time.
        let _ = self.intervals.add(interval);
        // Only where a wide one would end, too; and a width of 2^31 base intervals is longer than any run.
        if self.intervals.len() >= MAX_INTERVALS && second_half && self.width < 1 << 30 {
            self.width *= 2;
            self.intervals.widen(self.width);
        }
    }

    /// All that was measured so far.
    pub fn measured(&self) -> Measured {
        let mut all = self.whole.clone();
        if let Some(pending) = &self.pending {
            all.merge(pending.measured.clone());
        }
        all
    }

    /// The intervals so far, the present one included, and what was measured in all.
    pub fn so_far(&self) -> (Intervals, Measured) {
        let mut intervals = self.intervals.clone();
        if let Some(Pending { interval, measured }) = &self.pending {
            let mut present = interval.clone();
            present.histograms = packed(measured, PackedDurations::coarse);
            // It follows all others.
            let _ = intervals.add(present);
        }
        (intervals, self.measured())
    }

    /// The intervals, and what was measured in all.
    pub fn finish(mut self) -> (Intervals, Measured) {
        self.end_interval();
        (self.intervals, self.whole)
    }
}

/// The number of the base interval that `at` is in.
fn number(at: Duration) -> u32 {
    u32::try_from(at.as_nanos() / BASE.as_nanos()).unwrap_or(u32::MAX)
}
