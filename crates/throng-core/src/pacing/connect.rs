//! When the next connection attempt may start.

use crate::time::Time;
use crate::units::Rate;
use std::time::Duration;

/// A connect that took this long lost its SYN, or a full queue dropped it: Linux retransmits a SYN after one second
/// (RFC 6298, section 2.1), so such an attempt takes a little more or less than that.
pub const SYN_WAS_LOST: Duration = Duration::from_millis(900);
/// How much of a pause may be caught up at once. More would be a burst of SYNs.
const CATCH_UP: Duration = Duration::from_millis(20);
/// The smallest window.
const MIN_WINDOW: u32 = 4;

/// Decides how many connection attempts may start: no faster than the rate, and never more in flight than a window. The
/// window halves when SYNs are lost and grows back while they are not: the additive increase and multiplicative
/// decrease of RFC 5681, applied to connection attempts.
#[derive(Clone, Debug)]
pub struct ConnectPace {
    rate: Option<Rate>,
    /// When the next attempt is due, if there is a rate: in nanoseconds, not rounded, so that the rate does not drift.
    due_ns: f64,
    window: f64,
    max_window: u32,
    /// When the window last shrank. Attempts that started before don't shrink it again.
    shrunk_at: Time,
}

impl ConnectPace {
    /// A pace of `rate` (`None`: as fast as the window allows) with at most `max_window` attempts in flight.
    pub fn new(rate: Option<Rate>, max_window: u32, start: Time) -> ConnectPace {
        let max_window = max_window.max(1);
        ConnectPace {
            rate,
            due_ns: start.0 as f64,
            window: f64::from(max_window),
            max_window,
            shrunk_at: start,
        }
    }

    /// How many attempts may start now, with `in_flight` under way.
    pub fn ready(&mut self, now: Time, in_flight: u32) -> u32 {
        let room = (self.window as u32).saturating_sub(in_flight);
        self.due(now).min(room)
    }

    /// How many attempts may start now by the rate alone; [`u32::MAX`] if there is none.
    pub fn due(&mut self, now: Time) -> u32 {
        let Some(rate) = self.rate else {
            return u32::MAX;
        };
        let now_ns = now.0 as f64;
        if now_ns < self.due_ns {
            return 0;
        }
        self.due_ns = self.due_ns.max(now_ns - CATCH_UP.as_nanos() as f64);
        ((now_ns - self.due_ns) / rate.interval_ns()) as u32 + 1
    }

    /// Records that `n` attempts have started.
    pub fn started(&mut self, n: u32) {
        if let Some(rate) = self.rate {
            self.due_ns += f64::from(n) * rate.interval_ns();
        }
    }

    /// Whether the window allows another attempt, with `in_flight` under way.
    pub fn has_room(&self, in_flight: u32) -> bool {
        (self.window as u32) > in_flight
    }

    /// When the rate allows the next attempt; [`Time::START`] if there is no rate.
    pub fn next(&self) -> Time {
        match self.rate {
            Some(_) => Time(self.due_ns.ceil() as u64),
            None => Time::START,
        }
    }

    /// Records an attempt that succeeded after `took`.
    pub fn succeeded(&mut self, now: Time, took: Duration) {
        if took >= SYN_WAS_LOST {
            self.shrink(now, took);
        } else if self.window < f64::from(self.max_window) {
            self.window = (self.window + 1.0 / self.window).min(f64::from(self.max_window));
        }
    }

    /// Records an attempt that was given up after `took` without an answer.
    pub fn timed_out(&mut self, now: Time, took: Duration) {
        self.shrink(now, took);
    }

    fn shrink(&mut self, now: Time, took: Duration) {
        let begun = Time(now.0.saturating_sub(took.as_nanos() as u64));
        if begun >= self.shrunk_at {
            self.window = (self.window / 2.0).max(f64::from(MIN_WINDOW.min(self.max_window)));
            self.shrunk_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_connect_rate_is_kept_without_drift_and_without_bursts() {
        let mut pace = ConnectPace::new(Rate::per_second(3000.0), 1000, Time::START);
        let mut started = 0;
        for us in (0..1_000_000).step_by(700) {
            let n = pace.ready(Time(us * 1000), 0);
            assert!(n <= 4, "{n} at once");
            pace.started(n);
            started += n;
        }
        assert!((2999..=3001).contains(&started), "{started}");
        // After a pause of a minute, only `CATCH_UP` is caught up.
        let n = pace.ready(Time(61 * S), 0);
        assert!(n <= 61, "{n}");
    }

    #[test]
    fn without_a_rate_the_window_alone_bounds_attempts() {
        let mut pace = ConnectPace::new(None, 100, Time::START);
        assert_eq!(pace.ready(Time(0), 0), 100);
        assert_eq!(pace.ready(Time(0), 99), 1);
        assert_eq!(pace.ready(Time(0), 150), 0);
    }

    #[test]
    fn lost_syns_halve_the_window_once_and_successes_grow_it_back() {
        let mut pace = ConnectPace::new(None, 64, Time::START);
        for _ in 0..10 {
            pace.succeeded(Time(2 * S), Duration::from_millis(1020));
        }
        assert_eq!(pace.ready(Time(2 * S), 0), 32);
        pace.timed_out(Time(9 * S), Duration::from_secs(5));
        assert_eq!(pace.ready(Time(9 * S), 0), 16);
        for _ in 0..3000 {
            pace.succeeded(Time(9 * S), Duration::from_millis(1));
        }
        assert_eq!(pace.ready(Time(9 * S), 0), 64);
        for second in 0..100 {
            pace.timed_out(Time((20 + 6 * second) * S), Duration::from_secs(5));
        }
        assert_eq!(pace.ready(Time(999 * S), 0), MIN_WINDOW);
    }
}
