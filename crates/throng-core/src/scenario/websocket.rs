//! WebSocket (RFC 6455).

use crate::protocol::websocket::handshake::client::Field;
use serde::{Deserialize, Serialize};

/// Connections speak WebSocket: each message is a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebSocketAsked {
    /// Further headers of the opening handshake (section 4.1), in order.
    pub headers: Vec<Field>,
}
