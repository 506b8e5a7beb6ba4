//! What carries a load's messages: nothing but TCP, or a protocol on top of it.

use crate::behaviour::At;

/// What came of bytes that came in.
#[derive(Debug, Default)]
pub struct Came {
    /// Messages may be sent from now on.
    pub ready: bool,
    /// Whole messages that came, where the protocol knows what a message is.
    pub messages: u32,
    /// The connection is over: close it once what was written is sent.
    pub over: bool,
    /// The peer is about to close it: send nothing more.
    pub leaving: bool,
    /// With `leaving`: because it has broken the protocol, so that it may well not.
    pub broken: bool,
}

/// A protocol that carries messages.
pub trait Wire {
    /// What is kept for each connection.
    type Conn: Default;

    /// Whether it tells where messages end.
    const MESSAGES: bool;

    /// A connection is up. Writes what is to be sent at once. Returns whether messages may be sent.
    fn opened(&mut self, conn: &mut Self::Conn, uid: u64, at: &At, out: &mut Vec<u8>) -> bool;

    /// Whether messages may be sent.
    fn is_ready(&self, conn: &Self::Conn) -> bool;

    /// Bytes came in. What the user's messages are among them goes to `payload`, answers that the protocol
    /// asks for are written to `out`.
    fn received(
        &mut self,
        conn: &mut Self::Conn,
        uid: u64,
        bytes: &[u8],
        at: &At,
        out: &mut Vec<u8>,
        payload: impl FnMut(&[u8]),
    ) -> Came;

    /// The connection is to be closed from our side: writes what there is to say first. Returns whether the
    /// peer has the last word, and [`Came::over`] is to be waited for.
    fn farewell(&mut self, conn: &mut Self::Conn, out: &mut Vec<u8>) -> bool;

    /// The connection is gone.
    fn closed(&mut self, conn: &mut Self::Conn, at: &At);
}

/// Nothing but TCP.
#[derive(Debug, Default)]
pub struct Raw;

impl Wire for Raw {
    type Conn = ();
    const MESSAGES: bool = false;

    #[inline]
    fn opened(&mut self, (): &mut (), _: u64, _: &At, _: &mut Vec<u8>) -> bool {
        true
    }

    #[inline]
    fn is_ready(&self, (): &()) -> bool {
        true
    }

    #[inline]
    fn received(
        &mut self,
        (): &mut (),
        _: u64,
        bytes: &[u8],
        _: &At,
        _: &mut Vec<u8>,
        mut payload: impl FnMut(&[u8]),
    ) -> Came {
        payload(bytes);
        Came::default()
    }

    fn farewell(&mut self, (): &mut (), _: &mut Vec<u8>) -> bool {
        false
    }

    fn closed(&mut self, (): &mut (), _: &At) {}
}
