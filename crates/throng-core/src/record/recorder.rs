//! Records a run while it lasts.

use super::interval::packed;
use super::intervals::MAX_INTERVALS;
use super::kept::Kept;
use super::{Interval, Intervals, Phase, Reading};
use crate::stats::{Measured, PackedDurations};
use std::collections::BTreeMap;
use std::time::Duration;

/// Gathers the intervals of a run. However long the run is, it keeps at most [`MAX_INTERVALS`]: at that number each two
/// neighbours are joined, and later intervals are as wide.
#[derive(Debug)]
pub struct Recorder {
    kept: Kept,
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
        Recorder::at_most(MAX_INTERVALS)
    }
}

impl Recorder {
    /// A recorder that keeps at most `most` intervals, which is two at least and [`MAX_INTERVALS`] at most.
    pub fn at_most(most: usize) -> Recorder {
        Recorder {
            kept: Kept::at_most(most),
            whole: Measured::default(),
            pending: None,
        }
    }

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
        let piece = Interval {
            first: self.kept.first(from),
            width: self.kept.width,
            from,
            to,
            phase,
            opened,
            accepted,
            histograms: BTreeMap::new(),
        };
        match &mut self.pending {
            Some(pending) => {
                pending.interval.join(piece, self.kept.width);
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
        if to >= self.kept.end(first) {
            self.end_interval();
        }
    }

    /// When the interval that contains `at` should end; a little later is harmless.
    pub fn due(&self, at: Duration) -> Duration {
        self.kept.end(self.kept.first(at))
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
        self.kept.push(interval);
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
        let mut intervals = self.kept.intervals.clone();
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
        (self.kept.intervals, self.whole)
    }
}
