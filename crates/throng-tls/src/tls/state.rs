//! [`Tls`] and its state.

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

/// The plaintext of a send from memory that is encrypted at a time: three records, which fit in the 64 KiB that
/// engines keep for the next send.
pub(super) const PORTION: u32 = 3 << 14;
/// The amount to read at a time during a handshake, from an engine that reads only on request.
pub(super) const HANDSHAKE_READ: u32 = 1 << 14;
/// How long the peer may take to close the connection after its close_notify.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// The plaintext that is gathered before the inner behaviour gets it.
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

impl Side {
    /// The client of a worker, and where its keys are caught.
    pub(super) fn client(tls: &ClientTls) -> (Side, Arc<Catch>) {
        let catch = Arc::new(Catch::new());
        let (config, sessions) = tls.for_worker(catch.clone());
        let side = Side::Client {
            config,
            names: tls.names(),
            choose: None,
            sessions,
        };
        (side, catch)
    }

    /// The server of a worker, and where its keys are caught.
    pub(super) fn server(tls: &ServerTls) -> (Side, Arc<Catch>) {
        let catch = Arc::new(Catch::new());
        (Side::Server(tls.for_worker(catch.clone())), catch)
    }
}

/// TLS around another behaviour, on either side.
///
/// The inner behaviour sees a connection once its handshake is done, under the same number, and only plaintext. A
/// send from memory or of bytes is reported to it as sent when the kernel has accepted the last record. If it replies
/// during a long send from memory, that send counts as sent when its records are queued.
///
/// Before the connection is closed, a close_notify is sent. A close_notify from the peer is answered, nothing more is
/// sent, and the connection is closed if the peer does not close it within a second.
pub struct Tls<B: Behaviour> {
    pub(super) inner: B,
    pub(super) memory: Arc<[u8]>,
    pub(super) reads: Reads,
    pub(super) side: Side,
    pub(super) timeout: Duration,
    pub(super) traffic: Traffic,
    /// Connections that the inner behaviour knows, and can send on.
    pub(super) open: u32,
    /// Turns that arrived while there were none.
    pub(super) turns: u32,
    /// The durations of handshakes; `None` if they are not measured.
    pub(super) handshakes: Option<Durations>,
    pub(super) work: Work,
}

/// State that the connections of a worker share. A connection at rest has none of it.
pub(super) struct Work {
    pub(super) keys: ReadyKeys,
    pub(super) catch: Arc<Catch>,
    /// The plaintext of what was just received.
    pub(super) plain: Vec<u8>,
    /// A buffer for the bytes that the inner behaviour sends.
    pub(super) bytes: Vec<u8>,
    /// The beginnings of incomplete records.
    pub(super) parts: Partials,
}

/// The state of a connection: 248 bytes, most of them keys, in addition to that of the inner behaviour.
#[derive(Default)]
pub struct TlsConn<C> {
    pub(super) inner: C,
    pub(super) phase: Phase,
    /// The beginning of an incomplete record.
    pub(super) part: Slot,
    pub(super) marks: u8,
}

#[derive(Default)]
#[allow(clippy::large_enum_variant)] // nearly all connections are in the large variant
pub(super) enum Phase {
    /// Not established, or nothing more is to be sent.
    #[default]
    Over,
    Handshake(Box<Handshake>),
    /// Not on the heap, where each record would wait for another access to memory.
    Secured(Session),
}

/// The inner behaviour knows the connection.
pub(super) const OPENED: u8 = 2;
/// Traffic was on when it learned of the connection, or has been since.
pub(super) const BEGUN: u8 = 4;
/// The inner behaviour asked to close.
pub(super) const CLOSING: u8 = 8;
/// Our close_notify is encrypted: nothing may follow.
pub(super) const SAID_CLOSE: u8 = 16;
/// The peer's close_notify has arrived.
pub(super) const PEER_CLOSED: u8 = 32;
/// The connection is counted in [`Tls::open`].
pub(super) const COUNTED: u8 = 64;
/// Nothing is read any more, so a close_notify would not be seen.
pub(super) const UNREAD: u8 = 128;

impl<B: Behaviour> Tls<B> {
    /// A client around `inner`, for one worker.
    pub fn client(inner: B, tls: &ClientTls) -> Tls<B> {
        let (side, catch) = Side::client(tls);
        Tls::new(inner, side, tls.timeout(), catch)
    }

    /// A server around `inner`, for one worker.
    pub fn server(inner: B, tls: &ServerTls) -> Tls<B> {
        let (side, catch) = Side::server(tls);
        Tls::new(inner, side, tls.timeout(), catch)
    }

    /// Chooses the name of the server for each connection, as an index into
    /// [`ClientOptions::names`](crate::ClientOptions::names), by the number of the connection. By default, all use the
    /// first name.
    pub fn choosing(mut self, name: impl Fn(u32) -> usize + Send + 'static) -> Tls<B> {
        if let Side::Client { choose, .. } = &mut self.side {
            *choose = Some(Box::new(name));
        }
        self
    }

    /// Turns off the measurement of handshakes: for a server whose clients are in the same process and measure them.
    pub fn unmeasured(mut self) -> Tls<B> {
        self.handshakes = None;
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
            handshakes: Some(Durations::default()),
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
