//! Socket options, and how they are written.

use super::bounds;
use crate::human;
use crate::units::written::{Maybe, Span, Written, duration_text, written};
use crate::units::{self, UnitError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// What is set on each socket; `None` and `false` leave it as the kernel has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SocketOptions {
    /// Nagle's algorithm (RFC 896). Without it TCP_NODELAY is set where messages are sent: a small message would
    /// otherwise wait for the acknowledgement of the one before, which the peer may delay by 40 ms.
    pub nagle: bool,
    /// SO_RCVBUF, bytes. The kernel doubles it.
    #[serde(rename = "rcvbuf", with = "Maybe::<bounds::Buffer>")]
    pub receive_buffer: Option<u64>,
    /// SO_SNDBUF, bytes. The kernel doubles it.
    #[serde(rename = "sndbuf", with = "Maybe::<bounds::Buffer>")]
    pub send_buffer: Option<u64>,
    /// SO_KEEPALIVE, and when to probe.
    #[serde(with = "Maybe::<Keepalive>")]
    pub keepalive: Option<Keepalive>,
    /// TCP_USER_TIMEOUT (RFC 5482): how long sent data may stay unacknowledged before the connection is given up.
    #[serde(with = "Maybe::<UserTimeout>")]
    pub user_timeout: Option<Duration>,
    /// TCP_CONGESTION.
    pub congestion: Option<KernelName>,
    /// SO_MARK.
    #[serde(with = "Maybe::<Mark>")]
    pub mark: Option<u32>,
    /// IP_TOS and IPV6_TCLASS: the byte of which the upper six bits are the DSCP (RFC 2474).
    #[serde(with = "Maybe::<Tos>")]
    pub tos: Option<u8>,
    /// SO_LINGER. Zero, the only time there is, resets connections that are closed. With more the kernel makes close(2)
    /// wait for the peer, even on a non-blocking socket: an event loop would stand still at each close.
    #[serde(with = "Maybe::<Linger>")]
    pub linger: Option<Duration>,
    /// SO_BINDTODEVICE: the interface that all packets leave and enter by.
    pub bind_device: Option<KernelName>,
    /// MPTCP (RFC 8684). Connections fall back to TCP if the peer does not speak it.
    pub mptcp: bool,
}

/// The limits of the kernel for the three parts (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT).
const KEEPALIVE_SECONDS: RangeInclusive<u64> = 1..=32_767;
const KEEPALIVE_PROBES: RangeInclusive<u8> = 1..=127;
/// The kernel takes an int of milliseconds.
const USER_TIMEOUT_MS: RangeInclusive<u128> = 1..=i32::MAX as u128;

/// When the kernel probes a connection on which nothing arrives: `IDLE[:INTERVAL[:COUNT]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// TCP_KEEPIDLE: the time without a segment after which the first probe is sent; whole seconds.
    pub idle: Duration,
    /// TCP_KEEPINTVL: the time between probes, whole seconds; `None` for `net.ipv4.tcp_keepalive_intvl`.
    pub interval: Option<Duration>,
    /// TCP_KEEPCNT: probes without an answer after which the connection is given up; `None` for
    /// `net.ipv4.tcp_keepalive_probes`.
    pub count: Option<u8>,
}

impl FromStr for Keepalive {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Keepalive, UnitError> {
        let mut parts = text.split(':');
        let (idle, interval, count) = (parts.next(), parts.next(), parts.next());
        if parts.next().is_some() {
            return Err(UnitError::Unreadable {
                text: text.into(),
                what: "IDLE[:INTERVAL[:COUNT]]",
                like: "60s, 60s:10s or 60s:10s:5",
            });
        }
        Ok(Keepalive {
            idle: keepalive_time(idle.unwrap_or_default())?,
            interval: interval.map(keepalive_time).transpose()?,
            count: count.map(probes).transpose()?,
        })
    }
}

fn probes(text: &str) -> Result<u8, UnitError> {
    match text.parse() {
        Ok(n) if KEEPALIVE_PROBES.contains(&n) => Ok(n),
        _ => Err(UnitError::OutOfBounds(format!(
            "{} is not a number of keepalive probes; write 1 to {}",
            units::quoted(text),
            KEEPALIVE_PROBES.end()
        ))),
    }
}

