//! [`Tls`] and what it keeps.

use crate::cipher::ReadyKeys;
use crate::client::ClientTls;
use crate::handshake::Handshake;
use crate::resumption::Sessions;
use crate::secrets::Catch;
use crate::server::ServerTls;
use crate::session::Session;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::{Behaviour, Reads, Traffic};
use throng_core::partials::{Partials, Slot};
use throng_core::stats::Durations;

/// Plaintext of a send from memory that is sealed at a time: three records, which fit in the 64 KiB that
/// engines keep for the next send.
pub(super) const PORTION: u32 = 3 << 14;
/// How much is asked for during a handshake, of an engine that reads only what it is asked to.
pub(super) const HANDSHAKE_READ: u32 = 1 << 14;
/// After a close_notify of the peer's: how long it may take to close the connection itself.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// Plaintext that is gathered before the inner behaviour gets it.
pub(super) const GATHER: usize = 64 * 1024;

pub(super) enum Side {
    Client {
        config: Arc<ClientConfig>,
        names: Arc<[ServerName<'static>]>,
        choose: Option<Box<dyn Fn(u32) -> usize + Send>>,
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
    pub(super) inner: B,
    pub(super) memory: Arc<[u8]>,
    pub(super) reads: Reads,
    pub(super) side: Side,
    pub(super) timeout: Duration,
    pub(super) traffic: Traffic,
    /// Connections that the inner behaviour knows and can send on.
    pub(super) open: u32,
    /// Turns that came while it knew none.
    pub(super) turns: u32,
    pub(super) handshakes: Durations,
    pub(super) work: Work,
}

/// What a worker's connections share: memory that is nobody's at rest.
pub(super) struct Work {
    pub(super) keys: ReadyKeys,
    pub(super) catch: Arc<Catch>,
    /// Plaintext of what just came in.
    pub(super) plain: Vec<u8>,
    /// Outboxes' bytes of the inner behaviour.
    pub(super) bytes: Vec<u8>,
    /// Beginnings of records.
    pub(super) parts: Partials,
}

/// What is kept for each connection, besides the inner behaviour's: 248 bytes, most of them keys.
#[derive(Default)]
pub struct TlsConn<C> {
    pub(super) inner: C,
    pub(super) phase: Phase,
    /// The beginning of a record.
    pub(super) part: Slot,
    pub(super) marks: u8,
}

#[derive(Default)]
#[allow(clippy::large_enum_variant)] // nearly all connections are in the large one
pub(super) enum Phase {
    /// Not up, or nothing more is to be said.
    #[default]
    Over,
    Handshake(Box<Handshake>),
    /// Here and not on the heap: that would be one more place in memory to wait for at each record.
    Secured(Session),
}

/// The inner behaviour knows of the connection.
pub(super) const OPENED: u8 = 2;
/// It was told so when traffic was on already.
pub(super) const BEGUN: u8 = 4;
/// The inner behaviour wants to close, or did.
pub(super) const CLOSING: u8 = 8;
/// Our close_notify is sealed: nothing may follow.
pub(super) const SAID_CLOSE: u8 = 16;
/// The peer's close_notify has come.
pub(super) const PEER_CLOSED: u8 = 32;
/// It is one of [`Tls::open`].
pub(super) const COUNTED: u8 = 64;
/// Nothing is read any more: whether the peer says goodbye is not known.
pub(super) const UNREAD: u8 = 128;

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
    pub fn choosing(mut self, name: impl Fn(u32) -> usize + Send + 'static) -> Tls<B> {
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
                parts: Partials::default(),
            },
        }
    }
}
