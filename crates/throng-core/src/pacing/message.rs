//! When messages are due on each of many connections that send at the same rate: one at a time, or in groups at high
//! rates.

use crate::time::Time;
use crate::units::Rate;

/// The fewest groups per second on a connection: a group spans at most a millisecond, which is short compared with a
/// network and long compared with the cost of a write.
const GROUPS_A_SECOND: f64 = 1000.0;

/// Up to this many late groups go out one by one, as they would have in time. If more are late, all that are due share
/// writes, to catch up.
const LATE_GROUPS: u32 = 16;

/// When the messages of many connections are due. All connections have the same rate, and each its own phase, so that
/// all of them together are a steady stream.
///
/// Below [`MessagePace::GROUPS_FROM`], each message is due at an instant of its own. At higher rates messages are due
/// in groups of a millisecond's messages: `k` messages at one instant, every `k / rate` seconds. They share a write,
/// and no message has to be late for that.
#[derive(Clone, Copy, Debug)]
pub struct MessagePace {
    /// The time from one group to the next.
    interval_ns: f64,
    /// Messages in a group.
    group: u16,
    /// The number of connections that the phases are spread over.
    spread: u32,
}

impl MessagePace {
    /// The rate on a connection from which on messages go in groups, in messages per second: a millisecond has more
    /// than one.
    pub const GROUPS_FROM: f64 = 2000.0;

    /// `rate` messages per second on each of `connections` connections, in groups of at most `most`.
    pub fn new(rate: Rate, connections: u32, most: u32) -> MessagePace {
        let group = match rate.get() >= MessagePace::GROUPS_FROM {
            true => (rate.get() / GROUPS_A_SECOND).min(most.into()).max(1.0) as u16,
            false => 1,
        };
        MessagePace {
            interval_ns: rate.interval_ns() * f64::from(group),
            group,
            spread: connections.max(1),
        }
    }

    /// How many messages are due at one instant.
    pub fn group(&self) -> u16 {
        self.group
    }

    /// When the first group of connection `id` (0 to connections - 1) is due, from `now` on: the next instant of its
    /// phase. Consecutive connections have consecutive phases, so that connections that send together are neighbours in
    /// memory.
    pub fn first(&self, id: u32, now: Time) -> Due {
        let phase = self.interval_ns * f64::from(id % self.spread) / f64::from(self.spread);
        let turns = ((now.0 as f64 - phase) / self.interval_ns).ceil().max(0.0);
        Due(phase + turns * self.interval_ns)
    }

    /// The number of messages due by `now` on a connection whose next group is due at `next`, of which `gone` messages
    /// have been sent.
    pub fn due(&self, next: Due, gone: u16, now: Time) -> u32 {
        let behind = now.0 as f64 - next.0;
        if behind < 0.0 {
            return 0;
        }
        let groups = (behind / self.interval_ns) as u32;
        groups
            .saturating_add(1)
            .saturating_mul(self.group.into())
            .saturating_sub(gone.into())
    }

    /// How many of the messages due by `now` are sent together: those of one group, unless many groups are late.
    pub fn together(&self, next: Due, gone: u16, now: Time) -> u32 {
        let due = self.due(next, gone, now);
        let group = u32::from(self.group);
        match group > 1 && due <= LATE_GROUPS * group {
            true => due.min(group - u32::from(gone)),
            false => due,
        }
    }

    /// When the group of the message after `n` more is due, and how many messages of that group have been sent by then.
    pub fn after(&self, next: Due, gone: u16, n: u32) -> (Due, u16) {
        let gone = u64::from(gone) + u64::from(n);
        let group = u64::from(self.group);
        let due = Due(next.0 + (gone / group) as f64 * self.interval_ns);
        (due, (gone % group) as u16)
    }

    /// When each of the messages from the next one on is due.
    pub fn instants(&self, next: Due, gone: u16) -> Instants {
        Instants {
            next: next.0,
            apart: self.interval_ns,
            group: self.group,
            gone,
        }
    }
}

