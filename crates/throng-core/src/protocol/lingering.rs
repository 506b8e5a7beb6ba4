//! How a server leaves a peer that broke the protocol.
//!
//! Such a peer may have much more in flight. Closing a socket with unread bytes resets the connection, and the reset
//! overtakes the answer that says what was wrong. So received bytes are discarded until the peer is quiet (RFC 9112,
//! section 9.6).

use crate::behaviour::{At, Outbox};
use std::time::Duration;

/// A peer that sent nothing for this long has nothing more in flight.
const QUIET: Duration = Duration::from_millis(100);
/// After this many looks the connection is closed, even if more data arrives.
const MOST_LOOKS: u8 = 30;

/// A connection on which the last answer was sent: 2 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lingering {
    /// Whether bytes arrived since the last look.
    heard: bool,
    looks: u8,
}

impl Lingering {
    /// Nothing more is sent: the connection is closed once its peer is quiet.
    pub fn begin(at: &At, out: &mut Outbox) -> Lingering {
        out.wake = Some(at.now + QUIET);
        Lingering {
            heard: false,
            looks: 0,
        }
    }

    /// Bytes arrived, and were discarded.
    pub fn heard(&mut self) {
        self.heard = true;
    }

    /// Closes the connection if its peer is quiet; otherwise looks again later.
    pub fn look(&mut self, at: &At, out: &mut Outbox) {
        self.looks += 1;
        if self.heard && self.looks < MOST_LOOKS {
            self.heard = false;
            out.wake = Some(at.now + QUIET);
        } else {
            out.close = true;
        }
    }
}
