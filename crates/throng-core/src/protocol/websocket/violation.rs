//! What a peer did that RFC 6455 forbids.

use super::close;
use crate::stats::kinds;

kinds! {
    /// What a peer did that RFC 6455 forbids, by kind, in the order of counts and reports.
    pub enum Violation {
        /// The peer sent no HTTP instead of a handshake.
        NotHttp: "not_http", "no HTTP in the handshake";
        /// A handshake's head that does not end within the bytes and fields that are read.
        LongHead: "long_head", "handshake head over 16 KiB or 64 fields";
        /// A client's handshake that is not an upgrade to WebSocket, or a server's answer other than 101.
        Refused: "refused", "upgrade refused";
        /// A handshake with a header missing or wrong (4.1, 4.2.1).
        Handshake: "handshake", "a handshake header is missing or wrong";
        /// A client's handshake that is not complete in time.
        TimedOut: "timed_out", "handshake timed out";
        /// A reserved bit is set, and no extension was agreed on (5.2).
        ReservedBits: "reserved_bits", "reserved bit set";
        /// An opcode that RFC 6455 reserves (5.2).
        Opcode: "opcode", "reserved opcode";
        /// A client's frame is not masked (5.1).
        Unmasked: "unmasked", "client frame not masked";
        /// A server's frame is masked (5.1).
        Masked: "masked", "server frame masked";
        /// A control frame in fragments (5.5).
        FragmentedControl: "fragmented_control", "fragmented control frame";
        /// A control frame with more than 125 bytes (5.5).
        LongControl: "long_control", "control frame over 125 bytes";
        /// A length written in more bytes than it needs (5.2).
        LongLength: "long_length", "length not in its shortest form";
        /// A length of 2^63 bytes or more (5.2).
        HugeLength: "huge_length", "length of 2^63 or more";
        /// A continuation frame with no message to continue (5.4).
        Continuation: "continuation", "continuation of no message";
        /// A new message before the one under way has ended (5.4).
        Interrupted: "interrupted", "new message inside a fragmented one";
        /// A text message is not UTF-8 (8.1).
        Text: "text", "text is not UTF-8";
        /// A message is longer than allowed here.
        TooBig: "too_big", "message too big";
        /// A close frame with a payload of one byte (5.5.1).
        CloseLength: "close_length", "close payload of one byte";
        /// A close code that must not be sent (7.4).
        CloseCode: "close_code", "invalid close code";
        /// The reason in a close frame is not UTF-8 (5.5.1).
        CloseReason: "close_reason", "close reason is not UTF-8";
    }
}

impl Violation {
    /// The code of the close frame that answers it (7.4.1); `None` before the handshake is done, when
    /// there is no WebSocket connection to close yet.
    pub fn close_code(self) -> Option<u16> {
        match self {
            Violation::NotHttp
            | Violation::LongHead
            | Violation::Refused
            | Violation::Handshake
            | Violation::TimedOut => None,
            Violation::Text | Violation::CloseReason => Some(close::NOT_CONSISTENT),
            Violation::TooBig => Some(close::TOO_BIG),
            _ => Some(close::PROTOCOL_ERROR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_fits_a_close_frame() {
        for kind in Violation::ALL {
            assert!(kind.words().len() <= 123, "{kind:?}");
            assert!(
                kind.close_code().is_none_or(close::may_be_sent),
                "{kind:?} answers with a code that may not be sent"
            );
        }
    }
}