/// When consecutive messages are due.
#[derive(Clone, Copy, Debug)]
pub struct Instants {
    pub(super) next: f64,
    pub(super) apart: f64,
    group: u16,
    gone: u16,
}

impl Instants {
    /// Instants that are all `due`.
    pub fn at(due: Due) -> Instants {
        Instants {
            next: due.0,
            apart: 0.0,
            group: 1,
            gone: 0,
        }
    }

    /// When the message after `n` others is due.
    pub fn nth(&self, n: u32) -> Time {
        let groups = (u64::from(self.gone) + u64::from(n)) / u64::from(self.group);
        Due(self.next + groups as f64 * self.apart).time()
    }

    /// The instants of the first `n` messages, and how many are due at each.
    pub fn of(self, n: u32) -> impl Iterator<Item = (Time, u32)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let of_group = (u64::from(self.gone) + u64::from(at)) % u64::from(self.group);
            let due = self.nth(at);
            let together = (u32::from(self.group) - of_group as u32).min(n - at);
            at += together;
            (together > 0).then_some((due, together))
        })
    }
}

/// When a message is due: nanoseconds since the start, with fractions, so that rates do not drift. It is exact to a
/// nanosecond for 104 days (2^53 ns).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Due(pub(super) f64);

impl Due {
    /// Due at `t`.
    #[inline]
    pub fn at(t: Time) -> Due {
        // Times are below 2^63, and a signed integer converts in one instruction.
        Due(t.0 as i64 as f64)
    }

    /// In nanoseconds since the start.
    pub fn ns(self) -> f64 {
        self.0
    }

