//! Which addresses a target stands for.

use super::{ConnectTo, HostAddress};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

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
    /// Other places to connect to. The first one that is about a target counts.
    pub connect_to: Vec<ConnectTo>,
}

impl Resolve {
    /// The entry of `connect_to` that says where connections to this host and port go, as an index.
    pub fn redirection(&self, host: &str, port: u16) -> Option<usize> {
        self.connect_to.iter().position(|to| to.is_for(host, port))
    }

    /// The host and port that connections to `host` and `port` go to. The host is not looked up yet.
    pub fn destination<'a>(&'a self, host: &'a str, port: u16) -> (&'a str, u16) {
        match self.redirection(host, port) {
            None => (host, port),
            Some(at) => {
                let to = &self.connect_to[at];
                let host = to.to_host.as_deref().unwrap_or(host);
                (host, to.to_port.unwrap_or(port))
            }
        }
    }
}
