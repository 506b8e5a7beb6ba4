//! How much an agent's clock differs from the coordinator's: the best of some round trips.

use std::time::Duration;

/// Round trips that are made.
pub(crate) const ROUND_TRIPS: u32 = 16;

/// What is known of an agent's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offset {
    /// The shortest round trip, and by how many nanoseconds the agent's clock was ahead then.
    best: Option<(Duration, i128)>,
}

impl Offset {
    /// A question that was sent at `sent` and whose answer came at `received` was answered when the agent's clock said `theirs`.
    pub fn add(&mut self, sent: Duration, received: Duration, theirs: Duration) {
        let took = received.saturating_sub(sent);
        if self.best.is_some_and(|(best, _)| best <= took) {
            return;
        }
        let middle = (sent.as_nanos() + received.as_nanos()) / 2;
        let ahead = theirs.as_nanos() as i128 - middle as i128;
        self.best = Some((took, ahead));
    }

    /// How wrong it may be: the answer may have been given at any time of the round trip.
    pub fn bound(&self) -> Duration {
        self.best.map_or(Duration::MAX, |(took, _)| {
            (took + Duration::from_nanos(1)) / 2
        })
    }

    /// What ours says when the agent's clock says `theirs`, in nanoseconds; negative before ours began.
    pub fn ours(&self, theirs: u64) -> i128 {
        let ahead = self.best.map_or(0, |(_, ahead)| ahead);
        i128::from(theirs) - ahead
    }

    /// What the agent's clock says when ours says `ours`, in nanoseconds.
    pub fn theirs(&self, ours: Duration) -> u64 {
        let ahead = self.best.map_or(0, |(_, ahead)| ahead);
        let theirs = (ours.as_nanos() as i128 + ahead).max(0);
        u64::try_from(theirs).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the two ways take, the true offset is within the bound that is told.
        #[test]
        fn the_bound_holds(
            ahead in 0..10_000_000_000u64,
            trips in prop::collection::vec((0..1_000_000u64, 0..2_000_000u64, 0..1_000_000u64), 1..20),
        ) {
            let ns = Duration::from_nanos;
            let mut offset = Offset::default();
            for (at, there, back) in trips {
                offset.add(ns(at), ns(at + there + back), ns(at + there + ahead));
            }
            let wrong = offset.theirs(Duration::ZERO).abs_diff(ahead);
            prop_assert!(ns(wrong) <= offset.bound() + ns(1), "{} ns", wrong);
        }
    }
}
