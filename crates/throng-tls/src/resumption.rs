//! Resumption of sessions: the store of a client, and the tickets of a server.
//!
//! The stores of rustls have locks that all threads share. Here, each worker of a client has its own store, and all
//! workers of a server encrypt tickets with one key that never changes: a ticket of one is valid at each of them,
//! without a lock.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::server::ProducesTickets;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of tickets of TLS 1.3 that a worker keeps, about 500 bytes each. A ticket serves once, so this is the
/// number of connections that can be opened before the first of them brings new tickets.
const MOST_TICKETS: usize = 4096;

/// The sessions that the clients of one worker remember. Its lock is never contended.
#[derive(Default)]
pub(crate) struct Sessions {
    by_name: Mutex<HashMap<ServerName<'static>, Kept>>,
    tickets: AtomicUsize,
}

/// What is remembered of one server name.
#[derive(Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    /// Whether the maximum number of tickets is kept.
    pub fn is_full(&self) -> bool {
        self.tickets.load(Relaxed) >= MOST_TICKETS
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Kept>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({:?} tickets)", self.tickets)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.all().entry(name).or_default().group = Some(group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.all().get(&name.to_owned()).and_then(|k| k.group)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.all().entry(name).or_default().tls12 = Some(value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.all()
            .get(&name.to_owned())
            .and_then(|k| k.tls12.clone())
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(kept) = self.all().get_mut(name) {
            kept.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut all = self.all();
        let kept = all.entry(name).or_default();
        if self.is_full() {
            // The oldest ticket of this name makes room; if there is none, the new one is dropped.
            if kept.tls13.pop_front().is_none() {
                return;
            }
        } else {
            self.tickets.fetch_add(1, Relaxed);
        }
        kept.tls13.push_back(value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let taken = self.all().get_mut(name)?.tls13.pop_back();
        if taken.is_some() {
            self.tickets.fetch_sub(1, Relaxed);
        }
        taken
    }
}

/// The lifetime that tickets announce: twelve hours. The key lasts as long as the process.
const LIFETIME_S: u32 = 12 * 3600;

/// The key with which a server encrypts its tickets.
pub(crate) struct TicketKey(LessSafeKey);

impl TicketKey {
    /// A new random key; `None` if the system provides no random numbers.
    pub fn new() -> Option<TicketKey> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).ok()?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).ok()?;
        Some(TicketKey(LessSafeKey::new(key)))
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey")
    }
}

impl ProducesTickets for TicketKey {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut ticket = nonce.to_vec();
        ticket.extend_from_slice(plain);
        let sealed = &mut ticket[NONCE_LEN..];
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::empty(), sealed);
        ticket.extend_from_slice(tag.ok()?.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = sealed.to_vec();
        let len = self
            .0
            .open_in_place(nonce, Aad::empty(), &mut plain)
            .ok()?
            .len();
        plain.truncate(len);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_with_its_own_key_only_and_whole() {
        let (mine, other) = (TicketKey::new().unwrap(), TicketKey::new().unwrap());
        let ticket = mine.encrypt(b"session").unwrap();
        assert_eq!(mine.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(other.decrypt(&ticket), None);
        for cut in 0..ticket.len() {
            assert_eq!(mine.decrypt(&ticket[..cut]), None, "{cut}");
        }
        assert_ne!(mine.encrypt(b"session").unwrap(), ticket, "nonces differ");
    }
}
