//! Waits until the remains of one run are gone before the next one begins.
//!
//! A process's connections may outlive it: the kernel takes io_uring's rings down after the
//! process has ended. For a million connections that takes many seconds, at the next contestant's expense.

use crate::process::stopped;
use std::thread;
use std::time::{Duration, Instant};

/// This many more sockets than before do not matter (other programs open and close sockets).
const SLACK: u64 = 500;
/// The longest wait: another program may be opening connections.
const PATIENCE: Duration = Duration::from_secs(60);

/// TCP sockets allocated in this network namespace, whatever their state (TIME_WAIT aside).
pub fn sockets() -> u64 {
    let text = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    allocated(&text).unwrap_or(0)
}

fn allocated(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|l| l.strip_prefix("TCP:"))?;
    let mut words = line.split_whitespace();
    words.find(|w| *w == "alloc")?;
    words.next()?.parse().ok()
}

/// Waits until there are about `before` sockets again, within a minute.
pub fn settle(before: u64) {
    let from = Instant::now();
    while sockets() > before + SLACK && from.elapsed() < PATIENCE && !stopped() {
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocated_sockets_are_read_from_sockstat() {
        let text = "sockets: used 100\nTCP: inuse 5 orphan 0 tw 9 alloc 12 mem 1\nUDP: inuse 1\n";
        assert_eq!(allocated(text), Some(12));
        assert_eq!(allocated("sockets: used 100\n"), None);
    }
}
