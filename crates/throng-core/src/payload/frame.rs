//! WebSocket frames in messages: the part of a header that is known before its payload.

use super::template::{Frame, FrameKind};
use crate::protocol::websocket::frame::{Header, MAX_HEADER, Mask, Opcode};

/// A header without the payload's length and mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    kind: FrameKind,
    last: bool,
    reserved: u8,
    /// Whether it is a client's, whose payload is masked.
    pub(super) masked: bool,
}

impl Head {
    pub(super) fn of(frame: &Frame, masked: bool) -> Head {
        Head {
            kind: frame.kind,
            last: frame.last,
            reserved: frame.reserved,
            masked,
        }
    }

    /// A whole text message.
    pub(super) fn text(masked: bool) -> Head {
        Head {
            kind: FrameKind::Text,
            last: true,
            reserved: 0,
            masked,
        }
    }

    /// The size in bytes of the header for `payload` bytes.
    pub(super) fn bytes(self, payload: u64) -> usize {
        self.header(payload, [0; 4]).size()
    }

    /// The header for `payload` bytes, and its size: only that many bytes are valid. `key` is used if it is a client's.
    pub(super) fn encode(self, payload: u64, key: [u8; 4]) -> ([u8; MAX_HEADER], usize) {
        self.header(payload, key).to_bytes()
    }

    fn header(self, payload: u64, key: [u8; 4]) -> Header {
        let opcode = match self.kind {
            FrameKind::Continuation => Opcode::Continuation,
            FrameKind::Text => Opcode::Text,
            FrameKind::Binary => Opcode::Binary,
            FrameKind::Close => Opcode::Close,
            FrameKind::Ping => Opcode::Ping,
            FrameKind::Pong => Opcode::Pong,
        };
        Header {
            fin: self.last,
            reserved: self.reserved,
            opcode,
            mask: self.masked.then_some(Mask(key)),
            length: payload,
        }
    }
}

/// Masks `bytes`, the whole payload of a frame, with `key` (or unmasks them).
pub(super) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    Mask(key).apply(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: FrameKind, last: bool, reserved: u8) -> Frame {
        Frame {
            kind,
            last,
            reserved,
            payload: vec![],
        }
    }

    #[test]
    fn headers_are_those_of_the_rfc() {
        // Examples of RFC 6455 5.7, and the bounds of the three kinds of length.
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for (frame, masked, payload, bytes) in [
            (frame(FrameKind::Text, true, 0), false, 5, &[0x81, 0x05][..]),
            (
                frame(FrameKind::Text, true, 0),
                true,
                5,
                &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d],
            ),
            (frame(FrameKind::Text, false, 0), false, 3, &[0x01, 0x03]),
            (
                frame(FrameKind::Continuation, true, 0),
                false,
                2,
                &[0x80, 0x02],
            ),
            (frame(FrameKind::Ping, true, 0), false, 5, &[0x89, 0x05]),
            (
                frame(FrameKind::Binary, true, 0),
                false,
                256,
                &[0x82, 0x7e, 1, 0],
            ),
            (
                frame(FrameKind::Binary, true, 0),
                false,
                65536,
                &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0],
            ),
            (frame(FrameKind::Pong, true, 4), false, 125, &[0xca, 125]),
            (
                frame(FrameKind::Close, true, 3),
                false,
                126,
                &[0xb8, 126, 0, 126],
            ),
            (
                frame(FrameKind::Text, true, 0),
                false,
                65535,
                &[0x81, 126, 255, 255],
            ),
        ] {
            let head = Head::of(&frame, masked);
            let (out, n) = head.encode(payload, key);
            assert_eq!(&out[..n], bytes);
            assert_eq!(head.bytes(payload), n);
        }
    }

    #[test]
    fn the_rfcs_hello_is_masked_as_there() {
        let mut bytes = *b"Hello";
        mask(&mut bytes, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(bytes, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    proptest! {
        #[test]
        fn each_byte_is_masked_with_its_byte_of_the_key(bytes: Vec<u8>, key: [u8; 4]) {
            let mut masked = bytes.clone();
            mask(&mut masked, key);
            for (i, (a, b)) in bytes.iter().zip(&masked).enumerate() {
                prop_assert_eq!(a ^ key[i % 4], *b);
            }
        }
    }
}
