//! TLS for throng's behaviours, client and server. [`Tls`] wraps any [`Behaviour`] and encrypts what it sends and
//! receives. It contains no I/O.
//!
//! rustls does the handshake. Afterwards, only the keys are kept, and records are encrypted and decrypted here: a
//! connection at rest takes 248 bytes and no buffer, instead of the 3.2 to 3.6 KiB that rustls needs. Key updates,
//! session tickets, alerts and refused renegotiations are handled here too, and record headers are checked before
//! rustls sees them. Expanded keys are large; a worker keeps those of the connections that were active last.
//!
//! Cryptography is aws-lc-rs. Compared with ring, AES-GCM on records of 16 KiB takes half the time and a handshake
//! 70 %; short records and memory are the same. It builds with cargo and a C compiler alone. docs/tls.md has the
//! numbers.
//!
//! Clients trust the system's certificate store, as curl does on the same machine. [`ClientOptions::ca_file`]
//! replaces it.
//!
//! Workers share no state that any of them writes, except reference counts. Each has its own configuration and
//! session store; the key of session tickets never changes.
//!
//! [`Behaviour`]: throng_core::behaviour::Behaviour

#![forbid(unsafe_code)]

mod cipher;
mod client;
mod config;
mod failure;
mod guard;
mod handshake;
mod pem;
mod record;
mod resumption;
mod rsa;
mod secrets;
mod server;
mod session;
mod tls;
mod verify;

pub use client::{ClientOptions, ClientTls};
pub use config::{ConfigError, Version, Versions};
pub use server::{ServerOptions, ServerTls};
pub use tls::{PairTls, Tls, TlsConn};
