//! Stops a run from opening connections before the machine, or the container, is out of memory.

use std::time::Duration;
use throng_host::memory::{Available, MemInfo, MemoryBounds};

/// The interval between reads of the available memory while no connections are opened.
const AT_REST: Duration = Duration::from_secs(1);
/// The interval between reads while connections are opened and there is plenty of memory.
const WHILE_GROWING: Duration = Duration::from_millis(100);
/// The interval between reads while connections are opened and memory is nearly used up.
const SOONEST: Duration = Duration::from_millis(2);
/// The most bytes per second that connections can take: 200,000 connections, both ends.
const FASTEST_FILL: u64 = 2 << 30;

/// If memory could be used up within this time, the guard comes before everything else.
const PRESSING: Duration = Duration::from_millis(100);

/// Watches the available memory.
pub(crate) struct MemoryGuard {
    bounds: MemoryBounds,
    /// Bytes to keep free.
    reserve: u64,
    next: Duration,
    /// Open connections at the last look.
    open: u64,
    /// When there were last more than at the look before.
    grew_at: Duration,
    pressing: bool,
    /// The memory that was left when the guard stopped opening.
    pub stopped_at: Option<Available>,
}

impl MemoryGuard {
    /// A guard that keeps `reserve` bytes free.
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

    /// Whether nothing may delay the next look: connections are opened, and memory could soon be used up.
    pub fn is_pressing(&self) -> bool {
        self.pressing
    }

    /// Checks the memory of `machine`, read at `at` with `open` connections. Returns true if opening must stop now. The
    /// next look comes before memory could be used up, even if connections are opened as fast as possible.
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
