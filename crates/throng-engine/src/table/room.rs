//! Connections that wait for room in the accept queue of a Unix socket.
//!
//! Such a queue sends no SYN again: connect() says EAGAIN at once if it is full (unix(7)). A blocking connect() would wait, so
//! these connections wait, too, in the order in which they came, until their time is up. Meanwhile no other is opened.

use std::collections::VecDeque;
use std::time::Duration;
use throng_core::time::Time;

/// The interval at which a full queue is tried: it doubles from the first to the last of these.
const FIRST: Duration = Duration::from_millis(1);
const LAST: Duration = Duration::from_millis(8);

/// The connections that wait, each with the generation of its place.
#[derive(Default)]
pub(super) struct Room {
    waiting: VecDeque<(u32, u16)>,
    /// How many may try before the outcome of others is known.
    tries: u32,
    next: Time,
    wait: Duration,
}

impl Room {
    /// Whether no connection waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// When the next connection tries.
    pub fn next(&self) -> Option<Time> {
        match (self.is_empty(), self.tries) {
            (true, _) => None,
            (false, 0) => Some(self.next),
            (false, _) => Some(Time::START),
        }
    }

    /// A connection found room. If others wait, so do two of them perhaps.
    pub fn found(&mut self) {
        if !self.is_empty() {
            self.tries += 2;
            self.wait = Duration::ZERO;
        }
    }

    /// Connection `index` found the queue full. It waits for another try.
    pub fn wait(&mut self, index: u32, generation: u16, now: Time) {
        self.waiting.push_back((index, generation));
        self.tries = 0;
        self.wait = (self.wait * 2).clamp(FIRST, LAST);
        self.next = now + self.wait;
    }

    /// Takes the next connection that is to try again, and the generation of its place.
    pub fn take(&mut self, now: Time) -> Option<(u32, u16)> {
        if self.next().is_none_or(|at| at > now) {
            return None;
        }
        self.tries = self.tries.saturating_sub(1);
        self.next = now + self.wait;
        self.waiting.pop_front()
    }
}
