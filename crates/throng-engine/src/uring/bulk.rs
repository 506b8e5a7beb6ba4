//! Whether to let data gather before it is read.
//!
//! A sink is faster than any sender. With one or two connections that are sent to as fast as it goes it would sleep
//! after each piece, and the sender would have to wake it for the next one: here that is a third of what both spend. So
//! where what came since the last sleep was long and of few connections, the next sleep takes a while in any case, as
//! network cards do (interrupt coalescing). With more connections there is always something to read. And a worker
//! that sends, too, is not to be kept from it.

use std::time::Duration;

/// How long data may gather. Longer, and a connection of 4 GB/s fills its receive buffer meanwhile.
pub(super) const GATHER_WITHIN: Duration = Duration::from_micros(200);
/// So many receives in one sleep are few …
const FEW: u32 = 2;
/// … and with more it is over at once.
pub(super) const GATHERED: u32 = FEW + 1;
/// A receive of so many bytes, in the mean, is long: a sender that has more to send.
const LONG: u64 = 64 * 1024;

/// What has come since the last sleep on connections whose bytes nobody waits for.
#[derive(Default)]
pub(super) struct Bulk {
    receives: u32,
    bytes: u64,
    /// This worker sends.
    sends: bool,
}

impl Bulk {
    /// A receive brought `n` bytes.
    pub fn came(&mut self, n: usize) {
        self.receives += 1;
        self.bytes += n as u64;
    }

    /// Something was sent.
    pub fn sent(&mut self) {
        self.sends = true;
    }

    /// Whether what comes next may gather. Counts anew from here.
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
            receives.iter().for_each(|n| bulk.came(*n));
            assert_eq!(bulk.gathers(), gathers, "{receives:?}");
        }
    }

    #[test]
    fn who_sends_does_not_wait_for_what_comes() {
        let mut bulk = Bulk::default();
        bulk.sent();
        for _ in 0..2 {
            bulk.came(1_000_000);
            assert!(!bulk.gathers());
        }
    }
}
