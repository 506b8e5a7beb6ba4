//! Stops a run from opening connections before the machine, or the container, is out of memory.

use std::time::Duration;
use throng_host::memory::{Available, MemInfo, MemoryBounds};

/// How often the memory that is left is read, while there is plenty: where no connections come …
const AT_REST: Duration = Duration::from_secs(1);
/// … where they come …
const WHILE_GROWING: Duration = Duration::from_millis(100);
/// … and at its end, when connections come at …
const SOONEST: Duration = Duration::from_millis(2);
/// … this many bytes per second at most: 200,000 connections, both ends.
const FASTEST_FILL: u64 = 2 << 30;

/// Looks after the memory that is left.
pub(crate) struct MemoryGuard {
    bounds: MemoryBounds,
    /// Bytes that stay free.
    reserve: u64,
    next: Duration,
    /// Connections that were open at the last look.
    open: u64,
    /// What was left when the guard stopped the opening.
    pub stopped_at: Option<Available>,
}

impl MemoryGuard {
    /// One that keeps `reserve` bytes free.
    pub fn new(bounds: MemoryBounds, reserve: u64) -> MemoryGuard {
        MemoryGuard {
            bounds,
            reserve,
            next: Duration::ZERO,
            open: 0,
            stopped_at: None,
        }
    }

    /// When to [look](MemoryGuard::look) next.
    pub fn due(&self) -> Duration {
        self.next
    }

    /// Looks at what the machine has left, read at `at` with `open` connections. Returns true if opening has to stop
    /// now. The next look comes before memory could be out, if connections came as fast as they can from now on.
    pub fn look(&mut self, at: Duration, machine: Option<&MemInfo>, open: u64) -> bool {
        let grows = open > self.open;
        self.open = open;
        let Some(machine) = machine.filter(|_| self.stopped_at.is_none()) else {
            self.next = at + WHILE_GROWING;
            return false;
        };
        let available = self.bounds.available_of(machine);
        if available.bytes < self.reserve {
            self.stopped_at = Some(available);
            self.next = at + WHILE_GROWING;
            return true;
        }
        let (soonest, latest) = match grows {
            true => (SOONEST, WHILE_GROWING),
            false => (WHILE_GROWING, AT_REST),
        };
        let lasts = (available.bytes - self.reserve) as f64 / FASTEST_FILL as f64;
        self.next = at + Duration::from_secs_f64(lasts).clamp(soonest, latest);
        false
    }
}
