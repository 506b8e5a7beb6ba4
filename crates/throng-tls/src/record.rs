//! The record layer after the handshake: encrypts and decrypts records, one direction at a time.

use crate::cipher::{Cipher, ReadyKeys};
use aws_lc_rs::aead::{Aad, Nonce};
use rustls::ConnectionTrafficSecrets;

/// The length of a record's header: type, version, length.
pub(crate) const HEADER: usize = 5;
/// The most plaintext in a record (RFC 8446 section 5.1).
pub(crate) const MOST_PLAIN: usize = 1 << 14;
/// The AEADs' authentication tag.
const TAG: usize = 16;
/// The length of the part of the nonce that a record of AES-GCM carries in TLS 1.2.
const EXPLICIT: usize = 8;

/// Content types (RFC 8446 section 5.1).
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// Alerts (RFC 8446 section 6).
pub(crate) const CLOSE_NOTIFY: u8 = 0;
pub(crate) const UNEXPECTED_MESSAGE: u8 = 10;
pub(crate) const BAD_RECORD_MAC: u8 = 20;
pub(crate) const RECORD_OVERFLOW: u8 = 22;
pub(crate) const ILLEGAL_PARAMETER: u8 = 47;
pub(crate) const DECODE_ERROR: u8 = 50;
pub(crate) const PROTOCOL_VERSION: u8 = 70;
pub(crate) const INTERNAL_ERROR: u8 = 80;
pub(crate) const MISSING_EXTENSION: u8 = 109;

/// One direction of a connection: what the next record needs, in the order in which it is needed. The
/// [`TrafficSecret`] is apart, since only key updates need it.
#[repr(C)]
pub(crate) struct Half {
    /// The next record's sequence number.
    sequence: u64,
    /// The number of `key` among the worker's ready keys.
    number: u32,
    iv: [u8; 12],
    key: [u8; 32],
}

/// The traffic secret of one direction, from which a key update derives the next one (TLS 1.3).
pub(crate) struct TrafficSecret([u8; 48]);

impl TrafficSecret {
    /// A copy of `bytes`, which are empty in TLS 1.2; `None` if they are too long.
    pub fn of(bytes: &[u8]) -> Option<TrafficSecret> {
        let mut secret = [0; 48];
        secret.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(TrafficSecret(secret))
    }
}

