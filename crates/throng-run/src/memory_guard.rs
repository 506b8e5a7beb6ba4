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

/// With less left than lasts this long at the fastest, the guard comes before everything else.
const PRESSING: Duration = Duration::from_millis(100);

/// Looks after the memory that is left.
pub(crate) struct MemoryGuard {
    bounds: MemoryBounds,
    /// Bytes that stay free.
    reserve: u64,
    next: Duration,
    /// Connections that were open at the last look.
    open: u64,
    /// When there last were more than at the look before.
    grew_at: Duration,
    pressing: bool,
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
            grew_at: Duration::ZERO,
            pressing: false,
            stopped_at: None,
        }
    }

    /// When to [look](MemoryGuard::look) next.
    pub fn due(&self) -> Duration {
        self.next
    }

    /// Whether nothing may keep the run from the next look: connections come, and memory could soon be out.
    pub fn is_pressing(&self) -> bool {
        self.pressing
    }

    /// Looks at what the machine has left, read at `at` with `open` connections. Returns true if opening has to stop
    /// now. The next look comes before memory could be out, if connections came as fast as they can from now on.
    pub fn look(&mut self, at: Duration, machine: Option<&MemInfo>, open: u64) -> bool {
        if open > self.open {
            self.grew_at = at;
        }
        // Connections come in batches: a look between two of them sees none.
        let grows = at.saturating_sub(self.grew_at) < WHILE_GROWING;
        self.open = open;
        self.pressing = false;
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
        let lasts = Duration::from_secs_f64(lasts);
        self.pressing = grows && lasts < PRESSING;
        self.next = at + lasts.clamp(soonest, latest);
        false
    }
}
