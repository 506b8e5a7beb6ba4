//! How a worker waits for the run's next arrival, so that it is sent when it is due.
//!
//! A sleep ends late: by 20 to 40 µs when an idle core has to wake first. Arrivals that are due in that time would
//! be sent together, and short gaps between arrivals would be lost. So the sleep ends a *lead* before the arrival,
//! and for the rest of the time the loop polls: it deals with completions as usual, but does not sleep.
//!
//! The lead is learnt from how late sleeps end, so that it is as short as this machine allows. Polling uses a core,
//! so it may take at most half of a worker's time. Where arrivals are so dense that it would take more, the worker
//! sleeps until some of them, without a lead.

use std::time::Duration;
use throng_core::time::Time;

/// The initial lead in nanoseconds.
const FIRST_LEAD: f64 = 50_000.0;
/// The maximum lead in nanoseconds. A wake later than this has another cause, such as a busy core, which no
/// lead cures.
const LONGEST_LEAD: f64 = 200_000.0;
/// The share of sleeps that end within the lead.
const IN_TIME: f64 = 0.95;
/// How far a sleep that ended too late moves the lead, in nanoseconds.
const STEP: f64 = 4_000.0;
/// The share of its time that a worker may poll.
const MOST_WATCHING: f64 = 0.5;
/// The polling time that may be saved up for dense arrivals, in nanoseconds.
const MOST_SAVED: f64 = 2_000_000.0;

/// How long before the next arrival a worker stops sleeping.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Nanoseconds.
    lead: f64,
    /// When the current sleep should end.
    planned: Option<Time>,
    /// The arrival that is waited for.
    next: Option<Next>,
    /// The polling time left, in nanoseconds, as of `counted`.
    saved: f64,
    counted: Time,
}

#[derive(Debug)]
struct Next {
    at: Time,
    /// When the sleep before it ends.
    until: Time,
    /// Whether the time from `until` to `at` was counted as polling time.
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

    /// The time to sleep until, for an arrival at `at`. At or before `now`: poll until it is due.
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

    /// The worker is about to sleep until `until`, unless something wakes it.
    pub fn sleeps(&mut self, until: Time) {
        self.planned = Some(until);
    }

    /// The next sleep has no planned end.
    pub fn stays(&mut self) {
        self.planned = None;
    }

    /// A wait ended. If it was the planned sleep, and nothing cut it short, the lead is adjusted.
    pub fn woke(&mut self, now: impl FnOnce() -> Time) {
        let Some(until) = self.planned.take() else {
            return;
        };
        let now = now();
        if now >= until {
            self.learn(now.since(until));
        }
    }

    /// Moves the lead towards the [`IN_TIME`] quantile of how late sleeps end: up by that share of a step after
    /// a later one, else down by the rest of a step.
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

/// Makes sleeps of this thread end in time. By default Linux ends them up to 50 µs late to save power
/// (PR_SET_TIMERSLACK, prctl(2)). This concerns epoll; a wait in io_uring has no such slack.
pub(crate) fn wake_on_time() {
    // SAFETY: no pointers. One nanosecond is the smallest value; 0 means the default.
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
    fn the_lead_becomes_how_late_most_sleeps_end() {
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
    fn a_worker_that_is_kept_from_running_does_not_lengthen_its_lead() {
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
    fn polling_takes_at_most_half_of_the_time() {
        for (gap_us, within) in [(1000, 0.005..0.02), (20, 0.3..0.51), (2, 0.3..0.51)] {
            let n = 4_000_000 / gap_us;
            let (_, watched, _) = run(n, gap_us * US, |n| (30 + n * 7919 % 20) * US);
            let share = watched as f64 / (n * gap_us * US) as f64;
            assert!(within.contains(&share), "{gap_us} us: {share}");
        }
    }

    #[test]
    fn a_sleep_that_was_cut_short_leaves_the_lead_alone() {
        let mut waiting = Waiting::new();
        waiting.sleeps(Time(900 * US));
        waiting.woke(|| Time(300 * US));
        waiting.woke(|| Time(950 * US));
        assert_eq!(waiting.lead, FIRST_LEAD);
    }

    #[test]
    fn this_thread_has_no_timer_slack() {
        wake_on_time();
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }, 1);
    }
}
