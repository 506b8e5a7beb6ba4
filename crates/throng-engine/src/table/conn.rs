//! One connection's place in the table.

use throng_core::behaviour::Outbox;
use throng_core::stats::Counters;

/// The state of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// A free place, or a connection that was not opened yet.
    #[default]
    Free,
    /// Being opened.
    Connecting,
    /// Being opened, and sending already: the first bytes go with the SYN.
    Early,
    /// Established.
    Open,
    /// It is opened again when its timer fires.
    Waiting,
}

/// One connection. Small, since there may be millions: 40 bytes for a load, 8 for a sink.
#[derive(Debug, Default)]
pub(crate) struct Conn<C> {
    pub user: C,
    /// When the attempt began, then when the connection was established: microseconds since the start of the
    /// run. Wraps after 71 minutes, which is longer than any attempt.
    pub(super) up_us: u32,
    /// Distinguishes this use of the place from earlier ones.
    pub generation: u16,
    pub state: State,
    /// Open and early: the engine's own marks, and [`STARTED`]. Connecting and waiting: how often it was tried again
    /// since it was last open.
    pub marks: u8,
}
/// The mark of a connection on which traffic could begin when it opened. The order to start traffic on
/// all connections skips it.
pub(super) const STARTED: u8 = 128;

/// What waits until a connection is established that sends before.
pub(super) struct Early {
    /// What its behaviour counted.
    pub counts: Box<Counters>,
    /// What its behaviour asks for, except what is sent with the SYN.
    pub asked: Outbox,
    /// How the first send ended, as the engine remembers it.
    pub sent: Option<i32>,
    /// How often it was tried again since it was last open.
    pub retry: u8,
}

/// What the engine does when a timer fires.
pub(crate) enum Fired {
    /// Give up this connection's attempt.
    GiveUp(u32),
    /// Wake this connection's behaviour.
    Wake(u32),
}
