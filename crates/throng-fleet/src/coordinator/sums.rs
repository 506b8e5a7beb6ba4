//! What agents have measured, added up over all of them while it is still encoded.

use std::collections::BTreeMap;
use std::mem::take;
use throng_core::stats::{Measured, PackedDurations, PackedSum};

/// Histograms by the names of [`Measured`].
pub(super) type Histograms = BTreeMap<String, PackedDurations>;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<String, PackedSum>);

impl Sums {
    /// Adds what an agent measured in an interval.
    pub fn add(&mut self, histograms: &Histograms) {
        for (name, packed) in histograms {
            match self.0.get_mut(name) {
                Some(sum) => sum.add(packed),
                None if is_known(name) => self.0.entry(name.clone()).or_default().add(packed),
                None => {}
            }
        }
    }

    /// What was added since the last call.
    pub fn take(&mut self) -> Measured {
        let mut measured = Measured::default();
        for (name, sum) in take(&mut self.0) {
            if let Some(all) = measured.by_name(&name) {
                *all = sum.durations();
            }
        }
        measured
    }
}

/// Those of `histograms` that this version of throng knows.
pub(super) fn known(mut histograms: Histograms) -> Histograms {
    histograms.retain(|name, _| is_known(name));
    histograms
}

fn is_known(name: &str) -> bool {
    Measured::default().by_name(name).is_some()
}
