//! The PROXY protocol: a header before everything else on a connection, with the addresses of the client that a proxy speaks
//! for (HAProxy's `proxy-protocol.txt`, versions 1 and 2).

mod around;
mod clients;
pub mod counts;
mod parts;
mod read;
mod summary;

pub use around::{Headed, HeadedConn};
pub use clients::{Clients, ClientsNamed};
pub(crate) use parts::{Begins, Parts};
pub use read::{Header, Malformed, Read, Tlv, read};
pub use summary::ProxyProtocolSummary;

use crate::address::{ClientRange, destination};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// How long a connection may take to send the header that it is to begin with. A SYN that was lost is sent again after a second, and
/// its data may be lost once as well; the specification asks for three seconds at least.
pub(crate) const WITHIN: Duration = Duration::from_secs(3);

/// What version 2 begins with (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const PROXY: u8 = 0x21;
/// TCP over IPv4, over IPv6.
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// The first port of a simulated client: those below are privileged.
const FIRST_PORT: u16 = 1024;
/// Ports of each simulated client.
const PORTS: u32 = 65_536 - FIRST_PORT as u32;

/// The version of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The headers of a run's connections. Each connection speaks for a client of its own, by its number: first all addresses, each
/// with one port, then the same with the next port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    version: Version,
    /// The addresses of clients, by family.
    v4: Vec<ClientRange>,
    v6: Vec<ClientRange>,
}

impl Headers {
    /// Headers for clients with these addresses. Without any of a family, that family's addresses are those set apart for
    /// benchmarks: 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180).
    pub fn new(version: Version, clients: &[ClientRange]) -> Headers {
        let of = |v4: bool, usual: ClientRange| {
            let given: Vec<ClientRange> = clients
                .iter()
                .copied()
                .filter(|range| range.is_ipv4() == v4)
                .collect();
            match given.is_empty() {
                true => vec![usual],
                false => given,
            }
        };
        let [first, last] = [[198, 18, 0, 1], [198, 19, 255, 254]].map(Ipv4Addr::from);
        let [first6, last6] =
            [0, u128::MAX >> 48].map(|host| Ipv6Addr::from_bits(0x2001_0002_u128 << 96 | host));
        Headers {
            version,
            v4: of(true, ClientRange::new(first.into(), last.into())),
            v6: of(false, ClientRange::new(first6.into(), last6.into())),
        }
    }

    /// The client of connection `id` to `target`, whose family it has.
    pub fn client(&self, id: u32, target: SocketAddr) -> SocketAddr {
        let ranges = match destination(target).is_ipv4() {
            true => &self.v4,
            false => &self.v6,
        };
        let all = ranges.iter().map(|range| range.len()).sum::<u128>();
        let mut nth = u128::from(id) % all;
        let round = u128::from(id) / all % u128::from(PORTS);
        let mut ip = target.ip();
        for range in ranges {
            if nth < range.len() {
                ip = range.nth(nth);
                break;
            }
            nth -= range.len();
        }
        (ip, FIRST_PORT + round as u16).into()
    }

    /// Whether `client` is that of some connection.
    pub fn names(&self, client: SocketAddr) -> bool {
        let ranges = match client.is_ipv4() {
            true => &self.v4,
            false => &self.v6,
        };
        client.port() >= FIRST_PORT && ranges.iter().any(|range| range.contains(client.ip()))
    }

    /// Appends the header of connection `id` to `target`.
    pub fn write(&self, id: u32, target: SocketAddr, out: &mut Vec<u8>) {
        self.version
            .write(self.client(id, target), destination(target), out);
    }
}

impl Version {
    /// Appends a header for `client`, which connected to `target`; both are of the same family.
    pub fn write(self, client: SocketAddr, target: SocketAddr, out: &mut Vec<u8>) {
        match self {
            Version::V1 => write_v1(client, target, out),
            Version::V2 => write_v2(client, target, out),
        }
    }
}

/// Section 2.1: at most 107 bytes.
fn write_v1(client: SocketAddr, target: SocketAddr, out: &mut Vec<u8>) {
    let (family, from, to) = (
        if client.is_ipv4() { "TCP4" } else { "TCP6" },
        client.ip(),
        target.ip(),
    );
    let (from_port, to_port) = (client.port(), target.port());
    let written = write!(out, "PROXY {family} {from} {to} {from_port} {to_port}\r\n");
    written.expect("a Vec takes all bytes");
}

