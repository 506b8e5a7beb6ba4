//! How flows are spread over servers: in turn, by a hash of their addresses and ports, or all to one.

use serde::Serialize;
use std::collections::BTreeMap;

/// Flows per server on average, below which the distribution of χ² is not a good approximation.
const LEAST_EACH: f64 = 5.0;
/// The part of flows that have to follow the order of the servers for it to count as taking turns: other clients take turns, too.
const IN_TURN: f64 = 0.9;
/// The part of repeated flows that have to reach the same server for it to count as a hash.
const THE_SAME: f64 = 0.95;
/// Repeated flows that are too few to tell.
const FEW_REPEATED: usize = 10;
/// Below this probability flows are not spread evenly.
const UNLIKELY: f64 = 0.001;

/// How flows are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// All to one server.
    One,
    /// To each server in turn.
    Turns,
    /// By addresses and ports: the same ones lead to the same server.
    Hash,
    /// At random, or by a rule that is none of these.
    Other,
    /// Too few flows to tell.
    Unknown,
}

/// How flows are spread over servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Flows to each server, the most first.
    pub flows: Vec<u64>,
    /// How they are spread.
    pub how: How,
    /// χ² against an even spread.
    pub chi_square: f64,
    /// The probability of a χ² as large as this or larger, if flows go to servers at random and evenly.
    pub p: f64,
    /// Whether the spread is even, as far as this many flows show.
    pub even: Option<bool>,
    /// Flows that were opened again from the same port, and those of them that reached the same server.
    pub repeated: (u64, u64),
}

impl Spread {
    /// Of the servers that flows reached, in the order in which they were opened, and of pairs of servers that flows of the
    /// same addresses and ports reached.
    pub fn of(servers: &[u64], again: &[(u64, u64)]) -> Spread {
        let mut counted: BTreeMap<u64, u64> = BTreeMap::new();
        for server in servers {
            *counted.entry(*server).or_default() += 1;
        }
        let mut flows: Vec<u64> = counted.values().copied().collect();
        flows.sort_unstable_by_key(|n| std::cmp::Reverse(*n));
        let each = servers.len() as f64 / flows.len().max(1) as f64;
        let chi_square = flows
            .iter()
            .map(|n| (*n as f64 - each).powi(2) / each)
            .sum();
        let p = above(chi_square, flows.len().saturating_sub(1) as f64);
        let same = again.iter().filter(|(one, other)| one == other).count();
        let enough = flows.len() > 1 && each >= LEAST_EACH;
        let how = match flows.len() {
            0 => How::Unknown,
            1 => How::One,
            _ if !enough => How::Unknown,
            n if in_turn(servers, n) >= IN_TURN => How::Turns,
            _ if again.len() < FEW_REPEATED => How::Unknown,
            _ if same as f64 >= THE_SAME * again.len() as f64 => How::Hash,
            _ => How::Other,
        };
        Spread {
            flows,
            how,
            chi_square,
            p,
            even: enough.then_some(p >= UNLIKELY),
            repeated: (again.len() as u64, same as u64),
        }
    }
}

/// The part of flows that reach the server after that of the flow before, in the order that most flows follow.
fn in_turn(servers: &[u64], n: usize) -> f64 {
    let mut after: BTreeMap<u64, BTreeMap<u64, usize>> = BTreeMap::new();
    for pair in servers.windows(2) {
        *after
            .entry(pair[0])
            .or_default()
            .entry(pair[1])
            .or_default() += 1;
    }
    let next: BTreeMap<u64, u64> = after
        .iter()
        .filter_map(|(one, all)| Some((*one, *all.iter().max_by_key(|(_, n)| **n)?.0)))
        .collect();
    // One circle through all servers.
    let Some(first) = next.keys().next() else {
        return 0.0;
    };
    let (mut at, mut steps) = (*first, 0);
    loop {
        at = match next.get(&at) {
            Some(next) => *next,
            None => return 0.0,
        };
        steps += 1;
        if at == *first || steps > n {
            break;
        }
    }
    if steps != n {
        return 0.0;
    }
    let follow = |pair: &&[u64]| next.get(&pair[0]) == Some(&pair[1]);
    let following = servers.windows(2).filter(follow).count();
    following as f64 / servers.len().saturating_sub(1).max(1) as f64
}

