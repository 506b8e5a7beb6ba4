//! Received bytes: the handshake, then records, whose plaintext the inner behaviour gets.

use super::outgoing::{add, fail};
use super::state::{
    BEGUN, CLOSING, COUNTED, GATHER, HANDSHAKE_READ, LINGER, OPENED, PEER_CLOSED, Phase, Side, Tls,
    TlsConn, UNREAD, Work,
};
use crate::guard;
use crate::handshake::{Handshake, Progress};
use crate::session::{Fault, Taken};
use throng_core::behaviour::{At, Behaviour, Outbox, Reads, Traffic, Transmit};

impl<B: Behaviour> Tls<B> {
    pub(super) fn begin(&self, at: &At) -> Result<Handshake, rustls::Error> {
        match &self.side {
            Side::Client {
                config,
                names,
                choose,
                ..
            } => {
                let place = choose.as_ref().map_or(0, |c| c(at.id));
                let name = names.get(place).or(names.first());
                let name = name.ok_or(rustls::Error::UnsupportedNameType)?;
                Handshake::client(config, name.clone(), at.now)
            }
            Side::Server(config) => Handshake::server(config, at.now),
        }
    }

    /// Continues the handshake with `bytes`.
    pub(super) fn shake(
        &mut self,
        conn: &mut TlsConn<B::Conn>,
        bytes: &[u8],
        at: &At,
        out: &mut Outbox,
    ) {
        let Phase::Handshake(handshake) = &mut conn.phase else {
            return;
        };
        let Work { catch, keys, .. } = &mut self.work;
        let progress = handshake.go_on(bytes, catch, keys, &mut out.bytes);
        add(out, Transmit::Reply);
        match progress {
            Progress::Wait => out.read = HANDSHAKE_READ,
            Progress::Failed(why) => fail(conn, why, at, out),
            Progress::Done { resumed } => self.secure(conn, resumed, at, out),
        }
    }

    /// The handshake is done.
    pub(super) fn secure(
        &mut self,
        conn: &mut TlsConn<B::Conn>,
        resumed: bool,
        at: &At,
        out: &mut Outbox,
    ) {
        let Phase::Handshake(handshake) = std::mem::take(&mut conn.phase) else {
            return;
        };
        let tickets = match &self.side {
            Side::Client { sessions, .. } => sessions.as_ref().is_some_and(|s| !s.is_full()),
            Side::Server(_) => false,
        };
        let took = at.now.since(handshake.began);
        let (session, rest) = match handshake.finish(&mut self.work.keys, tickets) {
            Ok(done) => done,
            Err(why) => return fail(conn, why, at, out),
        };
        conn.phase = Phase::Secured(session);
        if let Some(handshakes) = &mut self.handshakes {
            handshakes.record(took);
        }
        at.counters.tls.secured.add(1);
        at.counters.tls.last_secured_ns.set(at.now.0);
        at.counters.tls.resumed.add(resumed.into());
        conn.marks |= OPENED | COUNTED;
        if self.traffic == Traffic::On {
            conn.marks |= BEGUN;
        }
        self.open += 1;
        out.pass += std::mem::take(&mut self.turns);
        self.ask(conn, out, |inner, conn, out| inner.opened(conn, at, out));
        self.read_records(conn, &rest, at, out);
        if self.reads == Reads::Never {
            conn.marks |= UNREAD;
            out.watch = true;
        }
    }

    /// Handles the records of a secured connection. Returns whether there was application data in them.
    pub(super) fn read_records(
        &mut self,
        conn: &mut TlsConn<B::Conn>,
        mut bytes: &[u8],
        at: &At,
        out: &mut Outbox,
    ) -> bool {
        let mut data_came = false;
        while !bytes.is_empty() && conn.marks & PEER_CLOSED == 0 {
            let Phase::Secured(session) = &mut conn.phase else {
                break;
            };
            let Work {
                keys, plain, parts, ..
            } = &mut self.work;
            let own = out.bytes.len();
            let taken = match guard::next(parts, &mut conn.part, &mut bytes, session.stage()) {
                Ok(Some(record)) => {
                    let taken = session.take(record.bytes(), keys, plain, &mut out.bytes);
                    record.release(parts);
                    taken
                }
                Ok(None) => break,
                Err(alert) => Err(Fault::Deserves(alert)),
            };
            if out.bytes.len() > own {
                add(out, Transmit::Reply);
            }
            match taken {
                Ok(Taken::Data) => {
                    data_came = true;
                    if self.work.plain.len() >= GATHER {
                        self.deliver(conn, at, out);
                    }
                }
                Ok(Taken::Own) => {}
                Ok(Taken::CloseNotify) => {
                    self.deliver(conn, at, out);
                    conn.marks |= PEER_CLOSED;
                    self.say_close(conn, out);
                    out.wake = Some(at.now + LINGER);
                }
                Err(fault) => {
                    self.deliver(conn, at, out);
                    if let Phase::Secured(session) = &mut conn.phase {
                        session.seal_fault(fault, &mut self.work.keys, &mut out.bytes);
                        add(out, Transmit::Reply);
                    }
                    at.counters.tls.broken.add(1);
                    fail(conn, fault.kind(), at, out);
                }
            }
        }
        self.deliver(conn, at, out);
        if let Phase::Secured(session) = &mut conn.phase {
            session.settle(data_came);
        }
        data_came
    }

    /// Passes the gathered plaintext to the inner behaviour.
    pub(super) fn deliver(&mut self, conn: &mut TlsConn<B::Conn>, at: &At, out: &mut Outbox) {
        let plain = std::mem::take(&mut self.work.plain);
        let wanted = !matches!(self.reads, Reads::Discards | Reads::Never);
        if !plain.is_empty() && wanted && conn.marks & (OPENED | CLOSING) == OPENED {
            self.ask_with(conn, &plain, out, |inner, conn, out| {
                inner.take(conn, &plain, at, out);
            });
        }
        self.work.plain = plain;
        self.work.plain.clear();
    }
}
