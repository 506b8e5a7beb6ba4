//! Medians, and ratios of paired rounds.
//!
//! The contestants run in turn, A B C A B C …, and the machine drifts (other work, page cache, heat).
//! A ratio is therefore computed within each round, where both sides had about the same machine, and
//! then the median is taken. It is not the ratio of the medians.

/// The median of `values` (the mean of the two middle ones if their number is even).
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some((sorted[sorted.len() / 2 - 1] + upper) / 2.0)
}

/// Whether more or less of a quantity is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// A rate.
    Higher,
    /// A cost.
    Lower,
}

/// How many times better the reference was, over the rounds that both took part in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advantage {
    /// The median of the rounds' ratios: 2 is twice as fast, or half the cost.
    pub median: f64,
    /// The least of them.
    pub least: f64,
    /// The greatest of them.
    pub greatest: f64,
}

/// The reference's advantage over `other`, round by round. A round that either of them missed, or
/// whose ratio has no meaning (a cost of zero or less), is left out.
pub fn advantage(
    reference: &[Option<f64>],
    other: &[Option<f64>],
    better: Better,
) -> Option<Advantage> {
    let ratios: Vec<f64> = reference
        .iter()
        .zip(other)
        .filter_map(|(r, o)| Some(((*r)?, (*o)?)))
        .filter(|(r, o)| *r > 0.0 && *o > 0.0)
        .map(|(r, o)| match better {
            Better::Higher => r / o,
            Better::Lower => o / r,
        })
        .collect();
    Some(Advantage {
        median: median(&ratios)?,
        least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        greatest: ratios.iter().copied().fold(0.0, f64::max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was ten times slower in the second round, for both.
        let reference = [Some(100.0), Some(10.0), Some(100.0)];
        let other = [Some(50.0), Some(5.0), Some(50.0)];
        let a = advantage(&reference, &other, Better::Higher).unwrap();
        assert_eq!((a.median, a.least, a.greatest), (2.0, 2.0, 2.0));
        let a = advantage(&reference, &other, Better::Lower).unwrap();
        assert_eq!(a.median, 0.5);
    }

    #[test]
    fn a_missed_round_counts_for_neither() {
        let reference = [Some(100.0), None, Some(90.0), Some(80.0)];
        let other = [Some(50.0), Some(5.0), None, Some(20.0)];
        let a = advantage(&reference, &other, Better::Higher).unwrap();
        assert_eq!((a.median, a.least, a.greatest), (3.0, 2.0, 4.0));
        assert_eq!(advantage(&[None], &[Some(1.0)], Better::Higher), None);
        assert_eq!(advantage(&[Some(0.0)], &[Some(1.0)], Better::Lower), None);
    }
}