impl Written for Keepalive {
    type Value = Keepalive;
    const WHAT: &'static str = "keepalive times such as \"60s\" or \"60s:10s:5\"";
    fn read(text: &str) -> Result<Keepalive, UnitError> {
        text.parse()
    }
    fn text(value: Keepalive) -> String {
        let Keepalive {
            idle,
            interval,
            count,
        } = value;
        let mut text = duration_text(idle);
        if let Some(interval) = interval {
            text += &format!(":{}", duration_text(interval));
        }
        if let Some(count) = count {
            text += &format!(":{count}");
        }
        text
    }
}

fn keepalive_time(text: &str) -> Result<Duration, UnitError> {
    let time = units::duration(text)?;
    match time.subsec_nanos() == 0 && KEEPALIVE_SECONDS.contains(&time.as_secs()) {
        true => Ok(time),
        false => Err(UnitError::OutOfBounds(format!(
            "a keepalive time is in whole seconds, {} to {}",
            KEEPALIVE_SECONDS.start(),
            human::count(*KEEPALIVE_SECONDS.end())
        ))),
    }
}

/// A linger time: 0.
///
/// # Errors
/// Not a duration, or more than 0.
pub fn linger(text: &str) -> Result<Duration, UnitError> {
    match units::duration(text)? {
        Duration::ZERO => Ok(Duration::ZERO),
        _ => Err(UnitError::OutOfBounds(
            "only 0 is possible, which closes with a reset: with more, each close would hold up the other connections"
                .into(),
        )),
    }
}

/// A user timeout: whole milliseconds, up to 24 days.
///
/// # Errors
/// Not a duration, or out of bounds.
pub fn user_timeout(text: &str) -> Result<Duration, UnitError> {
    let time = units::duration(text)?;
    match time.subsec_nanos() % 1_000_000 == 0 && USER_TIMEOUT_MS.contains(&time.as_millis()) {
        true => Ok(time),
        false => Err(UnitError::OutOfBounds(
            "a user timeout is in whole milliseconds, 1ms to 24d".into(),
        )),
    }
}

/// A number in decimal or, after `0x`, in hexadecimal.
fn number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let (digits, radix) = hexadecimal.map_or((text, 10), |digits| (digits, 16));
    match digits.starts_with('+') {
        true => None,
        false => u32::from_str_radix(digits, radix).ok(),
    }
}

/// A mark: 0 to 2^32 - 1, in decimal or hexadecimal.
///
/// # Errors
/// Not such a number.
pub fn mark(text: &str) -> Result<u32, UnitError> {
    number(text).ok_or_else(|| UnitError::Unreadable {
        text: text.into(),
        what: "a mark of 32 bits",
        like: "42 or 0x2a",
    })
}

/// The names of DSCPs (RFC 2474, 2597, 3246, 5865 and 8622).
const DSCPS: [(&str, u8); 24] = [
    ("cs0", 0),
    ("le", 1),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("voice-admit", 44),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
    ("default", 0),
];
/// The lower two bits of the byte are those of ECN, which the kernel keeps to itself on TCP sockets.
const ECN_BITS: u32 = 2;

fn named(text: &str) -> Option<u8> {
    let mut all = DSCPS.iter();
    let (_, dscp) = all.find(|(name, _)| name.eq_ignore_ascii_case(text))?;
    Some(dscp << ECN_BITS)
}

/// A type of service: 0 to 252 in steps of 4, in decimal or hexadecimal, or the name of a [DSCP](dscp()).
///
/// # Errors
/// Not such a number or name.
pub fn tos(text: &str) -> Result<u8, UnitError> {
    if let Some(tos) = named(text) {
        return Ok(tos);
    }
    match number(text).map(u8::try_from) {
        Some(Ok(tos)) if tos.trailing_zeros() >= ECN_BITS => Ok(tos),
        Some(Ok(_)) => Err(UnitError::OutOfBounds(format!(
            "{} sets bits of ECN, which TCP sets itself; write a multiple of 4",
            units::quoted(text)
        ))),
        _ => Err(UnitError::Unreadable {
            text: text.into(),
            what: "a type of service from 0 to 252",
            like: "184, 0xb8 or ef",
        }),
    }
}

/// The [type of service](tos()) of a DSCP: 0 to 63, in decimal or hexadecimal, or a name such as `ef`, `af41` or `cs1`.
///
/// # Errors
/// Not such a number or name.
pub fn dscp(text: &str) -> Result<u8, UnitError> {
    let number = || match number(text) {
        Some(dscp @ 0..64) => Some((dscp as u8) << ECN_BITS),
        _ => None,
    };
    named(text)
        .or_else(number)
        .ok_or_else(|| UnitError::Unreadable {
            text: text.into(),
            what: "a DSCP from 0 to 63",
            like: "46, ef, af41, cs1 or le",
        })
}

