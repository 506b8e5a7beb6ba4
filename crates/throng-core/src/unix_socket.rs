//! Addresses of Unix sockets (unix(7)).

use crate::units::quoted;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// The address of a Unix socket: a path, or a name that no file has (the abstract namespace), written with an `@` in front.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnixAddress(String);

/// Why a text is no [`UnixAddress`]; one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnixAddressError {
    /// Nothing, or a character that ends a line or a text in C.
    #[error("{} is no Unix socket; write its path, or @NAME for one without a file", quoted(.0))]
    Text(String),
    /// `sun_path` has no room for it.
    #[error("{}: the address of a Unix socket has at most {most} bytes, and this has {}",
        quoted(.0), .0.len(), most = UnixAddress::MOST)]
    Long(String),
}

impl UnixAddress {
    /// The most bytes that a path or a name has: `sun_path` has 108, and one of them is a zero.
    pub const MOST: usize = 107;

    /// The name, if it is one without a file.
    pub fn name(&self) -> Option<&str> {
        self.0.strip_prefix('@')
    }

    /// The path, if it has one.
    pub fn path(&self) -> Option<&str> {
        self.name().is_none().then_some(&self.0)
    }
}

impl FromStr for UnixAddress {
    type Err = UnixAddressError;

    fn from_str(text: &str) -> Result<UnixAddress, UnixAddressError> {
        if text.is_empty() || text == "@" || text.contains(char::is_control) {
            return Err(UnixAddressError::Text(text.to_owned()));
        }
        // The @ stands for a zero.
        if text.len() - usize::from(text.starts_with('@')) > UnixAddress::MOST {
            return Err(UnixAddressError::Long(text.to_owned()));
        }
        Ok(UnixAddress(text.to_owned()))
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for UnixAddress {
    type Error = UnixAddressError;
    fn try_from(text: String) -> Result<UnixAddress, UnixAddressError> {
        text.parse()
    }
}

impl From<UnixAddress> for String {
    fn from(address: UnixAddress) -> String {
        address.0
    }
}

/// Where a server listens: an address and a port, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Endpoint {
    /// An address and a port.
    Address(SocketAddr),
    /// A Unix socket.
    Unix(UnixAddress),
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Endpoint {
        Endpoint::Address(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Address(address) => address.fmt(f),
            Endpoint::Unix(socket) => write!(f, "unix:{socket}"),
        }
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.to_string()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = String;
    fn try_from(text: String) -> Result<Endpoint, String> {
        match text.strip_prefix("unix:") {
            Some(socket) => socket
                .parse()
                .map(Endpoint::Unix)
                .map_err(|e| e.to_string()),
            None => text
                .parse()
                .map(Endpoint::Address)
                .map_err(|_| format!("{} is no address with a port", quoted(&text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_path_or_a_name() {
        let path: UnixAddress = "/run/a b.sock".parse().unwrap();
        assert_eq!((path.path(), path.name()), (Some("/run/a b.sock"), None));
        let name: UnixAddress = "@bus".parse().unwrap();
        assert_eq!((name.path(), name.name()), (None, Some("bus")));
        assert!("x".repeat(107).parse::<UnixAddress>().is_ok());
        assert!(
            format!("@{}", "x".repeat(107))
                .parse::<UnixAddress>()
                .is_ok()
        );
    }

    #[test]
    fn where_a_server_listens_is_written_and_read_back() {
        for text in ["127.0.0.1:80", "[::1]:80", "unix:/run/a.sock", "unix:@bus"] {
            let read = Endpoint::try_from(text.to_owned()).unwrap();
            assert_eq!(read.to_string(), text);
        }
        assert!(Endpoint::try_from("localhost:80".to_owned()).is_err());
    }

    #[test]
    fn what_is_no_address_is_told_in_one_line() {
        for text in [
            "",
            "@",
            "/a\nb",
            "/a\0",
            &"x".repeat(108),
            &format!("@{}", "x".repeat(108)),
        ] {
            let error = text.parse::<UnixAddress>().unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
