//! Reads headers of the PROXY protocol, of both versions.

use super::{SIGNATURE, Version};
use crate::stats::kinds;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// The longest header of version 1, its line end included (section 2.1).
const LONGEST_V1: usize = 107;
const V1: &[u8; 6] = b"PROXY ";
/// The fixed part of a header of version 2.
const FIXED_V2: usize = 16;
/// The bytes of the addresses of Unix sockets: two paths.
const UNIX_ADDRESSES: usize = 216;

/// What a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The beginning of a header, as far as it goes.
    Incomplete,
    /// A header.
    Header(Header),
    /// No header, or one that is wrong.
    Malformed(Malformed),
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its version.
    pub version: Version,
    /// Its bytes. What follows is what the client sent.
    pub len: usize,
    /// Client and destination; `None` if the proxy speaks for itself (LOCAL), or does not know (UNKNOWN, UNSPEC), or if they
    /// are no addresses of IP.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// Version 2: what else is told (section 2.2): the type of each TLV, and where its value is in the header.
    pub tlvs: Vec<(Tlv, Range<usize>)>,
}

kinds! {
    /// What a TLV tells (section 2.2).
    pub enum Tlv {
        /// The protocol above, by its name in ALPN.
        Alpn: "alpn", "protocol (ALPN)";
        /// The host name that the client asked for: that of SNI, as a rule.
        Authority: "authority", "host name (authority)";
        /// A checksum of the header, which is checked.
        Crc32c: "crc32c", "checksum (CRC32c)";
        /// Padding.
        Noop: "noop", "padding";
        /// A name of the connection that no other has.
        UniqueId: "unique_id", "unique id";
        /// How the client speaks TLS, and who its certificate says that it is.
        Ssl: "ssl", "TLS of the client";
        /// The network namespace.
        Netns: "netns", "network namespace";
        /// Types set apart for applications, for experiments, or for the future: the endpoint of a cloud's private link, as a rule.
        Other: "other", "of another type";
    }
}

impl Tlv {
    /// What a TLV of this type tells.
    fn of(kind: u8) -> Tlv {
        match kind {
            0x01 => Tlv::Alpn,
            0x02 => Tlv::Authority,
            0x03 => Tlv::Crc32c,
            0x04 => Tlv::Noop,
            0x05 => Tlv::UniqueId,
            0x20 => Tlv::Ssl,
            0x30 => Tlv::Netns,
            _ => Tlv::Other,
        }
    }
}

kinds! {
    /// What is wrong with a header.
    pub enum Malformed {
        /// The connection begins with something else.
        NoHeader: "no_header", "the connection begins with no PROXY header";
        /// Version 1: no line end within 107 bytes.
        TooLong: "too_long", "a line of more than 107 bytes";
        /// Version 1: not the words that belong there.
        BadLine: "bad_line", "a line with other words than PROXY TCP4|TCP6|UNKNOWN and two addresses and ports";
        /// Version 2: another version than 2, or an unknown command.
        BadCommand: "bad_command", "another version than 2, or an unknown command";
        /// Version 2: an unknown family or transport.
        BadFamily: "bad_family", "an unknown family or transport";
        /// Version 2: too short for its addresses.
        TooShort: "too_short", "a length too short for the addresses";
        /// Version 2: a TLV that goes beyond the header.
        BadTlv: "bad_tlv", "a TLV that goes beyond the header";
        /// Version 2: another checksum than that of the header.
        BadChecksum: "bad_checksum", "a checksum that is not that of the header";
    }
}

/// Reads the header that `bytes`, the first that came on a connection, begin with.
pub fn read(bytes: &[u8]) -> Read {
    match (begins(bytes, V1), begins(bytes, SIGNATURE)) {
        _ if bytes.is_empty() => Read::Incomplete,
        (true, _) => read_v1(bytes).unwrap_or_else(Read::Malformed),
        (_, true) => read_v2(bytes).unwrap_or_else(Read::Malformed),
        _ => Read::Malformed(Malformed::NoHeader),
    }
}

/// Whether `bytes` begin with `with`, as far as they go.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let n = bytes.len().min(with.len());
    bytes[..n] == with[..n]
}

fn read_v1(bytes: &[u8]) -> Result<Read, Malformed> {
    let within = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = within.windows(2).position(|two| two == b"\r\n") else {
        return match bytes.len() < LONGEST_V1 {
            true => Ok(Read::Incomplete),
            false => Err(Malformed::TooLong),
        };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| Malformed::BadLine)?;
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let addresses = match words[..] {
        ["UNKNOWN", ..] => None,
        [family @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            let v4 = family == "TCP4";
            Some((end_of(from, from_port, v4)?, end_of(to, to_port, v4)?))
        }
        _ => return Err(Malformed::BadLine),
    };
    Ok(Read::Header(Header {
        version: Version::V1,
        len: end + 2,
        addresses,
        tlvs: Vec::new(),
    }))
}

