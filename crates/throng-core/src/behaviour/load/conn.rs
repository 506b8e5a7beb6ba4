//! What a load keeps for each connection.

use crate::pacing::Due;
use crate::payload::Cursor;

/// What is kept for each connection.
#[derive(Debug, Default)]
pub struct LoadConn<W = (), M = ()> {
    /// When the message (or group) is due that is being sent or comes next. Closed loop: when the last one was sent.
    pub(super) due: Due,
    /// The next portion.
    pub(super) cursor: Cursor,
    /// Closed loop: bytes of echoes, or answers, still to come. Otherwise: messages that end in the send
    /// under way.
    pub(super) under_way: u32,
    /// Bandwidth: how much of the portion at the cursor is sent.
    pub(super) offset: u32,
    pub(super) uid: u32,
    /// When it is to be closed, in milliseconds since the run began; 0 for never.
    pub(super) ends_ms: u32,
    /// Messages of a group: how many have gone of the one that is due at `due`. Closed loop: how many exchanges are complete,
    /// if they are counted.
    pub(super) gone: u16,
    pub(super) wire: W,
    pub(super) matched: M,
    pub(super) doing: Doing,
    pub(super) flags: u8,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing to send, or not yet.
    #[default]
    Idle,
    /// Waiting until it may begin to send.
    Delayed,
    /// First messages are being sent.
    First,
    /// Repeated messages are being sent.
    Sending,
    /// A message was sent; its answer is outstanding.
    Awaiting,
    /// The last message was answered; the next one is due after a while.
    Thinking,
    /// The next message is due later.
    Paced,
}

/// Sending has begun.
pub(super) const BEGUN: u8 = 1;
/// The send under way does not end a message.
pub(super) const MIDDLE: u8 = 2;
/// What the wire wrote waits in `Load::held`.
pub(super) const HELD: u8 = 4;
/// Something was received.
pub(super) const HEARD: u8 = 8;
/// Its lifetime is over: it is closed at the end of the message.
pub(super) const ENDING: u8 = 16;
/// The farewell was sent.
pub(super) const LEAVING: u8 = 32;
/// Arrivals: messages are due that wait for the previous one.
pub(super) const OWES: u8 = 64;
/// Its lifetime is over: whichever side closes it does as was asked.
pub(super) const DONE: u8 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_only_sends_is_remembered_in_32_bytes() {
        assert_eq!(size_of::<LoadConn>(), 32);
    }
}
