//! Ends a run from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread, ThreadId};
use std::time::Instant;

/// Asks runs to end. Clones concern the same runs. A run that begins after the request ends at once.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    requested: AtomicBool,
    /// Threads that conduct a run, to be woken from their sleep.
    conducting: Mutex<Vec<Thread>>,
}

impl Stop {
    /// A stop that was not requested yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Asks the runs to end: they stop opening, drain, close and return their records.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::Relaxed);
        self.conducting().iter().for_each(Thread::unpark);
    }

    /// Whether it was requested.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Relaxed)
    }

    /// Sleeps until `instant`, or until the request.
    pub fn sleep_until(&self, instant: Instant) {
        let _wakes = self.wakes();
        while !self.is_requested() {
            let left = instant.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }

    /// A request wakes the calling thread, as long as the result lives.
    pub(crate) fn wakes(&self) -> Wakes<'_> {
        self.conducting().push(thread::current());
        Wakes {
            stop: self,
            thread: thread::current().id(),
        }
    }

    fn conducting(&self) -> MutexGuard<'_, Vec<Thread>> {
        self.0
            .conducting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Stop::wakes`].
pub(crate) struct Wakes<'a> {
    stop: &'a Stop,
    thread: ThreadId,
}

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        let mut conducting = self.stop.conducting();
        if let Some(at) = conducting.iter().position(|t| t.id() == self.thread) {
            conducting.swap_remove(at);
        }
    }
}
