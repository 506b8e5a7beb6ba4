//! Where connections go, and where they are accepted in the same process.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A target as the user gave it: what its address alone does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The host's name or address, without brackets: what TLS asks for.
    pub host: String,
    /// The host and port as written: the `Host` header of HTTP (RFC 9110 section 7.2).
    pub authority: String,
    /// The path of the WebSocket handshake, beginning with `/`.
    pub path: String,
    /// The addresses that the name has.
    pub addresses: Vec<SocketAddr>,
}

/// Accepting connections beside those that are opened (`-l`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Where.
    pub at: Vec<SocketAddr>,
    /// What is done on accepted connections.
    pub mode: ListenMode,
}

/// What is done on accepted connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenMode {
    /// What comes in is counted and discarded.
    #[default]
    Silent,
    /// Messages are sent as on those that are opened.
    Active,
}
