//! TLS on the connections of a proxy's pairs.

use super::state::{Phase, Side};
use crate::cipher::ReadyKeys;
use crate::client::ClientTls;
use crate::guard;
use crate::handshake::{Handshake, Progress};
use crate::secrets::Catch;
use crate::server::ServerTls;
use crate::session::{Fault, Taken as Record};
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::At;
use throng_core::partials::{Partials, Slot};
use throng_core::protocol::proxy::{Legs, Taken};
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::{Closed, Durations, Measured};
use throng_core::time::Time;

/// TLS on the connections of a proxy's pairs, for one worker: those of clients, those to backends, or both.
///
/// A close_notify is the end of a stream as a FIN is, and becomes one on the partner, or a close_notify and a FIN where that speaks TLS,
/// too. The other direction goes on.
pub struct PairTls {
    clients: Option<OneSide>,
    backends: Option<OneSide>,
    handshakes: Durations,
}

/// The connections of clients, or those to backends.
struct OneSide {
    side: Side,
    timeout: Duration,
    keys: ReadyKeys,
    catch: Arc<Catch>,
    /// The beginnings of incomplete records.
    parts: Partials,
    /// By the half of a connection's number.
    legs: Vec<Leg>,
}

/// What is kept of a connection: 248 bytes.
#[derive(Default)]
struct Leg {
    phase: Phase,
    /// The beginning of an incomplete record.
    part: Slot,
    marks: u8,
}

/// The peer's close_notify has arrived: what follows is ignored.
const PEER_ENDED: u8 = 1;
/// Our close_notify is sealed: nothing may follow.
const SAID_END: u8 = 2;

impl PairTls {
    /// TLS as `clients` configures it on the connections of clients, and as `backends` does on those to backends. Its names are those of
    /// backends, in their order.
    pub fn new(clients: Option<&ServerTls>, backends: Option<&ClientTls>) -> PairTls {
        PairTls {
            clients: clients.map(|tls| {
                let (side, catch) = Side::server(tls);
                OneSide::new(side, tls.timeout(), catch)
            }),
            backends: backends.map(|tls| {
                let (side, catch) = Side::client(tls);
                OneSide::new(side, tls.timeout(), catch)
            }),
            handshakes: Durations::default(),
        }
    }

    fn side(&self, id: u32) -> Option<&OneSide> {
        match id.is_multiple_of(2) {
            true => self.clients.as_ref(),
            false => self.backends.as_ref(),
        }
    }

    fn side_mut(&mut self, id: u32) -> Option<&mut OneSide> {
        match id.is_multiple_of(2) {
            true => self.clients.as_mut(),
            false => self.backends.as_mut(),
        }
    }
}

impl OneSide {
    fn new(side: Side, timeout: Duration, catch: Arc<Catch>) -> OneSide {
        OneSide {
            side,
            timeout,
            keys: ReadyKeys::new(),
            catch,
            parts: Partials::default(),
            legs: Vec::new(),
        }
    }

    /// Begins a handshake with this backend, or with a client.
    fn handshake(&self, backend: u16, at: &At) -> Result<Handshake, rustls::Error> {
        match &self.side {
            Side::Client { config, names, .. } => {
                let name = names.get(usize::from(backend)).or(names.first());
                let name = name.ok_or(rustls::Error::UnsupportedNameType)?;
                Handshake::client(config, name.clone(), at.now)
            }
            Side::Server(config) => Handshake::server(config, at.now),
        }
    }

    /// Continues the handshake of a connection. Returns what arrived behind it, and how long it took, once it is over.
    fn shake(
        &mut self,
        bytes: &[u8],
        at: &At,
        out: &mut Vec<u8>,
    ) -> Result<Option<(Vec<u8>, Duration)>, TlsFailure> {
        let phase = &mut self.legs[at.id as usize / 2].phase;
        let Phase::Handshake(handshake) = phase else {
            return Ok(None);
        };
        let resumed = match handshake.go_on(bytes, &self.catch, &mut self.keys, out) {
            Progress::Wait => return Ok(None),
            Progress::Failed(why) => return Err(why),
            Progress::Done { resumed } => resumed,
        };
        let took = at.now.since(handshake.began);
        let Phase::Handshake(handshake) = std::mem::take(phase) else {
            return Ok(None);
        };
        let tickets = match &self.side {
            Side::Client { sessions, .. } => sessions.as_ref().is_some_and(|s| !s.is_full()),
            Side::Server(_) => false,
        };
        let (session, behind) = handshake.finish(&mut self.keys, tickets)?;
        *phase = Phase::Secured(session);
        at.counters.tls.secured.add(1);
        at.counters.tls.last_secured_ns.set(at.now.0);
        at.counters.tls.resumed.add(resumed.into());
        Ok(Some((behind, took)))
    }

