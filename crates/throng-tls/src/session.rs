//! A secured connection: the keys of both directions, and the messages of TLS that follow the handshake.
//!
//! A connection at rest keeps nothing else: 240 bytes and no buffers. rustls's own state takes 3 KiB or more.

use crate::cipher::{Cipher, ReadyKeys};
use crate::failure;
use crate::guard::Stage;
use crate::record::{
    ALERT, APPLICATION_DATA, CLOSE_NOTIFY, DECODE_ERROR, HANDSHAKE, Half, ILLEGAL_PARAMETER,
    MOST_PLAIN, TrafficSecret, UNEXPECTED_MESSAGE,
};
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use std::ops::Range;
use throng_core::protocol::tls::TlsFailure;

/// Alert levels (RFC 5246 section 7.2), and two alerts that are not errors.
const WARNING: u8 = 1;
pub(crate) const FATAL: u8 = 2;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;

/// Handshake messages that may follow the handshake (RFC 8446 section 4, RFC 5246 section 7.4).
const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// The longest that is accepted: a ticket of 64 KiB with its fields.
const MOST_MESSAGE: usize = (1 << 16) + 1024;

/// Kept by a client of TLS 1.3 until its server has sent the tickets with which the session can be resumed.
pub(crate) struct Tickets {
    kernel: KernelConnection<ClientConnectionData>,
    taken: bool,
}

impl Tickets {
    pub fn new(kernel: KernelConnection<ClientConnectionData>) -> Box<Tickets> {
        Box::new(Tickets {
            kernel,
            taken: false,
        })
    }
}

/// A connection after its handshake. It is part of the engine's table. With many connections, none of it is in the
/// processor's cache, so the fields that each record needs come first: an answer touches three cache lines.
#[repr(C)]
pub(crate) struct Session {
    /// The part of a send from memory that is not encrypted yet, and the length of the whole send in plaintext.
    pub left: Range<u32>,
    pub whole: u32,
    cipher: Cipher,
    server: bool,
    tickets: Option<Box<Tickets>>,
    /// The beginning of a handshake message that has not arrived whole.
    #[allow(clippy::box_collection)] // two words less at rest, and nearly always absent
    part: Option<Box<Vec<u8>>>,
    receive: Half,
    send: Half,
    receive_secret: TrafficSecret,
    send_secret: TrafficSecret,
}

/// The keys of one direction at the end of the handshake.
pub(crate) type Direction = (Half, TrafficSecret);

/// The contents of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Application data.
    Data,
    /// A message of TLS, which has been handled.
    Own,
    /// The peer announces that it sends no more.
    CloseNotify,
}

/// Why a connection cannot continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The peer violated the protocol; it is sent this alert.
    Deserves(u8),
    /// The peer sent a fatal alert.
    Alert(u8),
}

impl Fault {
    pub fn kind(self) -> TlsFailure {
        match self {
            Fault::Deserves(_) => TlsFailure::Violation,
            Fault::Alert(number) => failure::alert(number),
        }
    }
}

impl Session {
    pub fn new(
        cipher: Cipher,
        (send, send_secret): Direction,
        (receive, receive_secret): Direction,
        server: bool,
        tickets: Option<Box<Tickets>>,
    ) -> Session {
        Session {
            left: 0..0,
            whole: 0,
            cipher,
            server,
            tickets,
            part: None,
            receive,
            send,
            receive_secret,
            send_secret,
        }
    }

    /// The maximum length of the records of this much plaintext, in bytes.
    pub fn sealed_len(&self, plain: usize) -> usize {
        let records = plain.div_ceil(MOST_PLAIN);
        // One more for a key update.
        plain + (records + 1) * Half::sealed_len(self.cipher, 5)
    }

    /// Appends the records of `plain` to `out`.
    pub fn seal(&mut self, plain: &[u8], keys: &mut ReadyKeys, out: &mut Vec<u8>) {
        out.reserve_exact(self.sealed_len(plain.len()));
        for part in plain.chunks(MOST_PLAIN) {
            // TLS 1.2 has no key updates. Its nonces never repeat either, and this is test traffic.
            if self.cipher.tls13() && self.send.is_worn(self.cipher) {
                self.update_send(false, keys, out);
            }
            self.send
                .seal(self.cipher, keys, APPLICATION_DATA, part, out);
        }
    }

