//! A handshake under way. rustls does it; afterwards only the keys are kept, in a
//! [`Session`](crate::session::Session).

use crate::cipher::{Cipher, ReadyKeys};
use crate::failure;
use crate::guard::{self, Header, Stage};
use crate::record::{
    ALERT, CHANGE_CIPHER_SPEC, DECODE_ERROR, HANDSHAKE, HEADER, Half, ILLEGAL_PARAMETER,
    INTERNAL_ERROR, MISSING_EXTENSION, PROTOCOL_VERSION, TrafficSecret, UNEXPECTED_MESSAGE,
};
use crate::secrets::{Catch, Secret, Secrets};
use crate::session::{FATAL, Session, Tickets};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{
    ClientConfig, CommonState, Error, HandshakeKind, InvalidMessage, PeerIncompatible,
    PeerMisbehaved, ProtocolVersion, ServerConfig,
};
use std::sync::Arc;
use throng_core::protocol::tls::TlsFailure;
use throng_core::time::Time;

/// The connection of rustls, of either side.
enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// One connection's handshake.
pub(crate) struct Handshake {
    side: Side,
    /// Received bytes that rustls still needs.
    input: Vec<u8>,
    /// The length of the whole records at its start, which rustls has seen.
    seen: usize,
    secrets: Secrets,
    /// The peer has sent a record.
    heard: bool,
    /// The peer has sent change_cipher_spec. In TLS 1.2, its records are encrypted from then on.
    peer_changed: bool,
    /// We have sent change_cipher_spec.
    changed: bool,
    /// When the connection was established.
    pub began: Time,
}

/// The outcome of received bytes.
pub(crate) enum Progress {
    /// More bytes are needed.
    Wait,
    /// The handshake is done.
    Done {
        /// It resumed an earlier session.
        resumed: bool,
    },
    /// It failed.
    Failed(TlsFailure),
}

impl Handshake {
    /// The handshake of a client. [`Handshake::go_on`] without any bytes makes its first message.
    pub fn client(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
        now: Time,
    ) -> Result<Handshake, Error> {
        let side = Side::Client(UnbufferedClientConnection::new(config.clone(), name)?);
        Ok(Handshake::new(side, now))
    }

    /// The handshake of a server.
    pub fn server(config: &Arc<ServerConfig>, now: Time) -> Result<Handshake, Error> {
        let side = Side::Server(UnbufferedServerConnection::new(config.clone())?);
        Ok(Handshake::new(side, now))
    }

    fn new(side: Side, now: Time) -> Handshake {
        Handshake {
            side,
            input: Vec::new(),
            seen: 0,
            secrets: Secrets::NONE,
            heard: false,
            peer_changed: false,
            changed: false,
            began: now,
        }
    }

    /// Takes `bytes` from the peer and appends what is to be sent to `out`.
    pub fn go_on(
        &mut self,
        bytes: &[u8],
        catch: &Catch,
        keys: &mut ReadyKeys,
        out: &mut Vec<u8>,
    ) -> Progress {
        self.input.extend_from_slice(bytes);
        let mut progress = match self.heard {
            true => Progress::Wait,
            false => self.work(catch, keys, out),
        };
        // One record at a time, so that nothing behind the last one of the handshake is touched.
        while let Progress::Wait = progress {
            let unseen = &self.input[self.seen..];
            if !self.heard && !guard::looks_like_tls(unseen) {
                return Progress::Failed(TlsFailure::NotTls);
            }
            match guard::header(unseen, self.stage()) {
                Header::Refused(alert) => {
                    self.refuse(alert, keys, out);
                    return Progress::Failed(TlsFailure::Violation);
                }
                Header::Length(len) if unseen.len() >= len => {
                    let record = &unseen[..len];
                    if !self.heard
                        && let Err((why, alert)) = self.check_first(record)
                    {
                        alert.inspect(|alert| self.say(*alert, keys, out));
                        return Progress::Failed(why);
                    }
                    self.peer_changed |= record[0] == CHANGE_CIPHER_SPEC;
                    self.seen += len;
                }
                Header::Length(_) | Header::Short => break,
            }
            self.heard = true;
            progress = self.work(catch, keys, out);
        }
        progress
    }

