//! The AEAD that protects records, and a cache of keys that are made ready.
//!
//! A key made ready for AES-GCM (round keys, tables) takes about 600 bytes, the key itself 16 or 32.
//! Connections keep the latter. Making one ready takes about 130 ns, as much as a short record: so a worker
//! keeps those that it used last, and a load on few connections pays nothing, a million pay 130 ns a record.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use aws_lc_rs::aead::{LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf;
use rustls::{CipherSuite, ConnectionTrafficSecrets, ProtocolVersion};

/// Keys that a worker keeps ready: those of 512 connections, 600 KiB at most.
const READY: usize = 1024;
/// Of so many keys that were not ready one is kept.
const PATIENCE: u32 = 16;
/// How many records AES-GCM may protect with one key (RFC 8446 section 5.5).
const AES_GCM_RECORDS: u64 = 1 << 24;

/// Which AEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

/// What was agreed on to protect records with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cipher {
    aead: Aead,
    tls13: bool,
}

impl Cipher {
    /// The cipher of secrets that rustls agreed on; `None` for one that it had not when this was written.
    pub fn of(version: ProtocolVersion, secrets: &ConnectionTrafficSecrets) -> Option<Cipher> {
        let aead = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { .. } => Aead::Aes128Gcm,
            ConnectionTrafficSecrets::Aes256Gcm { .. } => Aead::Aes256Gcm,
            ConnectionTrafficSecrets::Chacha20Poly1305 { .. } => Aead::ChaCha20Poly1305,
            _ => return None,
        };
        let tls13 = match version {
            ProtocolVersion::TLSv1_3 => true,
            ProtocolVersion::TLSv1_2 => false,
            _ => return None,
        };
        Some(Cipher { aead, tls13 })
    }

    /// Whether records are those of TLS 1.3.
    pub fn tls13(self) -> bool {
        self.tls13
    }

    /// Whether each record carries half of its nonce (AES-GCM in TLS 1.2, RFC 5288 section 3).
    pub fn explicit_nonce(self) -> bool {
        !self.tls13 && self.aead != Aead::ChaCha20Poly1305
    }

    /// The key's length in bytes.
    pub fn key_len(self) -> usize {
        self.algorithm().key_len()
    }

    /// The length in bytes of a traffic secret, which is its hash's: the suites with AES-256 have SHA-384.
    pub fn secret_len(self) -> usize {
        match self.aead {
            Aead::Aes256Gcm => 48,
            Aead::Aes128Gcm | Aead::ChaCha20Poly1305 => 32,
        }
    }

    /// How many records a key may protect.
    pub fn most_records(self) -> u64 {
        match self.aead {
            Aead::Aes128Gcm | Aead::Aes256Gcm => AES_GCM_RECORDS,
            Aead::ChaCha20Poly1305 => u64::MAX,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self.aead {
            Aead::Aes128Gcm => &AES_128_GCM,
            Aead::Aes256Gcm => &AES_256_GCM,
            Aead::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        }
    }

    /// HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1) with an empty context.
    pub fn expand(self, secret: &[u8], label: &str, out: &mut [u8]) {
        let hash = match self.aead {
            Aead::Aes256Gcm => hkdf::HKDF_SHA384,
            Aead::Aes128Gcm | Aead::ChaCha20Poly1305 => hkdf::HKDF_SHA256,
        };
        let label = format!("tls13 {label}");
        let info: [&[u8]; 4] = [
            &(out.len() as u16).to_be_bytes(),
            &[label.len() as u8],
            label.as_bytes(),
            &[0],
        ];
        // It fails only for more than 255 times the hash's length.
        hkdf::Prk::new_less_safe(hash, secret)
            .expand(&info, Length(out.len()))
            .and_then(|okm| okm.fill(out))
            .expect("keys, nonces and secrets are shorter than 8160 bytes");
    }
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// How the suites stand in the order in which we offer them: AES-128 first, since its keys take half the
/// memory and it is a little faster; browsers do the same. The value sorts a suite.
pub(crate) fn rank(suite: CipherSuite) -> u8 {
    let name = format!("{suite:?}");
    match name {
        n if n.contains("AES_128") => 0,
        n if n.contains("AES_256") => 1,
        _ => 2,
    }
}

/// Keys made ready: those of connections that are active again and again, if they are not too many.
///
/// A key that is not ready is made so for its record alone, and only one of [`PATIENCE`] of them takes the
/// place of another. So with few active connections among many all keys are soon ready; with more of them than
/// there are places nearly each record makes its key ready, which takes less than to fetch what was put away
/// long ago from memory, and to clear it away there.
pub(crate) struct ReadyKeys {
    /// Each with its number, at the place that its number says.
    slots: Vec<Option<(u32, LessSafeKey)>>,
    numbers: u32,
    /// Keys that were not ready.
    missed: u32,
    once: Option<LessSafeKey>,
}

impl ReadyKeys {
    pub fn new() -> ReadyKeys {
        let mut slots = Vec::new();
        slots.resize_with(READY, || None);
        ReadyKeys {
            slots,
            numbers: 0,
            missed: 0,
            once: None,
        }
    }

    /// A number for a new key.
    pub fn number(&mut self) -> u32 {
        self.numbers = self.numbers.wrapping_add(1);
        if self.numbers == 0 {
            // Numbers begin again: nothing may be left of their first use.
            self.slots.iter_mut().for_each(|s| *s = None);
        }
        self.numbers
    }

    /// The key `number`, whose bytes `key` begins with.
    pub fn get(&mut self, number: u32, cipher: Cipher, key: &[u8]) -> &LessSafeKey {
        let slot = &mut self.slots[number as usize % READY];
        let is_ready = slot.as_ref().is_some_and(|(n, _)| *n == number);
        if is_ready && let Some((_, ready)) = slot {
            return ready;
        }
        self.missed = self.missed.wrapping_add(1);
        if slot.is_none() || self.missed.is_multiple_of(PATIENCE) {
            let (_, ready) = slot.insert((number, ready(cipher, key)));
            return ready;
        }
        // First away with the last one, so that the allocator has its memory for this one.
        self.once = None;
        self.once.insert(ready(cipher, key))
    }
}

fn ready(cipher: Cipher, key: &[u8]) -> LessSafeKey {
    let unbound = UnboundKey::new(cipher.algorithm(), &key[..cipher.key_len()]);
    LessSafeKey::new(unbound.expect("the key is as long as its algorithm says"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::aead::{Aad, Nonce};

    const AES: Cipher = Cipher {
        aead: Aead::Aes128Gcm,
        tls13: true,
    };

    fn seal(keys: &mut ReadyKeys, number: u32, key: u8) -> Vec<u8> {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let mut text = b"text".to_vec();
        let ready = keys.get(number, AES, &[key; 16]);
        let tag = ready.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text);
        text.extend_from_slice(tag.unwrap().as_ref());
        text
    }

    #[test]
    fn a_key_that_is_used_again_and_again_takes_the_place_of_one_that_is_not() {
        let mut keys = ReadyKeys::new();
        let (old, new) = (1, 1 + READY as u32);
        let texts = [old, new].map(|n| seal(&mut ReadyKeys::new(), n, n as u8));
        assert_eq!(seal(&mut keys, old, old as u8), texts[0]);
        for _ in 0..PATIENCE {
            assert_eq!(seal(&mut keys, new, new as u8), texts[1]);
        }
        let missed = keys.missed;
        assert_eq!(seal(&mut keys, new, new as u8), texts[1]);
        assert_eq!(keys.missed, missed, "it is ready");
        assert_eq!(seal(&mut keys, old, old as u8), texts[0]);
        assert_eq!(keys.missed, missed + 1);
    }

    #[test]
    fn the_keys_of_512_connections_that_are_active_by_turns_stay_ready() {
        let mut keys = ReadyKeys::new();
        let numbers: Vec<u32> = (0..READY).map(|_| keys.number()).collect();
        for round in 0..3 {
            for n in &numbers {
                seal(&mut keys, *n, 7);
            }
            assert_eq!(keys.missed, READY as u32, "{round}");
        }
    }

    #[test]
    fn labels_are_expanded_as_rfc_8448_shows() {
        // RFC 8448 section 3, "derive write traffic keys for application data" (server).
        let hex = |s: &str| -> Vec<u8> {
            (0..s.len() / 2)
                .map(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
                .collect()
        };
        let secret = hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        AES.expand(&secret, "key", &mut key);
        AES.expand(&secret, "iv", &mut iv);
        assert_eq!(key.to_vec(), hex("9f02283b6c9c07efc26bb9f2ac92e356"));
        assert_eq!(iv.to_vec(), hex("cf782b88dd83549aadf1e984"));
    }
}
