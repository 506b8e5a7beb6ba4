//! What bytes mean on the connections of a load.

use crate::protocol::dns::Query;
use crate::protocol::websocket::handshake::client::Field;
use serde::{Deserialize, Serialize};

/// What bytes mean on the connections of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Nothing: they are messages one behind the other.
    #[default]
    Raw,
    /// WebSocket (RFC 6455): each message is a frame.
    Websocket(WebSocketAsked),
    /// DNS over TCP (RFC 7766): questions are sent instead of messages.
    Dns(DnsAsked),
}

impl Protocol {
    /// What is asked of WebSocket, if it is spoken.
    pub fn websocket(&self) -> Option<&WebSocketAsked> {
        match self {
            Protocol::Websocket(asked) => Some(asked),
            _ => None,
        }
    }

    /// The questions to name servers, in turn; none if DNS is not spoken.
    pub fn queries(&self) -> &[Query] {
        match self {
            Protocol::Dns(asked) => &asked.queries,
            _ => &[],
        }
    }
}

/// What is asked of WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WebSocketAsked {
    /// Further headers of the opening handshake (section 4.1), in order.
    pub header: Vec<Field>,
    /// Whether the handshake names throng as its `User-Agent`.
    pub user_agent: bool,
}

impl Default for WebSocketAsked {
    fn default() -> WebSocketAsked {
        WebSocketAsked {
            header: Vec::new(),
            user_agent: true,
        }
    }
}

/// What is asked of name servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DnsAsked {
    /// Questions, sent in turn.
    pub queries: Vec<Query>,
}
