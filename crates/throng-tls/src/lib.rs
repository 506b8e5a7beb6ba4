//! TLS for throng's behaviours, client and server: [`Tls`] wraps any [`Behaviour`], so that what it sends
//! and receives is encrypted on the way, without a socket in it.
//!
//! rustls does the handshake. When it is done only the keys are taken from it, and records are sealed and
//! opened here: a connection at rest then keeps 248 bytes instead of the 3.2 to 3.6 KiB that rustls needs,
//! and no buffer. Key updates, session tickets, alerts and refused renegotiations are dealt with here too.
//! What a record needs that is large, the key made ready for use, is kept for the connections that were
//! active last.
//!
//! Cryptography is aws-lc-rs: AES-GCM on records of 16 KiB takes half the time that it takes with ring, a
//! handshake 70 %; short records and memory are the same. It builds with cargo and a C compiler alone.
//! docs/tls.md has the numbers.
//!
//! Trust is the system's store ([`ClientOptions::ca_file`] replaces it), as for curl on the same machine, so
//! that the authority of a company is known here if it is known there.
//!
//! Nothing here is shared between workers that any of them writes, but for reference counts: each has its own
//! configuration and session store, and the key of session tickets is made once and never changed.
//!
//! [`Behaviour`]: throng_core::behaviour::Behaviour

#![forbid(unsafe_code)]

mod cipher;
mod client;
mod config;
mod failure;
mod handshake;
mod pem;
mod record;
mod resumption;
mod secrets;
mod server;
mod session;
mod tls;
mod verify;

pub use client::{ClientOptions, ClientTls};
pub use config::{ConfigError, Version, Versions};
pub use server::{ServerOptions, ServerTls};
pub use tls::{Tls, TlsConn};