/// The probability that χ² with `freedom` degrees of freedom exceeds `x`: the regularised upper incomplete gamma function
/// Q(freedom/2, x/2), by series or continued fraction (DLMF 8.7.3, 8.9.2).
fn above(x: f64, freedom: f64) -> f64 {
    if freedom <= 0.0 || x <= 0.0 {
        return 1.0;
    }
    let (a, x) = (freedom / 2.0, x / 2.0);
    let scale = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..10_000 {
            term *= x / (a + f64::from(n));
            sum += term;
            if term < sum * 1e-15 {
                break;
            }
        }
        return (1.0 - scale * sum).clamp(0.0, 1.0);
    }
    // Lentz's method.
    let mut b = x + 1.0 - a;
    let mut c = 1e300;
    let mut d = 1.0 / b;
    let mut h = d;
    for n in 1..10_000 {
        let n = f64::from(n);
        let an = -n * (n - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        let factor = d * c;
        h *= factor;
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (scale * h).clamp(0.0, 1.0)
}

/// The logarithm of the gamma function of a multiple of a half, x > 0.
fn ln_gamma(x: f64) -> f64 {
    // Γ(1) = 1, Γ(1/2) = √π, Γ(x + 1) = x Γ(x).
    let (mut at, mut sum) = match x.fract() == 0.0 {
        true => (1.0, 0.0),
        false => (0.5, std::f64::consts::PI.sqrt().ln()),
    };
    while at + 0.5 < x {
        sum += f64::ln(at);
        at += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split_mix::mix;

    #[test]
    fn chi_square_is_that_of_the_tables() {
        for (x, freedom, p) in [
            (3.841, 1.0, 0.05),
            (5.991, 2.0, 0.05),
            (16.919, 9.0, 0.05),
            (21.666, 9.0, 0.01),
            (2.088, 9.0, 0.99),
            (124.342, 100.0, 0.05),
        ] {
            let found = above(x, freedom);
            assert!((found - p).abs() < 1e-4, "{x} {freedom}: {found}");
        }
    }

    #[test]
    fn turns_hashes_and_chance_are_told_apart() {
        let turns: Vec<u64> = (0..300).map(|n| n % 3).collect();
        let random =
            |seed: u64| -> Vec<u64> { (0..300).map(|n| mix(seed << 32 | n) % 3).collect() };
        let same: Vec<(u64, u64)> = (0..40).map(|n| (n % 3, n % 3)).collect();
        let by_chance: Vec<(u64, u64)> = (0..40).map(|n| (n % 3, mix(n) % 3)).collect();
        let skewed: Vec<u64> = (0..300)
            .map(|n| u64::from(mix(n).is_multiple_of(10)))
            .collect();
        for (servers, again, how, even) in [
            (turns, &by_chance, How::Turns, Some(true)),
            (random(1), &same, How::Hash, Some(true)),
            (random(2), &by_chance, How::Other, Some(true)),
            (random(3), &Vec::new(), How::Unknown, Some(true)),
            (skewed, &same, How::Hash, Some(false)),
            (vec![7; 300], &same, How::One, None),
            (vec![1, 2, 3], &same, How::Unknown, None),
            (Vec::new(), &Vec::new(), How::Unknown, None),
        ] {
            let spread = Spread::of(&servers, again);
            assert_eq!((spread.how, spread.even), (how, even), "{spread:?}");
        }
    }

    #[test]
    fn an_even_spread_at_random_is_rarely_called_uneven() {
        let uneven = (0..1000).filter(|seed| {
            let servers: Vec<u64> = (0..200).map(|n| mix(seed << 32 | n) % 4).collect();
            Spread::of(&servers, &[]).even == Some(false)
        });
        assert!(uneven.count() <= 5);
    }
}
