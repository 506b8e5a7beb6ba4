//! How many connections stand: what a server accepts and closes at once does not count.

use std::collections::VecDeque;
use std::time::Duration;

/// Connections that are held for this long stand.
const STANDS: Duration = Duration::from_secs(1);

/// The number that was never undercut in the last second.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The numbers of the last second, and the last one before it.
    looks: VecDeque<(Duration, u64)>,
}

impl Standing {
    /// Takes note of the number held at `at`. Returns how many have stood for a second; 0 in the first one.
    pub fn look(&mut self, at: Duration, held: u64) -> u64 {
        self.looks.push_back((at, held));
        let old =
            |look: Option<&(Duration, u64)>| look.is_some_and(|(then, _)| *then + STANDS <= at);
        while old(self.looks.get(1)) {
            self.looks.pop_front();
        }
        match old(self.looks.front()) {
            true => self.looks.iter().map(|(_, held)| *held).min().unwrap_or(0),
            false => 0,
        }
    }

    /// Forgets what was seen: the number is about to be lowered.
    pub fn forget(&mut self) {
        self.looks.clear();
    }
}