    /// The first whole nanosecond at which it is due.
    #[inline]
    pub fn time(self) -> Time {
        let whole = self.0 as i64;
        let rest = i64::from((whole as f64) < self.0);
        Time(whole.saturating_add(rest).max(0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn pace(rate: f64, connections: u32) -> MessagePace {
        MessagePace::new(Rate::per_second(rate).unwrap(), connections, u32::MAX)
    }

    #[test]
    fn a_million_connections_at_a_tenth_a_second_are_a_steady_stream() {
        let pace = pace(0.1, 1_000_000);
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
        let pace = pace(1000.0, 1);
        let first = pace.first(0, Time(S));
        assert_eq!(first.time(), Time(S));
        assert_eq!(pace.due(first, 0, Time(S - 1)), 0);
        assert_eq!(pace.due(first, 0, Time(S)), 1);
        assert_eq!(pace.due(first, 0, Time(S + 5_500_000)), 6);
        let (next, gone) = pace.after(first, 0, 6);
        assert_eq!((next.time(), gone), (Time(S + 6_000_000), 0));
    }

    #[test]
    fn a_group_is_what_a_millisecond_has_from_two_messages_on() {
        for (rate, group, interval_ns) in [
            (0.1, 1, 1e10),
            (1000.0, 1, 1e6),
            (1999.9, 1, 1e9 / 1999.9),
            (2000.0, 2, 1e6),
            (2500.0, 2, 8e5),
            (3000.0, 3, 1e6),
            (15_000.0, 15, 1e6),
            (20_000.0, 20, 1e6),
            (100_000.0, 100, 1e6),
            (162_222.0, 162, 162e9 / 162_222.0),
            (1e9, 65_535, 65_535.0),
        ] {
            let pace = pace(rate, 1);
            assert_eq!(pace.group(), group, "{rate}/s");
            let apart = pace.after(Due(0.0), 0, group.into()).0.0;
            assert!((apart - interval_ns).abs() < 1e-3, "{rate}/s: {apart}");
        }
    }

    #[test]
    fn messages_that_do_not_share_a_write_form_no_group() {
        for (most, group) in [(0, 1), (1, 1), (7, 7), (20, 20), (21, 20)] {
            let pace = MessagePace::new(Rate::per_second(20_000.0).unwrap(), 1, most);
            assert_eq!(pace.group(), group, "at most {most}");
        }
    }

    #[test]
    fn a_group_is_due_at_one_instant_also_where_it_is_sent_in_parts() {
        let pace = pace(20_000.0, 1);
        let first = pace.first(0, Time(S));
        assert_eq!(pace.due(first, 0, Time(S)), 20);
        assert_eq!(pace.due(first, 0, Time(S + 999_999)), 20);
        let (due, gone) = pace.after(first, 0, 13);
        assert_eq!((due, gone), (first, 13));
        assert_eq!(pace.due(due, gone, Time(S)), 7);
        assert_eq!(pace.due(due, gone, Time(S + 1_000_000)), 27);
        let instants = pace.instants(due, gone);
        let of: Vec<(u64, u32)> = instants.of(30).map(|(t, n)| (t.0 - S, n)).collect();
        assert_eq!(of, [(0, 7), (1_000_000, 20), (2_000_000, 3)]);
        let (due, gone) = pace.after(due, gone, 7);
        assert_eq!((due.time(), gone), (Time(S + 1_000_000), 0));
        assert_eq!(pace.due(due, gone, Time(S + 500_000)), 0);
    }

    #[test]
    fn late_groups_go_out_one_by_one_unless_there_are_many() {
        let pace = pace(3000.0, 1);
        let first = pace.first(0, Time(S));
        for (ms, gone, together) in [
            (0, 0, 3),
            (0, 1, 2),
            (1, 0, 3),
            (5, 2, 1),
            (15, 0, 3),
            (16, 0, 51),
            (16, 1, 50),
        ] {
            let now = Time(S + ms * 1_000_000 + 10);
            assert_eq!(pace.together(first, gone, now), together, "{ms} ms late");
        }
        assert_eq!(pace.together(first, 0, Time(S - 10)), 0);
        // Where there are no groups, nothing is held back.
        let one = MessagePace::new(Rate::per_second(3000.0).unwrap(), 1, 1);
        let first = one.first(0, Time(S));
        assert_eq!(one.together(first, 0, Time(S + 2_000_000)), 7);
    }

    #[test]
    fn groups_of_many_connections_are_spread_evenly() {
        let pace = pace(2500.0, 1000);
        let mut per_10_us = [0u32; 80];
        for id in 0..1000 {
            let at = pace.first(id, Time(S)).time().0 - S;
            // 0.8 ms from one group to the next.
            per_10_us[(at / 10_000).min(79) as usize] += 1;
        }
        assert!(
            per_10_us.iter().all(|n| (11..=14).contains(n)),
            "{per_10_us:?}"
        );
    }

    proptest! {
        #[test]
        fn as_many_are_due_as_the_rate_says_however_they_are_sent(
            rate in prop_oneof![0.5f64..2000.0, 2000.0f64..1e6],
            id in 0u32..10,
            steps in prop::collection::vec((0u64..20_000_000, 0u32..400), 1..100),
        ) {
            let pace = pace(rate, 10);
            let first = pace.first(id, Time(S));
            let (mut next, mut gone) = (first, 0);
            let (mut now, mut sent) = (Time(S), 0u64);
            for (pause, takes) in steps {
                now = Time(now.0 + pause);
                let due = pace.due(next, gone, now);
                let n = due.min(takes);
                // Each of them was due by now, and the next after them is where they end.
                let instants: Vec<(Time, u32)> = pace.instants(next, gone).of(due).collect();
                prop_assert_eq!(instants.iter().map(|(_, n)| n).sum::<u32>(), due);
                prop_assert!(instants.iter().all(|(at, n)| *at <= now && *n > 0));
                (next, gone) = pace.after(next, gone, n);
                prop_assert!(gone < pace.group());
                sent += u64::from(n);
                let behind = now.0 as f64 - first.ns();
                if behind >= 0.0 {
                    let asked = behind * rate / 1e9;
                    let all = (sent + u64::from(due - n)) as f64;
                    let off = all - asked;
                    prop_assert!(off > -1e-3 && off <= f64::from(pace.group()) + 1e-3, "{off}");
                }
            }
        }
    }
}
