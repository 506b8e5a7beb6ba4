//! WebSocket (RFC 6455), either side, with no I/O in it.
//!
//! - [`handshake`]: the upgrade request and its answer, as a client and as a server
//! - [`frame`]: frame headers and masking, and frames of one's own
//! - [`decoder`]: what came in, as it came in, into events
//! - [`WebSocket`]: carries a load's messages, on either side
//! - [`WsServer`]: a behaviour that echoes or discards messages
//!
//! What a connection needs at rest is its [`Decoder`](decoder::Decoder), 20 bytes: no buffer of its own. Half
//! a head or half a header goes to the worker's [`Partials`](crate::partials::Partials) until the rest is there.

mod ask;
pub mod close;
pub mod counts;
pub mod decoder;
pub mod frame;
pub mod handshake;
mod serve;
mod summary;
mod utf8;
mod violation;
mod wire;

pub use ask::{Openings, WebSocketAsked};
pub use frame::Role;
pub use serve::{Ws, WsConn, WsMode, WsServer, WsSink};
pub use summary::WebSocketSummary;
pub use violation::Violation;
pub use wire::{WebSocket, WebSocketConn};
