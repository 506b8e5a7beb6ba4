//! Transport Layer Security, either side.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The side that connects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsClient {
    /// Certificates to trust (PEM) instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whatever certificate comes is taken.
    pub insecure: bool,
    /// Protocols to offer (ALPN, RFC 7301), the preferred one first.
    pub alpn: Vec<String>,
    /// The name to ask for and to check (SNI, RFC 6066 section 3); `None` for the target's own.
    pub server_name: Option<String>,
    /// Sessions are resumed where the server lets us; else each connection makes a whole handshake.
    pub resumption: bool,
}

/// The side that accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsServer {
    /// The certificate, with those that lead from it to a root, and its private key (PEM); `None` for one
    /// that is made for the run.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Protocols that are spoken (ALPN), the preferred one first.
    pub alpn: Vec<String>,
    /// Sessions may be resumed.
    pub resumption: bool,
}
