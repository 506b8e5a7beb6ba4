//! The latencies of WebSocket.

use crate::protocol::latencies::latencies;

latencies! {
    /// The latency of WebSocket's opening handshake.
    pub struct WebSocketLatencies {
        upgrade: "upgrade",
            "from when the upgrade to WebSocket was requested to when the server accepted it",
            "add --websocket or a ws:// target";
    }
}
