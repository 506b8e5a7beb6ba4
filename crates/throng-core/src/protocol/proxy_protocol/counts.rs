//! What is counted of headers of the PROXY protocol that connections begin with.

use super::read::{Malformed, Tlv};
use crate::stats::counter::counts;

counts! {
    /// One worker's counts of the headers that were accepted. They add up: taken + refused + late + cut_off + those that are
    /// awaited = accepted.
    pub struct Counters {
        /// Headers that were accepted.
        taken,
        /// Those among them that name no client: a proxy that speaks for itself, or does not know.
        unnamed,
        /// Those among them of version 2.
        binary,
        /// Connections that were closed because their header did not come in time.
        late,
        /// Connections that their peer ended before their header was complete.
        cut_off,
        /// Checksums of headers that were checked, and are right.
        checksums,
    }
    by kind {
        /// Connections that were closed because of their header, by what is wrong with it.
        refused: Malformed,
        /// What headers told besides addresses, by type.
        tlvs: Tlv,
    }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts a connection whose header is wrong.
    pub(super) fn refused(&self, why: Malformed) {
        self.refused[why as usize].add(1);
    }

    /// Counts a TLV.
    pub(super) fn tlv(&self, which: Tlv) {
        self.tlvs[which as usize].add(1);
    }
}

impl Tally {
    /// Connections whose header was wrong in this way.
    pub fn refused(&self, why: Malformed) -> u64 {
        self.refused[why as usize]
    }

    /// Connections whose header was wrong.
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// TLVs of this type.
    pub fn tlvs(&self, which: Tlv) -> u64 {
        self.tlvs[which as usize]
    }
}
