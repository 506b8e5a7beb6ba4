//! WebSocket (RFC 6455), either side, with no I/O in it.
//!
//! - [`handshake`]: the upgrade request and its answer, as a client and as a server
//! - [`frame`]: frame headers and masking, and frames of one's own
//! - [`decoder`]: what came in, as it came in, into events
//! - [`WsServer`]: a behaviour that echoes or discards messages
//!
//! What a connection needs at rest is its [`Decoder`](decoder::Decoder), 20 bytes: no buffer of its own. Half
//! a head or half a header goes to the worker's [`Partials`](crate::partials::Partials) until the rest is there.

pub mod decoder;
pub mod frame;
pub mod handshake;
mod serve;
mod utf8;

pub use serve::{WsConn, WsMode, WsServer};

use serde::{Deserialize, Serialize};

/// Which side of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that connected. What it sends is masked; what it receives is not.
    Client,
    /// The side that accepted.
    Server,
}

/// What a peer did that RFC 6455 forbids, by kind: in the order in which they are counted and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// What came instead of a handshake is no HTTP, or its head does not end.
    NotHttp,
    /// A client's handshake that is no upgrade to WebSocket, or a server's answer other than 101.
    Refused,
    /// A handshake with a header missing or wrong (4.1, 4.2.1).
    Handshake,
    /// A reserved bit is set, and no extension was agreed on (5.2).
    ReservedBits,
    /// An opcode that RFC 6455 reserves (5.2).
    Opcode,
    /// A client's frame is not masked (5.1).
    Unmasked,
    /// A server's frame is masked (5.1).
    Masked,
    /// A control frame in fragments (5.5).
    FragmentedControl,
    /// A control frame with more than 125 bytes (5.5).
    LongControl,
    /// A length written in more bytes than it needs (5.2).
    LongLength,
    /// A length of 2^63 bytes or more (5.2).
    HugeLength,
    /// A continuation frame with no message to continue (5.4).
    Continuation,
    /// A new message before the one under way has ended (5.4).
    Interrupted,
    /// A text message is not UTF-8 (8.1).
    Text,
    /// A message is longer than allowed here.
    TooBig,
    /// A close frame with a payload of one byte (5.5.1).
    CloseLength,
    /// A close code that must not be sent (7.4).
    CloseCode,
    /// The reason in a close frame is not UTF-8 (5.5.1).
    CloseReason,
}

impl Violation {
    /// Every kind, in the order in which they are counted.
    pub const ALL: [Violation; 18] = [
        Violation::NotHttp,
        Violation::Refused,
        Violation::Handshake,
        Violation::ReservedBits,
        Violation::Opcode,
        Violation::Unmasked,
        Violation::Masked,
        Violation::FragmentedControl,
        Violation::LongControl,
        Violation::LongLength,
        Violation::HugeLength,
        Violation::Continuation,
        Violation::Interrupted,
        Violation::Text,
        Violation::TooBig,
        Violation::CloseLength,
        Violation::CloseCode,
        Violation::CloseReason,
    ];

    /// A few words for people; they also go to the peer as the reason of the close frame.
    pub fn words(self) -> &'static str {
        match self {
            Violation::NotHttp => "no HTTP in the handshake",
            Violation::Refused => "upgrade refused",
            Violation::Handshake => "a handshake header is missing or wrong",
            Violation::ReservedBits => "reserved bit set",
            Violation::Opcode => "reserved opcode",
            Violation::Unmasked => "client frame not masked",
            Violation::Masked => "server frame masked",
            Violation::FragmentedControl => "fragmented control frame",
            Violation::LongControl => "control frame over 125 bytes",
            Violation::LongLength => "length not in its shortest form",
            Violation::HugeLength => "length of 2^63 or more",
            Violation::Continuation => "continuation of no message",
            Violation::Interrupted => "new message inside a fragmented one",
            Violation::Text => "text is not UTF-8",
            Violation::TooBig => "message too big",
            Violation::CloseLength => "close payload of one byte",
            Violation::CloseCode => "invalid close code",
            Violation::CloseReason => "close reason is not UTF-8",
        }
    }

    /// The code of the close frame that answers it (7.4.1); `None` before the handshake is done, when
    /// there is no WebSocket connection to close yet.
    pub fn close_code(self) -> Option<u16> {
        match self {
            Violation::NotHttp | Violation::Refused | Violation::Handshake => None,
            Violation::Text | Violation::CloseReason => Some(close::NOT_CONSISTENT),
            Violation::TooBig => Some(close::TOO_BIG),
            _ => Some(close::PROTOCOL_ERROR),
        }
    }
}

/// Codes of close frames (7.4.1), those that are used here.
pub mod close {
    /// The purpose is fulfilled.
    pub const NORMAL: u16 = 1000;
    /// The peer violated the protocol.
    pub const PROTOCOL_ERROR: u16 = 1002;
    /// Data in a message is not consistent with its type, as text that is not UTF-8.
    pub const NOT_CONSISTENT: u16 = 1007;
    /// A message is too big.
    pub const TOO_BIG: u16 = 1009;

    /// Whether a peer may send `code` (7.4.1, 7.4.2, and IANA's registry, which has added 1012 to
    /// 1014). 1004, 1005, 1006 and 1015 are reserved and never sent.
    pub fn may_be_sent(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_stands_once_in_the_order_of_counting_and_fits_a_close_frame() {
        for (i, kind) in Violation::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
            assert!(kind.words().len() <= 123, "{kind:?}");
            assert!(
                kind.close_code().is_none_or(close::may_be_sent),
                "{kind:?} answers with a code that may not be sent"
            );
        }
    }

    #[test]
    fn close_codes_that_may_be_sent_are_those_of_the_registry() {
        let valid = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 3999, 4000, 4999,
        ];
        let invalid = [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ];
        for code in valid {
            assert!(close::may_be_sent(code), "{code}");
        }
        for code in invalid {
            assert!(!close::may_be_sent(code), "{code}");
        }
    }
}
