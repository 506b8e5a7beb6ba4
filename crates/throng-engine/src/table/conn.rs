//! One connection's place in the table.

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Not there: a free place, or a connection not opened yet.
    #[default]
    Free,
    /// Being opened.
    Connecting,
    /// Up.
    Open,
    /// To be opened again when its timer fires.
    Waiting,
}

/// One connection. Small, since there are a million: 40 bytes for a load, 8 for a sink.
#[derive(Debug, Default)]
pub(crate) struct Conn<C> {
    pub user: C,
    /// When it was tried, then when it came up: microseconds since the run began. Wraps after 71 minutes,
    /// which is longer than any attempt.
    pub(super) up_us: u32,
    /// Tells this use of the place from earlier ones.
    pub generation: u16,
    pub state: State,
    /// The engine's own marks, but for [`STARTED`].
    pub marks: u8,
}
/// The mark of a connection on which traffic could begin when it opened. The order to start traffic on
/// all connections skips it.
pub(super) const STARTED: u8 = 128;
/// What a fired timer asks the engine to do.
pub(crate) enum Fired {
    /// Give up this attempt.
    GiveUp(u32),
    /// Wake this connection's behaviour.
    Wake(u32),
}
