//! The places of a server's connections in the table: which are free.

use std::collections::VecDeque;
use std::time::Duration;
use throng_core::time::Time;

/// How long a place is not used again whose requests are still running in the kernel.
pub(super) const BUSY: Duration = Duration::from_millis(200);

/// The places of a table of connections.
#[derive(Default)]
pub(super) struct Places {
    /// Their number.
    max: u32,
    /// The first place that was never used.
    fresh: u32,
    /// Places that were used and are free again.
    freed: Vec<u32>,
    /// Places with requests still running in the kernel, and when they are free.
    resting: VecDeque<(Time, u32)>,
}

impl Places {
    /// `max` places, all free.
    pub fn new(max: u32) -> Places {
        Places {
            max,
            ..Places::default()
        }
    }

    /// Whether a place is free. The clock is read only while some places rest.
    pub fn any(&self, now: impl FnOnce() -> Time) -> bool {
        !self.freed.is_empty() || self.fresh < self.max || self.has_rested(now)
    }

    /// Whether the first resting place is free by now.
    fn has_rested(&self, now: impl FnOnce() -> Time) -> bool {
        let first = self.resting.front();
        first.is_some_and(|(at, _)| *at <= now())
    }

    /// Takes a place, preferably one that was used before and has its memory already.
    pub fn take(&mut self, now: impl FnOnce() -> Time) -> Option<u32> {
        if self.has_rested(now) {
            self.freed
                .extend(self.resting.pop_front().map(|(_, index)| index));
        }
        self.freed.pop().or_else(|| {
            (self.fresh < self.max).then(|| {
                self.fresh += 1;
                self.fresh - 1
            })
        })
    }

    /// Returns a place.
    pub fn give(&mut self, index: u32) {
        self.freed.push(index);
    }

    /// Returns a place that is free from `at` on. Calls come in the order of these times.
    pub fn give_at(&mut self, index: u32, at: Time) {
        self.resting.push_back((at, index));
    }

    /// When all are in use: the time at which the next resting place is free.
    pub fn next_free(&self) -> Option<Time> {
        let full = self.freed.is_empty() && self.fresh == self.max;
        self.resting.front().filter(|_| full).map(|(at, _)| *at)
    }
}
