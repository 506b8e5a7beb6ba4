//! Addresses as users give them: sources (one, a range, a CIDR block) and places to listen on.

use crate::units::quoted;
use crate::units::written::text_of;
use crate::unix_socket::UnixAddressError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The most source addresses one `--source-ip` may stand for. A million connections need 36 with the
/// default port range; what is above this is a typing error such as `/8`.
pub const MAX_SOURCES: u128 = 65_536;

/// Why an address could not be read; its text is one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a target.
    #[error(
        "{} is not a target; write HOST:PORT, such as 10.0.0.7:9000, [::1]:9000, example.com:443 or \
         ws://example.com/path",
        quoted(.0)
    )]
    Target(String),
    /// A target with a user's name in it.
    #[error(
        "{} has a user name before its host; leave it out: credentials are a header of requests (-A in throng http)",
        quoted(.0)
    )]
    User(String),
    /// A target with a blank in it.
    #[error("{} has a blank in it; a URL has %20 for one", quoted(.0))]
    Blank(String),
    /// A port that does not exist.
    #[error("{}: there is no port {port}; ports are 1 to 65535", quoted(text))]
    Port {
        /// What was read.
        text: String,
        /// The port in it.
        port: String,
    },
    /// A target with an unknown scheme.
    #[error(
        "{} begins with {scheme}://; throng speaks {known}, and plain HOST:PORT",
        quoted(text)
    )]
    Scheme {
        /// What was read.
        text: String,
        /// Its scheme.
        scheme: String,
        /// The known schemes.
        known: String,
    },
    /// Not a Unix socket.
    #[error("unix:{0}")]
    Unix(UnixAddressError),
    /// Not source addresses.
    #[error(
        "{} {why}; write an address, a range like 127.1.0.1-127.1.0.40, or a block like 10.0.0.0/28",
        quoted(text)
    )]
    Sources {
        /// What was read.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not an address to listen on.
    #[error("{} is not a place to listen on; write 9000, 127.0.0.1:9000 or [::1]:9000", quoted(.0))]
    Listen(String),
}

/// An address as a number, so that ranges are arithmetic.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address with that number in the family of `like`.
fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(number as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

/// The address that a connection to `to` really goes to: Linux treats the unspecified address as loopback, and an
/// IPv4-mapped address as IPv4.
pub fn destination(mut to: SocketAddr) -> SocketAddr {
    match to.ip().to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => to.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => to.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(v4) => to.set_ip(v4.into()),
        IpAddr::V6(_) => {}
    }
    to
}

/// The address `n` after `ip`, or `None` past the family's last.
pub fn nth_after(ip: IpAddr, n: u32) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => ip
            .to_bits()
            .checked_add(n)
            .map(|b| Ipv4Addr::from_bits(b).into()),
        IpAddr::V6(ip) => ip
            .to_bits()
            .checked_add(n.into())
            .map(|b| Ipv6Addr::from_bits(b).into()),
    }
}

/// Source addresses that follow one another, all of one family. Written as one address, `10.0.0.5`, as a range with
/// both ends, `127.1.0.1-127.1.0.40`, or as a CIDR block (RFC 4632) such as `10.0.0.0/28`. An IPv4 block of /30 or
/// larger is taken without its network and broadcast addresses, which can't be a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceRange {
    first: IpAddr,
    last: IpAddr,
}

impl SourceRange {
    /// Every address of it, at most [`MAX_SOURCES`].
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (number(self.first)..=number(self.last)).map(move |n| address(n, self.first))
    }
}

impl From<IpAddr> for SourceRange {
    fn from(one: IpAddr) -> SourceRange {
        SourceRange {
            first: one,
            last: one,
        }
    }
}

impl fmt::Display for SourceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => self.first.fmt(f),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl FromStr for SourceRange {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<SourceRange, AddressError> {
        let (first, last) = range(text)?;
        if number(last) - number(first) >= MAX_SOURCES {
            return Err(AddressError::Sources {
                text: text.to_owned(),
                why: "stands for more than 65,536 addresses".to_owned(),
            });
        }
        Ok(SourceRange { first, last })
    }
}

/// The first and the last of the addresses that `text` stands for.
fn range(text: &str) -> Result<(IpAddr, IpAddr), AddressError> {
    let wrong = |why: &str| AddressError::Sources {
        text: text.to_owned(),
        why: why.to_owned(),
    };
    let ip = |s: &str| {
        s.trim()
            .parse::<IpAddr>()
            .map_err(|_| wrong("is not a source address"))
    };
    let (first, last) = if let Some((low, high)) = text.split_once('-') {
        let (low, high) = (ip(low)?, ip(high)?);
        if low.is_ipv4() != high.is_ipv4() {
            return Err(wrong("mixes IPv4 and IPv6"));
        }
        (low, high)
    } else if let Some((base, length)) = text.split_once('/') {
        let base = ip(base)?;
        let bits: u32 = if base.is_ipv4() { 32 } else { 128 };
        let length = length
            .parse::<u32>()
            .ok()
            .filter(|n| *n <= bits)
            .ok_or_else(|| wrong(&format!("needs a prefix length from 0 to {bits}")))?;
        let host = bits - length;
        let mask = if host == 128 {
            u128::MAX
        } else {
            (1u128 << host) - 1
        };
        let low = number(base) & !mask;
        let high = low | mask;
        let edge = u128::from(base.is_ipv4() && host >= 2);
        (address(low + edge, base), address(high - edge, base))
    } else {
        let one = ip(text)?;
        (one, one)
    };

    // An IPv4-mapped IPv6 address is the same source as the IPv4 address.
    let (first, last) = match (first.to_canonical(), last.to_canonical()) {
        (first, last) if first.is_ipv4() == last.is_ipv4() => (first, last),
        _ => (first, last),
    };
    if number(first) > number(last) {
        return Err(wrong("runs backwards"));
    }
    Ok((first, last))
}

