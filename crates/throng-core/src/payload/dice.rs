//! Random numbers for messages: fast, seeded, the same for the same seed on every machine.

use crate::split_mix::mix;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A worker's random numbers (xoshiro256++). Equal seeds give equal numbers.
#[derive(Clone, Debug)]
pub struct Dice(Xoshiro256PlusPlus);

impl Dice {
    /// Dice that follow from `seed`. Workers of one run take different ones: see [`Dice::of`].
    pub fn new(seed: u64) -> Dice {
        Dice(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// Dice of their own for each of `numbers`: a worker's, or a connection's at one place of a message.
    pub fn of(seed: u64, numbers: &[u64]) -> Dice {
        Dice::new(numbers.iter().fold(mix(seed), |all, n| mix(all ^ mix(*n))))
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound` (0 if `bound` is 0). Biased by at most 2⁻³².
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        (((self.word() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// A WebSocket masking key (RFC 6455 5.3).
    pub(super) fn mask(&mut self) -> [u8; 4] {
        ((self.word() >> 32) as u32).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_one_others() {
        let draw = |mut dice: Dice| [dice.word(), dice.word(), dice.word()];
        assert_eq!(draw(Dice::new(7)), draw(Dice::new(7)));
        assert_ne!(draw(Dice::new(7)), draw(Dice::new(8)));
        assert_eq!(draw(Dice::of(7, &[1, 2])), draw(Dice::of(7, &[1, 2])));
        assert_ne!(draw(Dice::of(7, &[1, 2])), draw(Dice::of(7, &[2, 1])));
        assert_ne!(draw(Dice::of(7, &[1])), draw(Dice::of(7, &[1, 0])));
    }

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let mut dice = Dice::new(1);
        let mut seen = [0u32; 10];
        for _ in 0..100_000 {
            seen[dice.below(10) as usize] += 1;
        }
        // Five standard deviations of a binomial of 100,000 draws at 1/10.
        assert!(seen.iter().all(|n| n.abs_diff(10_000) < 475), "{seen:?}");
        assert_eq!(dice.below(0), 0);
    }
}
