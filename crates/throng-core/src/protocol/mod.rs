//! What bytes mean on a connection: a folder for each protocol.

pub mod dns;
pub mod http;
pub mod raw;
pub mod tls;
pub mod websocket;
