//! A timing wheel: at most one timer per connection, for a million connections at twelve bytes each.
//!
//! It has two levels of buckets. Each bucket is a doubly linked list threaded through one array, so that setting,
//! moving and cancelling a timer take a handful of writes and never allocate. A timer fires in the tick after its time,
//! never before. A timer further ahead than the wheel reaches fires early, and its owner sets it again (connections
//! know when they are due).

use crate::time::Time;
use std::time::Duration;

/// The wheel's grain as a power of two of nanoseconds: 2^17 ns are 131 µs. Each tick may wake the event loop, and finer
/// ticks would gain nothing against latencies of tens of microseconds.
const TICK_SHIFT: u32 = 17;
/// Buckets per level: 2048 ticks are 268 ms, 2048 of those are 9 minutes.
const SLOTS: usize = 2048;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();
const WORDS: usize = SLOTS / 64;
/// The furthest ahead that a timer can be, in ticks.
const REACH: u64 = ((SLOTS - 1) as u64) << SLOT_BITS;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    /// The next timer of the bucket, or `NONE`.
    next: u32,
    /// The previous timer of the bucket, `NONE` for the first one, or `NONE - 1` if the timer is not set.
    prev: u32,
    /// Low half of the tick at which it fires.
    tick: u32,
}

/// The bytes that a timer takes.
pub const TIMER_BYTES: usize = size_of::<Link>();

const UNSET: Link = Link {
    next: NONE,
    prev: NONE - 1,
    tick: 0,
};

struct Level {
    heads: Box<[u32; SLOTS]>,
    /// One bit per bucket: whether it has a timer.
    full: [u64; WORDS],
}

impl Level {
    fn new() -> Level {
        Level {
            heads: Box::new([NONE; SLOTS]),
            full: [0; WORDS],
        }
    }

    /// The distance from bucket `from` to the first bucket with a timer, cyclically; 0 if that is `from`.
    fn first_full_from(&self, from: usize) -> Option<usize> {
        let (word, bit) = (from / 64, from % 64);
        for step in 0..=WORDS {
            let at = (word + step) % WORDS;
            let mask = match step {
                0 => !0 << bit,
                WORDS => !(!0 << bit),
                _ => !0,
            };
            let bits = self.full[at] & mask;
            if bits != 0 {
                let slot = at * 64 + bits.trailing_zeros() as usize;
                return Some((slot + SLOTS - from) % SLOTS);
            }
        }
        None
    }
}

/// The timers of one worker, by connection index.
pub struct Wheel {
    links: Vec<Link>,
    near: Level,
    far: Level,
    /// All timers up to and including this tick have fired.
    now: u64,
    set: u32,
}

/// The first tick that is not before `t`.
fn tick_at_or_after(t: Time) -> u64 {
    t.0.div_ceil(1 << TICK_SHIFT)
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel::new()
    }
}

impl Wheel {
    /// An empty wheel at [`Time::START`]. A connection takes memory when its first timer is set.
    pub fn new() -> Wheel {
        Wheel {
            links: Vec::new(),
            near: Level::new(),
            far: Level::new(),
            now: 0,
            set: 0,
        }
    }

    /// The number of timers that are set.
    pub fn len(&self) -> usize {
        self.set as usize
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.set == 0
    }

    /// Sets the timer of connection `index` to `at` (or to the next tick, if that is past). It replaces an earlier
    /// setting.
    pub fn set(&mut self, index: u32, at: Time) {
        let at_index = index as usize;
        if at_index >= self.links.len() {
            self.links.resize(at_index + 1, UNSET);
        }
        self.cancel(index);
        let tick = tick_at_or_after(at).clamp(self.now + 1, self.now + REACH);
        self.link(index, tick);
        self.set += 1;
    }

