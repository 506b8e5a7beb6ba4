//! How a whole number of something is divided among workers.

/// The share of worker `worker`, counted from 0, of `workers` workers: they differ by one at most, and add up to `all`.
pub const fn share(all: u32, worker: u32, workers: u32) -> u32 {
    all / workers + (worker < all % workers) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_add_up_and_differ_by_one_at_most(all: u32, workers in 1..1024u32) {
            let shares = || (0..workers).map(|worker| share(all, worker, workers));
            prop_assert_eq!(shares().map(u64::from).sum::<u64>(), u64::from(all));
            let (least, most) = (shares().min().unwrap(), shares().max().unwrap());
            prop_assert!(most - least <= 1);
        }
    }
}
