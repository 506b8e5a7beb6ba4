//! The record layer after the handshake: one direction of a connection, sealing and opening records.

use crate::cipher::{Cipher, ReadyKeys};
use aws_lc_rs::aead::{Aad, Nonce};
use rustls::ConnectionTrafficSecrets;
use throng_core::partials::{Partials, Slot};

/// Bytes before a record's contents: type, version, length.
pub(crate) const HEADER: usize = 5;
/// The most plaintext in a record (RFC 8446 section 5.1).
pub(crate) const MOST_PLAIN: usize = 1 << 14;
/// The AEADs' authentication tag.
const TAG: usize = 16;
/// The part of the nonce that a record of AES-GCM carries in TLS 1.2.
const EXPLICIT: usize = 8;

/// Content types (RFC 8446 section 5.1).
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const APPLICATION_DATA: u8 = 23;

/// Alerts that the record layer calls for (RFC 8446 section 6).
pub(crate) const CLOSE_NOTIFY: u8 = 0;
pub(crate) const UNEXPECTED_MESSAGE: u8 = 10;
pub(crate) const BAD_RECORD_MAC: u8 = 20;
pub(crate) const RECORD_OVERFLOW: u8 = 22;
pub(crate) const DECODE_ERROR: u8 = 50;

/// What a record's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// The header itself is not whole yet.
    Short,
    /// This is the beginning of no record.
    Wrong,
    /// The record's length, header included, which is possible.
    Length(usize),
}

impl Header {
    /// What the first bytes say of the record that begins there.
    pub fn of(bytes: &[u8]) -> Header {
        // What did come must fit, so that a peer that speaks no TLS is found out by its first byte.
        let wrong = bytes.first().is_some_and(|t| !(20..=23).contains(t))
            || bytes.get(1).is_some_and(|major| *major != 3)
            || bytes.get(2).is_some_and(|minor| *minor > 4);
        if wrong {
            return Header::Wrong;
        }
        let &[_, _, _, high, low, ..] = bytes else {
            return Header::Short;
        };
        let len = usize::from(u16::from_be_bytes([high, low]));
        // TLS 1.2 allows the larger growth (RFC 5246 section 6.2.3).
        if len > MOST_PLAIN + 2048 {
            return Header::Wrong;
        }
        Header::Length(HEADER + len)
    }
}

/// Completes the record whose beginning lies at `slot` with the first of `bytes`; `None` if those are not enough,
/// and then all of them are kept.
pub(crate) fn complete(
    partials: &mut Partials,
    slot: &mut Slot,
    bytes: &mut &[u8],
) -> Option<Vec<u8>> {
    loop {
        let part = partials.at(slot);
        let wanted = match Header::of(part) {
            Header::Short => HEADER,
            Header::Length(len) => len,
            Header::Wrong => part.len(),
        };
        let missing = wanted.saturating_sub(part.len());
        if missing == 0 {
            return Some(partials.take(slot));
        }
        let (now, later) = bytes.split_at(missing.min(bytes.len()));
        partials.append(slot, now);
        *bytes = later;
        if now.len() < missing {
            return None;
        }
    }
}

/// How many bytes are missing of the record that begins with `part`, as far as its header says; at least 1.
pub(crate) fn missing(part: &[u8]) -> u32 {
    let whole = match Header::of(part) {
        Header::Length(len) => len,
        Header::Short | Header::Wrong => HEADER,
    };
    whole.saturating_sub(part.len()).max(1) as u32
}

/// One direction of a connection: what it takes to seal or open the next record, in the order in which it is
/// needed. What only a key update needs is its [`TrafficSecret`].
#[repr(C)]
pub(crate) struct Half {
    /// The next record's sequence number.
    sequence: u64,
    /// The number of `key` among the worker's ready keys.
    number: u32,
    iv: [u8; 12],
    key: [u8; 32],
}

/// The traffic secret of one direction, from which a key update makes the next one (TLS 1.3).
pub(crate) struct TrafficSecret([u8; 48]);

impl TrafficSecret {
    /// A copy of `bytes`, of which there are none in TLS 1.2; `None` if they are too many.
    pub fn of(bytes: &[u8]) -> Option<TrafficSecret> {
        let mut secret = [0; 48];
        secret.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(TrafficSecret(secret))
    }
}

impl Half {
    /// A half with what rustls agreed on. `None` if it is none of the ciphers known here.
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

    /// Goes on to the next key (TLS 1.3, RFC 8446 section 7.2).
    pub fn update(&mut self, secret: &mut TrafficSecret, cipher: Cipher, keys: &mut ReadyKeys) {
        let mut next = [0; 48];
        let len = cipher.secret_len();
        cipher.expand(&secret.0[..len], "traffic upd", &mut next[..len]);
        secret.0 = next;
        cipher.expand(&next[..len], "key", &mut self.key[..cipher.key_len()]);
        cipher.expand(&next[..len], "iv", &mut self.iv);
        self.number = keys.number();
        self.sequence = 0;
    }

    /// Whether the key has protected as many records as it may.
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
    fn associated_12(&self, kind: u8, plain: usize) -> [u8; 13] {
        let mut data = [0; 13];
        data[..8].copy_from_slice(&self.sequence.to_be_bytes());
        data[8..11].copy_from_slice(&[kind, 3, 3]);
        data[11..].copy_from_slice(&(plain as u16).to_be_bytes());
        data
    }

    /// How many bytes the record of so much plaintext takes.
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
            let data = self.associated_12(kind, plain.len());
            key.seal_in_place_separate_tag(nonce, Aad::from(data), text)
        };
        // It fails only for texts of gigabytes.
        let tag = tag.expect("a record is short");
        out.extend_from_slice(tag.as_ref());
        self.sequence += 1;
    }

    /// Opens a whole record and appends its plaintext to `plain`. Returns the type of its contents, or the
    /// alert that it deserves.
    pub fn open(
        &mut self,
        cipher: Cipher,
        keys: &mut ReadyKeys,
        record: &[u8],
        plain: &mut Vec<u8>,
    ) -> Result<u8, u8> {
        let (header, body) = record.split_at_checked(HEADER).ok_or(DECODE_ERROR)?;
        let outer = header[0];
        if cipher.tls13() && outer != APPLICATION_DATA {
            return Err(UNEXPECTED_MESSAGE);
        }
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
            let data = self.associated_12(outer, text_len);
            key.open_separate_gather(nonce, Aad::from(data), text, tag, into)
        };
        if opened.is_err() {
            plain.truncate(start);
            return Err(BAD_RECORD_MAC);
        }
        self.sequence += 1;
        if !cipher.tls13() {
            return Ok(outer);
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
