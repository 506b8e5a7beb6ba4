//! How many bytes may pass on a connection with a bandwidth limit.

use super::Due;
use crate::time::Time;
use crate::units::Bandwidth;
use std::time::Duration;

/// How much of a pause may be caught up at once afterwards. It is little, because a bandwidth is a limit.
const CATCH_UP: Duration = Duration::from_millis(100);
/// The duration of a piece at high bandwidths, in seconds.
const OFTEN: f64 = 1e-3;
/// The longest duration of a piece, in seconds. At low bandwidths a piece is a message or a packet.
const SELDOM: f64 = 0.1;
/// Payload bytes of one packet on Ethernet.
const PACKET: f64 = 1448.0;

/// When bytes may pass on each of many connections with the same bandwidth. Each connection has its own phase, so that
/// all of them together are a steady stream.
#[derive(Clone, Copy, Debug)]
pub struct BytePace {
    ns_a_byte: f64,
    piece: u32,
    spread: u32,
}

impl BytePace {
    /// `bandwidth`, which must not be zero, on each of `connections` connections. `message` is the mean size of a
    /// message or the usual number of bytes that pass at once.
    pub fn new(bandwidth: Bandwidth, message: f64, connections: u32) -> BytePace {
        let a_second = bandwidth.get().max(1e-6);
        let seldom = message.min(PACKET).min((a_second * SELDOM).max(1.0));
        let piece = (a_second * OFTEN).max(seldom);
        BytePace {
            ns_a_byte: 1e9 / a_second,
            piece: piece.clamp(1.0, f64::from(1 << 20)) as u32,
            spread: connections.max(1),
        }
    }

    /// The bytes that pass at once if nothing is late.
    pub fn piece(&self) -> u32 {
        self.piece
    }

    /// When the first piece of connection `id` may pass, from `now` on: within the duration of a piece.
    pub fn first(&self, id: u32, now: Time) -> Due {
        let interval = self.ns_a_byte * f64::from(self.piece);
        let phase = interval * f64::from(id % self.spread) / f64::from(self.spread);
        Due(now.0 as f64 + phase)
    }

    /// How many bytes may pass at `now` on a connection whose next piece is due at `next`.
    pub fn allowed(&self, next: Due, now: Time) -> u32 {
        let behind = now.0 as f64 - next.0;
        if behind < 0.0 {
            return 0;
        }
        let behind = behind.min(CATCH_UP.as_nanos() as f64);
        self.piece.saturating_add((behind / self.ns_a_byte) as u32)
    }

    /// When the next piece is due after `bytes` have passed at `now`.
    pub fn after(&self, next: Due, bytes: u32, now: Time) -> Due {
        let from = next.0.max(now.0 as f64 - CATCH_UP.as_nanos() as f64);
        Due(from + f64::from(bytes) * self.ns_a_byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pace(bytes_a_second: f64, message: f64) -> BytePace {
        let bandwidth = Bandwidth::bytes_per_second(bytes_a_second).unwrap();
        BytePace::new(bandwidth, message, 1)
    }

    #[test]
    fn pieces_are_messages_at_low_rates_and_milliseconds_at_high_ones() {
        for (bandwidth, message, piece) in [
            (10_000.0, 100.0, 100),
            (10_000.0, 1e6, 1000),
            (100.0, 1e6, 10),
            (1e6, 100.0, 1000),
            (1e6, 5000.0, 1448),
            (1e9, 100.0, 1_000_000),
            (1.0, 1e6, 1),
        ] {
            let is = pace(bandwidth, message).piece();
            assert_eq!(is, piece, "{message} B at {bandwidth} B/s");
        }
    }

    proptest! {
        #[test]
        fn a_bandwidth_is_kept_and_never_exceeded_by_more_than_the_catch_up(
            bandwidth in 100.0f64..1e9,
            pauses in prop::collection::vec(0u64..50_000_000, 1..200),
        ) {
            let pace = pace(bandwidth, 500.0);
            let (mut now, mut passed) = (Time(0), 0f64);
            let mut due = pace.first(0, now);
            for pause in pauses {
                now = Time(now.0 + pause);
                let allowed = pace.allowed(due, now);
                if allowed > 0 {
                    due = pace.after(due, allowed, now);
                    passed += f64::from(allowed);
                }
                let most = bandwidth * now.0 as f64 / 1e9 + f64::from(pace.piece()) + 1.0;
                prop_assert!(passed <= most, "{passed} of {most} bytes");
                // No pause was longer than what is caught up, so nothing is lost either.
                let least = bandwidth * now.0 as f64 / 1e9 - f64::from(pace.piece()) - 1.0;
                prop_assert!(passed >= least, "{passed} of {least} bytes");
            }
        }
    }
}
