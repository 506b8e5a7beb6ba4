//! The opening handshake (RFC 6455, section 4): the [`client`]'s request and the check of its answer, and the
//! [`server`]'s answer to a request.
//!
//! Either head may arrive in pieces; what has arrived so far waits among the worker's [`Partials`](crate::partials::Partials).

pub mod client;
mod key;
pub mod server;

pub use key::Key;