/// An address and its port, in the only form that there is (section 2.1): without leading zeros.
fn end_of(address: &str, port: &str, v4: bool) -> Result<SocketAddr, Malformed> {
    let ip: IpAddr = match v4 {
        true => address.parse::<Ipv4Addr>().map(IpAddr::from),
        false => address.parse::<Ipv6Addr>().map(IpAddr::from),
    }
    .map_err(|_| Malformed::BadLine)?;
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let padded = port.len() > 1 && port.starts_with('0');
    match (port.parse::<u16>(), digits && !padded) {
        (Ok(port), true) => Ok((ip, port).into()),
        _ => Err(Malformed::BadLine),
    }
}

fn read_v2(bytes: &[u8]) -> Result<Read, Malformed> {
    if let Some(command) = bytes.get(12)
        && !matches!(command, 0x20 | 0x21)
    {
        return Err(Malformed::BadCommand);
    }
    // Unspecified, or TCP or UDP over IPv4, IPv6 or Unix sockets.
    if let Some(family) = bytes.get(13)
        && (family >> 4 > 3 || family & 0xf > 2)
    {
        return Err(Malformed::BadFamily);
    }
    let Some(fixed) = bytes.get(..FIXED_V2) else {
        return Ok(Read::Incomplete);
    };
    let len = FIXED_V2 + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let (local, family) = (fixed[12] & 0xf == 0, fixed[13] >> 4);
    let ip_bytes = match family {
        1 => 4,
        2 => 16,
        _ => 0,
    };
    let tlvs_at = FIXED_V2
        + match family {
            3 => UNIX_ADDRESSES,
            _ if ip_bytes > 0 => 2 * ip_bytes + 4,
            _ => 0,
        };
    if tlvs_at > len && !local {
        return Err(Malformed::TooShort);
    }
    let Some(header) = bytes.get(..len) else {
        return Ok(Read::Incomplete);
    };
    // Of a proxy that speaks for itself, the rest is to be ignored.
    if local {
        return Ok(Read::Header(Header {
            version: Version::V2,
            len,
            addresses: None,
            tlvs: Vec::new(),
        }));
    }
    let tlvs = tlvs(header, tlvs_at)?;
    check(header, &tlvs)?;
    let end = |n: usize| -> Option<SocketAddr> {
        let ip = &header[FIXED_V2 + n * ip_bytes..][..ip_bytes];
        let ip = match ip_bytes {
            4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
            16 => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
            _ => return None,
        };
        let port = &header[FIXED_V2 + 2 * ip_bytes + 2 * n..][..2];
        Some((ip, u16::from_be_bytes([port[0], port[1]])).into())
    };
    Ok(Read::Header(Header {
        version: Version::V2,
        len,
        addresses: match ip_bytes {
            0 => None,
            _ => end(0).zip(end(1)),
        },
        tlvs,
    }))
}

/// The TLVs of a whole header, from `at` on.
fn tlvs(header: &[u8], mut at: usize) -> Result<Vec<(Tlv, Range<usize>)>, Malformed> {
    let mut all = Vec::new();
    while at < header.len() {
        let Some(&[kind, high, low]) = header.get(at..at + 3) else {
            return Err(Malformed::BadTlv);
        };
        let value = at + 3..at + 3 + usize::from(u16::from_be_bytes([high, low]));
        if value.end > header.len() {
            return Err(Malformed::BadTlv);
        }
        at = value.end;
        all.push((Tlv::of(kind), value));
    }
    Ok(all)
}

/// Checks the checksum, if there is one: it is that of the header with zeros in its place.
fn check(header: &[u8], tlvs: &[(Tlv, Range<usize>)]) -> Result<(), Malformed> {
    let Some((_, at)) = tlvs.iter().find(|(kind, _)| *kind == Tlv::Crc32c) else {
        return Ok(());
    };
    let given: [u8; 4] = header[at.clone()]
        .try_into()
        .map_err(|_| Malformed::BadTlv)?;
    let mut zeroed = header.to_vec();
    zeroed[at.clone()].fill(0);
    match crc32c(&zeroed) == u32::from_be_bytes(given) {
        true => Ok(()),
        false => Err(Malformed::BadChecksum),
    }
}

