//! WebSocket (RFC 6455), for either side, without I/O.
//!
//! - [`handshake`]: the upgrade request and its answer, as a client and as a server
//! - [`frame`]: frame headers, masking, and encoding of whole frames
//! - [`decoder`]: decodes received bytes into events
//! - [`WebSocket`]: carries a load's messages, on either side
//! - [`WsServer`]: a behaviour that echoes or discards messages
//!
//! A connection at rest needs only its [`Decoder`](decoder::Decoder), 20 bytes, and no buffer. An incomplete head or
//! header waits in the worker's [`Partials`](crate::partials::Partials).

mod ask;
pub mod close;
pub mod counts;
pub mod decoder;
pub mod frame;
pub mod handshake;
mod latencies;
mod serve;
mod subprotocol;
mod summary;
mod utf8;
mod violation;
mod wire;

pub use ask::{Openings, WebSocketAsked};
pub use close::CloseCode;
pub use frame::Role;
pub use latencies::WebSocketLatencies;
pub use serve::{Ws, WsConn, WsMode, WsServer, WsSink};
pub use subprotocol::{Choice, Subprotocol, SubprotocolError};
pub use summary::WebSocketSummary;
pub use violation::Violation;
pub use wire::{WebSocket, WebSocketConn};