    /// Cancels the timer of connection `index`.
    pub fn cancel(&mut self, index: u32) {
        let Some(&link) = self.links.get(index as usize) else {
            return;
        };
        if link.prev == UNSET.prev {
            return;
        }
        if link.next != NONE {
            self.links[link.next as usize].prev = link.prev;
        }
        if link.prev != NONE {
            self.links[link.prev as usize].next = link.next;
        } else {
            // First of its bucket; the bucket is the one of the two levels whose head it is.
            let tick = self.whole_tick(link.tick);
            let near = tick as usize % SLOTS;
            let far = (tick >> SLOT_BITS) as usize % SLOTS;
            let (level, slot) = if self.near.heads[near] == index {
                (&mut self.near, near)
            } else {
                (&mut self.far, far)
            };
            level.heads[slot] = link.next;
            if link.next == NONE {
                level.full[slot / 64] &= !(1 << (slot % 64));
            }
        }
        self.links[index as usize] = UNSET;
        self.set -= 1;
    }

    /// When [`Wheel::advance`] next has something to do, or `None` if no timer is set.
    pub fn next(&self) -> Option<Time> {
        if self.set == 0 {
            return None;
        }
        let from = (self.now + 1) as usize % SLOTS;
        let near = self
            .near
            .first_full_from(from)
            .map(|d| self.now + 1 + d as u64);
        // A far bucket must be distributed when its first tick comes near.
        let group = self.now >> SLOT_BITS;
        let far = self
            .far
            .first_full_from((group + 1) as usize % SLOTS)
            .map(|d| (group + 1 + d as u64) << SLOT_BITS);
        near.into_iter()
            .chain(far)
            .min()
            .map(|tick| Time(tick << TICK_SHIFT))
    }

    /// Fires at most `limit` of the timers that are due by `now`, so that the event loop can handle its sockets in
    /// between: calls `fire` with each connection. `fire` must not touch the wheel. Returns whether all due timers have
    /// fired.
    pub fn advance(&mut self, now: Time, limit: usize, mut fire: impl FnMut(u32)) -> bool {
        let target = now.0 >> TICK_SHIFT;
        if self.set == 0 {
            self.now = self.now.max(target);
            return true;
        }
        let mut left = limit;
        while self.now < target {
            // Skip empty buckets, but stop where a far bucket must be distributed.
            let next = match self.next() {
                Some(t) => (t.0 >> TICK_SHIFT).min(target),
                None => target,
            };
            if next & (SLOTS as u64 - 1) == 0 {
                self.deal((next >> SLOT_BITS) as usize % SLOTS, next);
            }
            let slot = next as usize % SLOTS;
            while self.near.heads[slot] != NONE {
                if left == 0 {
                    // Stay just before this tick, so that the rest of the bucket fires next time.
                    self.now = next - 1;
                    return false;
                }
                left -= 1;
                let index = self.near.heads[slot];
                self.cancel(index);
                fire(index);
            }
            self.now = next;
        }
        true
    }

    /// Moves the timers of a far bucket into near ones. `first` is the bucket's first tick.
    fn deal(&mut self, slot: usize, first: u64) {
        let mut index = self.far.heads[slot];
        self.far.heads[slot] = NONE;
        self.far.full[slot / 64] &= !(1 << (slot % 64));
        // All of these are in [first, first + SLOTS), which is near once `now` is first - 1.
        self.now = first - 1;
        while index != NONE {
            let next = self.links[index as usize].next;
            let tick = self.whole_tick(self.links[index as usize].tick);
            self.link(index, tick);
            index = next;
        }
    }

    fn link(&mut self, index: u32, tick: u64) {
        // The near level holds the group of ticks with the next timer.
        let near = tick >> SLOT_BITS == (self.now + 1) >> SLOT_BITS;
        let (level, slot) = if near {
            (&mut self.near, tick as usize % SLOTS)
        } else {
            (&mut self.far, (tick >> SLOT_BITS) as usize % SLOTS)
        };
        let head = level.heads[slot];
        level.heads[slot] = index;
        level.full[slot / 64] |= 1 << (slot % 64);
        if head != NONE {
            self.links[head as usize].prev = index;
        }
        self.links[index as usize] = Link {
            next: head,
            prev: NONE,
            tick: tick as u32,
        };
    }

    /// The whole tick whose low half is `low`: the nearest one ahead of the wheel.
    fn whole_tick(&self, low: u32) -> u64 {
        self.now + u64::from(low.wrapping_sub(self.now as u32))
    }
}

