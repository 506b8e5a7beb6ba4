//! Takes the traffic secrets of TLS 1.3 from rustls.
//!
//! rustls hands out the keys of a connection, but not the secrets from which a key update derives the next ones
//! (RFC 8446 section 4.6.3), except together with more than a kilobyte of state. Its key log has them, too.

use rustls::KeyLog;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A traffic secret, or none. At most 48 bytes, the length of SHA-384.
#[derive(Clone, Copy)]
pub(crate) struct Secret {
    bytes: [u8; 48],
    len: u8,
}

impl Secret {
    pub const NONE: Secret = Secret {
        bytes: [0; 48],
        len: 0,
    };

    pub fn is_none(&self) -> bool {
        self.len == 0
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }

    fn set(&mut self, secret: &[u8]) {
        if let Some(place) = self.bytes.get_mut(..secret.len()) {
            place.copy_from_slice(secret);
            self.len = secret.len() as u8;
        }
    }
}

/// The traffic secrets of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Secrets {
    /// The secret of what the client sends before its Finished.
    pub client_handshake: Secret,
    pub client: Secret,
    pub server: Secret,
}

impl Secrets {
    pub const NONE: Secrets = Secrets {
        client_handshake: Secret::NONE,
        client: Secret::NONE,
        server: Secret::NONE,
    };

    /// Adds the secrets of `later`.
    pub fn add(&mut self, later: Secrets) {
        for (mine, new) in [
            (&mut self.client_handshake, later.client_handshake),
            (&mut self.client, later.client),
            (&mut self.server, later.server),
        ] {
            if !new.is_none() {
                *mine = new;
            }
        }
    }
}

/// Receives the secrets of the connection that rustls works on. Each worker has one and works on one connection at a
/// time, so its lock is never contended.
pub(crate) struct Catch(Mutex<Secrets>);

impl Catch {
    pub fn new() -> Catch {
        Catch(Mutex::new(Secrets::NONE))
    }

    /// The secrets received since the last call.
    pub fn take(&self) -> Secrets {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *secrets, Secrets::NONE)
    }
}

impl fmt::Debug for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catch")
    }
}

const CLIENT_HANDSHAKE: &str = "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";

impl KeyLog for Catch {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match label {
            CLIENT_HANDSHAKE => secrets.client_handshake.set(secret),
            CLIENT => secrets.client.set(secret),
            SERVER => secrets.server.set(secret),
            _ => {}
        }
    }

    fn will_log(&self, label: &str) -> bool {
        matches!(label, CLIENT_HANDSHAKE | CLIENT | SERVER)
    }
}
