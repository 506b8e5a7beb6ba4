//! The intervals of a run that are kept while it lasts, of which there is a bounded number.

use super::{BASE, Interval, Intervals, MAX_INTERVALS, Phase, Reading};
use crate::stats::PackedDurations;
use std::collections::BTreeMap;
use std::time::Duration;

/// Intervals of a run. However long the run is, there are at most so many: at that number each two neighbours are joined, and
/// later intervals are as wide.
#[derive(Debug)]
pub(super) struct Kept {
    pub intervals: Intervals,
    /// Base intervals in one.
    pub width: u32,
    most: usize,
}

impl Kept {
    /// None yet, and at most `most`, which is two at least, and [`MAX_INTERVALS`] at most.
    pub fn at_most(most: usize) -> Kept {
        Kept {
            intervals: Intervals::default(),
            width: 1,
            most: most.clamp(2, MAX_INTERVALS),
        }
    }

    /// The number of the first base interval of that which contains `at`.
    pub fn first(&self, at: Duration) -> u32 {
        let number = number(at);
        number - number % self.width
    }

    /// When the interval ends whose first base interval is `first`.
    pub fn end(&self, first: u32) -> Duration {
        BASE.saturating_mul(first.saturating_add(self.width))
    }

    /// Adds an interval that follows all others.
    pub fn push(&mut self, interval: Interval) {
        let second_half = (interval.first / self.width) % 2 == 1;
        // Pieces come in order: there is none of the same time.
        let _ = self.intervals.add(interval);
        // Only where a wide one would end, too; and a width of 2^31 base intervals is longer than any run.
        if self.intervals.len() >= self.most && second_half && self.width < 1 << 30 {
            self.width *= 2;
            self.intervals.widen(self.width);
        }
    }
}

/// Gathers intervals whose measurements are packed already: what a coordinator keeps of an agent, in case it is lost.
#[derive(Debug)]
pub struct Gathered {
    kept: Kept,
    /// The present interval, which is not complete.
    pending: Option<Interval>,
}

impl Gathered {
    /// None yet, and at most `most`.
    pub fn at_most(most: usize) -> Gathered {
        Gathered {
            kept: Kept::at_most(most),
            pending: None,
        }
    }

    /// Adds what was counted and measured from `from` to `to`, since the run began. Pieces must be in order of time and may have
    /// any length.
    pub fn add(
        &mut self,
        from: Duration,
        to: Duration,
        phase: Phase,
        opened: Option<Reading>,
        accepted: Option<Reading>,
        histograms: BTreeMap<String, PackedDurations>,
    ) {
        let piece = Interval {
            first: self.kept.first(from),
            width: self.kept.width,
            from,
            to,
            phase,
            opened,
            accepted,
            histograms,
        };
        let pending = match self.pending.take() {
            Some(mut pending) => {
                pending.join(piece, self.kept.width);
                pending
            }
            None => piece,
        };
        match to >= self.kept.end(pending.first) {
            true => self.kept.push(pending),
            false => self.pending = Some(pending),
        }
    }

    /// All of them.
    pub fn finish(mut self) -> Intervals {
        if let Some(pending) = self.pending.take() {
            self.kept.push(pending);
        }
        self.kept.intervals
    }
}

/// The number of the base interval that `at` is in.
fn number(at: Duration) -> u32 {
    u32::try_from(at.as_nanos() / BASE.as_nanos()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Recorder;
    use super::*;
    use crate::stats::{Counters, Measured};
    use proptest::prelude::*;

    proptest! {
        /// What is kept of pieces is what a recorder keeps of the same ones.
        #[test]
        fn what_is_gathered_is_what_was_recorded(
            lengths_ms in prop::collection::vec(100..2500u64, 1..80),
            most in 2..40usize,
        ) {
            let (mut recorder, mut gathered) = (Recorder::at_most(most), Gathered::at_most(most));
            let (mut at, mut now) = (Duration::ZERO, crate::stats::Tally::default());
            for (nth, ms) in lengths_ms.into_iter().enumerate() {
                let (from, counters) = (at, Counters::default());
                at += Duration::from_millis(ms);
                counters.messages_sent.add(ms);
                now += counters.read();
                let reading = Some(Reading::of(&counters.read(), &now));
                let mut measured = Measured::default();
                measured.service.record_many(Duration::from_micros(ms * ms), nth as u32 + 1);
                let packed = crate::record::Ending::pack_interval(&measured);
                recorder.add(from, at, Phase::Holding, reading, None, measured);
                gathered.add(from, at, Phase::Holding, reading, None, packed);
            }
            let (recorded, gathered) = (recorder.finish().0, gathered.finish());
            prop_assert_eq!(recorded.len(), gathered.len());
            for (one, other) in recorded.iter().zip(gathered.iter()) {
                let bare = |i: &Interval| Interval { histograms: BTreeMap::new(), ..i.clone() };
                prop_assert_eq!(bare(one), bare(other));
                let (one, other) = (one.measured("service"), other.measured("service"));
                prop_assert_eq!(one.count(), other.count());
                prop_assert_eq!(one.percentile(50.0), other.percentile(50.0));
            }
        }
    }
}
