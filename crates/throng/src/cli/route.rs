//! The options that say how connections reach a server.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use super::common::CONNECTIONS;
use clap::{Args, ValueEnum};
use std::str::FromStr;
use throng_core::address::ClientRange;
use throng_core::protocol::proxy_protocol;
use throng_core::scenario::{Addresses, ConnectTo, HostAddress, HostAddressError};
use throng_core::unix_socket::UnixAddress;

/// How connections reach a server
#[derive(Args)]
pub(crate) struct RouteArgs {
    /// Addresses of a target's name to connect to: first (one that answers), all, or HOST:PORT:ADDRESS[,ADDRESS] to use
    /// these in place of those of the name; repeatable [default: all, in turn, but only of a family that answers]
    ///
    /// example.com:443:10.0.0.7,[fd00::7] connects to these two addresses, in turn, where a target (or --connect-to) says
    /// example.com:443; the host * is any.
    #[arg(long, value_name = "WHICH", help_heading = CONNECTIONS)]
    pub resolve: Vec<ResolveArg>,

    /// Connect to HOST2:PORT2 where a target says HOST1:PORT1, as curl does; repeatable
    ///
    /// An empty HOST1 or PORT1 is any, an empty HOST2 or PORT2 the target's own: ::10.0.0.7: connects to 10.0.0.7 whatever
    /// the host, example.com:443:[::1]:8443 to a port of this machine. Requests, server names (SNI) and certificates
    /// stay those of the target. Of several that are about a target, the first counts.
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2", help_heading = CONNECTIONS)]
    pub connect_to: Vec<ConnectTo>,

    /// Open each connection in a tunnel of this HTTP proxy (CONNECT)
    ///
    /// The proxy connects to the target and passes bytes on, whatever the protocol. TLS, if any, is spoken with the target.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "connect_to", help_heading = CONNECTIONS)]
    pub tunnel: Option<String>,

    /// Basic authentication at the proxy of --tunnel, USER:PASSWORD
    #[arg(long, value_name = "USER:PASSWORD", requires = "tunnel", help_heading = CONNECTIONS)]
    pub tunnel_auth: Option<String>,

    /// Connect to IPv4 addresses of names only
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = CONNECTIONS)]
    pub ipv4: bool,

    /// Connect to IPv6 addresses of names only
    #[arg(short = '6', long, help_heading = CONNECTIONS)]
    pub ipv6: bool,

    /// Connect to this Unix socket, whatever the targets say: its path, or @NAME for one without a file
    ///
    /// Requests name the targets all the same: http://localhost/info asks the socket's server for /info. unix:/run/app.sock
    /// and unix:@NAME are targets themselves, for protocols without URLs.
    #[arg(long, value_name = "PATH", help_heading = CONNECTIONS)]
    pub unix_socket: Option<UnixAddress>,

    /// Begin each connection with a header of the PROXY protocol, version 1 (a line) or 2 (binary), as a proxy in front of
    /// the server would
    ///
    /// It is the first thing on each connection, before TLS. The client that it names is another one for each connection, with
    /// an address of --proxy-source and a port from 1024 on; the destination is the address connected to.
    /// With --tunnel, the header is for the proxy, and comes before CONNECT: the target gets none.
    #[arg(long, value_name = "v1|v2", help_heading = CONNECTIONS)]
    pub proxy_protocol: Option<ProxyVersion>,

    /// Addresses of the clients that PROXY headers name: one, a range or a block, of any size; repeatable
    /// [default: those set apart for benchmarks, 198.18.0.0/15 and 2001:2::/48]
    #[arg(long, value_name = "IP", requires = "proxy_protocol", help_heading = CONNECTIONS)]
    pub proxy_source: Vec<ClientRange>,
}

/// A value of `--proxy-protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProxyVersion {
    V1,
    V2,
}

impl From<ProxyVersion> for proxy_protocol::Version {
    fn from(version: ProxyVersion) -> proxy_protocol::Version {
        match version {
            ProxyVersion::V1 => proxy_protocol::Version::V1,
            ProxyVersion::V2 => proxy_protocol::Version::V2,
        }
    }
}

/// A value of `--resolve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ResolveArg {
    /// Which addresses of all names.
    Addresses(Addresses),
    /// Addresses of one host.
    Host(HostAddress),
}

impl FromStr for ResolveArg {
    type Err = HostAddressError;

    fn from_str(text: &str) -> Result<ResolveArg, HostAddressError> {
        Ok(match text {
            "first" => ResolveArg::Addresses(Addresses::First),
            "all" => ResolveArg::Addresses(Addresses::All),
            host => ResolveArg::Host(host.parse()?),
        })
    }
}
