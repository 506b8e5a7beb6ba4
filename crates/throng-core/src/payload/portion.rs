//! What a connection sends in one go, where its bytes are, and where it goes on from there.

use std::ops::Range;

/// How many bytes of messages go out in one write, if they are shorter. 64 KiB is what one loopback
/// segment holds; larger writes measured no faster.
pub(super) const RUN_BYTES: u64 = 64 * 1024;

/// What is always the same and at least so long is sent from where it lies, even inside a message that
/// differs: from here on a copy costs more than another write.
pub(super) const LARGE: usize = 4096;

/// The longest message, in bytes: offsets in a script's memory are 32 bits wide, and some messages lie there
/// several times.
pub const MAX_MESSAGE: u64 = 1 << 30;

/// Where a connection is among what it sends. Starts at the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(super) u32);

/// Where the bytes of a portion are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// In this range of [`Script::memory`].
    Memory(Range<u32>),
    /// At the end of the buffer that was given.
    Rendered,
}

/// What to send in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Where it is.
    pub what: What,
    /// Bytes of it; never 0.
    pub bytes: u32,
    /// Whole messages that end in it.
    pub messages: u32,
    /// Whether a message ends where it ends; if not, the rest follows in the next portion (MSG_MORE).
    pub ends_message: bool,
    /// Where to go on.
    pub next: Cursor,
}
