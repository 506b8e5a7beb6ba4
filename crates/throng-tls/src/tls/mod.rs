//! [`Tls`], the behaviour around a behaviour: how each event is handled.

mod incoming;
mod outgoing;
mod pair;
mod state;

pub use pair::PairTls;
pub use state::{Tls, TlsConn};

use self::outgoing::{fail, seal_portion};
use self::state::{BEGUN, OPENED, PEER_CLOSED, Phase, SAID_CLOSE, UNREAD};
use crate::guard;
use throng_core::behaviour::{At, Behaviour, Outbox, Reads, Steer, Traffic};
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::{Closed, Measured};
use throng_core::time::Time;

impl<B: Behaviour> Behaviour for Tls<B> {
    type Conn = TlsConn<B::Conn>;

    fn reads(&self) -> Reads {
        match self.reads {
            // TLS itself must read. Data that no matcher inspects is decrypted as well, as it would be elsewhere.
            Reads::All | Reads::Counts | Reads::Looks | Reads::Discards => Reads::All,
            // Handshakes are read, and then only on request.
            Reads::Asked | Reads::Never => Reads::Asked,
        }
    }

    fn opened(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        conn.marks = 0;
        match self.begin(at) {
            Ok(handshake) => {
                conn.phase = Phase::Handshake(Box::new(handshake));
                out.wake = Some(at.now + self.timeout);
                self.shake(conn, &[], at, out);
            }
            Err(_) => fail(conn, TlsFailure::Other, at, out),
        }
    }

    fn started(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if self.is_open(conn) && conn.marks & BEGUN == 0 {
            conn.marks |= BEGUN;
            self.ask(conn, out, |inner, conn, out| inner.started(conn, at, out));
        }
    }

    fn received(&mut self, conn: &mut Self::Conn, bytes: &[u8], at: &At, out: &mut Outbox) {
        match conn.phase {
            Phase::Handshake(_) => self.shake(conn, bytes, at, out),
            Phase::Secured(ref session) => {
                let stage = session.stage();
                let data_came = self.read_records(conn, bytes, at, out);
                if !data_came && self.reads == Reads::Asked && out.read == 0 {
                    // What the inner behaviour asked for has not arrived yet.
                    out.read = guard::missing(self.work.parts.at(&conn.part), stage);
                }
            }
            Phase::Over => {}
        }
    }

    fn sent(&mut self, conn: &mut Self::Conn, _: usize, at: &At, out: &mut Outbox) {
        let Phase::Secured(session) = &mut conn.phase else {
            return;
        };
        if session.left.is_empty() {
            let whole = std::mem::take(&mut session.whole) as usize;
            if self.is_open(conn) {
                self.ask(conn, out, |inner, conn, out| {
                    inner.sent(conn, whole, at, out);
                });
            }
        } else {
            seal_portion(session, &self.memory, &mut self.work.keys, out);
            self.close_if_sealed(conn, out);
        }
    }

    fn woken(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if let Phase::Handshake(handshake) = &conn.phase {
            let until = handshake.began + self.timeout;
            if at.now >= until {
                fail(conn, TlsFailure::TimedOut, at, out);
            } else {
                out.wake = Some(until);
            }
        } else if conn.marks & PEER_CLOSED != 0 {
            out.close = true;
        } else if self.is_open(conn) {
            self.ask(conn, out, |inner, conn, out| inner.woken(conn, at, out));
        }
    }

    fn turn(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if self.is_open(conn) {
            self.ask(conn, out, |inner, conn, out| inner.turn(conn, at, out));
        } else if self.open > 0 {
            out.pass += 1;
        } else {
            // No connection can take it, and passing it around would take all the processor time.
            self.turns += 1;
        }
    }

    // While no connection is secured, arrivals wait in the inner behaviour: no connection can take them, and an engine
    // that knew of them would ask repeatedly.

    fn arrived(&mut self, now: Time) -> u32 {
        match self.open {
            0 => 0,
            _ => self.inner.arrived(now),
        }
    }

    fn next_arrival(&self) -> Option<Time> {
        self.inner.next_arrival().filter(|_| self.open > 0)
    }

    fn is_done(&mut self, conn: &mut TlsConn<B::Conn>, why: Closed) -> bool {
        self.inner.is_done(&mut conn.inner, why)
    }

    fn farewell(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if self.is_open(conn) {
            self.ask(conn, out, |inner, conn, out| inner.farewell(conn, at, out));
        } else {
            out.close = true;
        }
    }

    fn parting(&mut self, conn: &mut Self::Conn, _: &At, out: &mut Vec<u8>) {
        if conn.marks & SAID_CLOSE == 0
            && let Phase::Secured(session) = &mut conn.phase
            && session.left.is_empty()
        {
            // RFC 8446, 6.1: a close_notify goes before the end of what a side sends.
            conn.marks |= SAID_CLOSE;
            session.seal_close(&mut self.work.keys, out);
        }
    }

    // What it sends early is the first message of its handshake, so the inner behaviour knows nothing of the connection
    // before it is established, and `closed` is all that there is to do where it can't be.

    fn closed(&mut self, conn: &mut Self::Conn, why: Closed, at: &At) {
        match conn.phase {
            Phase::Handshake(_) if why != Closed::ByUs => {
                at.counters.tls.failed(TlsFailure::Closed)
            }
            Phase::Secured(_)
                if why == Closed::ByPeer && conn.marks & (PEER_CLOSED | UNREAD) == 0 =>
            {
                at.counters.tls.truncated.add(1);
            }
            _ => {}
        }
        self.work.parts.drop_at(&mut conn.part);
        conn.phase = Phase::Over;
        self.count_out(conn);
        if conn.marks & OPENED != 0 {
            self.inner.closed(&mut conn.inner, why, at);
        }
        conn.marks = 0;
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.traffic = traffic;
        self.inner.traffic(traffic, now);
    }

    fn steer(&mut self, to: &Steer) -> bool {
        self.inner.steer(to)
    }

    fn take_measured(&mut self) -> Measured {
        let mut measured = self.inner.take_measured();
        if let Some(handshakes) = &mut self.handshakes {
            measured.handshake.merge(&std::mem::take(handshakes));
        }
        measured
    }
}
