//! How a run is divided: among agents, and each agent's part among its workers.
//!
//! Whatever a run has a number of (connections, messages in all, arrivals) is numbered from 0. A [`Shard`] says which of
//! these numbers an agent has, a [`WorkerShard`] which of the agent's a worker has. Numbers interleave at both levels, so
//! that each part looks like the whole: its connections have phases all over the interval of messages, and go to all targets.

use crate::units::Rate;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The share of worker `worker`, counted from 0, of `workers` workers: they differ by one at most, and add up to `all`.
pub const fn share(all: u32, worker: u32, workers: u32) -> u32 {
    all / workers + (worker < all % workers) as u32
}

/// The part of a run that one agent has: some neighbouring lanes of all. Number n of the run is in lane n modulo the number of
/// lanes. With one lane for each agent, agent i of n has the numbers i, i + n, i + 2n and so on. The default is the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Shard {
    first: u32,
    lanes: u32,
    of: u32,
}

/// A shard as it is written: its first lane, its number of lanes, and that of the whole run.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Written {
    first: u32,
    lanes: u32,
    of: u32,
}

/// For people: how much of the run it is.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lanes == self.of {
            true => f.write_str("the whole run"),
            false => write!(f, "{} of {} shares of the run", self.lanes, self.of),
        }
    }
}

impl Shard {
    /// All of a run.
    pub const WHOLE: Shard = Shard {
        first: 0,
        lanes: 1,
        of: 1,
    };

    /// `lanes` of `of` lanes, from lane `first` on; `None` if there are no such lanes.
    pub fn new(first: u32, lanes: u32, of: u32) -> Option<Shard> {
        let fits = lanes > 0 && first.checked_add(lanes)? <= of;
        fits.then_some(Shard { first, lanes, of })
    }

    /// One shard for each weight, in order, which together are the whole run; `None` for a weight of 0, and for all if the sum
    /// is 0 or has more than 32 bits.
    pub fn by_weight(weights: &[u32]) -> Vec<Option<Shard>> {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let of = weights
            .iter()
            .try_fold(0u32, |sum, weight| sum.checked_add(weight / divisor));
        let mut first = 0;
        let shard = |weight: &u32| {
            let lanes = weight / divisor;
            let shard = Shard::new(first, lanes, of?)?;
            first += lanes;
            Some(shard)
        };
        weights.iter().map(shard).collect()
    }

    /// Whether it is all of a run.
    pub fn is_whole(self) -> bool {
        self.lanes == self.of
    }

    /// The run's number of what this shard counts as its number `own`.
    #[inline]
    pub fn number(self, own: u64) -> u64 {
        if self.is_whole() {
            return own;
        }
        let (lanes, of) = (u64::from(self.lanes), u64::from(self.of));
        (own / lanes)
            .wrapping_mul(of)
            .wrapping_add(u64::from(self.first) + own % lanes)
    }

    /// How many of the run's first `all` numbers this shard has. Those of all shards add up to `all`.
    pub fn below(self, all: u64) -> u64 {
        let (lanes, of) = (u64::from(self.lanes), u64::from(self.of));
        let rest = (all % of).saturating_sub(self.first.into());
        all / of * lanes + rest.min(lanes)
    }

    /// The same of a number with 32 bits.
    pub fn share(self, all: u32) -> u32 {
        // No more than `all`.
        self.below(all.into()) as u32
    }

    /// Its share of the run's lanes, above 0 and up to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.lanes) / f64::from(self.of)
    }

    /// Its share of a rate of the whole run.
    pub fn rate(self, whole: Rate) -> Rate {
        match self.is_whole() {
            true => whole,
            false => whole.part(self.fraction()),
        }
    }

    /// The part of worker `worker`, counted from 0, of `workers`.
    pub fn of_worker(self, worker: u32, workers: u32) -> WorkerShard {
        let workers = workers.max(1);
        WorkerShard {
            shard: self,
            worker: worker % workers,
            workers,
        }
    }
}

impl Default for Shard {
    fn default() -> Shard {
        Shard::WHOLE
    }
}

impl TryFrom<Written> for Shard {
    type Error = &'static str;
    fn try_from(written: Written) -> Result<Shard, &'static str> {
        let Written { first, lanes, of } = written;
        Shard::new(first, lanes, of)
            .ok_or("a shard has one lane at least, and none beyond the last")
    }
}

impl From<Shard> for Written {
    fn from(Shard { first, lanes, of }: Shard) -> Written {
        Written { first, lanes, of }
    }
}

