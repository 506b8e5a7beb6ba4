//! A set of ports, as `net.ipv4.ip_local_reserved_ports` writes it: `1,2-4,10`.

use crate::units::written::text_of;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A set of ports: ranges with both ends included, sorted, neither overlapping nor touching.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortSet(Vec<(u16, u16)>);

impl PortSet {
    /// The ports of `ranges`, in any order.
    pub fn of(mut ranges: Vec<(u16, u16)>) -> PortSet {
        ranges.sort_unstable();
        let mut joined: Vec<(u16, u16)> = Vec::new();
        for (low, high) in ranges {
            match joined.last_mut() {
                Some((_, end)) if u32::from(low) <= u32::from(*end) + 1 => *end = high.max(*end),
                _ => joined.push((low, high)),
            }
        }
        PortSet(joined)
    }

    /// The union with `other`.
    pub fn and(&self, other: &PortSet) -> PortSet {
        PortSet::of([&self.0[..], &other.0[..]].concat())
    }

    /// The ports from `low` to `high`, both included.
    pub fn within(&self, low: u16, high: u16) -> PortSet {
        let cut = |(from, to): &(u16, u16)| (low.max(*from), high.min(*to));
        PortSet::of(self.0.iter().map(cut).filter(|(l, h)| l <= h).collect())
    }

    /// Whether it has all ports of `other`.
    pub fn contains(&self, other: &PortSet) -> bool {
        self.and(other) == *self
    }

    /// The number of ports.
    pub fn count(&self) -> u32 {
        let size = |(low, high): &(u16, u16)| u32::from(*high) - u32::from(*low) + 1;
        self.0.iter().map(size).sum()
    }

    /// Whether it has no ports.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> PortSet {
        PortSet::of(ports.into_iter().map(|p| (p, p)).collect())
    }
}

/// A part of a text that is not a port or a range of ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a port or a range of ports", crate::units::quoted(item))]
pub struct PortSetError {
    item: String,
}

impl FromStr for PortSet {
    type Err = PortSetError;

    /// Reads `1,2-4,10`; an empty text is the empty set.
    fn from_str(text: &str) -> Result<PortSet, PortSetError> {
        let wrong = |item: &str| PortSetError {
            item: item.to_owned(),
        };
        let mut ranges = Vec::new();
        for item in text.trim().split(',').filter(|item| !item.is_empty()) {
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) else {
                return Err(wrong(item));
            };
            if low > high {
                return Err(wrong(item));
            }
            ranges.push((low, high));
        }
        Ok(PortSet::of(ranges))
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (low, high)) in self.0.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match low == high {
                true => write!(f, "{comma}{low}")?,
                false => write!(f, "{comma}{low}-{high}")?,
            }
        }
        Ok(())
    }
}

text_of!(PortSet, PortSetError);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sets_are_read_as_the_kernel_writes_them() {
        for (text, read, count) in [
            ("", "", 0),
            ("\n", "", 0),
            ("8080,9148\n", "8080,9148", 2),
            ("3,1-2", "1-3", 3),
            ("1-65535", "1-65535", 65_535),
            ("65535,65534,0", "0,65534-65535", 3),
            ("10-20,15-30,31", "10-31", 22),
        ] {
            let set: PortSet = text.parse().unwrap();
            assert_eq!((set.to_string().as_str(), set.count()), (read, count));
        }
        for text in ["x", "1-", "70000", "5-4", "1 2", "-1"] {
            assert!(text.parse::<PortSet>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_set_has_the_ports_that_were_put_in(
            a in prop::collection::btree_set(0u16..200, 0..50),
            b in prop::collection::btree_set(0u16..200, 0..50),
            low in 0u16..200, high in 0u16..200,
        ) {
            let (one, two): (PortSet, PortSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            let both: PortSet = a.union(&b).copied().collect();
            prop_assert_eq!(one.and(&two), both);
            prop_assert_eq!(one.contains(&two), b.is_subset(&a));
            prop_assert_eq!(one.count() as usize, a.len());
            let cut: PortSet = a.iter().copied().filter(|p| (low..=high).contains(p)).collect();
            prop_assert_eq!(one.within(low, high), cut);
            prop_assert_eq!(one.to_string().parse::<PortSet>().unwrap(), one);
        }
    }
}
