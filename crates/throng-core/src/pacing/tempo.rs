//! A rate that is changed while messages are sent.
//!
//! The times at which a connection's messages are due are kept as *planned* times, which are those of a rate that never
//! changes. A [`Tempo`] says which real time a planned one is: from each change on, planned time passes as many times as
//! fast as messages are sent. So a change costs the same for one connection as for a million, no message is lost by it or
//! due twice, and all connections keep their distances.

use super::{Due, Instants};
use crate::time::Time;

/// How planned time passes: the times of messages whose rate never changes. Its default is a rate that was never changed.
#[derive(Clone, Debug, Default)]
pub struct Tempo(Vec<Change>);

/// From here on planned time passes `factor` times as fast as real time.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// Nanoseconds of real time.
    at: f64,
    /// The planned time then, in nanoseconds.
    planned: f64,
    factor: f64,
}

/// Before the first change.
const PLAN: Change = Change {
    at: 0.0,
    planned: 0.0,
    factor: 1.0,
};

impl Change {
    fn planned(&self, real: f64) -> f64 {
        self.planned + (real - self.at) * self.factor
    }

    fn real(&self, planned: f64) -> f64 {
        self.at + (planned - self.planned) / self.factor
    }
}

impl Tempo {
    /// From `at` on, messages are sent `factor` times as fast as was planned at first; above 0. A change that comes before
    /// the last one takes effect with it.
    pub fn change(&mut self, at: Time, factor: f64) {
        let last = self.0.last().unwrap_or(&PLAN);
        let at = (at.0 as f64).max(last.at);
        let planned = last.planned(at);
        self.0.push(Change {
            at,
            planned,
            factor,
        });
    }

    /// The planned time at `now`, rounded up to a nanosecond.
    #[inline]
    pub fn planned(&self, now: Time) -> Time {
        match self.0.is_empty() {
            true => now,
            false => self.planned_after_changes(now),
        }
    }

    #[cold]
    fn planned_after_changes(&self, now: Time) -> Time {
        let now = now.0 as f64;
        let change = self.0.iter().rfind(|change| change.at <= now);
        Due(change.unwrap_or(&PLAN).planned(now)).time()
    }

    /// The planned time at `now`, or that of the first change after `next`, if it came before. Messages from `next` until
    /// then are due at equal distances in real time, too.
    #[inline]
    pub fn planned_steadily(&self, next: Due, now: Time) -> Time {
        match self.0.is_empty() {
            true => now,
            false => {
                let change = self.0.iter().find(|change| change.planned > next.0);
                let until = change.map_or(Time(u64::MAX), |change| Due(change.planned).time());
                self.planned(now).min(until)
            }
        }
    }

    /// When what is due at the planned time `due` is due.
    #[inline]
    pub fn real(&self, due: Due) -> Due {
        match self.0.is_empty() {
            true => due,
            false => Due(self.of_planned(due).real(due.0)),
        }
    }

    /// When messages are due whose planned times are `planned`, up to the next change.
    #[inline]
    pub fn instants(&self, planned: Instants) -> Instants {
        let mut real = planned;
        if !self.0.is_empty() {
            let change = self.of_planned(Due(planned.next));
            real.next = change.real(planned.next);
            real.apart /= change.factor;
        }
        real
    }

    #[cold]
    fn of_planned(&self, due: Due) -> &Change {
        let change = self.0.iter().rfind(|change| change.planned <= due.0);
        change.unwrap_or(&PLAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacing::MessagePace;
    use crate::units::Rate;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_rate_that_is_never_changed_has_planned_times_that_are_the_real_ones() {
        let tempo = Tempo::default();
        let due = Due(1234.5);
        assert_eq!(tempo.planned(Time(77)), Time(77));
        assert_eq!(tempo.planned_steadily(due, Time(77)), Time(77));
        assert_eq!(tempo.real(due), due);
        assert_eq!(tempo.instants(Instants::at(due)).nth(3), due.time());
    }

    #[test]
    fn what_was_due_before_a_change_stays_where_it_was_and_the_rest_moves() {
        let mut tempo = Tempo::default();
        tempo.change(Time(10 * S), 2.0);
        tempo.change(Time(20 * S), 0.5);
        let s = |seconds: f64| Due(seconds * 1e9);
        for (planned, real, next) in [
            (9.0, 9.0, 10.0),
            (10.0, 10.0, 10.5),
            (12.0, 11.0, 11.5),
            (30.0, 20.0, 22.0),
            (31.0, 22.0, 24.0),
        ] {
            assert_eq!(tempo.real(s(planned)), s(real), "{planned}");
            let each_second = MessagePace::new(Rate::per_second(1.0).unwrap(), 1, 1);
            let instants = tempo.instants(each_second.instants(s(planned), 0));
            assert_eq!(instants.nth(1), s(next).time(), "{planned}");
            assert_eq!(tempo.planned(s(real).time()), s(planned).time(), "{real}");
        }
        // Messages are looked at up to the next change.
        let steadily = |next, now: u64| tempo.planned_steadily(s(next), Time(now * S)).0 / S;
        assert_eq!(steadily(9.0, 15), 10);
        assert_eq!(steadily(10.0, 15), 20);
        assert_eq!(steadily(10.0, 40), 30);
        assert_eq!(steadily(30.0, 40), 40);
    }

    proptest! {
        #[test]
        fn planned_and_real_times_are_inverse_and_rise(
            changes in prop::collection::vec((0u64..10 * S, 0.001f64..1000.0), 0..8),
            a in 0u64..100 * S,
            b in 0u64..100 * S,
        ) {
            let mut tempo = Tempo::default();
            for (at, factor) in &changes {
                tempo.change(Time(*at), *factor);
            }
            let (a, b) = (Time(a.min(b)), Time(a.max(b)));
            prop_assert!(tempo.planned(a) <= tempo.planned(b));
            let back = tempo.real(Due::at(tempo.planned(a))).0;
            // A planned nanosecond may be a thousand real ones.
            prop_assert!((back - a.0 as f64).abs() <= 1001.0, "{back} {a:?}");
        }
    }
}