/// Section 2.2, without TLVs: 28 or 52 bytes.
fn write_v2(client: SocketAddr, target: SocketAddr, out: &mut Vec<u8>) {
    let mut addresses = Vec::with_capacity(36);
    for ip in [client.ip(), target.ip()] {
        match ip {
            IpAddr::V4(ip) => addresses.extend(ip.octets()),
            IpAddr::V6(ip) => addresses.extend(ip.octets()),
        }
    }
    for port in [client.port(), target.port()] {
        addresses.extend(port.to_be_bytes());
    }
    out.extend(SIGNATURE);
    out.extend([PROXY, if client.is_ipv4() { TCP4 } else { TCP6 }]);
    out.extend((addresses.len() as u16).to_be_bytes());
    out.extend(addresses);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn written(version: Version, id: u32, target: &str) -> Vec<u8> {
        let mut out = b"before".to_vec();
        Headers::new(version, &[]).write(id, target.parse().unwrap(), &mut out);
        out.split_off(6)
    }

    #[test]
    fn version_1_is_a_line() {
        for (id, target, expected) in [
            (
                0,
                "127.0.0.1:80",
                "PROXY TCP4 198.18.0.1 127.0.0.1 1024 80\r\n",
            ),
            (
                131_070,
                "0.0.0.0:80",
                "PROXY TCP4 198.18.0.1 127.0.0.1 1025 80\r\n",
            ),
            (300, "[::1]:443", "PROXY TCP6 2001:2::12c ::1 1024 443\r\n"),
            (
                7,
                "[::ffff:10.0.0.7]:80",
                "PROXY TCP4 198.18.0.8 10.0.0.7 1024 80\r\n",
            ),
        ] {
            let line = String::from_utf8(written(Version::V1, id, target)).unwrap();
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn version_2_is_binary() {
        let four = written(Version::V2, 256, "127.0.0.1:80");
        assert_eq!(
            four[..12],
            *b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
        );
        let expected = [0x21, 0x11, 0, 12, 198, 18, 1, 1, 127, 0, 0, 1, 4, 0, 0, 80];
        assert_eq!(four[12..], expected);
        let six = written(Version::V2, 1, "[::1]:258");
        assert_eq!((six.len(), &six[12..16]), (52, &[0x21, 0x21, 0, 36][..]));
        assert_eq!(six[16..24], [0x20, 1, 0, 2, 0, 0, 0, 0]);
        assert_eq!(six[48..], [4, 0, 1, 2]);
    }

    #[test]
    fn each_connection_speaks_for_a_client_of_its_own() {
        let given = ["10.0.0.1-10.0.0.3", "10.1.0.0/31", "fd00::/64"];
        let given: Vec<ClientRange> = given.iter().map(|text| text.parse().unwrap()).collect();
        let headers = Headers::new(Version::V2, &given);
        let target = "127.0.0.1:80".parse().unwrap();
        let clients: Vec<SocketAddr> = (0..1000).map(|id| headers.client(id, target)).collect();
        let shown: Vec<String> = clients[3..7].iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "10.1.0.0:1024",
                "10.1.0.1:1024",
                "10.0.0.1:1025",
                "10.0.0.2:1025"
            ]
        );
        assert_eq!(clients.iter().collect::<HashSet<_>>().len(), 1000);
        let six = headers.client(9, "[::1]:80".parse().unwrap());
        assert_eq!(six.to_string(), "[fd00::9]:1024");
        for client in clients.iter().chain([&six]) {
            assert!(headers.names(*client), "{client}");
        }
        for other in ["10.0.0.4:1024", "10.0.0.1:1023", "[fd01::1]:1024"] {
            assert!(!headers.names(other.parse().unwrap()), "{other}");
        }
        // Ports begin again when all are used.
        let one = Headers::new(Version::V1, &["10.0.0.1".parse().unwrap()]);
        let ports = [0, 64_511, 64_512].map(|id| one.client(id, target).port());
        assert_eq!(ports, [1024, 65_535, 1024]);
    }
}
