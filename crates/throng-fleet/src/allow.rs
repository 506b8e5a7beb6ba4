//! What an agent may load: networks and ports.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Addresses and ports that an agent may connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    network: IpAddr,
    /// How many leading bits of an address are those of the network.
    length: u32,
    ports: RangeInclusive<u16>,
}

/// Why a text allows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not ADDRESS[/LENGTH]:PORTS; write 10.0.0.0/8:9000-9010, [fd00::]/8:443 or 10.0.0.7:*"
)]
pub struct AllowError(String);

impl Allow {
    /// This machine's own addresses, all ports: 127.0.0.0/8 and ::1.
    pub fn loopback() -> Vec<Allow> {
        let all = |network: IpAddr, length| Allow {
            network,
            length,
            ports: 0..=u16::MAX,
        };
        vec![
            all(IpAddr::from([127, 0, 0, 0]), 8),
            all(Ipv6Addr::LOCALHOST.into(), 128),
        ]
    }

    /// Whether it has this target.
    pub fn has(&self, target: SocketAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
            IpAddr::V6(ip) => ip.to_bits(),
        };
        // An IPv4 address that is written as one of IPv6 is the former.
        let (ip, network) = (target.ip().to_canonical(), self.network);
        let differ = bits(ip) ^ bits(network);
        ip.is_ipv4() == network.is_ipv4()
            && differ.leading_zeros() >= self.length
            && self.ports.contains(&target.port())
    }
}

impl From<SocketAddr> for Allow {
    /// One target.
    fn from(target: SocketAddr) -> Allow {
        let network = target.ip().to_canonical();
        Allow {
            network,
            length: width(network),
            ports: target.port()..=target.port(),
        }
    }
}

/// The bits of an address.
fn width(ip: IpAddr) -> u32 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl FromStr for Allow {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Allow, AllowError> {
        parse(text).ok_or_else(|| AllowError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Allow> {
    let (network, ports) = text.rsplit_once(':')?;
    let (address, length) = match network.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (network, None),
    };
    let address: IpAddr = match address.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into(),
        None => address.parse::<std::net::Ipv4Addr>().ok()?.into(),
    };
    let length = length.unwrap_or(width(address));
    let ports = match ports.split_once('-') {
        _ if ports == "*" => 0..=u16::MAX,
        Some((first, last)) => first.parse().ok()?..=last.parse().ok()?,
        None => {
            let port = ports.parse().ok()?;
            port..=port
        }
    };
    (length <= width(address) && !ports.is_empty()).then_some(Allow {
        network: address,
        length,
        ports,
    })
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network {
            IpAddr::V4(ip) => write!(f, "{ip}")?,
            IpAddr::V6(ip) => write!(f, "[{ip}]")?,
        }
        if self.length < width(self.network) {
            write!(f, "/{}", self.length)?;
        }
        let (first, last) = (self.ports.start(), self.ports.end());
        match (first, last) {
            (0, &u16::MAX) => f.write_str(":*"),
            _ if first == last => write!(f, ":{first}"),
            _ => write!(f, ":{first}-{last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_network_has_its_addresses_and_ports_and_no_others() {
        for (allow, has, has_not) in [
            ("10.0.0.0/8:9000-9010", "10.9.8.7:9010", "10.9.8.7:9011"),
            ("10.0.0.0/8:9000-9010", "10.0.0.1:9000", "11.0.0.1:9000"),
            ("10.0.0.7:80", "10.0.0.7:80", "10.0.0.8:80"),
            ("10.0.0.7:*", "10.0.0.7:1", "10.0.0.6:1"),
            ("0.0.0.0/0:80", "8.8.8.8:80", "[::1]:80"),
            ("[fd00::]/8:443", "[fdff::1]:443", "[fe00::1]:443"),
            ("[::1]:443", "[::1]:443", "[::2]:443"),
            // An IPv4 address in IPv6's clothes.
            (
                "10.0.0.0/8:80",
                "[::ffff:10.1.1.1]:80",
                "[::ffff:11.1.1.1]:80",
            ),
        ] {
            let parsed: Allow = allow.parse().unwrap();
            assert_eq!(parsed.to_string(), allow);
            assert!(parsed.has(has.parse().unwrap()), "{allow} has not {has}");
            assert!(!parsed.has(has_not.parse().unwrap()), "{allow}: {has_not}");
        }
    }

    #[test]
    fn what_allows_nothing_is_refused_with_what_would_be_right() {
        for text in [
            "",
            "10.0.0.1",
            "10.0.0.0/33:80",
            "10.0.0.0/8:90-80",
            "fd00::/8:80",
            "[fd00::/8:80",
            "host:80",
            "10.0.0.0/8:http",
        ] {
            let error = text.parse::<Allow>().unwrap_err().to_string();
            assert!(error.contains("10.0.0.0/8:9000-9010"), "{error}");
        }
    }

    #[test]
    fn only_loopback_is_allowed_by_itself() {
        let has = |target: &str| {
            Allow::loopback()
                .iter()
                .any(|a| a.has(target.parse().unwrap()))
        };
        assert!(has("127.1.2.3:9") && has("[::1]:9"));
        assert!(!has("10.0.0.1:9") && !has("[fe80::1]:9") && !has("0.0.0.0:9"));
    }
}
