//! An interval of a run, as it is recorded.

use super::{Phase, nanos};
use crate::stats::{Durations, Measured, PackedDurations, Tally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// An interval of a run: its counts and measurements, and how many connections were open at its end.
///
/// It stands for `width` base intervals, of [`BASE`](super::BASE) each, the first of which has the number `first`.
/// The width is a power of two and divides `first`, so that two intervals of a run are either apart, or one is within
/// the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Number of the first base interval.
    pub first: u32,
    /// Base intervals that it stands for; a power of two.
    pub width: u32,
    /// When it began, since the start of the source's run.
    #[serde(rename = "from_ns", with = "nanos")]
    pub from: Duration,
    /// When it ended.
    #[serde(rename = "to_ns", with = "nanos")]
    pub to: Duration,
    /// The phase of the run at its end.
    pub phase: Phase,
    /// Connections that the source opened; `None` if it opens none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Reading>,
    /// Connections that the source accepted; `None` if it accepts none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Reading>,
    /// What was measured in it, by the names of [`Measured`]; two significant digits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub histograms: BTreeMap<String, PackedDurations>,
}

/// The counts of one side of a run in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Connections open at the end.
    pub open: u64,
    /// The fewest that were seen open in it.
    pub open_least: u64,
    /// What was counted in the interval.
    pub counts: Tally,
}

impl Reading {
    /// The reading of an interval in which `recent` was counted, and at whose end the counts are `now`.
    pub fn of(recent: &Tally, now: &Tally) -> Reading {
        Reading {
            open: now.open(),
            open_least: now.open(),
            counts: *recent,
        }
    }

    /// Both intervals' reading; `later` follows this one.
    fn and(self, later: Reading) -> Reading {
        Reading {
            open: later.open,
            open_least: self.open_least.min(later.open_least),
            counts: self.counts + later.counts,
        }
    }
}

/// Joins two readings, of which either may be missing.
fn joined(earlier: Option<Reading>, later: Option<Reading>) -> Option<Reading> {
    match (earlier, later) {
        (Some(earlier), Some(later)) => Some(earlier.and(later)),
        (one, other) => one.or(other),
    }
}

impl Interval {
    /// The base intervals that it stands for.
    pub fn base(&self) -> RangeInclusive<u32> {
        // No sum overflows: `first` is a multiple of `width`.
        self.first..=self.first + (self.width - 1)
    }

    /// Whether `first` and `width` are valid, and it does not end before it begins.
    pub(super) fn is_sound(&self) -> bool {
        self.width.is_power_of_two()
            && self.first.is_multiple_of(self.width)
            && self.from <= self.to
    }

    /// Its length.
    pub fn length(&self) -> Duration {
        self.to.saturating_sub(self.from)
    }

    /// The histogram of this name in it.
    pub fn measured(&self, name: &str) -> Durations {
        self.histograms
            .get(name)
            .map(PackedDurations::unpack)
            .unwrap_or_default()
    }

    /// Adds the interval that follows this one; both become one of `width` base intervals.
    pub(super) fn join(&mut self, later: Interval, width: u32) {
        self.first -= self.first % width;
        self.width = width;
        self.to = later.to;
        self.phase = later.phase;
        self.opened = joined(self.opened, later.opened);
        self.accepted = joined(self.accepted, later.accepted);
        for (name, theirs) in later.histograms {
            let both = match self.histograms.remove(&name) {
                Some(ours) => ours.and(&theirs),
                None => theirs,
            };
            self.histograms.insert(name, both);
        }
    }
}

/// The histograms of `measured` that are not empty, packed by `pack`.
pub(super) fn packed(
    measured: &Measured,
    pack: impl Fn(&Durations) -> Option<PackedDurations>,
) -> BTreeMap<String, PackedDurations> {
    measured
        .named()
        .filter_map(|(name, durations)| Some((name.to_owned(), pack(durations)?)))
        .collect()
}