/// How late, at most, a timer fires because of the wheel's grain.
pub const GRAIN: Duration = Duration::from_nanos(1 << TICK_SHIFT);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fired(wheel: &mut Wheel, now: Time) -> Vec<u32> {
        let mut out = Vec::new();
        assert!(wheel.advance(now, usize::MAX, |i| out.push(i)));
        out
    }

    const MS: u64 = 1_000_000;

    #[test]
    fn a_timer_fires_once_in_the_tick_after_its_time() {
        let mut wheel = Wheel::new();
        wheel.set(7, Time(10 * MS));
        assert!(fired(&mut wheel, Time(10 * MS - 1)).is_empty());
        let at = wheel.next().unwrap();
        assert!(at >= Time(10 * MS) && at < Time(10 * MS) + GRAIN);
        assert_eq!(fired(&mut wheel, at), [7]);
        assert!(fired(&mut wheel, Time(10_000 * MS)).is_empty());
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_timer_can_be_moved_and_cancelled() {
        let mut wheel = Wheel::new();
        for i in 0..3 {
            wheel.set(i, Time(5 * MS));
        }
        wheel.set(1, Time(3000 * MS));
        wheel.cancel(2);
        wheel.cancel(2);
        assert_eq!(fired(&mut wheel, Time(6 * MS)), [0]);
        wheel.set(1, Time(7 * MS));
        assert_eq!(fired(&mut wheel, Time(8 * MS)), [1]);
        assert!(wheel.next().is_none());
    }

    #[test]
    fn a_limit_leaves_the_rest_for_the_next_time() {
        let mut wheel = Wheel::new();
        for i in 0..10 {
            wheel.set(i, Time(MS));
        }
        let mut got = Vec::new();
        assert!(!wheel.advance(Time(2 * MS), 4, |i| got.push(i)));
        assert!(wheel.advance(Time(2 * MS), 40, |i| got.push(i)));
        got.sort_unstable();
        assert_eq!(got, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_timer_beyond_the_wheels_reach_fires_early_rather_than_never() {
        let mut wheel = Wheel::new();
        wheel.set(0, Time(3600 * 1000 * MS));
        let mut now = Time::START;
        while let Some(next) = wheel.next() {
            now = next;
            if fired(&mut wheel, now) == [0] {
                break;
            }
        }
        assert!(now > Time(500 * 1000 * MS) && now < Time(3600 * 1000 * MS));
    }

    proptest! {
        /// Compares with the obvious model: a map from connection to time.
        #[test]
        fn behaves_like_a_map_of_times(ops in prop::collection::vec((0u32..40, 0u64..400_000 * MS, 0u8..8), 1..300)) {
            let mut wheel = Wheel::new();
            let mut model = std::collections::BTreeMap::new();
            let mut now = Time::START;
            for (index, ahead, op) in ops {
                match op {
                    0..=3 => {
                        // Mostly near, sometimes far.
                        let at = now + Duration::from_nanos(if op == 0 { ahead } else { ahead / 5000 });
                        wheel.set(index, at);
                        model.insert(index, at);
                    }
                    4 => {
                        wheel.cancel(index);
                        model.remove(&index);
                    }
                    _ => {
                        now = now + Duration::from_nanos(ahead / if op == 7 { 10 } else { 3000 });
                        let mut early = Vec::new();
                        for i in fired(&mut wheel, now) {
                            let at = model.remove(&i);
                            if at.is_none_or(|at| at > now) { early.push((i, at)); }
                        }
                        prop_assert!(early.is_empty(), "{early:?} at {now:?}");
                        let late: Vec<_> = model.iter().filter(|(_, at)| **at + GRAIN * 2 < now).collect();
                        prop_assert!(late.is_empty(), "{late:?} at {now:?}");
                    }
                }
                prop_assert_eq!(wheel.len(), model.len());
                if let (Some(next), Some(first)) = (wheel.next(), model.values().min()) {
                    prop_assert!(next < (*first).max(now) + GRAIN * 2, "{:?} {:?}", next, first);
                }
            }
        }
    }
}
