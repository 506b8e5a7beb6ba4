//! The AEAD that protects records, and a cache of expanded keys.
//!
//! An expanded key of AES-GCM (round keys, tables) takes about 600 bytes, the key itself 16 or 32. Connections keep
//! the latter. Expanding a key takes about 130 ns, as much as a short record. A worker therefore keeps the expanded
//! keys that it used last: a load on few connections pays nothing, one on a million pays 130 ns per record.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use aws_lc_rs::aead::{LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf;
use rustls::{CipherSuite, ConnectionTrafficSecrets, ProtocolVersion};

/// The number of expanded keys that a worker keeps: those of 512 connections, at most 600 KiB.
const READY: usize = 1024;
/// Of this many keys that were not in the cache, one replaces another.
const PATIENCE: u32 = 16;
/// The number of records that one key of AES-GCM may protect (RFC 8446 section 5.5).
const AES_GCM_RECORDS: u64 = 1 << 24;

/// An AEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aead {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

/// The cipher and the version that were negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cipher {
    aead: Aead,
    tls13: bool,
}

impl Cipher {
    /// The cipher of secrets that rustls negotiated; `None` for one that is not known here.
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

    /// The cipher of a suite of TLS 1.3; `None` for any other suite.
    pub fn of_suite_13(suite: CipherSuite) -> Option<Cipher> {
        let aead = match suite {
            CipherSuite::TLS13_AES_128_GCM_SHA256 => Aead::Aes128Gcm,
            CipherSuite::TLS13_AES_256_GCM_SHA384 => Aead::Aes256Gcm,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => Aead::ChaCha20Poly1305,
            _ => return None,
        };
        Some(Cipher { aead, tls13: true })
    }

    /// Whether records are those of TLS 1.3.
    pub fn tls13(self) -> bool {
        self.tls13
    }

    /// Whether each record carries a part of its nonce (AES-GCM in TLS 1.2, RFC 5288 section 3).
    pub fn explicit_nonce(self) -> bool {
        !self.tls13 && self.aead != Aead::ChaCha20Poly1305
    }

    /// The length of the key in bytes.
    pub fn key_len(self) -> usize {
        self.algorithm().key_len()
    }

    /// The length of a traffic secret in bytes, which is that of the hash: the suites with AES-256 use SHA-384.
    pub fn secret_len(self) -> usize {
        match self.aead {
            Aead::Aes256Gcm => 48,
            Aead::Aes128Gcm | Aead::ChaCha20Poly1305 => 32,
        }
    }

    /// The number of records that a key may protect.
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
        // It fails only for more than 255 times the length of the hash.
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

/// The rank of a suite in the order of preference: AES-128 first, since its keys take half the memory and it is a
/// little faster. Browsers prefer it, too.
pub(crate) fn rank(suite: CipherSuite) -> u8 {
    let name = format!("{suite:?}");
    match name {
        n if n.contains("AES_128") => 0,
        n if n.contains("AES_256") => 1,
        _ => 2,
    }
}

/// A cache of expanded keys: those of active connections, if they are not too many.
///
/// A key that is not in it is expanded for its record alone, and only one in [`PATIENCE`] of those replaces another.
/// With few active connections among many, all their keys are soon in the cache. With more than it has room for,
/// nearly every record expands its key, which takes less time than fetching expanded keys from memory and replacing
/// them there.
pub(crate) struct ReadyKeys {
    /// Each key with its number, at the index that the number gives.
    slots: Vec<Option<(u32, LessSafeKey)>>,
    numbers: u32,
    /// How often a key was not in the cache.
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
            // Numbers start over: no key of their first use may remain.
            self.slots.iter_mut().for_each(|s| *s = None);
        }
        self.numbers
    }

    /// The key of this number, which is the start of `key`.
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
        // Dropping the last one first lets the allocator reuse its memory.
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
    fn a_key_that_is_used_again_and_again_replaces_one_that_is_not() {
        let mut keys = ReadyKeys::new();
        let (old, new) = (1, 1 + READY as u32);
        let texts = [old, new].map(|n| seal(&mut ReadyKeys::new(), n, n as u8));
        assert_eq!(seal(&mut keys, old, old as u8), texts[0]);
        for _ in 0..PATIENCE {
            assert_eq!(seal(&mut keys, new, new as u8), texts[1]);
        }
        let missed = keys.missed;
        assert_eq!(seal(&mut keys, new, new as u8), texts[1]);
        assert_eq!(keys.missed, missed, "it is in the cache");
        assert_eq!(seal(&mut keys, old, old as u8), texts[0]);
        assert_eq!(keys.missed, missed + 1);
    }

    #[test]
    fn the_keys_of_512_connections_that_are_active_in_turn_stay_in_the_cache() {
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
