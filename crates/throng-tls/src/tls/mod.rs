//! [`Tls`], the behaviour around a behaviour: what is kept, and what each event comes to.

mod incoming;
mod outgoing;

use self::outgoing::{fail, seal_portion};
use crate::cipher::ReadyKeys;
use crate::client::ClientTls;
use crate::handshake::Handshake;
use crate::parts::Parts;
use crate::resumption::Sessions;
use crate::secrets::Catch;
use crate::server::ServerTls;
use crate::session::Session;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{At, Behaviour, Outbox, Reads, Steer, Traffic};
use throng_core::protocol::tls::TlsFailure;
use throng_core::stats::{Closed, Durations, Measured};
use throng_core::time::Time;

/// Plaintext of a send from memory that is sealed at a time: three records, which fit in the 64 KiB that
/// engines keep for the next send.
const PORTION: u32 = 3 << 14;
/// How much is asked for during a handshake, of an engine that reads only what it is asked to.
const HANDSHAKE_READ: u32 = 1 << 14;
/// After a close_notify of the peer's: how long it may take to close the connection itself.
const LINGER: Duration = Duration::from_secs(1);
/// Plaintext that is gathered before the inner behaviour gets it.
const GATHER: usize = 64 * 1024;

enum Side {
    Client {
        config: Arc<ClientConfig>,
        names: Arc<[ServerName<'static>]>,
        choose: Option<Box<dyn Fn(u32) -> usize + std::marker::Send>>,
        sessions: Option<Arc<Sessions>>,
    },
    Server(Arc<ServerConfig>),
}

/// TLS around another behaviour, on either side.
///
/// The inner behaviour sees a connection from when its handshake is done, with the same number, and only
/// plaintext. What it sends from memory or as bytes is told to it as sent when the kernel has taken the
/// last record of it; where it replies while a long send from memory is under way, the send counts as sent
/// when its records are queued. When it closes, a close_notify goes out first. When the peer sends one, it
/// is answered, nothing more is sent, and the connection is closed if the peer does not close it within
/// a second.
pub struct Tls<B: Behaviour> {
    inner: B,
    memory: Arc<[u8]>,
    reads: Reads,
    side: Side,
    timeout: Duration,
    traffic: Traffic,
    /// Connections that the inner behaviour knows and can send on.
    open: u32,
    /// Turns that came while it knew none.
    turns: u32,
    handshakes: Durations,
    work: Work,
}

/// What a worker's connections share: memory that is nobody's at rest.
struct Work {
    keys: ReadyKeys,
    catch: Arc<Catch>,
    /// Plaintext of what just came in.
    plain: Vec<u8>,
    /// Outboxes' bytes of the inner behaviour.
    bytes: Vec<u8>,
    /// Records of which only the beginning has come.
    parts: Parts,
}

/// What is kept for each connection, besides the inner behaviour's: 248 bytes, most of them keys.
#[derive(Default)]
pub struct TlsConn<C> {
    inner: C,
    phase: Phase,
    marks: u8,
}

#[derive(Default)]
#[allow(clippy::large_enum_variant)] // nearly all connections are in the large one
enum Phase {
    /// Not up, or nothing more is to be said.
    #[default]
    Over,
    Handshake(Box<Handshake>),
    /// Here and not on the heap: that would be one more place in memory to wait for at each record.
    Secured(Session),
}

/// The beginning of a record is kept.
const PART: u8 = 1;
/// The inner behaviour knows of the connection.
const OPENED: u8 = 2;
/// It was told so when traffic was on already.
const BEGUN: u8 = 4;
/// The inner behaviour wants to close, or did.
const CLOSING: u8 = 8;
/// Our close_notify is sealed: nothing may follow.
const SAID_CLOSE: u8 = 16;
/// The peer's close_notify has come.
const PEER_CLOSED: u8 = 32;
/// It is one of [`Tls::open`].
const COUNTED: u8 = 64;
/// Nothing is read any more: whether the peer says goodbye is not known.
const UNREAD: u8 = 128;

impl<B: Behaviour> Tls<B> {
    /// `inner` as a client. Each worker has one of its own.
    pub fn client(inner: B, tls: &ClientTls) -> Tls<B> {
        let catch = Arc::new(Catch::new());
        let (config, sessions) = tls.for_worker(catch.clone());
        let side = Side::Client {
            config,
            names: tls.names(),
            choose: None,
            sessions,
        };
        Tls::new(inner, side, tls.timeout(), catch)
    }

