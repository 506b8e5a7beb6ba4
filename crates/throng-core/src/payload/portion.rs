//! Portions: what a connection sends at once, where its bytes are, and where it continues.

use std::ops::Range;

/// The most bytes of messages that share a write. 64 KiB is the size of a loopback segment; larger writes were not
/// faster.
pub(super) const RUN_BYTES: u64 = 64 * 1024;

/// Constant bytes of at least this length are sent in place, even inside a message that differs: copying them would
/// cost more than another write.
pub(super) const LARGE: usize = 4096;

/// The longest message, in bytes. Offsets in a script's memory are 32 bits wide, and some messages are there several
/// times.
pub const MAX_MESSAGE: u64 = 1 << 30;

/// The position of a connection in its messages. It starts at the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(super) u32);

/// Where the bytes of a portion are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// In this range of [`Script::memory`](super::Script::memory).
    Memory(Range<u32>),
    /// At the end of the given buffer.
    Rendered,
}

/// What to send at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Where its bytes are.
    pub what: What,
    /// Its length in bytes; never 0.
    pub bytes: u32,
    /// Whole messages that end in it.
    pub messages: u32,
    /// Whether a message ends where it ends; if not, the rest follows in the next portion (MSG_MORE).
    pub ends_message: bool,
    /// The position after it.
    pub next: Cursor,
}
