//! Sums of encoded histograms, which are added without being decoded: a coordinator adds up those of a thousand agents every
//! second.

use super::encoded::Sum;
use super::{Durations, PackedDurations};

/// A sum of encoded histograms. Those of the same precision as the first take some microseconds each; others are decoded.
#[derive(Debug, Default)]
pub struct PackedSum {
    alike: Sum,
    others: Durations,
}

impl PackedSum {
    /// Adds a histogram.
    pub fn add(&mut self, packed: &PackedDurations) {
        if !self.alike.add(packed.bytes()) {
            self.others.merge(&packed.unpack());
        }
    }

    /// The sum.
    pub fn durations(&self) -> Durations {
        let alike = self.alike.bytes().map(PackedDurations::from_bytes);
        let mut all = alike.map(|packed| packed.unpack()).unwrap_or_default();
        all.merge(&self.others);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoded::Plain;
    use super::super::packed;
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn durations(values: &[(u64, u32)]) -> Durations {
        let mut all = Durations::default();
        for (ns, n) in values {
            all.record_many(Duration::from_nanos(*ns), *n);
        }
        all
    }

    /// Durations of all magnitudes, each some times.
    fn values() -> impl Strategy<Value = Vec<(u64, u32)>> {
        let ns = (0..42u32, any::<u64>()).prop_map(|(bits, ns)| ns >> (63 - bits));
        prop::collection::vec((ns, prop_oneof![1..100u32, 1..u32::MAX]), 1..60)
    }

    proptest! {
        #[test]
        fn a_sum_of_encoded_histograms_is_that_of_the_histograms(
            all in prop::collection::vec((values(), any::<bool>()), 1..6),
        ) {
            let (mut sum, mut expected) = (PackedSum::default(), Durations::default());
            for (values, coarse) in &all {
                let one = durations(values);
                let packed = match coarse {
                    true => PackedDurations::coarse(&one),
                    false => PackedDurations::whole(&one),
                };
                let packed = packed.expect("there are some");
                sum.add(&packed);
                expected.absorb(packed.unpack());
            }
            // Those of one precision are exact; a mixture is, to the coarser one.
            let alike = all.iter().all(|(_, coarse)| *coarse == all[0].1);
            let told = sum.durations();
            prop_assert_eq!(told.count(), expected.count());
            if alike {
                let counted = |d: &Durations| d.values().map(|(_, n)| n).collect::<Vec<_>>();
                prop_assert_eq!(counted(&told), counted(&expected));
                for percent in [0.0, 50.0, 99.0, 100.0] {
                    prop_assert_eq!(told.percentile(percent), expected.percentile(percent));
                }
                // It is one that this library could have written.
                prop_assert!(Plain::of(&sum.alike.bytes().unwrap()).unwrap().is_canonical());
            }
        }

        /// What is read is as long as HdrHistogram has it, and what it writes is recognised.
        #[test]
        fn what_the_library_writes_is_canonical(values in values(), coarse: bool) {
            let all = durations(&values);
            let packed = match coarse {
                true => PackedDurations::coarse(&all),
                false => PackedDurations::whole(&all),
            };
            let packed = packed.unwrap();
            let plain = Plain::of(packed.bytes()).unwrap();
            prop_assert!(plain.is_canonical());
            let unpacked = packed.unpack();
            let places = unpacked.recorded().unwrap().distinct_values() as u64;
            prop_assert_eq!(plain.places(), Some(places));
        }

        #[test]
        fn what_is_written_in_another_way_is_not(values in values(), at: prop::sample::Index, bit in 0..8u32) {
            let packed = PackedDurations::whole(&durations(&values)).unwrap();
            let mut bytes = packed.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // Whatever is taken as it stands is what the library reads and writes.
            if Plain::of(&bytes).is_some_and(|plain| plain.is_canonical())
                && let Ok(read) = packed::read(&bytes)
            {
                let written = packed::pack(&read);
                prop_assert_eq!(written.bytes(), &bytes[..]);
            }
        }
    }

    #[test]
    fn an_empty_sum_is_nothing() {
        let sum = PackedSum::default();
        assert_eq!(sum.durations().count(), 0);
    }
}
