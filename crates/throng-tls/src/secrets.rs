//! Takes the traffic secrets of TLS 1.3 from rustls at the end of a handshake.
//!
//! rustls hands out the keys of a connection, but the secrets that a key update (RFC 8446 section 4.6.3)
//! starts from only together with all of its handshake's state, over a kilobyte. Its key log has them too:
//! that is where they are taken from.

use rustls::KeyLog;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// One traffic secret; empty if there is none. At most 48 bytes, which is SHA-384's length.
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

/// Both traffic secrets of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Secrets {
    pub client: Secret,
    pub server: Secret,
}

impl Secrets {
    pub const NONE: Secrets = Secrets {
        client: Secret::NONE,
        server: Secret::NONE,
    };

    /// Adds what `later` has.
    pub fn add(&mut self, later: Secrets) {
        for (mine, new) in [
            (&mut self.client, later.client),
            (&mut self.server, later.server),
        ] {
            if new.len > 0 {
                *mine = new;
            }
        }
    }
}

/// Where rustls leaves secrets while a connection is being worked on. One for each worker, which works on
/// one connection at a time: so its lock is always free.
pub(crate) struct Catch(Mutex<Secrets>);

impl Catch {
    pub fn new() -> Catch {
        Catch(Mutex::new(Secrets::NONE))
    }

    /// What was left since this was last called.
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

const CLIENT: &str = "CLIENT_TRAFFIC_SECRET_0";
const SERVER: &str = "SERVER_TRAFFIC_SECRET_0";

impl KeyLog for Catch {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match label {
            CLIENT => secrets.client.set(secret),
            SERVER => secrets.server.set(secret),
            _ => {}
        }
    }

    fn will_log(&self, label: &str) -> bool {
        matches!(label, CLIENT | SERVER)
    }
}
