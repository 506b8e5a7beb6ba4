//! Touches memory before the clock starts.
//!
//! A virtual machine gives free pages back to its host within seconds, and the first touch of a page that
//! the host has to supply again takes many times longer than others: enough to make a run of a million
//! connections a tenth slower than the one after it. So before each run that needs much memory, the same
//! amount is touched and freed, for every contestant.

use std::hint::black_box;

/// Memory per connection, both ends, kernel and user, with a margin.
const BYTES_A_CONNECTION: u64 = 11 * 1024;
/// Less than this need not be touched: the pages of the previous run are still there.
const WORTH_IT: u64 = 256 << 20;
const PAGE: usize = 4096;

/// Touches and frees what a run with `connections` connections needs, or half of what is available if
/// that is less.
pub fn warm(connections: u32) {
    let needed = u64::from(connections) * BYTES_A_CONNECTION;
    let available = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text))
        .unwrap_or(0);
    let bytes = needed.min(available / 2);
    if bytes < WORTH_IT {
        return;
    }
    let mut memory = vec![0u8; bytes as usize];
    for page in memory.chunks_mut(PAGE) {
        page[0] = black_box(1);
    }
    black_box(memory);
}

/// `MemAvailable` of /proc/meminfo, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_from_meminfo() {
        let text = "MemTotal:       24 kB\nMemAvailable:   20 kB\n";
        assert_eq!(available(text), Some(20 * 1024));
        assert_eq!(available("nonsense"), None);
    }
}
