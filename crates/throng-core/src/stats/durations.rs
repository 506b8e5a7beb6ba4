//! Histograms of durations.

use crate::time::Time;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Significant digits that a histogram keeps.
pub(super) const DIGITS: u8 = 3;
/// The resolution in nanoseconds for spans under 2048 times this (65 µs). Longer spans have a precision of [`DIGITS`].
const FINEST_NS: u64 = 32;
/// The longest span of a new histogram, in nanoseconds. It grows with the first longer span.
const FIRST_LONGEST_NS: u64 = 2_000_000;
/// The longest span of any histogram. Longer spans count as this long.
pub(super) const LONGEST: Duration = Duration::from_secs(3600);

/// A histogram of durations: an HdrHistogram of nanoseconds with three significant digits, up to an hour. An empty one
/// takes no memory. The first value takes 56 KiB, a span of a tenth of a second 104 KiB, an hour 224 KiB.
#[derive(Clone, Debug, Default)]
pub struct Durations(Option<Box<Histogram<u64>>>);

impl Durations {
    /// The durations of `histogram`, which is in nanoseconds.
    pub(super) fn from_histogram(histogram: Histogram<u64>) -> Durations {
        Durations(Some(Box::new(histogram)))
    }

    fn histogram(&mut self) -> &mut Histogram<u64> {
        self.0.get_or_insert_with(|| {
            // The bounds are constants that HdrHistogram accepts.
            let mut new = Histogram::new_with_bounds(FINEST_NS, FIRST_LONGEST_NS, DIGITS)
                .expect("constant bounds are valid");
            new.auto(true);
            Box::new(new)
        })
    }

    /// Records a duration.
    #[inline]
    pub fn record(&mut self, took: Duration) {
        self.record_many(took, 1);
    }

    /// Records the time from `from` to `to`; zero if that is not later.
    #[inline]
    pub fn record_between(&mut self, from: Time, to: Time) {
        let ns = to.0.saturating_sub(from.0);
        self.record_ns(ns.min(LONGEST.as_nanos() as u64), 1);
    }

    /// Records `n` equal durations.
    #[inline]
    pub fn record_many(&mut self, took: Duration, n: u32) {
        let ns = took.as_nanos().min(LONGEST.as_nanos()) as u64;
        self.record_ns(ns, n.into());
    }

    #[inline]
    fn record_ns(&mut self, ns: u64, n: u64) {
        // It fails only if the buckets of an hour exceed the address space.
        let _ = self.histogram().record_n(ns, n);
    }

    /// Adds the durations of `other`.
    pub fn merge(&mut self, other: &Durations) {
        if let Some(other) = &other.0 {
            *self.histogram() += &**other;
        }
    }

    /// Adds the durations of `other`, and takes over its memory if this is empty.
    pub fn absorb(&mut self, other: Durations) {
        match self.0 {
            None => *self = other,
            Some(_) => self.merge(&other),
        }
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |h| h.len())
    }

    /// The duration that `percent` (0 to 100) of all durations do not exceed; `None` if there are none.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let all = self.recorded()?;
        Some(Duration::from_nanos(all.value_at_percentile(percent)))
    }

    /// Those that took `limit` or longer, to the histogram's precision.
    pub fn from_on(&self, limit: Duration) -> Durations {
        let mut longer = Durations::default();
        let limit = limit.as_nanos().min(LONGEST.as_nanos()) as u64;
        let recorded = self.recorded().into_iter().flat_map(|h| h.iter_recorded());
        for value in recorded.filter(|value| value.value_iterated_to() >= limit) {
            longer.record_ns(value.value_iterated_to(), value.count_at_value());
        }
        longer
    }

    /// Each duration and how often it occurred, the shortest first, to the histogram's precision.
    pub fn values(&self) -> impl Iterator<Item = (Duration, u64)> {
        let recorded = self.recorded().into_iter().flat_map(|h| h.iter_recorded());
        recorded.map(|value| {
            let ns = value.value_iterated_to();
            (Duration::from_nanos(ns), value.count_at_value())
        })
    }

    /// The number of durations above `limit`, to the histogram's precision.
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

    /// The histogram itself, in nanoseconds; `None` if it is empty.
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
    fn durations_keep_three_digits_and_never_overflow() {
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
            p50 >= Duration::from_millis(5) && p50 < Duration::from_micros(5005),
            "{p50:?}"
        );
        assert!(d.percentile(100.0).unwrap() >= LONGEST);
    }

    #[test]
    fn spans_of_microseconds_are_distinguished_to_32_ns() {
        let mut d = Durations::default();
        d.record(Duration::from_nanos(20_000));
        let at = d.percentile(50.0).unwrap().as_nanos();
        assert!((20_000..20_032).contains(&at), "{at}");
    }

    #[test]
    fn a_histogram_takes_the_room_that_its_longest_span_needs() {
        let bytes = |longest| {
            let mut d = Durations::default();
            d.record(longest);
            d.recorded().unwrap().distinct_values() * size_of::<u64>()
        };
        assert_eq!(bytes(Duration::from_millis(1)) >> 10, 56);
        assert_eq!(bytes(Duration::from_millis(100)) >> 10, 104);
        assert_eq!(bytes(LONGEST) >> 10, 224);
    }
}
