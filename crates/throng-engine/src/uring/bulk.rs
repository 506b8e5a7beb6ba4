//! Whether to let data gather before it is read.
//!
//! A sink is faster than any sender. With one or two connections that send as fast as possible, it would sleep after
//! each receive, and the sender would have to wake it for the next one: a third of the CPU time of both. So if the
//! receives since the last sleep were long and few, the next sleep has a minimum time, as network cards do (interrupt
//! coalescing). With more connections there is always something to read. A worker that also sends does not wait.

use std::time::Duration;

/// How long data may gather. In a longer time, a connection of 4 GB/s would fill its receive buffer.
pub(super) const GATHER_WITHIN: Duration = Duration::from_micros(200);
/// The maximum number of receives in one sleep that counts as few.
const FEW: u32 = 2;
/// With this number of receives the sleep is over at once.
pub(super) const GATHERED: u32 = FEW + 1;
/// A receive of this many bytes on average is long: the sender has more to send.
const LONG: u64 = 64 * 1024;

/// What was received since the last sleep on connections whose bytes are only counted.
#[derive(Default)]
pub(super) struct Bulk {
    receives: u32,
    bytes: u64,
    /// Whether this worker sends.
    sends: bool,
}

impl Bulk {
    /// A receive brought `n` bytes.
    pub fn received(&mut self, n: usize) {
        self.receives += 1;
        self.bytes += n as u64;
    }

    /// Something was sent.
    pub fn sent(&mut self) {
        self.sends = true;
    }

    /// Whether the next data may gather. Starts to count anew.
    pub fn gathers(&mut self) -> bool {
        let receives = std::mem::take(&mut self.receives);
        let bytes = std::mem::take(&mut self.bytes);
        !self.sends && (1..=FEW).contains(&receives) && bytes >= u64::from(receives) * LONG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_receives_on_few_connections_gather() {
        let cases: [(&[usize], bool); 7] = [
            (&[], false),
            (&[16], false),
            (&[65_535], false),
            (&[65_536], true),
            (&[1, 200_000], true),
            (&[1, 100_000], false),
            (&[200_000; 3], false),
        ];
        let mut bulk = Bulk::default();
        for (receives, gathers) in cases {
            receives.iter().for_each(|n| bulk.received(*n));
            assert_eq!(bulk.gathers(), gathers, "{receives:?}");
        }
    }

    #[test]
    fn a_worker_that_sends_does_not_wait() {
        let mut bulk = Bulk::default();
        bulk.sent();
        for _ in 0..2 {
            bulk.received(1_000_000);
            assert!(!bulk.gathers());
        }
    }
}
