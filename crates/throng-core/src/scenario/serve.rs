//! `throng serve`: connections to accept.

use super::{ListenAddress, Pem, SocketOptions, TlsServer, bounds};
use crate::engine::EngineChoice;
use crate::payload::Messages;
use crate::protocol::ServeMode;
use crate::protocol::websocket::Subprotocol;
use crate::units::Rate;
use crate::units::written::Maybe;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `throng serve`: connections to accept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ServeScenario {
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// What to do with incoming data.
    pub mode: ServeMode,
    /// The accept queue's length; `None` for the system's limit (somaxconn).
    #[serde(with = "Maybe::<bounds::Connections>")]
    pub backlog: Option<u32>,
    /// Connections to hold at once, at most; `None` for as many as fit.
    #[serde(with = "Maybe::<bounds::Connections>")]
    pub max_connections: Option<u32>,
    /// How long to serve; `None` for until it is stopped.
    #[serde(with = "Maybe::<bounds::Positive>")]
    pub duration: Option<Duration>,
    /// Threads; `None` for one per core.
    #[serde(with = "Maybe::<bounds::Workers>")]
    pub workers: Option<u32>,
    /// Which event loop.
    pub engine: EngineChoice,
    /// Run even if the plan says that it cannot work.
    pub force: bool,
    /// Messages per second on each connection; `None` for as fast as the kernel accepts them.
    pub message_rate: Option<Rate>,
    /// What is sent.
    pub messages: Messages,
    /// Subprotocols of WebSocket: of those that a client asks for, the first one among them is chosen.
    pub subprotocols: Vec<Subprotocol>,
    /// What is set on each socket.
    pub sockets: SocketOptions,
    /// Data may come with a connection's first packet (TCP Fast Open, RFC 7413).
    pub fastopen: bool,
    /// Connections speak TLS.
    pub tls: Option<TlsServer>,
}

impl ServeScenario {
    /// The certificate and its key, each with its option.
    pub fn pems_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Pem)> {
        self.tls.iter_mut().flat_map(TlsServer::pems_mut)
    }

    /// The files that the run reads, each with the option that names it.
    pub fn files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        self.pems_mut()
            .filter_map(|(option, pem)| Some((option, pem.file_mut()?)))
    }
}
