//! `throng serve`: connections to accept.

use super::accepts::accepts;
use super::{Pem, TlsServer};
use crate::address::ClientRange;
use crate::payload::Messages;
use crate::protocol::ServeMode;
use crate::protocol::proxy_protocol::{Headers, Version};
use crate::protocol::websocket::Subprotocol;
use crate::units::Rate;
use crate::unix_socket::Endpoint;
use std::net::SocketAddr;
use std::path::PathBuf;

accepts! {
    /// `throng serve`: connections to accept.
    pub struct ServeScenario at ListenPlace {
        /// What to do with incoming data.
        pub mode: ServeMode = ServeMode::default(),
        /// Messages per second on each connection; `None` for as fast as the kernel accepts them.
        pub message_rate: Option<Rate> = None,
        /// What is sent.
        pub messages: Messages = Messages::default(),
        /// Subprotocols of WebSocket: of those that a client asks for, the first one among them is chosen.
        pub subprotocols: Vec<Subprotocol> = Vec::new(),
        /// Data may come with a connection's first packet (TCP Fast Open, RFC 7413).
        pub fastopen: bool = false,
        /// Connections begin with a header of the PROXY protocol.
        pub proxy_protocol: bool = false,
        /// The clients that these headers may name; empty for any.
        pub proxy_source: Vec<ClientRange> = Vec::new(),
        /// Connections speak TLS.
        pub tls: Option<TlsServer> = None,
    }
}

impl ServeScenario {
    /// The addresses to listen on, without Unix sockets.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listen.iter().filter_map(|at| match at.0 {
            Endpoint::Address(address) => Some(address),
            Endpoint::Unix(_) => None,
        })
    }

    /// Whether it listens on Unix sockets.
    pub fn is_unix(&self) -> bool {
        self.listen
            .iter()
            .any(|at| matches!(at.0, Endpoint::Unix(_)))
    }

    /// The certificate and its key, each with its option.
    pub fn pems_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Pem)> {
        self.tls.iter_mut().flat_map(TlsServer::pems_mut)
    }

    /// The files that the run reads, each with the option that names it.
    pub fn files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        self.pems_mut()
            .filter_map(|(option, pem)| Some((option, pem.file_mut()?)))
    }

    /// The headers that clients were announced to send; `None` if they may name anybody.
    pub fn announced(&self) -> Option<Headers> {
        // A client's address says nothing about its version.
        let headers = || Headers::new(Version::V1, &self.proxy_source);
        (!self.proxy_source.is_empty()).then(headers)
    }
}