written! {
    /// A [linger time](linger()).
    Linger: Duration = Span::WHAT, linger, duration_text;
    /// A [user timeout](user_timeout()).
    UserTimeout: Duration = Span::WHAT, user_timeout, duration_text;
    /// A [mark](mark()).
    Mark: u32 = "a number such as 42 or \"0x2a\"", mark, |n: u32| n.to_string();
    /// A [type of service](tos()).
    Tos: u8 = "a type of service such as 184, \"0xb8\" or \"ef\"", tos, |n: u8| n.to_string();
}

/// A name as the kernel has them for congestion controls and network interfaces: 1 to 15 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelName(String);

impl KernelName {
    /// The length of the longest, in bytes. The kernel adds a NUL (TCP_CA_NAME_MAX, IFNAMSIZ).
    const LONGEST: usize = 15;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KernelName {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<KernelName, UnitError> {
        let fits = (1..=KernelName::LONGEST).contains(&text.len());
        match fits && text.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(KernelName(text.into())),
            false => Err(UnitError::OutOfBounds(format!(
                "{} is not a name that the kernel has: those have 1 to {} characters, without blanks",
                units::quoted(text),
                KernelName::LONGEST
            ))),
        }
    }
}

impl TryFrom<String> for KernelName {
    type Error = UnitError;
    fn try_from(text: String) -> Result<KernelName, UnitError> {
        text.parse()
    }
}

impl From<KernelName> for String {
    fn from(name: KernelName) -> String {
        name.0
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalive_is_idle_then_interval_then_count() {
        let seconds = Duration::from_secs;
        for (text, idle, interval, count) in [
            ("60s", seconds(60), None, None),
            ("60", seconds(60), None, None),
            ("1m30s:10s", seconds(90), Some(seconds(10)), None),
            ("2m:1s:127", seconds(120), Some(seconds(1)), Some(127)),
        ] {
            let keepalive = Keepalive {
                idle,
                interval,
                count,
            };
            assert_eq!(text.parse(), Ok(keepalive), "{text}");
            assert_eq!(Keepalive::text(keepalive).parse(), Ok(keepalive), "{text}");
        }
        for (text, says) in [
            ("", "'' is not a duration"),
            ("0s", "1 to 32,767"),
            ("10h", "1 to 32,767"),
            ("1.5s", "whole seconds"),
            (
                "1s:2s:0",
                "'0' is not a number of keepalive probes; write 1 to 127",
            ),
            ("1s:2s:128", "1 to 127"),
            ("1s:2s:3:4", "write 60s, 60s:10s or 60s:10s:5"),
        ] {
            let error = text.parse::<Keepalive>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_dscp_is_the_upper_six_bits_of_the_type_of_service() {
        for (tos_text, dscp_text, byte) in [
            ("184", "46", 0xb8),
            ("0xb8", "0x2e", 0xb8),
            ("ef", "EF", 0xb8),
            ("0", "cs0", 0),
            ("0x20", "cs1", 32),
            ("af41", "34", 136),
            ("252", "63", 252),
        ] {
            assert_eq!((tos(tos_text), dscp(dscp_text)), (Ok(byte), Ok(byte)));
        }
        for (error, says) in [
            (tos("3"), "multiple of 4"),
            (tos("0x1fc"), "from 0 to 252"),
            (tos("fast"), "write 184, 0xb8 or ef"),
            (tos("+4"), "from 0 to 252"),
            (dscp("64"), "from 0 to 63"),
            (dscp("-1"), "from 0 to 63"),
        ] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_the_kernel_would_round_or_cut_is_refused() {
        for (error, says) in [
            (linger("5s").unwrap_err(), "hold up the other connections"),
            (user_timeout("0").unwrap_err(), "1ms to 24d"),
            (user_timeout("1500us").unwrap_err(), "whole milliseconds"),
            (user_timeout("25d").unwrap_err(), "1ms to 24d"),
            (mark("0x100000000").unwrap_err(), "32 bits"),
            (mark("").unwrap_err(), "write 42 or 0x2a"),
            ("".parse::<KernelName>().unwrap_err(), "1 to 15"),
            (
                "sixteen-letters-".parse::<KernelName>().unwrap_err(),
                "1 to 15",
            ),
            ("two words".parse::<KernelName>().unwrap_err(), "blanks"),
        ] {
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(linger("0"), Ok(Duration::ZERO));
        assert_eq!(mark("0xFFFFFFFF"), Ok(u32::MAX));
    }
}
