//! What is counted of DNS.

use super::rcode::Rcode;
use crate::stats::counter::counts;

counts! {
    /// One worker's counts of DNS.
    pub struct Counters {
        /// Connections on which something arrived that can't be DNS.
        not_dns,
    }
    by kind {
        /// Answers with an error, by their rcode.
        rcode: Rcode,
    }
    parts {}
    times {}

    /// A reading of [`Counters`], or the sum of several.
    pub struct Tally;
}

impl Counters {
    /// Counts an answer with an error: an rcode other than 0.
    pub fn answered_with_error(&self, rcode: Rcode) {
        self.rcode[usize::from(rcode.number())].add(1);
    }
}

impl Tally {
    /// Answers with this rcode, which is not 0.
    pub fn answers_with(&self, rcode: Rcode) -> u64 {
        self.rcode[usize::from(rcode.number())]
    }
}
