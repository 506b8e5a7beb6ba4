//! A timing wheel: at most one timer per connection, for a million connections at twelve bytes each.
//!
//! Two levels of buckets, each bucket a doubly linked list threaded through one array, so that
//! setting, moving and cancelling a timer are a handful of writes and never allocate. A timer fires
//! in the tick after its time, never before; one that lies further ahead than the wheel reaches
//! fires early, and who asked for it asks again (connections know when they are due).

use crate::time::Time;
use std::time::Duration;

/// The wheel's grain as a power of two of nanoseconds: 2^17 ns are 131 µs. Finer ticks cost a wake
/// of the event loop each and gain nothing that a latency of tens of microseconds would show.
const TICK_SHIFT: u32 = 17;
/// Buckets a level: 2048 ticks are 268 ms, 2048 of those are 9 minutes.
const SLOTS: usize = 2048;
const SLOT_BITS: u32 = SLOTS.trailing_zeros();
const WORDS: usize = SLOTS / 64;
/// The furthest ahead that a timer can lie, in ticks.
const REACH: u64 = ((SLOTS - 1) as u64) << SLOT_BITS;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    /// The next timer of the bucket, or `NONE`.
    next: u32,
    /// The timer before, or `NONE` for the first one of the bucket, or `NONE - 1` if not set.
    prev: u32,
    /// Low half of the tick at which it fires.
    tick: u32,
}

const UNSET: Link = Link {
    next: NONE,
    prev: NONE - 1,
    tick: 0,
};

struct Level {
    heads: Box<[u32; SLOTS]>,
    /// One bit a bucket: is anything in it?
    full: [u64; WORDS],
}

impl Level {
    fn new() -> Level {
        Level {
            heads: Box::new([NONE; SLOTS]),
            full: [0; WORDS],
        }
    }

    /// How many buckets after `from` (itself: 0) the first full one is, going round.
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
    /// Everything up to and including this tick has fired.
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
    /// An empty wheel that stands at [`Time::START`]. It takes memory for connections when they first
    /// set a timer.
    pub fn new() -> Wheel {
        Wheel {
            links: Vec::new(),
            near: Level::new(),
            far: Level::new(),
            now: 0,
            set: 0,
        }
    }

    /// How many timers are set.
    pub fn len(&self) -> usize {
        self.set as usize
    }

    /// Whether no timer is set.
    pub fn is_empty(&self) -> bool {
        self.set == 0
    }

    /// Makes connection `index` fire at `at` (or in the next tick, if that is past) instead of whenever
    /// it was set to before.
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

    /// Makes connection `index` not fire.
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
        // A far bucket has to be dealt out when its first tick comes near.
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

    /// Takes every timer that is due by `now` and hands its connection to `fire`, which may not touch
    /// the wheel; at most `limit` of them, so that a loop can look after its sockets in between.
    /// Returns whether all that was due has fired.
    pub fn advance(&mut self, now: Time, limit: usize, mut fire: impl FnMut(u32)) -> bool {
        let target = now.0 >> TICK_SHIFT;
        if self.set == 0 {
            self.now = self.now.max(target);
            return true;
        }
        let mut left = limit;
        while self.now < target {
            // Jump over empty buckets, but stop where a far bucket is to be dealt out.
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
                    // Stand just before this tick, so that the rest of the bucket comes next time.
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
        // Everything dealt lies in [first, first + SLOTS), which is near once `now` is first - 1.
        self.now = first - 1;
        while index != NONE {
            let next = self.links[index as usize].next;
            let tick = self.whole_tick(self.links[index as usize].tick);
            self.link(index, tick);
            index = next;
        }
    }

    fn link(&mut self, index: u32, tick: u64) {
        // The near level holds the group of ticks in which the next one to fire lies.
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

    /// The whole tick whose low half is `low`: the one nearest ahead of where the wheel stands.
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
        /// Against the obvious model: a map from connection to time.
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
