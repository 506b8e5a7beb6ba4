//! A handshake under way, which rustls does. When it is done only keys are kept; see
//! [`Session`](crate::session::Session).

use crate::cipher::{Cipher, ReadyKeys};
use crate::failure;
use crate::record::{Half, Header, TrafficSecret};
use crate::secrets::{Catch, Secrets};
use crate::session::{Session, Tickets};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{ClientConfig, CommonState, Error, HandshakeKind, ProtocolVersion, ServerConfig};
use std::sync::Arc;
use throng_core::protocol::tls::TlsFailure;
use throng_core::time::Time;

/// rustls' connection of either side.
enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// One connection's handshake.
pub(crate) struct Handshake {
    side: Side,
    /// What came in and rustls is not through with.
    input: Vec<u8>,
    /// So much of the input are whole records, which rustls has seen.
    seen: usize,
    secrets: Secrets,
    /// The peer has sent something that looked like TLS.
    heard: bool,
    /// When the connection was up.
    pub began: Time,
}

/// What came of some bytes.
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
    /// A client's. Its first message is made by [`Handshake::go_on`] without any bytes.
    pub fn client(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
        now: Time,
    ) -> Result<Handshake, Error> {
        let side = Side::Client(UnbufferedClientConnection::new(config.clone(), name)?);
        Ok(Handshake::new(side, now))
    }

    /// A server's.
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
            began: now,
        }
    }

    /// Takes `bytes` from the peer and appends what is to be sent to `out`.
    pub fn go_on(&mut self, bytes: &[u8], catch: &Catch, out: &mut Vec<u8>) -> Progress {
        self.input.extend_from_slice(bytes);
        let mut progress = match self.heard {
            true => Progress::Wait,
            false => self.work(catch, out),
        };
        // A record at a time, so that nothing behind the handshake's last one is touched.
        while let Progress::Wait = progress {
            match Header::of(&self.input[self.seen..]) {
                Header::Wrong if !self.heard => return Progress::Failed(TlsFailure::NotTls),
                Header::Wrong => return Progress::Failed(TlsFailure::Violation),
                Header::Length(len) if self.input.len() - self.seen >= len => self.seen += len,
                Header::Length(_) | Header::Short => break,
            }
            self.heard = true;
            progress = self.work(catch, out);
        }
        progress
    }

    /// Lets rustls work on the whole records.
    fn work(&mut self, catch: &Catch, out: &mut Vec<u8>) -> Progress {
        let worked = self.steps(out);
        self.secrets.add(catch.take());
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
                self.say_why(out);
                Progress::Failed(failure::of(&error))
            }
        }
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

    /// After an error: takes what rustls wants to tell the peer, an alert. It must not be let near its
    /// input again.
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

    /// The handshake is done: what is left of it, and the bytes that came behind it. `tickets` says
    /// whether session tickets are still to be taken.
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

/// What one step of rustls' came to.
enum Step {
    Again,
    Wait,
    Done,
    Closed,
}

/// Does what rustls asks for. Returns that, and how much of the input it is through with.
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
        // Application data is not passed to rustls, early data is not offered.
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
