//! Which addresses the name of a target stands for.

use crate::target;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Which addresses of a name are connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// All, in turn. Where a name has addresses of both families, and only those of one are answered, the others are
    /// left out.
    #[default]
    Answering,
    /// All, in turn, whether they are answered or not.
    All,
    /// One: the first that is answered.
    First,
}

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "4")]
    V4,
    /// IPv6.
    #[serde(rename = "6")]
    V6,
}

impl Family {
    /// That of an address.
    pub fn of(at: &SocketAddr) -> Family {
        match at.is_ipv4() {
            true => Family::V4,
            false => Family::V6,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        }
    }
}

/// An address that a host is to have at a port, in place of those that its name stands for: `HOST:PORT:ADDRESS`, as
/// curl's `--resolve` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostAddress {
    /// The host, as in a target.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address.
    pub address: IpAddr,
}

/// A text is no [`HostAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither 'first' nor 'all' nor HOST:PORT:ADDRESS, such as example.com:443:10.0.0.7"
)]
pub struct HostAddressError(String);

impl HostAddress {
    /// Whether it is about this host and port. Names are equal in any case (RFC 4343).
    pub fn is_for(&self, host: &str, port: u16) -> bool {
        self.port == port && self.host.eq_ignore_ascii_case(host)
    }
}

impl FromStr for HostAddress {
    type Err = HostAddressError;

    fn from_str(text: &str) -> Result<HostAddress, HostAddressError> {
        let parse = || {
            // An IPv6 host has brackets, as in a target.
            let host = match text.starts_with('[') {
                true => text.find(']')?,
                false => text.find(':')?,
            };
            let (port, address) = text[host..].split_once(':')?.1.split_once(':')?;
            let spec = target::parse(&text[..text.len() - address.len() - 1]).ok()?;
            let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
            match (spec.scheme, spec.path.as_str()) {
                (None, "/") => Some(HostAddress {
                    host: spec.host,
                    port: port.parse().ok()?,
                    address: bare.unwrap_or(address).parse().ok()?,
                }),
                _ => None,
            }
        };
        parse().ok_or_else(|| HostAddressError(text.to_owned()))
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}:{}", self.host, self.port, self.address),
            false => write!(f, "{}:{}:{}", self.host, self.port, self.address),
        }
    }
}

impl TryFrom<String> for HostAddress {
    type Error = HostAddressError;
    fn try_from(text: String) -> Result<HostAddress, HostAddressError> {
        text.parse()
    }
}

impl From<HostAddress> for String {
    fn from(host: HostAddress) -> String {
        host.to_string()
    }
}

/// How the names of targets become addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Resolve {
    /// Which addresses of a name are connected to.
    pub addresses: Addresses,
    /// Of this family only; `None` for both.
    pub family: Option<Family>,
    /// Addresses of hosts that are not looked up.
    pub hosts: Vec<HostAddress>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_host_is_written_as_for_curl() {
        for (text, host, port, address) in [
            ("a.example:443:10.0.0.7", "a.example", 443, "10.0.0.7"),
            ("a.example:443:[::1]", "a.example", 443, "::1"),
            ("a.example:443:fd00::7", "a.example", 443, "fd00::7"),
            ("[::1]:80:127.0.0.1", "::1", 80, "127.0.0.1"),
        ] {
            let read: HostAddress = text.parse().unwrap();
            let expected = HostAddress {
                host: host.into(),
                port,
                address: address.parse().unwrap(),
            };
            assert_eq!(read, expected, "{text}");
            assert_eq!(read.to_string().parse(), Ok(expected), "{text}");
        }
        let read: HostAddress = "A.example:443:10.0.0.7".parse().unwrap();
        assert!(read.is_for("a.EXAMPLE", 443) && !read.is_for("a.example", 80));
    }

    #[test]
    fn what_is_no_address_of_a_host_is_told_in_one_line() {
        for text in [
            "",
            "last",
            "a.example",
            "a.example:443",
            "a.example:443:b.example",
            "a.example:0:10.0.0.7",
            "a.example:http:10.0.0.7",
            ":443:10.0.0.7",
            "ws://a.example:443:10.0.0.7",
            "a.example/x:443:10.0.0.7",
        ] {
            let error = text.parse::<HostAddress>().unwrap_err().to_string();
            assert!(
                !error.contains('\n') && error.contains("HOST:PORT:ADDRESS"),
                "{error}"
            );
        }
    }
}