/// CRC-32C (Castagnoli), as RFC 3720 has it.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| match crc & 1 {
        0 => crc >> 1,
        _ => crc >> 1 ^ 0x82f6_3b78,
    };
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bytes: &[u8]) -> Header {
        match read(bytes) {
            Read::Header(header) => header,
            other => panic!("{other:?}: {}", bytes.escape_ascii()),
        }
    }

    fn ends(from: &str, to: &str) -> Option<(SocketAddr, SocketAddr)> {
        Some((from.parse().unwrap(), to.parse().unwrap()))
    }

    /// A header of version 2.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, rest].concat()
    }

    const FOUR: [u8; 12] = [10, 0, 0, 1, 10, 0, 0, 9, 4, 0, 0, 80];

    #[test]
    fn what_is_written_is_read_again() {
        for (from, to) in [
            ("10.0.0.1:1024", "10.0.0.9:80"),
            ("[fd00::1]:65535", "[2001:db8::9]:443"),
        ] {
            for version in [Version::V1, Version::V2] {
                let expected = ends(from, to);
                let (client, target) = expected.unwrap();
                let mut bytes = Vec::new();
                version.write(client, target, &mut bytes);
                let len = bytes.len();
                bytes.extend(b"GET / HTTP/1.1\r\n");
                let read = header(&bytes);
                assert_eq!((read.version, read.len), (version, len));
                assert_eq!(read.addresses, expected);
                for cut in 0..len {
                    assert_eq!(super::read(&bytes[..cut]), Read::Incomplete, "{cut}");
                }
            }
        }
    }

    #[test]
    fn a_proxy_may_not_know_its_client_or_speak_for_itself() {
        for (bytes, len) in [
            (&b"PROXY UNKNOWN\r\nhello"[..], 15),
            (b"PROXY UNKNOWN ffff:f 1 2 3\r\nhello", 28),
            (&v2(0x20, 0, &[]), 16),
            // What it says nevertheless is ignored.
            (&v2(0x20, 0x11, &[1, 2, 3]), 19),
            (&v2(0x21, 0, &[]), 16),
            (&v2(0x21, 0x31, &[7; 216]), 232),
        ] {
            let read = header(bytes);
            assert_eq!((read.len, read.addresses), (len, None));
        }
    }

    #[test]
    fn tlvs_are_told_by_type() {
        let tlvs = [1, 0, 2, b'h', b'2', 4, 0, 0, 2, 0, 3, b'a', b'.', b'b'];
        let bytes = v2(0x21, 0x11, &[&FOUR[..], &tlvs].concat());
        let read = header(&bytes);
        assert_eq!(read.addresses, ends("10.0.0.1:1024", "10.0.0.9:80"));
        let told: Vec<(Tlv, &[u8])> = read
            .tlvs
            .iter()
            .map(|(kind, at)| (*kind, &bytes[at.clone()]))
            .collect();
        assert_eq!(
            told,
            [
                (Tlv::Alpn, &b"h2"[..]),
                (Tlv::Noop, b""),
                (Tlv::Authority, b"a.b")
            ]
        );
    }

    #[test]
    fn a_checksum_is_checked() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let mut bytes = v2(0x21, 0x11, &[&FOUR[..], &[3, 0, 4, 0, 0, 0, 0]].concat());
        let (len, sum) = (bytes.len(), crc32c(&bytes));
        bytes[len - 4..].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(header(&bytes).len, len);
        bytes[16] ^= 1;
        assert_eq!(read(&bytes), Read::Malformed(Malformed::BadChecksum));
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_known() {
        let long = [b"PROXY UNKNOWN ", &[b'x'; 93][..]].concat();
        for (bytes, why) in [
            (&b"GET /"[..], Malformed::NoHeader),
            (b"PROXX", Malformed::NoHeader),
            (b"\r\n\r\n\0\r\nQUIX", Malformed::NoHeader),
            (&long, Malformed::TooLong),
            (b"PROXY TCP4 10.0.0.1 10.0.0.9 1024\r\n", Malformed::BadLine),
            (
                b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 80 1\r\n",
                Malformed::BadLine,
            ),
            (
                b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 080\r\n",
                Malformed::BadLine,
            ),
            (
                b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 +80\r\n",
                Malformed::BadLine,
            ),
            (
                b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 65536\r\n",
                Malformed::BadLine,
            ),
            (
                b"PROXY TCP4 10.0.0.01 10.0.0.9 1024 80\r\n",
                Malformed::BadLine,
            ),
            (b"PROXY TCP4 ::1 ::1 1024 80\r\n", Malformed::BadLine),
            (
                b"PROXY TCP6 10.0.0.1 10.0.0.9 1024 80\r\n",
                Malformed::BadLine,
            ),
            (
                b"PROXY  TCP4 10.0.0.1 10.0.0.9 1024 80\r\n",
                Malformed::BadLine,
            ),
            (
                b"PROXY UDP4 10.0.0.1 10.0.0.9 1024 80\r\n",
                Malformed::BadLine,
            ),
            (b"PROXY \xff\r\n", Malformed::BadLine),
            (&v2(0x11, 0x11, &FOUR)[..13], Malformed::BadCommand),
            (&v2(0x22, 0x11, &FOUR), Malformed::BadCommand),
            (&v2(0x21, 0x41, &FOUR)[..14], Malformed::BadFamily),
            (&v2(0x21, 0x13, &FOUR), Malformed::BadFamily),
            (&v2(0x21, 0x11, &FOUR[..11])[..16], Malformed::TooShort),
            (&v2(0x21, 0x21, &FOUR), Malformed::TooShort),
            (
                &v2(0x21, 0x11, &[&FOUR[..], &[1, 0]].concat()),
                Malformed::BadTlv,
            ),
            (
                &v2(0x21, 0x11, &[&FOUR[..], &[1, 0, 2, 7]].concat()),
                Malformed::BadTlv,
            ),
            (
                &v2(0x21, 0x11, &[&FOUR[..], &[3, 0, 1, 7]].concat()),
                Malformed::BadTlv,
            ),
        ] {
            assert_eq!(
                read(bytes),
                Read::Malformed(why),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}
