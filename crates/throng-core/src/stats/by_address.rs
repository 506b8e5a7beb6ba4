//! What becomes of connections, by the address that they go to.

use super::{Counter, FailCause};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// One worker's counts of connections to one address. As with [`Counters`](super::Counters), only the worker writes them.
#[derive(Debug, Default)]
pub struct AddressCounters {
    /// Attempts that were started.
    pub attempted: Counter,
    /// Attempts that succeeded.
    pub established: Counter,
    /// Connections that ended without this side's doing.
    pub lost: Counter,
    failed: [Counter; FailCause::ALL.len()],
}

impl AddressCounters {
    /// Counts a failed attempt.
    pub fn failed(&self, cause: FailCause) {
        self.failed[cause as usize].add(1);
    }
}

/// What became of the connections to one of several addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfAddress {
    /// The address.
    pub address: SocketAddr,
    /// The target that has it, as the user wrote it.
    pub target: String,
    /// Attempts that were started.
    pub attempted: u64,
    /// Attempts that succeeded.
    pub established: u64,
    /// Connections that ended without this side's doing.
    pub lost: u64,
    /// Attempts that failed, by cause. Causes that did not occur are left out.
    pub failed: BTreeMap<FailCause, u64>,
}

impl OfAddress {
    /// Without any connection.
    pub fn new(address: SocketAddr, target: String) -> OfAddress {
        OfAddress {
            address,
            target,
            attempted: 0,
            established: 0,
            lost: 0,
            failed: BTreeMap::new(),
        }
    }

    /// Adds a worker's counts.
    pub fn count(&mut self, counters: &AddressCounters) {
        self.established += counters.established.get();
        self.lost += counters.lost.get();
        for (cause, n) in FailCause::ALL.into_iter().zip(&counters.failed) {
            self.fail(cause, n.get());
        }
        // Last, so that no outcome is read without its attempt.
        self.attempted += counters.attempted.get();
    }

    /// Adds what became of other connections to the same address.
    pub fn add(&mut self, other: &OfAddress) {
        self.attempted += other.attempted;
        self.established += other.established;
        self.lost += other.lost;
        for (cause, n) in &other.failed {
            self.fail(*cause, *n);
        }
    }

    fn fail(&mut self, cause: FailCause, n: u64) {
        if n > 0 {
            *self.failed.entry(cause).or_default() += n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_an_address_add_up_over_workers_and_sources() {
        let counters = AddressCounters::default();
        counters.attempted.add(5);
        counters.established.add(3);
        counters.lost.add(1);
        counters.failed(FailCause::Refused);
        counters.failed(FailCause::TimedOut);
        let mut one = OfAddress::new(([127, 0, 0, 1], 80).into(), "a.example:80".into());
        one.count(&counters);
        one.count(&counters);
        let mut both = one.clone();
        both.add(&one);
        assert_eq!((both.attempted, both.established, both.lost), (20, 12, 4));
        let failed = [(FailCause::Refused, 4), (FailCause::TimedOut, 4)];
        assert_eq!(both.failed, BTreeMap::from(failed));
    }
}
