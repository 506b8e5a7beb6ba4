//! Checks record headers before anything reads the record: content type, version and length, by what is legal at
//! this point of a connection.
//!
//! rustls refuses the same headers, but with the alert decode_error, whatever is wrong. The standards name an
//! alert for each case, and this gives it.

use crate::record::{
    ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER, MOST_PLAIN, RECORD_OVERFLOW,
    UNEXPECTED_MESSAGE,
};
use throng_core::partials::{Partials, Slot};

/// The bytes by which encryption may lengthen a record in TLS 1.3 (RFC 8446 section 5.2).
const GROWTH_13: usize = 256;
/// The same in TLS 1.2 (RFC 5246 section 6.2.3).
const GROWTH_12: usize = 2048;

/// The point of a connection at which a record arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The handshake is under way, and the peer's records are not encrypted yet.
    Handshake,
    /// The handshake of TLS 1.3 is under way, and the peer's messages are encrypted. Alerts and change_cipher_spec
    /// may still come as they are.
    Encrypted13,
    /// The handshake of TLS 1.2 is under way, and the peer has changed to encrypted records.
    Finishing12,
    /// After the handshake of TLS 1.2.
    Secured12,
    /// After the handshake of TLS 1.3.
    Secured13,
}

/// The meaning of the first bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Legal so far, but incomplete.
    Short,
    /// Legal, and the length of the record with its header.
    Length(usize),
    /// Illegal. The peer deserves this alert.
    Refused(u8),
}

impl Stage {
    /// Whether a record of this content type may arrive.
    fn allows(self, kind: u8) -> bool {
        match self {
            Stage::Encrypted13 => is_content_type(kind) && kind != HANDSHAKE,
            Stage::Secured13 => kind == APPLICATION_DATA,
            _ => is_content_type(kind),
        }
    }

    /// The longest contents of a record of this type.
    fn most(self, kind: u8) -> usize {
        match (self, kind) {
            (Stage::Finishing12 | Stage::Secured12, _) => MOST_PLAIN + GROWTH_12,
            (_, APPLICATION_DATA) => MOST_PLAIN + GROWTH_13,
            _ => MOST_PLAIN,
        }
    }

    /// Whether a record of this type is not encrypted.
    fn is_plain(self, kind: u8) -> bool {
        matches!(self, Stage::Handshake | Stage::Encrypted13) && kind != APPLICATION_DATA
    }
}

fn is_content_type(kind: u8) -> bool {
    (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind)
}

/// Whether the first bytes of a connection may be those of TLS, as far as they are there: by the content type and
/// the first byte of the version. A ClientHello comes with any second byte (RFC 5246 appendix E.1).
pub(crate) fn looks_like_tls(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|kind| is_content_type(*kind))
        && bytes.get(1).is_none_or(|major| *major == 3)
}

/// Checks the header at the start of `bytes` as far as it is there. The version is ignored (RFC 8446 section 5.1).
pub(crate) fn header(bytes: &[u8], stage: Stage) -> Header {
    let Some(&kind) = bytes.first() else {
        return Header::Short;
    };
    if !stage.allows(kind) {
        return Header::Refused(UNEXPECTED_MESSAGE);
    }
    let &[_, _, _, high, low, ..] = bytes else {
        return Header::Short;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > stage.most(kind) {
        return Header::Refused(RECORD_OVERFLOW);
    }
    // An encrypted record that is too short for its tag fails to decrypt. A change_cipher_spec is one byte.
    let plain = stage.is_plain(kind);
    if plain && (len == 0 || kind == CHANGE_CIPHER_SPEC && len != 1) {
        return Header::Refused(UNEXPECTED_MESSAGE);
    }
    Header::Length(HEADER + len)
}

/// A whole record.
pub(crate) enum Record<'b> {
    /// It arrived at once.
    Whole(&'b [u8]),
    /// Its beginning was kept.
    Joined(Vec<u8>),
}

impl Record<'_> {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Record::Whole(bytes) => bytes,
            Record::Joined(bytes) => bytes,
        }
    }

    /// Gives back the memory in which it was kept.
    pub fn release(self, partials: &mut Partials) {
        if let Record::Joined(bytes) = self {
            partials.give_back(bytes);
        }
    }
}

/// Takes the next record from the start of `bytes`, whose beginning may be kept at `slot`. `None` if they are not enough; then all of
/// them are kept.
///
/// # Errors
/// The alert that the record's header deserves.
pub(crate) fn next<'b>(
    partials: &mut Partials,
    slot: &mut Slot,
    bytes: &mut &'b [u8],
    stage: Stage,
) -> Result<Option<Record<'b>>, u8> {
    if !slot.is_empty() {
        let whole = complete(partials, slot, bytes, stage)?;
        return Ok(whole.map(Record::Joined));
    }
    match header(bytes, stage) {
        Header::Length(len) if len <= bytes.len() => {
            let (record, rest) = bytes.split_at(len);
            *bytes = rest;
            Ok(Some(Record::Whole(record)))
        }
        Header::Length(_) | Header::Short => {
            partials.append(slot, bytes);
            Ok(None)
        }
        Header::Refused(alert) => Err(alert),
    }
}

/// Completes the record whose beginning is kept at `slot` with the first of `bytes`. `None` if they are not enough;
/// then all of them are kept.
///
/// # Errors
/// The alert that the record's header deserves.
pub(crate) fn complete(
    partials: &mut Partials,
    slot: &mut Slot,
    bytes: &mut &[u8],
    stage: Stage,
) -> Result<Option<Vec<u8>>, u8> {
    loop {
        let part = partials.at(slot);
        let wanted = match header(part, stage) {
            Header::Short => HEADER,
            Header::Length(len) => len,
            Header::Refused(alert) => return Err(alert),
        };
        let missing = wanted.saturating_sub(part.len());
        if missing == 0 {
            return Ok(Some(partials.take(slot)));
        }
        let (now, later) = bytes.split_at(missing.min(bytes.len()));
        partials.append(slot, now);
        *bytes = later;
        if now.len() < missing {
            return Ok(None);
        }
    }
}

/// The number of bytes that the record beginning with `part` still lacks, as far as its header says; at least 1.
pub(crate) fn missing(part: &[u8], stage: Stage) -> u32 {
    let whole = match header(part, stage) {
        Header::Length(len) => len,
        Header::Short | Header::Refused(_) => HEADER,
    };
    whole.saturating_sub(part.len()).max(1) as u32
}

/// Whether `record` is the first message of a client: what a server never sends.
pub(crate) fn is_client_hello(record: &[u8]) -> bool {
    const CLIENT_HELLO: u8 = 1;
    record.first() == Some(&HANDSHAKE) && record.get(HEADER) == Some(&CLIENT_HELLO)
}

/// Whether `record` begins a ClientHello that says SSL 3.0 or older, which must be refused, whatever versions its
/// extensions say (RFC 8446 appendix D.5).
pub(crate) fn is_hello_of_ssl(record: &[u8]) -> bool {
    // The message's type and length are before its version.
    let version = record.get(HEADER + 4..HEADER + 6);
    is_client_hello(record) && version.is_some_and(|version| *version <= [3, 0][..])
}

/// The record of an alert that is not encrypted.
pub(crate) fn plain_alert(level: u8, number: u8) -> [u8; HEADER + 2] {
    [ALERT, 3, 3, 0, 2, level, number]
}
