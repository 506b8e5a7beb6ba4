//! The intervals of one source.

use super::Interval;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// At this many intervals of a run, each two neighbours become one.
pub const MAX_INTERVALS: usize = 600;

/// The intervals of one source, in the order of time. None overlaps another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Interval>", into = "Vec<Interval>")]
pub struct Intervals(BTreeMap<u32, Interval>);

/// Why intervals can't belong to one source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntervalsError {
    /// A width that is not a power of two, a number that is not a multiple of it, or an end before its beginning.
    #[error("interval {first} of width {width} is malformed")]
    Malformed {
        /// Its number.
        first: u32,
        /// Its width.
        width: u32,
    },
    /// Two intervals of the same time differ.
    #[error("there are two different intervals {0}")]
    Conflict(u32),
}

impl Intervals {
    /// Adds an interval of the same source. One that is within another one is dropped: the wider one counts it
    /// already.
    ///
    /// # Errors
    /// It is malformed, or there is a different one of the same time.
    pub fn add(&mut self, interval: Interval) -> Result<(), IntervalsError> {
        let (first, width) = (interval.first, interval.width);
        if !interval.is_sound() {
            return Err(IntervalsError::Malformed { first, width });
        }
        // Intervals don't overlap: only the last that begins no later may hold this one.
        if let Some((_, other)) = self.0.range(..=first).next_back()
            && other.base().contains(&first)
        {
            return match other {
                other if *other == interval => Ok(()),
                other if other.width > width => Ok(()),
                other if other.width == width => Err(IntervalsError::Conflict(first)),
                _ => {
                    self.replace(interval);
                    Ok(())
                }
            };
        }
        self.replace(interval);
        Ok(())
    }

    /// Replaces the intervals that are within `interval` by it.
    fn replace(&mut self, interval: Interval) {
        let within: Vec<u32> = self.0.range(interval.base()).map(|(at, _)| *at).collect();
        for at in within {
            self.0.remove(&at);
        }
        self.0.insert(interval.first, interval);
    }

    /// Adds all intervals of `other`, a record of the same source.
    ///
    /// # Errors
    /// As [`add`](Intervals::add).
    pub fn merge(&mut self, other: Intervals) -> Result<(), IntervalsError> {
        other.0.into_values().try_for_each(|i| self.add(i))
    }

    /// Makes all of them `width` wide, so that neighbours become one. The last one must end where a wide one does:
    /// what came later and were within it would be dropped.
    pub(super) fn widen(&mut self, width: u32) {
        let mut wide: BTreeMap<u32, Interval> = BTreeMap::new();
        for (first, mut interval) in std::mem::take(&mut self.0) {
            let first = first - first % width;
            match wide.get_mut(&first) {
                Some(earlier) => earlier.join(interval, width),
                None => {
                    (interval.first, interval.width) = (first, width);
                    wide.insert(first, interval);
                }
            }
        }
        self.0 = wide;
    }

    /// All, in the order of time.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Interval> {
        self.0.values()
    }

    /// The number of intervals.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no intervals.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<Interval>> for Intervals {
    type Error = IntervalsError;
    fn try_from(all: Vec<Interval>) -> Result<Intervals, IntervalsError> {
        let mut intervals = Intervals::default();
        all.into_iter().try_for_each(|i| intervals.add(i))?;
        Ok(intervals)
    }
}

impl From<Intervals> for Vec<Interval> {
    fn from(intervals: Intervals) -> Vec<Interval> {
        intervals.0.into_values().collect()
    }
}
