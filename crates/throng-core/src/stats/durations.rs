//! How long things took.

use crate::time::Time;
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest span a histogram tells apart; longer ones count as this long.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long things took: nanoseconds with two significant digits in an HdrHistogram, up to an hour. One
/// that recorded nothing takes no memory; the first record takes 60 KB.
#[derive(Clone, Debug, Default)]
pub struct Durations(Option<Box<Histogram<u64>>>);

impl Durations {
    fn histogram(&mut self) -> &mut Histogram<u64> {
        self.0.get_or_insert_with(|| {
            // The bounds are constants that HdrHistogram accepts: 1 ns to an hour, two digits.
            Box::new(
                Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, 2)
                    .expect("constant bounds are valid"),
            )
        })
    }

    /// Takes note of one.
    #[inline]
    pub fn record(&mut self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Takes note of the time from `from` to `to`; none if that is not later.
    #[inline]
    pub fn record_between(&mut self, from: Time, to: Time) {
        let ns = to.0.saturating_sub(from.0);
        self.histogram()
            .saturating_record(ns.min(LONGEST.as_nanos() as u64));
    }

    /// Takes note of `n` that took as long.
    #[inline]
    pub fn record_many(&mut self, took: Duration, n: u32) {
        let ns = took.as_nanos().min(LONGEST.as_nanos()) as u64;
        self.histogram().saturating_record_n(ns, n.into());
    }

    /// Adds another worker's.
    pub fn merge(&mut self, other: &Durations) {
        if let Some(other) = &other.0 {
            *self.histogram() += &**other;
        }
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |h| h.len())
    }

    /// The duration under or at which `percent` (0 to 100) of them lie; `None` if there are none.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let all = self.recorded()?;
        Some(Duration::from_nanos(all.value_at_percentile(percent)))
    }

    /// How many took longer than `limit`, to the histogram's precision.
    pub fn longer_than(&self, limit: Duration) -> u64 {
        let limit = limit.as_nanos().min(LONGEST.as_nanos()) as u64;
        self.recorded()
            .map_or(0, |h| h.len() - h.count_between(0, limit))
    }

    /// The shortest; `None` if there are none.
    pub fn min(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.recorded()?.min()))
    }

    /// The mean; `None` if there are none.
    pub fn mean(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.recorded()?.mean() as u64))
    }

    /// The histogram itself, in nanoseconds, for who writes it down; `None` if there is nothing in it.
    pub fn recorded(&self) -> Option<&Histogram<u64>> {
        self.0.as_deref().filter(|h| !h.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_took_longer_are_counted() {
        let mut durations = Durations::default();
        assert_eq!(durations.longer_than(Duration::ZERO), 0);
        for ms in 1..=100 {
            durations.record(Duration::from_millis(ms));
        }
        let longer = |ms| durations.longer_than(Duration::from_millis(ms));
        assert_eq!((longer(0), longer(60), longer(100)), (100, 40, 0));
        assert_eq!(durations.longer_than(LONGEST * 2), 0);
    }

    #[test]
    fn durations_keep_two_digits_and_never_overflow() {
        let mut d = Durations::default();
        assert_eq!(d.percentile(50.0), None);
        d.record(Duration::ZERO);
        d.record(Duration::from_millis(5));
        d.record(Duration::from_secs(1_000_000));
        assert_eq!(d.min(), Some(Duration::ZERO));
        let mut other = Durations::default();
        other.record(Duration::from_millis(6));
        d.merge(&other);
        assert_eq!(d.count(), 4);
        let p50 = d.percentile(50.0).unwrap();
        assert!(
            p50 >= Duration::from_millis(5) && p50 < Duration::from_micros(5100),
            "{p50:?}"
        );
        assert!(d.percentile(100.0).unwrap() >= LONGEST);
    }
}
