//! How a worker waits for the next arrival of the whole run, so that it goes out when it is due.
//!
//! A sleep ends late: by some 20 to 40 µs here, when an idle core has to wake first. What arrives meanwhile would
//! go out together with what the sleep was for, and of the gaps between arrivals the short ones would be lost. So
//! the sleep ends a *lead* before the arrival, and for the rest the loop goes round without sleeping; it deals with
//! completions as ever.
//!
//! The lead is learnt from how late sleeps end, so that it is no longer than it must be on this machine. Looking at
//! the clock takes up a core, so at most half of a worker's time goes into it. Where arrivals are so dense that
//! it would take more, some of them are slept for, as if there were no lead.

use std::time::Duration;
use throng_core::time::Time;

/// The lead before anything is known, in nanoseconds.
const FIRST_LEAD: f64 = 50_000.0;
/// No lead is longer: who wakes later than this was kept from running by something else, which no lead cures.
const LONGEST_LEAD: f64 = 200_000.0;
/// The share of sleeps that are to end within the lead.
const IN_TIME: f64 = 0.95;
/// How far one sleep that ended too late moves the lead, in nanoseconds.
const STEP: f64 = 4_000.0;
/// The share of its time that a worker may look at the clock …
const MOST_WATCHING: f64 = 0.5;
/// … and how much of it may be saved up for dense arrivals, in nanoseconds.
const MOST_SAVED: f64 = 2_000_000.0;

/// How long before the next arrival a worker stops sleeping.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Nanoseconds.
    lead: f64,
    /// When the sleep that was last asked for should end.
    planned: Option<Time>,
    /// The arrival that was last waited for.
    next: Option<Next>,
    /// How long the clock may be looked at before that is too much, in nanoseconds, as of `counted`.
    saved: f64,
    counted: Time,
}

#[derive(Debug)]
struct Next {
    at: Time,
    /// When sleeping for it ends.
    until: Time,
    /// The time since then is counted as spent.
    watched: bool,
}

impl Waiting {
    pub fn new() -> Waiting {
        Waiting {
            lead: FIRST_LEAD,
            planned: None,
            next: None,
            saved: MOST_SAVED,
            counted: Time::START,
        }
    }

    /// Until when to sleep for an arrival at `at`. Not after `now`: look at the clock until it is due.
    pub fn until(&mut self, at: Time, now: Time) -> Time {
        let mut next = match self.next.take() {
            Some(next) if next.at == at => next,
            _ => self.plan(at, now),
        };
        let until = next.until;
        if until <= now && !next.watched {
            next.watched = true;
            self.saved -= at.since(now).as_nanos() as f64;
        }
        self.next = Some(next);
        until
    }

    fn plan(&mut self, at: Time, now: Time) -> Next {
        let passed = now.since(self.counted).as_nanos() as f64;
        self.saved = (self.saved + MOST_WATCHING * passed).min(MOST_SAVED);
        self.counted = now;
        let until = match self.saved > 0.0 {
            true => Time(at.0.saturating_sub(self.lead as u64)),
            false => at,
        };
        Next {
            at,
            until,
            watched: false,
        }
    }

    /// The worker is about to sleep until `until`, if nothing wakes it before.
    pub fn sleeps(&mut self, until: Time) {
        self.planned = Some(until);
    }

    /// Nothing is known of the next sleep.
    pub fn stays(&mut self) {
        self.planned = None;
    }

    /// A wait ended. If it was the sleep that was announced, and not cut short, its end is a lesson.
    pub fn woke(&mut self, now: impl FnOnce() -> Time) {
        let Some(until) = self.planned.take() else {
            return;
        };
        let now = now();
        if now >= until {
            self.learn(now.since(until));
        }
    }

    /// Moves the lead to where a share of [`IN_TIME`] of all sleeps end within it: up by as much more for one
    /// that did not as there are more that do.
    fn learn(&mut self, late: Duration) {
        let late = late.as_nanos() as f64;
        if late > LONGEST_LEAD {
            return;
        }
        self.lead = match late > self.lead {
            true => (self.lead + STEP * IN_TIME).min(LONGEST_LEAD),
            false => (self.lead - STEP * (1.0 - IN_TIME)).max(0.0),
        };
    }
}

/// Lets sleeps of this thread end when they should, not up to 50 µs later, as Linux has it to save power
/// (PR_SET_TIMERSLACK, prctl(2)). It concerns epoll; a wait in io_uring has no such slack.
pub(crate) fn wake_on_time() {
    // SAFETY: no pointers; one nanosecond is the least that is a value (0 means the default).
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: u64 = 1000;

    /// Sleeps for arrivals every `gap`, each sleep ending late by what `late` gives.
    fn run(arrivals: u64, gap: u64, mut late: impl FnMut(u64) -> u64) -> (Waiting, u64, u64) {
        let (mut waiting, mut now, mut watched, mut missed) = (Waiting::new(), 0, 0, 0);
        for n in 1..=arrivals {
            let at = Time(n * gap);
            loop {
                let until = waiting.until(at, Time(now));
                if until.0 > now {
                    waiting.sleeps(until);
                    now = until.0 + late(n);
                    waiting.woke(|| Time(now));
                }
                if now >= at.0 {
                    missed += u64::from(now > at.0);
                    break;
                }
                if until.0 <= now {
                    watched += at.0 - now;
                    now = at.0;
                }
            }
        }
        (waiting, watched, missed)
    }

    #[test]
    fn the_lead_becomes_what_most_sleeps_are_late() {
        for (most_us, spread_us) in [(20, 10), (60, 40), (140, 30)] {
            let late = |n: u64| (most_us - n * 7919 % spread_us) * US;
            let (waiting, _, missed) = run(5000, 1000 * US, late);
            let lead = waiting.lead / 1e3;
            assert!(
                (lead - most_us as f64).abs() < 8.0,
                "{lead} of {most_us} us"
            );
            assert!(missed < 5000 / 8, "{missed}");
        }
    }

    #[test]
    fn who_is_kept_from_running_does_not_wait_longer_for_it() {
        let late = |n: u64| {
            if n.is_multiple_of(10) {
                4000 * US
            } else {
                20 * US
            }
        };
        let (waiting, ..) = run(5000, 10_000 * US, late);
        assert!(waiting.lead < 30e3, "{}", waiting.lead);
    }

    #[test]
    fn half_of_the_time_at_most_goes_into_looking_at_the_clock() {
        for (gap_us, within) in [(1000, 0.005..0.02), (20, 0.3..0.51), (2, 0.3..0.51)] {
            let n = 4_000_000 / gap_us;
            let (_, watched, _) = run(n, gap_us * US, |n| (30 + n * 7919 % 20) * US);
            let share = watched as f64 / (n * gap_us * US) as f64;
            assert!(within.contains(&share), "{gap_us} us: {share}");
        }
    }

    #[test]
    fn a_sleep_that_was_cut_short_teaches_nothing() {
        let mut waiting = Waiting::new();
        waiting.sleeps(Time(900 * US));
        waiting.woke(|| Time(300 * US));
        waiting.woke(|| Time(950 * US));
        assert_eq!(waiting.lead, FIRST_LEAD);
    }

    #[test]
    fn the_slack_of_timers_is_gone_in_this_thread() {
        wake_on_time();
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }, 1);
    }
}