    /// Appends a close_notify.
    pub fn seal_close(&mut self, keys: &mut ReadyKeys, out: &mut Vec<u8>) {
        self.send
            .seal(self.cipher, keys, ALERT, &[WARNING, CLOSE_NOTIFY], out);
    }

    /// Appends the alert that `fault` calls for, if any.
    pub fn seal_fault(&mut self, fault: Fault, keys: &mut ReadyKeys, out: &mut Vec<u8>) {
        if let Fault::Deserves(alert) = fault {
            self.send
                .seal(self.cipher, keys, ALERT, &[FATAL, alert], out);
        }
    }

    fn update_send(&mut self, request: bool, keys: &mut ReadyKeys, out: &mut Vec<u8>) {
        let message = [KEY_UPDATE, 0, 0, 1, request.into()];
        self.send.seal(self.cipher, keys, HANDSHAKE, &message, out);
        self.send.update(&mut self.send_secret, self.cipher, keys);
    }

    /// The point of the connection at which records arrive.
    pub fn stage(&self) -> Stage {
        match self.cipher.tls13() {
            true => Stage::Secured13,
            false => Stage::Secured12,
        }
    }

    /// Takes a whole record, whose header is legal. Application data is appended to `plain`; what TLS answers by
    /// itself, to `out`.
    pub fn take(
        &mut self,
        record: &[u8],
        keys: &mut ReadyKeys,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Taken, Fault> {
        let start = plain.len();
        let taken = self.open(record, keys, plain, out);
        // Decrypted is not accepted: only data that was is handed on.
        if taken != Ok(Taken::Data) {
            plain.truncate(start);
        }
        taken
    }

    /// Decrypts a record to the end of `plain`, and does what it says unless it is data.
    fn open(
        &mut self,
        record: &[u8],
        keys: &mut ReadyKeys,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Taken, Fault> {
        let start = plain.len();
        let kind = self
            .receive
            .open(self.cipher, keys, record, plain)
            .map_err(Fault::Deserves)?;
        if self.part.is_some() && kind != HANDSHAKE {
            return Err(Fault::Deserves(UNEXPECTED_MESSAGE));
        }
        match kind {
            APPLICATION_DATA => Ok(Taken::Data),
            ALERT => self.alert(&plain[start..]),
            HANDSHAKE => self
                .messages(&plain[start..], keys, out)
                .map(|()| Taken::Own),
            _ => Err(Fault::Deserves(UNEXPECTED_MESSAGE)),
        }
    }

    fn alert(&self, alert: &[u8]) -> Result<Taken, Fault> {
        match *alert {
            [_, CLOSE_NOTIFY] => Ok(Taken::CloseNotify),
            [_, USER_CANCELED] => Ok(Taken::Own),
            [WARNING, _] if !self.cipher.tls13() => Ok(Taken::Own),
            [_, number] => Err(Fault::Alert(number)),
            // RFC 8446 section 5.4.
            [] => Err(Fault::Deserves(UNEXPECTED_MESSAGE)),
            _ => Err(Fault::Deserves(DECODE_ERROR)),
        }
    }

    /// Handles handshake messages, which may be split into records in any way.
    fn messages(
        &mut self,
        bytes: &[u8],
        keys: &mut ReadyKeys,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let joined;
        let mut left = match self.part.take() {
            Some(mut part) => {
                part.extend_from_slice(bytes);
                joined = part;
                joined.as_slice()
            }
            None if bytes.is_empty() => return Err(Fault::Deserves(UNEXPECTED_MESSAGE)),
            None => bytes,
        };
        while let Some(kind) = left.first() {
            if !self.expects(*kind) {
                return Err(Fault::Deserves(UNEXPECTED_MESSAGE));
            }
            let Some((message, rest)) = first_message(left)? else {
                self.part = Some(Box::new(left.to_vec()));
                return Ok(());
            };
            left = rest;
            self.message(message[0], &message[4..], rest.is_empty(), keys, out)?;
        }
        Ok(())
    }

    /// Whether a handshake message of this type may arrive.
    fn expects(&self, kind: u8) -> bool {
        match (self.cipher.tls13(), self.server) {
            (true, false) => matches!(kind, NEW_SESSION_TICKET | KEY_UPDATE),
            (true, true) => kind == KEY_UPDATE,
            (false, false) => kind == HELLO_REQUEST,
            (false, true) => kind == CLIENT_HELLO,
        }
    }

    fn message(
        &mut self,
        kind: u8,
        body: &[u8],
        last: bool,
        keys: &mut ReadyKeys,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match (self.cipher.tls13(), self.server, kind) {
            (true, false, NEW_SESSION_TICKET) => {
                if let Some(tickets) = &mut self.tickets {
                    let handled = tickets.kernel.handle_new_session_ticket(body);
                    handled.map_err(|_| Fault::Deserves(DECODE_ERROR))?;
                    tickets.taken = true;
                }
                Ok(())
            }
            // Nothing may follow it in the same record (RFC 8446 section 5.1).
            (true, _, KEY_UPDATE) if last => {
                let request = match body {
                    [0] => false,
                    [1] => true,
                    // RFC 8446 section 4.6.3.
                    [_] => return Err(Fault::Deserves(ILLEGAL_PARAMETER)),
                    _ => return Err(Fault::Deserves(DECODE_ERROR)),
                };
                self.receive
                    .update(&mut self.receive_secret, self.cipher, keys);
                if request {
                    self.update_send(false, keys, out);
                }
                Ok(())
            }
            (false, false, HELLO_REQUEST) | (false, true, CLIENT_HELLO) => {
                let refusal = [WARNING, NO_RENEGOTIATION];
                self.send.seal(self.cipher, keys, ALERT, &refusal, out);
                Ok(())
            }
            _ => Err(Fault::Deserves(UNEXPECTED_MESSAGE)),
        }
    }

    /// Drops the state that receives tickets once a ticket has arrived, or none is to be expected: servers send them
    /// right after the handshake, before their first data.
    pub fn settle(&mut self, data_came: bool) {
        if self.tickets.as_ref().is_some_and(|t| t.taken || data_came) {
            self.tickets = None;
        }
    }
}

/// A message with its header, and the bytes behind it.
type Message<'a> = (&'a [u8], &'a [u8]);

/// The first message in `bytes`; `None` if it is incomplete.
fn first_message(bytes: &[u8]) -> Result<Option<Message<'_>>, Fault> {
    let &[_, high, mid, low, ..] = bytes else {
        return Ok(None);
    };
    let len = u32::from_be_bytes([0, high, mid, low]) as usize;
    if len > MOST_MESSAGE {
        return Err(Fault::Deserves(DECODE_ERROR));
    }
    Ok(bytes.split_at_checked(4 + len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{self, Header};
    use rustls::crypto::cipher::{AeadKey, Iv};
    use rustls::{ConnectionTrafficSecrets, ProtocolVersion};

    /// Both ends of a connection; the first is the client's.
    fn pair(version: ProtocolVersion, keys: &mut ReadyKeys) -> (Session, Session) {
        let secret: &[u8] = match version {
            ProtocolVersion::TLSv1_3 => &[7; 32],
            _ => &[],
        };
        let secrets = |n: u8| ConnectionTrafficSecrets::Chacha20Poly1305 {
            key: AeadKey::from([n; 32]),
            iv: Iv::copy(&[n; 12]),
        };
        let cipher = Cipher::of(version, &secrets(0)).unwrap();
        let mut half = |n| {
            let half = Half::new(0, &secrets(n), keys).unwrap();
            (half, TrafficSecret::of(secret).unwrap())
        };
        let client = Session::new(cipher, half(1), half(2), false, None);
        let server = Session::new(cipher, half(2), half(1), true, None);
        (client, server)
    }

    #[test]
    fn a_session_takes_240_bytes_and_a_short_record_needs_the_first_half_of_them() {
        assert_eq!(size_of::<Session>(), 240);
        // With 16 of the key's 32 bytes: AES-128.
        let needed = std::mem::offset_of!(Session, send) + size_of::<Half>() - 16;
        assert!(needed <= 128, "{needed}");
    }

    #[test]
    fn a_message_after_the_handshake_may_be_split_anywhere() {
        // Two tickets, which a client that wants none ignores, and a key update.
        let ticket = [&[NEW_SESSION_TICKET, 0, 0, 9][..], &[1; 9]].concat();
        let update = [KEY_UPDATE, 0, 0, 1, 1];
        let all = [&ticket[..], &ticket, &update].concat();
        for cut in 1..all.len() {
            let keys = &mut ReadyKeys::new();
            let (mut client, mut server) = pair(ProtocolVersion::TLSv1_3, keys);
            let (mut plain, mut out) = (Vec::new(), Vec::new());
            for part in [&all[..cut], &all[cut..]] {
                let mut record = Vec::new();
                let cipher = server.cipher;
                server.send.seal(cipher, keys, HANDSHAKE, part, &mut record);
                let taken = client.take(&record, keys, &mut plain, &mut out);
                assert_eq!(taken, Ok(Taken::Own), "{cut}");
            }
            server
                .send
                .update(&mut server.send_secret, server.cipher, keys);
            assert!(client.part.is_none() && plain.is_empty());
            // It was asked for a new key, and announced it.
            let taken = server.take(&out, keys, &mut plain, &mut Vec::new());
            assert_eq!(taken, Ok(Taken::Own));
            let mut record = Vec::new();
            client.seal(b"new", keys, &mut record);
            let taken = server.take(&record, keys, &mut plain, &mut out);
            assert_eq!(taken, Ok(Taken::Data));
            record.clear();
            server.seal(b" key", keys, &mut record);
            let taken = client.take(&record, keys, &mut plain, &mut out);
            assert_eq!((taken, &plain[..]), (Ok(Taken::Data), &b"new key"[..]));
        }
    }

    #[test]
    fn what_is_out_of_place_is_refused_with_the_right_alert() {
        let deserves = |alert| Err(Fault::Deserves(alert));
        let v13 = ProtocolVersion::TLSv1_3;
        let v12 = ProtocolVersion::TLSv1_2;
        for (version, kind, text, expected) in [
            (
                v13,
                HANDSHAKE,
                &[1, 0, 0, 0][..],
                deserves(UNEXPECTED_MESSAGE),
            ),
            (
                v13,
                HANDSHAKE,
                &[KEY_UPDATE, 0, 0, 1, 2],
                deserves(ILLEGAL_PARAMETER),
            ),
            (
                v13,
                HANDSHAKE,
                &[KEY_UPDATE, 0, 0, 2, 0, 0],
                deserves(DECODE_ERROR),
            ),
            // A message behind a key update, in the same record.
            (
                v13,
                HANDSHAKE,
                &[KEY_UPDATE, 0, 0, 1, 0, KEY_UPDATE, 0, 0, 1, 0],
                deserves(UNEXPECTED_MESSAGE),
            ),
            (
                v13,
                HANDSHAKE,
                &[NEW_SESSION_TICKET, 9, 0, 0],
                deserves(DECODE_ERROR),
            ),
            (v13, HANDSHAKE, &[], deserves(UNEXPECTED_MESSAGE)),
            (v13, 20, &[1], deserves(UNEXPECTED_MESSAGE)),
            (v13, 0, &[0, 0], deserves(UNEXPECTED_MESSAGE)),
            (v13, ALERT, &[], deserves(UNEXPECTED_MESSAGE)),
            (v12, ALERT, &[], deserves(UNEXPECTED_MESSAGE)),
            (v13, ALERT, &[1], deserves(DECODE_ERROR)),
            (v13, ALERT, &[FATAL, 80], Err(Fault::Alert(80))),
            (v13, ALERT, &[WARNING, 80], Err(Fault::Alert(80))),
            (v13, ALERT, &[WARNING, CLOSE_NOTIFY], Ok(Taken::CloseNotify)),
            (v12, ALERT, &[WARNING, 80], Ok(Taken::Own)),
            (v12, HANDSHAKE, &[HELLO_REQUEST, 0, 0, 0], Ok(Taken::Own)),
            (
                v12,
                HANDSHAKE,
                &[KEY_UPDATE, 0, 0, 1, 0],
                deserves(UNEXPECTED_MESSAGE),
            ),
        ] {
            let keys = &mut ReadyKeys::new();
            let (mut client, mut server) = pair(version, keys);
            let mut record = Vec::new();
            let cipher = server.cipher;
            server.send.seal(cipher, keys, kind, text, &mut record);
            let (mut plain, mut out) = (Vec::new(), Vec::new());
            let taken = client.take(&record, keys, &mut plain, &mut out);
            assert_eq!(taken, expected, "{version:?} {kind} {text:?}");
            assert!(plain.is_empty());
        }
    }

    #[test]
    fn nothing_of_a_refused_record_is_handed_on() {
        let (v12, v13) = (ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3);
        // After half a message, any record of another type is out of place.
        let half = (HANDSHAKE, &[KEY_UPDATE, 0][..]);
        let half_12 = (HANDSHAKE, &[CLIENT_HELLO, 0][..]);
        let data = (APPLICATION_DATA, &b"data"[..]);
        for (version, first, second) in [
            (v13, half, data),
            (v12, half_12, data),
            (v13, half, (ALERT, &[FATAL, 80])),
            (v12, half_12, (ALERT, &[WARNING, CLOSE_NOTIFY])),
            (v13, data, (20, &[1])),
            (v12, data, (24, b"beat")),
            (v13, data, (HANDSHAKE, b"none")),
        ] {
            let keys = &mut ReadyKeys::new();
            let (mut client, mut server) = pair(version, keys);
            let (mut plain, mut out) = (b"before ".to_vec(), Vec::new());
            let mut taken = Ok(Taken::Own);
            for (kind, text) in [first, second] {
                let mut record = Vec::new();
                let cipher = client.cipher;
                client.send.seal(cipher, keys, kind, text, &mut record);
                taken = server.take(&record, keys, &mut plain, &mut out);
            }
            let case = format!("{version:?} {first:?} {second:?}");
            assert_eq!(taken, Err(Fault::Deserves(UNEXPECTED_MESSAGE)), "{case}");
            let accepted: &[u8] = match first {
                (APPLICATION_DATA, _) => b"before data",
                _ => b"before ",
            };
            assert_eq!(plain, accepted, "{case}");
        }
    }

    #[test]
    fn a_key_that_is_worn_is_replaced_before_the_next_record() {
        let keys = &mut ReadyKeys::new();
        let secrets = |n: u8| ConnectionTrafficSecrets::Aes256Gcm {
            key: AeadKey::from([n; 32]),
            iv: Iv::copy(&[n; 12]),
        };
        let cipher = Cipher::of(ProtocolVersion::TLSv1_3, &secrets(0)).unwrap();
        let worn = cipher.most_records();
        let mut half = |at, n| {
            let half = Half::new(at, &secrets(n), keys).unwrap();
            (half, TrafficSecret::of(&[7; 48]).unwrap())
        };
        let mut client = Session::new(cipher, half(worn - 1, 1), half(0, 2), false, None);
        let mut server = Session::new(cipher, half(0, 2), half(worn - 1, 1), true, None);
        let (mut plain, mut out) = (Vec::new(), Vec::new());
        let mut records = Vec::new();
        for text in [&b"last "[..], b"first ", b"second"] {
            client.seal(text, keys, &mut records);
        }
        let mut kinds = Vec::new();
        let mut left = &records[..];
        while let Header::Length(len) = guard::header(left, server.stage()) {
            let (record, rest) = left.split_at(len);
            kinds.push(server.take(record, keys, &mut plain, &mut out).unwrap());
            left = rest;
        }
        assert_eq!(kinds, [Taken::Data, Taken::Own, Taken::Data, Taken::Data]);
        assert_eq!(plain, b"last first second");
        assert!(out.is_empty(), "ours is not worn");
    }
}
