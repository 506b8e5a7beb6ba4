//! The local ports that the kernel hands to outgoing connections: with the number of source
//! addresses, they bound the connections to one target.

use std::io;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::proc_text;

/// `net.ipv4.ip_local_port_range` less `net.ipv4.ip_local_reserved_ports`; both hold for IPv6 too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EphemeralPorts {
    /// First port of the range.
    pub low: u16,
    /// Last port of the range, included.
    pub high: u16,
    /// Ports that are never handed out, though an explicit `bind()` gets them: sorted, disjoint,
    /// inside the range or not.
    pub reserved: Vec<RangeInclusive<u16>>,
}

impl EphemeralPorts {
    /// Reads both sysctls of this network namespace.
    ///
    /// # Errors
    /// If the range can't be read or understood. Where the reserved ports can't be read, there are
    /// none.
    pub fn read() -> io::Result<Self> {
        let path = "/proc/sys/net/ipv4/ip_local_port_range";
        let range = proc_text::read(path)?;
        let (low, high) = parse_range(&range).ok_or_else(|| proc_text::malformed(path, &range))?;
        let path = "/proc/sys/net/ipv4/ip_local_reserved_ports";
        let list = proc_text::read(path).unwrap_or_default();
        let reserved = parse_list(&list).ok_or_else(|| proc_text::malformed(path, &list))?;
        Ok(Self {
            low,
            high,
            reserved,
        })
    }

    /// How many ports the kernel can hand out, for each source address and target.
    #[must_use]
    pub fn usable(&self) -> u32 {
        let size = |low: u16, high: u16| (u32::from(high) + 1).saturating_sub(low.into());
        let reserved =
            |r: &RangeInclusive<u16>| size(self.low.max(*r.start()), self.high.min(*r.end()));
        let taken: u32 = self.reserved.iter().map(reserved).sum();
        size(self.low, self.high).saturating_sub(taken)
    }
}

/// Parses `32768 <TAB> 60999`.
fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.trim().split_once(char::is_whitespace)?;
    Some((low.parse().ok()?, high.trim().parse().ok()?))
}

/// Parses `1,2-4,10`; empty is none. Sorts and joins, as the kernel does when it prints.
fn parse_list(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for item in text.trim().split(',').filter(|item| !item.is_empty()) {
        let (low, high) = item.split_once('-').unwrap_or((item, item));
        ranges.push((low.parse().ok()?, high.parse().ok()?));
    }
    ranges.sort_unstable();
    let mut joined: Vec<RangeInclusive<u16>> = Vec::new();
    for (low, high) in ranges {
        match joined.last_mut() {
            Some(last) if low <= last.end().saturating_add(1) => {
                *last = *last.start()..=high.max(*last.end());
            }
            _ => joined.push(low..=high),
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn usable_ports_are_the_range_less_the_reserved_ones() {
        for (range, reserved, expected) in [
            ("32768\t60999\n", "\n", Some(28232)),
            ("1024\t65535\n", "", Some(64512)),
            ("0 65535", "", Some(65536)),
            ("1024\t65535\n", "8080,9148\n", Some(64510)),
            ("1024\t65535\n", "1-2000,65535\n", Some(64512 - 977 - 1)),
            ("10\t19\n", "1-9,20-30\n", Some(10)),
            ("10\t19\n", "1-65535\n", Some(0)),
            // Only hand-made: the kernel prints them joined.
            ("10\t19\n", "14-16,12-15,17\n", Some(4)),
            ("10\t19\n", "65535,65535\n", Some(10)),
            ("10\t19\n", "12-\n", None),
            ("10\t19\n", "70000\n", None),
            ("10\n", "", None),
            ("", "", None),
        ] {
            let ports = parse_range(range).and_then(|(low, high)| {
                Some(
                    EphemeralPorts {
                        low,
                        high,
                        reserved: parse_list(reserved)?,
                    }
                    .usable(),
                )
            });
            assert_eq!(ports, expected, "{range:?} {reserved:?}");
        }
    }

    #[test]
    fn a_connection_gets_a_port_of_the_range() {
        let ports = EphemeralPorts::read().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert!((ports.low..=ports.high).contains(&port), "{port} {ports:?}");
        assert!(
            !ports.reserved.iter().any(|r| r.contains(&port)),
            "{port} {ports:?}"
        );
        assert!(ports.usable() > 0);
    }
}