/// The part of a shard that one of its workers has: every n-th of the shard's numbers, with n workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerShard {
    shard: Shard,
    worker: u32,
    workers: u32,
}

impl WorkerShard {
    /// The run's number of what this worker counts as its number `own`. No other worker of the run has it.
    #[inline]
    pub fn number(self, own: u64) -> u64 {
        let of_shard = own
            .wrapping_mul(self.workers.into())
            .wrapping_add(self.worker.into());
        self.shard.number(of_shard)
    }

    /// How many of the run's first `all` numbers this worker has.
    pub fn below(self, all: u64) -> u64 {
        let of_shard = self.shard.below(all).saturating_sub(self.worker.into());
        of_shard.div_ceil(self.workers.into())
    }

    /// How many times as much as this worker's part the whole run is.
    pub fn times(self) -> f64 {
        f64::from(self.workers) / self.shard.fraction()
    }

    /// A number that no other worker of the run has, by which random numbers are told apart.
    pub fn key(self) -> u64 {
        self.number(0)
    }
}

/// The greatest number that divides both; with 0 the other one.
fn gcd(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        b => gcd(b, a % b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The workers of a run: of each agent, by its weight and its number of workers.
    fn workers(agents: &[(u32, u32)]) -> Vec<WorkerShard> {
        let weights: Vec<u32> = agents.iter().map(|(weight, _)| *weight).collect();
        let shards = Shard::by_weight(&weights).into_iter().zip(agents);
        shards
            .filter_map(|(shard, (_, workers))| Some((shard?, *workers)))
            .flat_map(|(shard, n)| (0..n).map(move |worker| shard.of_worker(worker, n)))
            .collect()
    }

    fn agents() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let some = prop::collection::vec((0..9u32, 1..5u32), 1..6);
        some.prop_filter("no agent has a part", |all| all.iter().any(|(w, _)| *w > 0))
    }

    proptest! {
        #[test]
        fn shares_add_up_and_differ_by_one_at_most(all: u32, workers in 1..1024u32) {
            let shares = || (0..workers).map(|worker| share(all, worker, workers));
            prop_assert_eq!(shares().map(u64::from).sum::<u64>(), u64::from(all));
            let (least, most) = (shares().min().unwrap(), shares().max().unwrap());
            prop_assert!(most - least <= 1);
        }

        /// Whatever the shares are: connections, messages and their numbers are each somebody's, and nobody else's.
        #[test]
        fn the_parts_of_all_workers_are_the_whole(agents in agents(), all in 0..500u64) {
            let workers = workers(&agents);
            let mut numbers: Vec<u64> = workers
                .iter()
                .flat_map(|worker| (0..worker.below(all)).map(|own| worker.number(own)))
                .collect();
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..all).collect::<Vec<_>>());
            let parts: f64 = workers.iter().map(|worker| worker.times().recip()).sum();
            prop_assert!((parts - 1.0).abs() < 1e-9, "{}", parts);
        }

        #[test]
        fn shards_of_large_numbers_add_up(agents in agents(), all: u64) {
            let all = all >> 1;
            let weights: Vec<u32> = agents.iter().map(|(weight, _)| *weight).collect();
            let shards = Shard::by_weight(&weights);
            let shares = shards.iter().flatten().map(|shard| shard.below(all));
            prop_assert_eq!(shares.sum::<u64>(), all);
        }
    }

    #[test]
    fn a_worker_of_a_whole_run_counts_as_ever() {
        let worker = Shard::WHOLE.of_worker(1, 3);
        assert_eq!([0, 1, 2].map(|own| worker.number(own)), [1, 4, 7]);
        assert_eq!([1, 2, 5].map(|all| worker.below(all)), [0, 1, 2]);
        assert_eq!((worker.times(), worker.key()), (3.0, 1));
    }

    #[test]
    fn shards_that_are_none_are_refused() {
        for (first, lanes, of) in [(0, 0, 1), (1, 1, 1), (0, 2, 1), (u32::MAX, 2, 5)] {
            assert_eq!(Shard::new(first, lanes, of), None);
        }
        let read = |text: &str| serde_json::from_str::<Shard>(text).ok();
        assert_eq!(read(r#"{"first": 1, "lanes": 1, "of": 1}"#), None);
        let second = Shard::new(1, 1, 2).unwrap();
        assert_eq!(read(&serde_json::to_string(&second).unwrap()), Some(second));
        assert_eq!(Shard::by_weight(&[2, 0, 4])[2], Shard::new(1, 2, 3));
    }
}