text_of!(SourceRange, AddressError);

/// Addresses of simulated clients, written as [`SourceRange`]s are. None of them has to be one of this machine, so there may
/// be any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientRange {
    first: IpAddr,
    last: IpAddr,
}

impl ClientRange {
    /// Those from `first` to `last`, which must be of the same family and not before it.
    pub(crate) fn new(first: IpAddr, last: IpAddr) -> ClientRange {
        ClientRange { first, last }
    }

    /// Whether they are of IPv4.
    pub fn is_ipv4(self) -> bool {
        self.first.is_ipv4()
    }

    /// How many they are: at least one. All of IPv6 count as one less.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }

    /// Whether `ip` is one of them.
    pub fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.is_ipv4() && (self.first..=self.last).contains(&ip)
    }

    /// The `n`th of them, from 0. `n` must be less than [`ClientRange::len`].
    pub fn nth(self, n: u128) -> IpAddr {
        address(number(self.first) + n, self.first)
    }
}

impl fmt::Display for ClientRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first, self.last);
        SourceRange { first, last }.fmt(f)
    }
}

impl FromStr for ClientRange {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<ClientRange, AddressError> {
        let (first, last) = range(text)?;
        Ok(ClientRange { first, last })
    }
}

text_of!(ClientRange, AddressError);

/// Where to listen: `PORT`, `:PORT`, `ADDR:PORT` or `[ADDR6]:PORT`. Without an address it is `[::]`, which accepts IPv4
/// too. Port 0 lets the kernel choose.
///
/// # Errors
/// Neither of these forms. Names are not resolved here.
pub fn listen(text: &str) -> Result<SocketAddr, AddressError> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok((Ipv6Addr::UNSPECIFIED, port).into());
    }
    text.parse().map_err(|_| {
        let (_, port) = text.rsplit_once(':').unwrap_or(("", text));
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        match digits && port.parse::<u16>().is_err() {
            true => AddressError::Port {
                text: text.to_owned(),
                port: port.to_owned(),
            },
            false => AddressError::Listen(text.to_owned()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Vec<String> {
        let range: SourceRange = text.parse().unwrap();
        let same: SourceRange = range.to_string().parse().unwrap();
        assert_eq!(same, range);
        range.addresses().map(|ip| ip.to_string()).collect()
    }

    #[test]
    fn sources_are_an_address_a_range_or_a_block() {
        assert_eq!(spelled("10.0.0.5"), ["10.0.0.5"]);
        assert_eq!(
            spelled("127.1.0.254-127.1.1.1"),
            ["127.1.0.254", "127.1.0.255", "127.1.1.0", "127.1.1.1"]
        );
        assert_eq!(spelled("10.0.0.9/30"), ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(spelled("10.0.0.8/31"), ["10.0.0.8", "10.0.0.9"]);
        assert_eq!(
            spelled("fd00::/126"),
            ["fd00::", "fd00::1", "fd00::2", "fd00::3"]
        );
        assert_eq!(spelled("::1"), ["::1"]);
        let mapped = "::ffff:10.0.0.1-::ffff:10.0.0.2";
        assert_eq!(spelled(mapped), ["10.0.0.1", "10.0.0.2"]);
    }

    #[test]
    fn simulated_clients_may_be_any_number() {
        for (text, len, nth, address) in [
            ("10.0.0.5", 1, 0, "10.0.0.5"),
            ("198.18.0.0/15", 131_070, 256, "198.18.1.1"),
            ("2001:2::/48", 1 << 80, 1 << 64, "2001:2:0:1::"),
            ("::/0", u128::MAX, 7, "::7"),
        ] {
            let range: ClientRange = text.parse().unwrap();
            assert_eq!(
                (range.len(), range.nth(nth).to_string()),
                (len, address.into())
            );
            assert_eq!(range.to_string().parse(), Ok(range));
        }
        assert!("10.0.0.2-10.0.0.1".parse::<ClientRange>().is_err());
    }

    #[test]
    fn what_is_no_source_is_reported_in_one_line() {
        for text in [
            "",
            "localhost",
            "10.0.0.2-10.0.0.1",
            "10.0.0.1-::1",
            "10.0.0.0/33",
            "10.0.0.0/8",
            "::/0",
            "1.2.3.4-",
            "-",
        ] {
            let error = text.parse::<SourceRange>().unwrap_err().to_string();
            assert!(
                !error.contains('\n') && error.contains(text),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn places_to_listen_on_default_to_both_families() {
        assert_eq!(listen("9000").unwrap().to_string(), "[::]:9000");
        assert_eq!(listen(":9000").unwrap().to_string(), "[::]:9000");
        assert_eq!(listen("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(listen("[::1]:80").unwrap().to_string(), "[::1]:80");
        for text in ["", "70000", "::1:80:", "localhost:80", "1.2.3.4"] {
            assert!(listen(text).is_err(), "{text}");
        }
    }
}
