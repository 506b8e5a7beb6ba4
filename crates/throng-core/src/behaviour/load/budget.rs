//! How many messages a worker may still send, where the run has a number of them in all.

use super::task::Task;
use crate::shard::share;

/// What is left of this worker's share of the messages of the run. Connections have no shares of their own: one that dies
/// takes nothing along.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Messages that may still be begun. Without a number in all, more than any run sends.
    to_begin: u64,
    /// Messages of the share that are not dispatched to their end.
    to_end: u64,
}

impl Budget {
    pub fn new(task: &Task) -> Budget {
        let all = task
            .requests
            .map_or(u64::MAX, |all| share(all, task.worker, task.workers).into());
        Budget {
            to_begin: all,
            to_end: all,
        }
    }

    /// Messages that may still be begun.
    pub fn left(&self) -> u64 {
        self.to_begin
    }

    /// Whether no message may be begun.
    pub fn is_spent(&self) -> bool {
        self.to_begin == 0
    }

    /// How many messages may be dispatched together on a connection. One that `goes_on` with a message may end it.
    #[inline]
    pub fn most(&self, goes_on: bool) -> u32 {
        let most = self.to_begin.saturating_add(goes_on.into());
        most.min(u32::MAX.into()) as u32
    }

    /// This many messages were begun, and this many dispatched to their end. Returns whether the share is now used up.
    #[inline]
    pub fn dispatched(&mut self, begun: u32, ended: u32) -> bool {
        self.to_begin -= u64::from(begun);
        self.to_end -= u64::from(ended);
        self.to_end == 0 && ended > 0
    }

    /// This many messages that were begun were not carried, and of these this many had been dispatched to their end.
    pub fn take_back(&mut self, begun: u32, ended: u32) {
        self.to_begin += u64::from(begun);
        self.to_end += u64::from(ended);
    }

    /// A connection ended in the middle of a message. Returns whether the share is now used up.
    pub fn cut(&mut self) -> bool {
        self.dispatched(0, 1)
    }
}