    /// `inner` as a server. Each worker has one of its own.
    pub fn server(inner: B, tls: &ServerTls) -> Tls<B> {
        let catch = Arc::new(Catch::new());
        let side = Side::Server(tls.for_worker(catch.clone()));
        Tls::new(inner, side, tls.timeout(), catch)
    }

    /// Which of the client's names a connection of this number asks for, as a place in
    /// [`ClientOptions::names`](crate::ClientOptions::names). Without this it is the first for all.
    pub fn choosing(mut self, name: impl Fn(u32) -> usize + std::marker::Send + 'static) -> Tls<B> {
        if let Side::Client { choose, .. } = &mut self.side {
            *choose = Some(Box::new(name));
        }
        self
    }

    /// The inner behaviour.
    pub fn inner_mut(&mut self) -> &mut B {
        &mut self.inner
    }

    fn new(inner: B, side: Side, timeout: Duration, catch: Arc<Catch>) -> Tls<B> {
        Tls {
            memory: inner.memory(),
            reads: inner.reads(),
            inner,
            side,
            timeout,
            traffic: Traffic::On,
            open: 0,
            turns: 0,
            handshakes: Durations::default(),
            work: Work {
                keys: ReadyKeys::new(),
                catch,
                plain: Vec::new(),
                bytes: Vec::new(),
                parts: Parts::default(),
            },
        }
    }
}

impl<B: Behaviour> Behaviour for Tls<B> {
    type Conn = TlsConn<B::Conn>;

    fn reads(&self) -> Reads {
        match self.reads {
            // TLS itself must read: what nobody looks at is decrypted all the same, as it would be.
            Reads::All | Reads::Counts | Reads::Discards => Reads::All,
            // Handshakes are read, then nothing.
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
            Phase::Secured(_) => {
                let data_came = self.read_records(conn, bytes, at, out);
                if !data_came && self.reads == Reads::Asked && out.read == 0 {
                    // What the inner behaviour asked for is still to come.
                    out.read = self.work.parts.missing(at.id);
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
            // Nobody could take it, and passing it round and round would take all the time there is.
            self.turns += 1;
        }
    }

    // While no connection is secured, what arrives waits in the inner behaviour: nobody could take it, and
    // an engine that was told of it would ask again and again.

    fn arrived(&mut self, now: Time) -> u32 {
        match self.open {
            0 => 0,
            _ => self.inner.arrived(now),
        }
    }

    fn next_arrival(&self) -> Option<Time> {
        self.inner.next_arrival().filter(|_| self.open > 0)
    }

    fn is_done(&self, conn: &TlsConn<B::Conn>) -> bool {
        self.inner.is_done(&conn.inner)
    }

    fn farewell(&mut self, conn: &mut Self::Conn, at: &At, out: &mut Outbox) {
        if self.is_open(conn) {
            self.ask(conn, out, |inner, conn, out| inner.farewell(conn, at, out));
        } else {
            out.close = true;
        }
    }

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
        if conn.marks & PART != 0 {
            self.work.parts.forget(at.id);
        }
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

    fn steer(&mut self, to: &Steer) {
        self.inner.steer(to);
    }

    fn take_measured(&mut self) -> Measured {
        let mut measured = self.inner.take_measured();
        measured
            .handshake
            .merge(&std::mem::take(&mut self.handshakes));
        measured
    }
}
