//! What servers do.

use serde::{Deserialize, Serialize};

/// What a server does with what it receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServeMode {
    /// Counts and discards it.
    #[default]
    Sink,
    /// Sends it back.
    Echo,
    /// Sends messages, discards what comes (RFC 864 with a text of one's own).
    Chargen,
    /// Speaks WebSocket and sends each message back.
    Ws,
    /// Speaks WebSocket and discards what comes.
    WsSink,
}

impl ServeMode {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ServeMode::Sink => "sink",
            ServeMode::Echo => "echo",
            ServeMode::Chargen => "chargen",
            ServeMode::Ws => "ws",
            ServeMode::WsSink => "ws-sink",
        }
    }

    /// Whether it speaks WebSocket.
    pub fn speaks_websocket(self) -> bool {
        matches!(self, ServeMode::Ws | ServeMode::WsSink)
    }
}
