//! The targets of connections, and servers in the same process.

use crate::address::{self, AddressError};
use crate::target::{self, Port, Spec};
use crate::unix_socket::Endpoint;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// A target as the user wrote it. Its name is resolved on the machine that runs the scenario, so a file has the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    /// The parsed text.
    pub spec: Spec,
    /// The addresses to connect to, in turn. Empty until the name is resolved, and if it is a Unix socket.
    pub addresses: Vec<SocketAddr>,
}

impl Target {
    /// A target that is not resolved yet.
    pub fn new(spec: Spec) -> Target {
        Target {
            spec,
            addresses: Vec::new(),
        }
    }
}

impl From<SocketAddr> for Target {
    /// A target by address, which needs no resolving.
    fn from(at: SocketAddr) -> Target {
        Target {
            spec: Spec {
                scheme: None,
                host: at.ip().to_string(),
                port: Port::Number(at.port()),
                authority: at.to_string(),
                path: "/".into(),
                unix: None,
            },
            addresses: vec![at],
        }
    }
}

impl TryFrom<String> for Target {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Target, AddressError> {
        target::parse(&text).map(Target::new)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.spec.to_string()
    }
}

/// The server in the process of a load (`--self`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnServer {
    /// Counts and discards what it receives.
    #[default]
    Sink,
    /// Sends what it receives back.
    Echo,
}

/// Accepting connections in the process that opens others (`-l`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Listening {
    /// The addresses to listen on.
    pub on: Vec<ListenAddress>,
    /// What is done on accepted connections.
    pub mode: ListenMode,
}

/// What is done on accepted connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListenMode {
    /// Received data is counted and discarded.
    #[default]
    Silent,
    /// Messages are sent as on opened connections.
    Active,
}

/// An address to listen on, read as [`address::listen`] does: a port alone stands for `[::]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct ListenAddress(pub SocketAddr);

/// An address in a file, where a port needs no quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Port(u16),
    Text(String),
}

impl TryFrom<Written> for ListenAddress {
    type Error = AddressError;
    fn try_from(written: Written) -> Result<ListenAddress, AddressError> {
        match written {
            Written::Port(port) => address::listen(&port.to_string()),
            Written::Text(text) => address::listen(&text),
        }
        .map(ListenAddress)
    }
}

impl From<ListenAddress> for String {
    fn from(at: ListenAddress) -> String {
        at.0.to_string()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a server listens: an address, read as a [`ListenAddress`] is, or a Unix socket, `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct ListenPlace(pub Endpoint);

impl From<SocketAddr> for ListenPlace {
    fn from(at: SocketAddr) -> ListenPlace {
        ListenPlace(at.into())
    }
}

impl ListenPlace {
    /// The Unix socket that `text` stands for, if it begins with `unix:`.
    pub fn unix(text: &str) -> Option<Result<ListenPlace, AddressError>> {
        let at = text.strip_prefix("unix:")?.parse();
        Some(at.map(Endpoint::Unix).map(ListenPlace)).map(|at| at.map_err(AddressError::Unix))
    }
}

impl TryFrom<Written> for ListenPlace {
    type Error = AddressError;
    fn try_from(written: Written) -> Result<ListenPlace, AddressError> {
        let unix = match &written {
            Written::Text(text) => ListenPlace::unix(text),
            Written::Port(_) => None,
        };
        unix.unwrap_or_else(|| ListenAddress::try_from(written).map(|at| at.0.into()))
    }
}

impl From<ListenPlace> for String {
    fn from(at: ListenPlace) -> String {
        at.0.to_string()
    }
}
