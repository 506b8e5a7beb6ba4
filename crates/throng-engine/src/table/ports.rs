//! Parts of the range of local ports, one of which a socket is told to choose from.
//!
//! For each connection the kernel tries ports until it finds one that is free for this target, the even ones first. When half
//! of 28,232 are in use it tries thousands: a millisecond. In a part of the range it tries few. If that has none that is free,
//! the whole range is searched after all, so no port is left out.

use crate::socket::SocketOption;

/// The most ports of a part.
const PORTS: u32 = 256;

/// The parts of a range, in turn.
#[derive(Default)]
pub(super) struct Parts {
    options: Vec<SocketOption>,
    next: usize,
}

impl Parts {
    /// The parts of the range from `low` to `high`.
    pub fn of((low, high): (u16, u16)) -> Parts {
        let all = u32::from(high - low) + 1;
        let parts = all.div_ceil(PORTS);
        // As large as each other: one that is full first has connections search the whole range.
        let start = |part: u32| u32::from(low) + all * part / parts;
        let part = |nth| SocketOption::port_range(start(nth) as u16, (start(nth + 1) - 1) as u16);
        Parts {
            options: (0..parts).map(part).collect(),
            next: 0,
        }
    }

    /// The number of the next part; `None` if there are none.
    pub fn next(&mut self) -> Option<usize> {
        self.next = (self.next + 1) % self.options.len().max(1);
        (self.next < self.options.len()).then_some(self.next)
    }

    /// The option that has a socket choose from this part. It stays in place for the whole run.
    pub fn option(&self, part: usize) -> &SocketOption {
        &self.options[part]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole_range() {
        for (low, high, parts) in [
            (32_768, 60_999, 111),
            (1024, 65_535, 252),
            (40_000, 40_000, 1),
            (40_000, 40_256, 2),
            (65_300, 65_535, 1),
        ] {
            let mut all = Parts::of((low, high));
            let bounds = |part: usize| {
                let value = Parts::of((low, high)).options[part].value().to_vec();
                let value = u32::from_ne_bytes(value.try_into().expect("an int"));
                (value as u16, (value >> 16) as u16)
            };
            assert_eq!(all.options.len(), parts);
            assert_eq!((bounds(0).0, bounds(parts - 1).1), (low, high));
            for part in 1..parts {
                assert_eq!(u32::from(bounds(part).0), u32::from(bounds(part - 1).1) + 1);
            }
            let turn: Vec<_> = (0..parts).filter_map(|_| all.next()).collect();
            assert_eq!(turn.len(), parts);
            assert!((0..parts).all(|part| turn.contains(&part)));
        }
        assert_eq!(Parts::default().next(), None);
    }
}