    /// Checks the first record of the peer.
    ///
    /// # Errors
    /// Why it is refused, and the alert that it deserves, if any.
    fn check_first(&self, record: &[u8]) -> Result<(), (TlsFailure, Option<u8>)> {
        match self.side {
            // A server that sends our own hello back does not speak TLS.
            Side::Client(_) if guard::is_client_hello(record) => Err((TlsFailure::NotTls, None)),
            Side::Server(_) if guard::is_hello_of_ssl(record) => {
                Err((TlsFailure::ProtocolVersion, Some(PROTOCOL_VERSION)))
            }
            Side::Server(_) if !guard::is_client_hello(record) && record[0] == HANDSHAKE => {
                Err((TlsFailure::Violation, Some(UNEXPECTED_MESSAGE)))
            }
            _ => Ok(()),
        }
    }

    fn is_tls12(&self) -> bool {
        self.common().protocol_version() == Some(ProtocolVersion::TLSv1_2)
    }

    /// The point at which the next record arrives.
    fn stage(&self) -> Stage {
        match self.common().protocol_version() {
            Some(ProtocolVersion::TLSv1_2) if self.peer_changed => Stage::Finishing12,
            Some(ProtocolVersion::TLSv1_3) if !self.sealing_secret().is_none() => {
                Stage::Encrypted13
            }
            _ => Stage::Handshake,
        }
    }

    /// Lets rustls work on the whole records.
    fn work(&mut self, catch: &Catch, keys: &mut ReadyKeys, out: &mut Vec<u8>) -> Progress {
        let start = out.len();
        let worked = self.steps(out);
        self.secrets.add(catch.take());
        self.changed |= has_change(&out[start..]);
        match worked {
            Ok(Step::Done) => match self.kind() {
                Some(kind) => Progress::Done {
                    resumed: kind == HandshakeKind::Resumed,
                },
                None => Progress::Wait,
            },
            Ok(Step::Closed) => Progress::Failed(TlsFailure::Closed),
            Ok(_) => Progress::Wait,
            Err(error) => {
                let before = out.len();
                self.say_why(out);
                let alert = match standard(&error) {
                    Some(alert) if !self.has_key_of_12() => Some(alert),
                    _ if out.len() > before => None,
                    _ => other(&error),
                };
                if let Some(alert) = alert {
                    out.truncate(before);
                    self.say(alert, keys, out);
                }
                Progress::Failed(failure::of(&error))
            }
        }
    }

    /// Appends the alert for the header behind the records that rustls has seen.
    fn refuse(&mut self, alert: u8, keys: &mut ReadyKeys, out: &mut Vec<u8>) {
        if !self.has_key_of_12() {
            return self.say(alert, keys, out);
        }
        // rustls has, and says decode_error to a content type that does not exist.
        self.input.truncate(self.seen);
        self.input.extend_from_slice(&[255, 3, 3, 0, 0]);
        self.seen = self.input.len();
        if self.step(out).is_err() {
            self.say_why(out);
        }
    }

    /// Appends a fatal alert, which is encrypted if our records are. rustls does not send one on demand.
    fn say(&self, alert: u8, keys: &mut ReadyKeys, out: &mut Vec<u8>) {
        let secret = self.sealing_secret();
        let suite = self.common().negotiated_cipher_suite().map(|s| s.suite());
        match suite.and_then(Cipher::of_suite_13) {
            Some(cipher) if !secret.is_none() => {
                let mut half = Half::of_secret(secret.bytes(), cipher, keys);
                half.seal(cipher, keys, ALERT, &[FATAL, alert], out);
            }
            _ if self.has_key_of_12() => {}
            _ => out.extend_from_slice(&guard::plain_alert(FATAL, alert)),
        }
    }

    /// The secret that protects our next record in the handshake of TLS 1.3; none before records are encrypted.
    ///
    /// When the peer's records begin to be encrypted, a server has sent its last handshake message, and a client has
    /// its last one still to send. Neither has sent a record with this secret yet.
    fn sealing_secret(&self) -> &Secret {
        match self.side {
            Side::Client(_) => &self.secrets.client_handshake,
            Side::Server(_) => &self.secrets.server,
        }
    }

    /// Whether our records are encrypted in TLS 1.2, with a key that only rustls has before the end.
    fn has_key_of_12(&self) -> bool {
        self.is_tls12() && self.changed
    }

