//! When a message is due on each of many connections that all send at the same rate.

use crate::time::Time;
use crate::units::Rate;

/// When the messages of many connections are due: each connection at the same rate, each at its own
/// phase, so that all together are a steady stream.
#[derive(Clone, Copy, Debug)]
pub struct MessagePace {
    interval_ns: f64,
    /// Over how many connections the phases are spread.
    spread: u32,
}

impl MessagePace {
    /// `rate` messages a second on each of `connections` connections.
    pub fn new(rate: Rate, connections: u32) -> MessagePace {
        MessagePace {
            interval_ns: rate.interval_ns(),
            spread: connections.max(1),
        }
    }

    /// When the first message of connection `id` (0 to connections - 1) is due, if it may send from `now`
    /// on: the next instant of its phase. Consecutive connections have consecutive phases, so that
    /// what is sent together lies together in memory.
    pub fn first(&self, id: u32, now: Time) -> Due {
        let phase = self.interval_ns * f64::from(id % self.spread) / f64::from(self.spread);
        let turns = ((now.0 as f64 - phase) / self.interval_ns).ceil().max(0.0);
        Due(phase + turns * self.interval_ns)
    }

    /// How many messages are due by `now` on a connection whose next one is due at `next`.
    pub fn due(&self, next: Due, now: Time) -> u32 {
        let behind = now.0 as f64 - next.0;
        if behind < 0.0 {
            0
        } else {
            (behind / self.interval_ns) as u32 + 1
        }
    }

    /// When the message after `n` more is due.
    pub fn after(&self, next: Due, n: u32) -> Due {
        Due(next.0 + f64::from(n) * self.interval_ns)
    }
}

/// When a message is due: nanoseconds since the start, with fractions, so that rates do not drift
/// (2^53 ns, exact to a nanosecond, are 104 days).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Due(pub(super) f64);

impl Due {
    /// Due at `t`.
    pub fn at(t: Time) -> Due {
        Due(t.0 as f64)
    }

    /// In nanoseconds since the start.
    pub fn ns(self) -> f64 {
        self.0
    }

    /// The first instant that is not before it is due.
    pub fn time(self) -> Time {
        Time(self.0.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_million_connections_at_a_tenth_a_second_are_a_steady_stream() {
        let pace = MessagePace::new(Rate::per_second(0.1).unwrap(), 1_000_000);
        let mut per_ms = vec![0u32; 10_000];
        for id in 0..1_000_000 {
            let due = pace.first(id, Time(30 * S));
            let at = due.time().0 - 30 * S;
            assert!(at < 10 * S);
            per_ms[(at / 1_000_000) as usize] += 1;
        }
        assert!(
            per_ms.iter().all(|n| (99..=101).contains(n)),
            "{:?}",
            per_ms.iter().minmax()
        );
    }

    trait MinMax {
        fn minmax(self) -> (u32, u32);
    }
    impl<'a, I: Iterator<Item = &'a u32>> MinMax for I {
        fn minmax(self) -> (u32, u32) {
            self.fold((u32::MAX, 0), |(a, b), n| (a.min(*n), b.max(*n)))
        }
    }

    #[test]
    fn due_messages_are_counted_from_when_they_were_due() {
        let pace = MessagePace::new(Rate::per_second(1000.0).unwrap(), 1);
        let first = pace.first(0, Time(S));
        assert_eq!(first.time(), Time(S));
        assert_eq!(pace.due(first, Time(S - 1)), 0);
        assert_eq!(pace.due(first, Time(S)), 1);
        assert_eq!(pace.due(first, Time(S + 5_500_000)), 6);
        let next = pace.after(first, 6);
        assert_eq!(next.time(), Time(S + 6_000_000));
    }
}