impl Half {
    /// A half with the keys that rustls negotiated; `None` for a cipher that is not known here.
    pub fn new(
        sequence: u64,
        secrets: &ConnectionTrafficSecrets,
        keys: &mut ReadyKeys,
    ) -> Option<Half> {
        let (from_key, from_iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key.as_ref(), iv.as_ref()),
            _ => return None,
        };
        let mut half = Half {
            sequence,
            number: keys.number(),
            iv: [0; 12],
            key: [0; 32],
        };
        half.key
            .get_mut(..from_key.len())?
            .copy_from_slice(from_key);
        half.iv.get_mut(..from_iv.len())?.copy_from_slice(from_iv);
        Some(half)
    }

    /// A half with the first key of a traffic secret (TLS 1.3).
    pub fn of_secret(secret: &[u8], cipher: Cipher, keys: &mut ReadyKeys) -> Half {
        let mut half = Half {
            sequence: 0,
            number: 0,
            iv: [0; 12],
            key: [0; 32],
        };
        half.start(secret, cipher, keys);
        half
    }

    /// Starts with the key of `secret` (RFC 8446 section 7.3).
    fn start(&mut self, secret: &[u8], cipher: Cipher, keys: &mut ReadyKeys) {
        cipher.expand(secret, "key", &mut self.key[..cipher.key_len()]);
        cipher.expand(secret, "iv", &mut self.iv);
        self.number = keys.number();
        self.sequence = 0;
    }

    /// Changes to the next key (TLS 1.3, RFC 8446 section 7.2).
    pub fn update(&mut self, secret: &mut TrafficSecret, cipher: Cipher, keys: &mut ReadyKeys) {
        let mut next = [0; 48];
        let len = cipher.secret_len();
        cipher.expand(&secret.0[..len], "traffic upd", &mut next[..len]);
        secret.0 = next;
        self.start(&next[..len], cipher, keys);
    }

    /// Whether the key has protected its maximum number of records.
    pub fn is_worn(&self, cipher: Cipher) -> bool {
        self.sequence >= cipher.most_records()
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (n, s) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *n ^= s;
        }
        nonce
    }

    /// The associated data of a record of TLS 1.2 (RFC 5246 section 6.2.3.3).
    fn associated_12(&self, header: &[u8], plain: usize) -> [u8; 13] {
        let mut data = [0; 13];
        data[..8].copy_from_slice(&self.sequence.to_be_bytes());
        data[8..11].copy_from_slice(&header[..3]);
        data[11..].copy_from_slice(&(plain as u16).to_be_bytes());
        data
    }

    /// The length of the record of this much plaintext, in bytes.
    pub fn sealed_len(cipher: Cipher, plain: usize) -> usize {
        let extra = match (cipher.tls13(), cipher.explicit_nonce()) {
            (true, _) => 1,
            (_, true) => EXPLICIT,
            _ => 0,
        };
        HEADER + plain + extra + TAG
    }

    /// Appends the record of `plain` to `out`; at most [`MOST_PLAIN`] bytes.
    pub fn seal(
        &mut self,
        cipher: Cipher,
        keys: &mut ReadyKeys,
        kind: u8,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) {
        debug_assert!(plain.len() <= MOST_PLAIN);
        let len = Half::sealed_len(cipher, plain.len()) - HEADER;
        let outer = if cipher.tls13() {
            APPLICATION_DATA
        } else {
            kind
        };
        let [high, low] = (len as u16).to_be_bytes();
        let header = [outer, 3, 3, high, low];
        out.extend_from_slice(&header);
        let nonce = self.nonce();
        if cipher.explicit_nonce() {
            out.extend_from_slice(&nonce[4..]);
        }
        let start = out.len();
        out.extend_from_slice(plain);
        if cipher.tls13() {
            out.push(kind);
        }
        let key = keys.get(self.number, cipher, &self.key);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let text = &mut out[start..];
        let tag = if cipher.tls13() {
            key.seal_in_place_separate_tag(nonce, Aad::from(header), text)
        } else {
            let data = self.associated_12(&header, plain.len());
            key.seal_in_place_separate_tag(nonce, Aad::from(data), text)
        };
        // It fails only for gigabytes of text.
        let tag = tag.expect("a record is short");
        out.extend_from_slice(tag.as_ref());
        self.sequence += 1;
    }

    /// Decrypts a whole record, whose header is legal, and appends its plaintext to `plain`. Returns the type of its
    /// contents.
    ///
    /// # Errors
    /// The alert that it deserves.
    pub fn open(
        &mut self,
        cipher: Cipher,
        keys: &mut ReadyKeys,
        record: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<u8, u8> {
        let (header, body) = record.split_at_checked(HEADER).ok_or(DECODE_ERROR)?;
        let mut nonce = self.nonce();
        let mut body = body;
        if cipher.explicit_nonce() {
            let (explicit, rest) = body.split_at_checked(EXPLICIT).ok_or(BAD_RECORD_MAC)?;
            nonce[..4].copy_from_slice(&self.iv[..4]);
            nonce[4..].copy_from_slice(explicit);
            body = rest;
        }
        let text_len = body.len().checked_sub(TAG).ok_or(BAD_RECORD_MAC)?;
        if text_len > MOST_PLAIN + usize::from(cipher.tls13()) {
            return Err(RECORD_OVERFLOW);
        }
        let (text, tag) = body.split_at(text_len);
        let start = plain.len();
        plain.resize(start + text_len, 0);
        let key = keys.get(self.number, cipher, &self.key);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let into = &mut plain[start..];
        let opened = if cipher.tls13() {
            key.open_separate_gather(nonce, Aad::from(header), text, tag, into)
        } else {
            let data = self.associated_12(header, text_len);
            key.open_separate_gather(nonce, Aad::from(data), text, tag, into)
        };
        if opened.is_err() {
            plain.truncate(start);
            return Err(BAD_RECORD_MAC);
        }
        self.sequence += 1;
        if !cipher.tls13() {
            return Ok(header[0]);
        }
        // The type is the last byte that is not padding (RFC 8446 section 5.2).
        while plain.len() > start {
            match plain.pop() {
                Some(0) | None => {}
                Some(kind) => return Ok(kind),
            }
        }
        Err(UNEXPECTED_MESSAGE)
    }
}
