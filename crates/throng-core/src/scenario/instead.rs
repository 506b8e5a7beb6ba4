//! What stands instead of a target's host and port: addresses, or another host and port.

use crate::target;
use crate::units::written::text_of;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that a host is to have at a port, in place of those that its name stands for: `HOST:PORT:ADDRESS[,ADDRESS]`,
/// as curl's `--resolve` has it. The host `*` is any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostAddress {
    /// The host, as in a target.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The addresses, at least one.
    pub addresses: Vec<IpAddr>,
}

/// A text is no [`HostAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is neither 'first' nor 'all' nor HOST:PORT:ADDRESS[,ADDRESS], such as example.com:443:10.0.0.7"
)]
pub struct HostAddressError(String);

impl HostAddress {
    /// Whether it is about this host and port. Names are equal in any case (RFC 4343).
    pub fn is_for(&self, host: &str, port: u16) -> bool {
        self.port == port && (self.host == "*" || self.host.eq_ignore_ascii_case(host))
    }
}

impl FromStr for HostAddress {
    type Err = HostAddressError;

    fn from_str(text: &str) -> Result<HostAddress, HostAddressError> {
        let parse = || {
            let (host, rest) = split_host(text)?;
            let (port, addresses) = rest.split_once(':')?;
            let addresses = addresses
                .split(',')
                .map(|address| bare(address).parse().ok());
            Some(HostAddress {
                host: named(host)?,
                port: port_number(port)?,
                addresses: addresses.collect::<Option<_>>()?,
            })
        };
        parse().ok_or_else(|| HostAddressError(text.to_owned()))
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", bracketed(&self.host), self.port)?;
        for (i, address) in self.addresses.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{}", bracketed(&address.to_string()))?;
        }
        Ok(())
    }
}

text_of!(HostAddress, HostAddressError);

/// Another place to connect to in place of a target's host and port: `HOST1:PORT1:HOST2:PORT2`, as curl's `--connect-to`
/// has it. Requests, server names and certificates are those of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectTo {
    /// The host of targets that it is about; `None` for any.
    pub host: Option<String>,
    /// Their port; `None` for any.
    pub port: Option<u16>,
    /// The host to connect to, a name or an address; `None` for the target's.
    pub to_host: Option<String>,
    /// The port to connect to; `None` for the target's.
    pub to_port: Option<u16>,
}

/// A text is no [`ConnectTo`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectToError {
    /// It has another form.
    #[error(
        "{0:?} is not HOST1:PORT1:HOST2:PORT2, such as example.com:443:10.0.0.7:8443 or ::10.0.0.7: for any target's host and port"
    )]
    Form(String),
    /// It has the form, and names no place.
    #[error(
        "{0:?} leads nowhere else: of HOST1:PORT1:HOST2:PORT2, HOST2 and PORT2 are empty; name one of them, or both"
    )]
    Nowhere(String),
}

impl ConnectTo {
    /// Whether it is about this host and port. Names are equal in any case (RFC 4343).
    pub fn is_for(&self, host: &str, port: u16) -> bool {
        let same = |own: &String| own.eq_ignore_ascii_case(host);
        self.host.as_ref().is_none_or(same) && self.port.is_none_or(|own| own == port)
    }
}

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<ConnectTo, ConnectToError> {
        // An empty host or port says nothing.
        fn maybe<T>(text: &str, read: fn(&str) -> Option<T>) -> Option<Option<T>> {
            match text {
                "" => Some(None),
                text => read(text).map(Some),
            }
        }
        let parse = || {
            let (host, rest) = split_host(text)?;
            let (port, rest) = rest.split_once(':')?;
            let (to_host, to_port) = split_host(rest)?;
            Some(ConnectTo {
                host: maybe(host, named)?,
                port: maybe(port, port_number)?,
                to_host: maybe(to_host, named)?,
                to_port: maybe(to_port, port_number)?,
            })
        };
        let parsed = parse().ok_or_else(|| ConnectToError::Form(text.to_owned()))?;
        match (&parsed.to_host, parsed.to_port) {
            (None, None) => Err(ConnectToError::Nowhere(text.to_owned())),
            _ => Ok(parsed),
        }
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |host: &Option<String>| host.as_deref().map(bracketed).unwrap_or_default();
        let port = |port: Option<u16>| port.map(|port| port.to_string()).unwrap_or_default();
        let (from, to) = (host(&self.host), host(&self.to_host));
        write!(f, "{from}:{}:{to}:{}", port(self.port), port(self.to_port))
    }
}

text_of!(ConnectTo, ConnectToError);

