//! Where a server's connections go: places in the table that are free.

use std::collections::VecDeque;
use throng_core::time::Time;

/// The places of a table of connections.
#[derive(Default)]
pub(super) struct Places {
    /// How many there are.
    max: u32,
    /// The first one that was never used.
    fresh: u32,
    /// Those that were given up.
    freed: Vec<u32>,
    /// Those in which something still goes on in the kernel, and when they are free.
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

    /// Whether one is free. The clock is looked at only if it matters: while some rest.
    pub fn any(&self, now: impl FnOnce() -> Time) -> bool {
        !self.freed.is_empty() || self.fresh < self.max || self.has_rested(now)
    }

    /// Whether there is one in which nothing goes on any more.
    fn has_rested(&self, now: impl FnOnce() -> Time) -> bool {
        let first = self.resting.front();
        first.is_some_and(|(at, _)| *at <= now())
    }

    /// Takes one; preferably one that was used before, whose memory is there already.
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

    /// Takes one back.
    pub fn give(&mut self, index: u32) {
        self.freed.push(index);
    }

    /// Takes one back that is free from `at` on; calls come in the order of these times.
    pub fn give_at(&mut self, index: u32, at: Time) {
        self.resting.push_back((at, index));
    }

    /// If all are in use: when the next one is free, as far as that is known.
    pub fn next_free(&self) -> Option<Time> {
        let full = self.freed.is_empty() && self.fresh == self.max;
        self.resting.front().filter(|_| full).map(|(at, _)| *at)
    }
}
