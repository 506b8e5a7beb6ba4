//! In which order the trials of a sweep are made.

use crate::split_mix::SplitMix;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The order of trials. What drifts during a sweep (temperature, other programs) looks like an effect of what varies if the
/// trials of a point follow each other, so by default they don't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// In rounds. Each has every point once, in an order drawn from the seed.
    #[default]
    Shuffled,
    /// In rounds. Each has every point once, in the order given.
    Interleaved,
    /// All trials of a point, then those of the next one.
    Listed,
}

/// A trial to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The index of its point; in a search, its load.
    pub point: usize,
    /// Its number among the trials of its point, from 1.
    pub repetition: u32,
    /// How long it is to last, if the sweep says so.
    pub length: Option<Duration>,
}

/// The trials of so many points, `repeat` of each, in order. The same seed gives the same order on every machine.
pub fn schedule(points: usize, repeat: u32, order: Order, seed: u64) -> Vec<Due> {
    let due = |point, repetition| Due {
        point,
        repetition,
        length: None,
    };
    let rounds = 1..=repeat;
    match order {
        Order::Listed => (0..points)
            .flat_map(|point| rounds.clone().map(move |n| due(point, n)))
            .collect(),
        Order::Interleaved => rounds
            .flat_map(|n| (0..points).map(move |point| due(point, n)))
            .collect(),
        Order::Shuffled => {
            let mut dice = SplitMix(seed);
            rounds
                .flat_map(|n| {
                    let round = shuffled(points, &mut dice);
                    round.into_iter().map(move |point| due(point, n))
                })
                .collect()
        }
    }
}

/// The numbers below `n` in a random order (Fisher and Yates).
fn shuffled(n: usize, dice: &mut SplitMix) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    for at in (1..n).rev() {
        // The bias of the remainder is below 2^-50.
        let other = (dice.next() % (at as u64 + 1)) as usize;
        all.swap(at, other);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_trial_is_made_once_in_any_order() {
        for order in [Order::Shuffled, Order::Interleaved, Order::Listed] {
            for (points, repeat) in [(1, 1), (1, 5), (7, 1), (12, 5)] {
                let all = schedule(points, repeat, order, 9);
                let distinct: BTreeSet<Due> = all.iter().copied().collect();
                assert_eq!(all.len(), points * repeat as usize, "{order:?}");
                assert_eq!(distinct.len(), all.len(), "{order:?}");
                assert!(
                    all.iter()
                        .all(|due| due.point < points && (1..=repeat).contains(&due.repetition))
                );
            }
        }
    }

    #[test]
    fn a_round_has_each_point_and_a_seed_has_one_order() {
        let of = |seed| schedule(20, 3, Order::Shuffled, seed);
        for round in of(1).chunks(20) {
            let points: BTreeSet<usize> = round.iter().map(|due| due.point).collect();
            assert_eq!(points.len(), 20);
            assert!(
                round
                    .iter()
                    .all(|due| due.repetition == round[0].repetition)
            );
        }
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let points: Vec<usize> = of(1).iter().map(|due| due.point).collect();
        assert_ne!(points[..20], points[20..40], "each round has its own order");
        let in_turn = |order| -> Vec<(usize, u32)> {
            let all = schedule(2, 2, order, 1);
            all.iter().map(|due| (due.point, due.repetition)).collect()
        };
        assert_eq!(in_turn(Order::Listed), [(0, 1), (0, 2), (1, 1), (1, 2)]);
        assert_eq!(
            in_turn(Order::Interleaved),
            [(0, 1), (1, 1), (0, 2), (1, 2)]
        );
    }

    #[test]
    fn each_point_is_equally_often_the_first() {
        let mut first = [0; 5];
        for seed in 0..5000 {
            first[schedule(5, 1, Order::Shuffled, seed)[0].point] += 1;
        }
        // The standard deviation is 28.
        assert!(first.iter().all(|n| (860..1140).contains(n)), "{first:?}");
    }
}
