//! Which connections to check for a reset, and when.

use std::time::Duration;
use throng_core::time::Time;

/// How often a connection is checked that receives all the time. A reset is noticed after two periods at most.
const PERIOD: Duration = Duration::from_millis(500);

/// Which connections were checked lately, and which are to be checked: three bits for each, from the first receive on.
/// A sweep passes all connections once in [`PERIOD`], as many of them at a time as time has passed.
#[derive(Debug, Default)]
pub(super) struct Checks {
    words: Vec<Word>,
    /// The number of connections to be checked.
    waiting: u32,
    /// When the sweep began, and the words that it has passed.
    began: Time,
    passed: usize,
}

/// 64 connections, the lowest bit first.
#[derive(Clone, Copy, Debug, Default)]
struct Word {
    /// Checked since the sweep passed.
    checked: u64,
    /// Received something since that check.
    again: u64,
    /// Was to be checked again when the sweep passed, and has received nothing since.
    overdue: u64,
}

impl Checks {
    /// Something was received on connection `index`. Returns whether to check it now.
    #[inline]
    pub fn received(&mut self, index: u32) -> bool {
        let (word, bit) = (index as usize / 64, 1 << (index % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, Word::default());
        }
        let word = &mut self.words[word];
        if word.checked & bit == 0 {
            word.checked |= bit;
            self.waiting -= u32::from(word.overdue & bit != 0);
            word.overdue &= !bit;
            return true;
        }
        self.waiting += u32::from(word.again & bit == 0);
        word.again |= bit;
        false
    }

    /// Connection `index` is to be checked by the sweep, although nothing is received on it.
    pub fn later(&mut self, index: u32) {
        if self.received(index) {
            self.received(index);
        }
    }

    /// Connection `index` is a new one.
    #[inline]
    pub fn forget(&mut self, index: u32) {
        if let Some(word) = self.words.get_mut(index as usize / 64) {
            let bit = 1 << (index % 64);
            self.waiting -= u32::from((word.again | word.overdue) & bit != 0);
            word.checked &= !bit;
            word.again &= !bit;
            word.overdue &= !bit;
        }
    }

    /// How long until the sweep has passed all; `None` if none waits.
    pub fn due(&self, now: Time) -> Option<Duration> {
        (self.waiting > 0).then(|| (self.began + PERIOD).since(now))
    }

    /// Goes on with the sweep. Returns the next word with connections to be checked now, and those.
    pub fn sweep(&mut self, now: Time) -> Option<(usize, u64)> {
        let elapsed = now.since(self.began);
        let all = self.words.len();
        let reached = match elapsed < PERIOD {
            true => (all as u64 * elapsed.as_micros() as u64 / PERIOD.as_micros() as u64) as usize,
            false => all,
        };
        while self.passed < reached {
            let at = self.passed;
            self.passed += 1;
            let word = &mut self.words[at];
            let due = word.overdue;
            *word = Word {
                checked: due,
                again: 0,
                overdue: word.again,
            };
            if due != 0 {
                self.waiting -= due.count_ones();
                return Some((at, due));
            }
        }
        if elapsed >= PERIOD {
            (self.began, self.passed) = (now, 0);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swept(checks: &mut Checks, now: Time) -> Vec<u32> {
        let mut all = Vec::new();
        while let Some((word, bits)) = checks.sweep(now) {
            let set = (0..64).filter(|bit| bits & 1 << bit != 0);
            all.extend(set.map(|bit| word as u32 * 64 + bit));
        }
        all
    }

    #[test]
    fn a_connection_is_checked_at_once_if_it_was_not_lately() {
        let mut checks = Checks::default();
        let at = |periods: f64| Time::START + PERIOD.mul_f64(periods);
        for index in [3, 200, 1000] {
            assert!(checks.received(index));
            assert!(!checks.received(index));
            assert!(!checks.received(index));
        }
        assert_eq!(checks.due(at(0.5)), Some(PERIOD / 2));
        // The first half: 3 and 200.
        assert_eq!(swept(&mut checks, at(0.5)), []);
        assert!(checks.received(3) && !checks.received(1000));
        assert_eq!(swept(&mut checks, at(1.0)), []);
        assert!(checks.received(1000) && !checks.received(3));
    }

    #[test]
    fn a_connection_that_receives_nothing_more_is_checked_by_the_sweep() {
        let mut checks = Checks::default();
        let at = |periods: u32| Time::START + PERIOD * periods;
        assert!(checks.received(3) && !checks.received(3));
        assert!(checks.received(130) && checks.due(at(0)) == Some(PERIOD));
        assert_eq!(swept(&mut checks, at(1)), []);
        assert_eq!(checks.due(at(1)), Some(PERIOD));
        assert_eq!(swept(&mut checks, at(2)), [3]);
        assert_eq!(checks.due(at(2)), None);
        // That was a check of its own.
        assert!(!checks.received(3) && checks.received(130));
    }

    #[test]
    fn a_new_connection_in_the_same_place_is_checked_at_once() {
        let mut checks = Checks::default();
        assert!(checks.received(70) && !checks.received(70));
        checks.forget(70);
        checks.forget(7000);
        assert_eq!(checks.due(Time::START), None);
        assert!(checks.received(70));
    }
}