    /// Takes steps until one needs more from the peer, or it ends.
    fn steps(&mut self, out: &mut Vec<u8>) -> Result<Step, Error> {
        loop {
            let step = self.step(out);
            if !matches!(step, Ok(Step::Again)) {
                return step;
            }
        }
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<Step, Error> {
        let input = &mut self.input[..self.seen];
        let (step, discard) = match &mut self.side {
            Side::Client(c) => step(c.process_tls_records(input), out),
            Side::Server(s) => step(s.process_tls_records(input), out),
        };
        self.input.drain(..discard);
        self.seen -= discard;
        step
    }

    /// Appends the alert that rustls has for the peer after an error, if any. It must not process its input again.
    fn say_why(&mut self, out: &mut Vec<u8>) {
        while self.common().wants_write() && self.step(out).is_ok() {}
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Client(c) => c,
            Side::Server(s) => s,
        }
    }

    /// Which kind of handshake it was; `None` while it goes on.
    fn kind(&self) -> Option<HandshakeKind> {
        let common = self.common();
        common.handshake_kind().filter(|_| !common.is_handshaking())
    }

    /// Ends a handshake that is done. Returns the session, and the bytes that arrived behind the handshake. `tickets`
    /// says whether session tickets are wanted.
    pub fn finish(
        self,
        keys: &mut ReadyKeys,
        tickets: bool,
    ) -> Result<(Session, Vec<u8>), TlsFailure> {
        let rest = self.input;
        let server = matches!(self.side, Side::Server(_));
        let (extracted, version, tickets) = match self.side {
            Side::Client(c) => {
                let (extracted, kernel) = extract(c.dangerous_into_kernel_connection())?;
                let version = kernel.protocol_version();
                let wanted = tickets && version == ProtocolVersion::TLSv1_3;
                (extracted, version, wanted.then(|| Tickets::new(kernel)))
            }
            Side::Server(s) => {
                let (extracted, kernel) = extract(s.dangerous_into_kernel_connection())?;
                (extracted, kernel.protocol_version(), None)
            }
        };
        let (ours, theirs) = match server {
            true => (self.secrets.server, self.secrets.client),
            false => (self.secrets.client, self.secrets.server),
        };
        let cipher = Cipher::of(version, &extracted.tx.1).ok_or(TlsFailure::Other)?;
        let wanted = if cipher.tls13() {
            cipher.secret_len()
        } else {
            0
        };
        if [ours, theirs].iter().any(|s| s.bytes().len() != wanted) {
            return Err(TlsFailure::Other);
        }
        let half = |(sequence, secrets), secret, keys: &mut ReadyKeys| {
            Half::new(sequence, &secrets, keys)
                .zip(TrafficSecret::of(secret))
                .ok_or(TlsFailure::Other)
        };
        let send = half(extracted.tx, ours.bytes(), keys)?;
        let receive = half(extracted.rx, theirs.bytes(), keys)?;
        Ok((Session::new(cipher, send, receive, server, tickets), rest))
    }
}

fn extract<T>(
    extracted: Result<(rustls::ExtractedSecrets, T), Error>,
) -> Result<(rustls::ExtractedSecrets, T), TlsFailure> {
    extracted.map_err(|e| failure::of(&e))
}

/// Whether there is a change_cipher_spec among these records.
fn has_change(mut records: &[u8]) -> bool {
    while let &[kind, _, _, high, low, ..] = records {
        if kind == CHANGE_CIPHER_SPEC {
            return true;
        }
        let len = HEADER + usize::from(u16::from_be_bytes([high, low]));
        records = records.get(len..).unwrap_or_default();
    }
    false
}

/// The alert that a standard names for an error for which rustls sends another one, or none.
fn standard(error: &Error) -> Option<u8> {
    match error {
        Error::PeerMisbehaved(
            // RFC 8446 section 5.1.
            PeerMisbehaved::MessageInterleavedWithHandshakeMessage
            // Section 5.4.
            | PeerMisbehaved::IllegalTlsInnerPlaintext
            | PeerMisbehaved::TooManyEmptyFragments,
        ) => Some(UNEXPECTED_MESSAGE),
        // An alert without contents: section 5.4.
        Error::InvalidMessage(InvalidMessage::MissingData("AlertLevel")) => {
            Some(UNEXPECTED_MESSAGE)
        }
        // Section 9.2.
        Error::PeerIncompatible(PeerIncompatible::KeyShareExtensionRequired) => {
            Some(MISSING_EXTENSION)
        }
        _ => None,
    }
}