    /// Takes the records of a secured connection. Returns whether the peer has announced its end.
    fn read(
        &mut self,
        mut bytes: &[u8],
        at: &At,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<bool, TlsFailure> {
        let Leg { phase, part, marks } = &mut self.legs[at.id as usize / 2];
        let Phase::Secured(session) = phase else {
            return Ok(false);
        };
        let (keys, parts) = (&mut self.keys, &mut self.parts);
        let (before, answered) = (plain.len(), out.len());
        let mut read = Ok(false);
        while !bytes.is_empty() && *marks & PEER_ENDED == 0 {
            let taken = match guard::next(parts, part, &mut bytes, session.stage()) {
                Ok(Some(record)) => {
                    let taken = session.take(record.bytes(), keys, plain, out);
                    record.release(parts);
                    taken
                }
                Ok(None) => break,
                Err(alert) => Err(Fault::Deserves(alert)),
            };
            match taken {
                Ok(Record::Data | Record::Own) => {}
                Ok(Record::CloseNotify) => {
                    *marks |= PEER_ENDED;
                    read = Ok(true);
                }
                Err(fault) => {
                    session.seal_fault(fault, keys, out);
                    at.counters.tls.broken.add(1);
                    read = Err(fault.kind());
                    break;
                }
            }
        }
        session.settle(plain.len() > before);
        if *marks & SAID_END != 0 {
            out.truncate(answered);
        }
        read
    }
}

impl Legs for PairTls {
    const SPEAK: bool = true;

    fn speaks(&self, to_backend: bool) -> bool {
        self.side(to_backend.into()).is_some()
    }

    fn begin(&mut self, backend: u16, at: &At, out: &mut Vec<u8>) -> Result<(), TlsFailure> {
        let Some(side) = self.side_mut(at.id) else {
            return Ok(());
        };
        let place = at.id as usize / 2;
        if place >= side.legs.len() {
            side.legs.resize_with(place + 1, Leg::default);
        }
        let handshake = side.handshake(backend, at);
        let leg = &mut side.legs[place];
        leg.marks = 0;
        let begun = match handshake {
            Ok(handshake) => {
                leg.phase = Phase::Handshake(Box::new(handshake));
                side.shake(&[], at, out).map(drop)
            }
            Err(_) => Err(TlsFailure::Other),
        };
        begun.inspect_err(|why| self.failed(*why, at))
    }

    fn shakes_until(&self, id: u32) -> Option<Time> {
        let side = self.side(id)?;
        match &side.legs.get(id as usize / 2)?.phase {
            Phase::Handshake(handshake) => Some(handshake.began + side.timeout),
            Phase::Secured(_) | Phase::Over => None,
        }
    }

    fn take(&mut self, bytes: &[u8], at: &At, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Taken {
        let mut taken = Taken::default();
        let Some(side) = self.side_mut(at.id) else {
            return taken;
        };
        let is_secured = matches!(side.legs[at.id as usize / 2].phase, Phase::Secured(_));
        let read = match is_secured {
            true => side.read(bytes, at, plain, out),
            false => match side.shake(bytes, at, out) {
                Ok(None) => Ok(false),
                Ok(Some((behind, took))) => {
                    taken.secured = true;
                    let read = side.read(&behind, at, plain, out);
                    self.handshakes.record(took);
                    read
                }
                Err(why) => Err(why),
            },
        };
        match read {
            Ok(ended) => taken.ended = ended,
            Err(why) => {
                self.failed(why, at);
                taken.failed = Some(why);
            }
        }
        taken
    }

    fn seal(&mut self, id: u32, plain: &[u8], out: &mut Vec<u8>) {
        if let Some(side) = self.side_mut(id)
            && let Some(leg) = side.legs.get_mut(id as usize / 2)
            && let Phase::Secured(session) = &mut leg.phase
            && leg.marks & SAID_END == 0
            && !plain.is_empty()
        {
            session.seal(plain, &mut side.keys, out);
        }
    }

    fn seal_end(&mut self, id: u32, out: &mut Vec<u8>) {
        if let Some(side) = self.side_mut(id)
            && let Some(leg) = side.legs.get_mut(id as usize / 2)
            && let Phase::Secured(session) = &mut leg.phase
            && leg.marks & SAID_END == 0
        {
            leg.marks |= SAID_END;
            session.seal_close(&mut side.keys, out);
        }
    }

    fn failed(&mut self, why: TlsFailure, at: &At) {
        at.counters.tls.failed(why);
        if let Some(side) = self.side_mut(at.id)
            && let Some(leg) = side.legs.get_mut(at.id as usize / 2)
        {
            leg.phase = Phase::Over;
        }
    }

    fn closed(&mut self, why: Closed, at: &At) {
        let Some(side) = self.side_mut(at.id) else {
            return;
        };
        let Some(leg) = side.legs.get_mut(at.id as usize / 2) else {
            return;
        };
        if matches!(leg.phase, Phase::Handshake(_)) && why != Closed::ByUs {
            at.counters.tls.failed(TlsFailure::Closed);
        }
        side.parts.drop_at(&mut leg.part);
        leg.phase = Phase::Over;
        leg.marks = 0;
    }

    fn take_measured(&mut self) -> Measured {
        let mut measured = Measured::default();
        measured
            .handshake
            .merge(&std::mem::take(&mut self.handshakes));
        measured
    }
}