/// The host that `text` begins with, and what follows the colon after it. An IPv6 host has brackets, as in a target.
fn split_host(text: &str) -> Option<(&str, &str)> {
    let end = match text.starts_with('[') {
        true => text.find(']')? + 1,
        false => text.find(':')?,
    };
    let (host, rest) = text.split_at(end);
    Some((host, rest.strip_prefix(':')?))
}

/// A host without brackets, if a target may have it.
fn named(host: &str) -> Option<String> {
    let spec = target::parse(&format!("{host}:1")).ok()?;
    (spec.scheme.is_none() && spec.path == "/").then_some(spec.host)
}

/// A port above 0, written in digits.
fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// An address without the brackets that it may have.
fn bare(text: &str) -> &str {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    inner.unwrap_or(text)
}

/// A host or an address in brackets, if it has colons.
fn bracketed(host: &str) -> String {
    match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Resolve;

    #[test]
    fn addresses_of_a_host_are_written_as_for_curl() {
        for (text, host, port, addresses) in [
            (
                "a.example:443:10.0.0.7",
                "a.example",
                443,
                &["10.0.0.7"][..],
            ),
            (
                "a.example:443:[::1],10.0.0.7",
                "a.example",
                443,
                &["::1", "10.0.0.7"],
            ),
            ("a.example:443:fd00::7", "a.example", 443, &["fd00::7"]),
            ("[::1]:80:127.0.0.1", "::1", 80, &["127.0.0.1"]),
        ] {
            let read: HostAddress = text.parse().unwrap();
            let expected = HostAddress {
                host: host.into(),
                port,
                addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
            };
            assert_eq!(read, expected, "{text}");
            assert_eq!(read.to_string().parse(), Ok(expected), "{text}");
        }
        let read: HostAddress = "A.example:443:10.0.0.7".parse().unwrap();
        assert!(read.is_for("a.EXAMPLE", 443) && !read.is_for("a.example", 80));
        let any: HostAddress = "*:443:10.0.0.7".parse().unwrap();
        assert!(any.is_for("b.example", 443) && !any.is_for("b.example", 80));
    }

    #[test]
    fn what_is_no_address_of_a_host_is_told_in_one_line() {
        for text in [
            "",
            "last",
            "a.example",
            "a.example:443",
            "a.example:443:b.example",
            "a.example:443:10.0.0.7,",
            "a.example:0:10.0.0.7",
            "a.example:+443:10.0.0.7",
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

    #[test]
    fn another_place_to_connect_to_is_written_as_for_curl() {
        let through = |all: &[&str], host, port| {
            let resolve = Resolve {
                connect_to: all.iter().map(|text| text.parse().unwrap()).collect(),
                ..Resolve::default()
            };
            let (host, port) = resolve.destination(host, port);
            format!("{host} {port}")
        };
        for (text, expected) in [
            ("a.example:443:b.example:8443", "b.example 8443"),
            ("A.Example:443:10.0.0.7:", "10.0.0.7 443"),
            ("::[::1]:80", "::1 80"),
            (":443::8443", "a.example 8443"),
            ("a.example::[fe80::1%eth0]:", "fe80::1%eth0 443"),
            ("b.example:443:c.example:1", "a.example 443"),
            ("a.example:80:c.example:1", "a.example 443"),
        ] {
            assert_eq!(through(&[text], "a.example", 443), expected, "{text}");
            let read: ConnectTo = text.parse().unwrap();
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
        // The first that is about a target counts.
        let both = ["a.example::b.example:", "::c.example:"];
        assert_eq!(through(&both, "a.example", 443), "b.example 443");
        assert_eq!(through(&both, "d.example", 443), "c.example 443");
    }

    #[test]
    fn what_is_no_other_place_is_told_in_one_line() {
        for text in [
            "",
            ":::",
            "a.example",
            "a.example:443",
            "a.example:443:b.example",
            "a.example:443::",
            "a.example:443:b.example:0",
            "a.example:443:b.example:http",
            "a.example:443:b.example:80:x",
            "a.example:443:::1:80",
            "::1:443:b.example:80",
            "a.example:443:b.example/x:80",
            "http://a.example:443:b.example:80",
            "a.example:443:b example:80",
        ] {
            let error = text.parse::<ConnectTo>().unwrap_err().to_string();
            assert!(
                !error.contains('\n') && error.contains("HOST1:PORT1:HOST2:PORT2"),
                "{error}"
            );
            let nowhere = matches!(text, ":::" | "a.example:443::");
            assert_eq!(error.contains("leads nowhere else"), nowhere, "{error}");
        }
    }
}