/// The alert for any other error for which rustls sends none; `None` if the error is an alert from the peer.
fn other(error: &Error) -> Option<u8> {
    match error {
        Error::AlertReceived(_) => None,
        Error::InvalidMessage(_) => Some(DECODE_ERROR),
        Error::PeerMisbehaved(_) => Some(ILLEGAL_PARAMETER),
        _ => Some(INTERNAL_ERROR),
    }
}

/// The outcome of one step of rustls.
enum Step {
    Again,
    Wait,
    Done,
    Closed,
}

/// Does what rustls asks for. Returns the outcome, and how much of the input it no longer needs.
fn step<D>(status: UnbufferedStatus<'_, '_, D>, out: &mut Vec<u8>) -> (Result<Step, Error>, usize) {
    let step = match status.state {
        Err(error) => Err(error),
        Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out).map(|()| Step::Again),
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::Wait),
        Ok(ConnectionState::WriteTraffic(_)) => Ok(Step::Done),
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::Closed),
        // rustls gets no application data, and early data is not offered.
        Ok(other) => Err(Error::General(format!("unexpected state {other:?}"))),
    };
    (step, status.discard)
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> Result<(), Error> {
    let start = out.len();
    let needed = match data.encode(&mut []) {
        Ok(_) => return Ok(()),
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Err(error) => return Err(Error::General(error.to_string())),
    };
    out.resize(start + needed, 0);
    match data.encode(&mut out[start..]) {
        Ok(n) => {
            out.truncate(start + n);
            Ok(())
        }
        Err(error) => Err(Error::General(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{ServerOptions, ServerTls};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::CertificateDer;
    use rustls::version::TLS13;
    use rustls::{AlertDescription, ClientConnection, RootCertStore};

    #[test]
    fn illegal_records_before_the_clients_finished_get_the_alert_that_the_standard_names() {
        let tls = ServerTls::new(&ServerOptions::default()).unwrap();
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from(tls.certificate().to_vec());
        roots.add(certificate).unwrap();
        let (ours, theirs) = (Arc::new(Catch::new()), Arc::new(Catch::new()));
        let server = tls.for_worker(ours.clone());
        let mut client =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(&[&TLS13])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
        client.key_log = theirs.clone();
        let client = Arc::new(client);
        let unexpected = AlertDescription::UnexpectedMessage;
        // The contents of an encrypted record, or bytes as they are.
        let encrypted = |kind, contents| (Some(kind), contents);
        for ((kind, bytes), expected) in [
            // RFC 8446 section 5.4: no contents, or nothing but padding.
            (encrypted(ALERT, &[][..]), unexpected),
            (encrypted(0, &[0, 0]), unexpected),
            (encrypted(ALERT, &[1]), AlertDescription::DecodeError),
            // A message that is not encrypted.
            ((None, &[HANDSHAKE, 3, 3, 0, 1, 20][..]), unexpected),
            // Section 5: content types and lengths.
            ((None, &[24]), unexpected),
            ((None, &[CHANGE_CIPHER_SPEC, 3, 3, 0, 2]), unexpected),
            (
                (None, &[23, 3, 3, 0x41, 1]),
                AlertDescription::RecordOverflow,
            ),
        ] {
            let keys = &mut ReadyKeys::new();
            let mut handshake = Handshake::server(&server, Time::START).unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = ClientConnection::new(client.clone(), name).unwrap();
            let (mut up, mut down) = (Vec::new(), Vec::new());
            client.write_tls(&mut up).unwrap();
            handshake.go_on(&up, &ours, keys, &mut down);
            client.read_tls(&mut &down[..]).unwrap();
            client.process_new_packets().unwrap();
            let mut record = bytes.to_vec();
            if let Some(kind) = kind {
                let suite = client.negotiated_cipher_suite().unwrap().suite();
                let cipher = Cipher::of_suite_13(suite).unwrap();
                let secret = theirs.take().client_handshake;
                let mut half = Half::of_secret(secret.bytes(), cipher, keys);
                record.clear();
                half.seal(cipher, keys, kind, bytes, &mut record);
            }
            down.clear();
            let progress = handshake.go_on(&record, &ours, keys, &mut down);
            let case = format!("{kind:?} {bytes:?}");
            assert!(matches!(progress, Progress::Failed(_)), "{case}");
            client.read_tls(&mut &down[..]).unwrap();
            let received = client.process_new_packets();
            assert_eq!(received, Err(Error::AlertReceived(expected)), "{case}");
        }
    }
}
