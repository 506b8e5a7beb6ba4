//! What goes before something whose size it depends on: headers of WebSocket frames, and the size itself.

use super::template::{Frame, FrameKind, Size};
use crate::protocol::websocket::frame::{Header, MAX_HEADER, Mask, Opcode};

/// The longest size with what follows it: 20 digits and two line ends.
const MAX_SIZE: usize = 24;
const _: () = assert!(MAX_HEADER <= MAX_SIZE);

/// What is known before its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The header of a WebSocket frame.
    Frame {
        /// What kind it is.
        kind: FrameKind,
        /// Whether it ends its message.
        last: bool,
        /// The reserved bits that are set.
        reserved: u8,
        /// Whether it is a client's, whose payload is masked.
        masked: bool,
    },
    /// The size.
    Size(Size),
}

impl Head {
    pub(super) fn of(frame: &Frame, masked: bool) -> Head {
        Head::Frame {
            kind: frame.kind,
            last: frame.last,
            reserved: frame.reserved,
            masked,
        }
    }

    /// A whole text message.
    pub(super) fn text(masked: bool) -> Head {
        Head::Frame {
            kind: FrameKind::Text,
            last: true,
            reserved: 0,
            masked,
        }
    }

    /// Whether the payload is masked.
    pub(super) fn is_masked(self) -> bool {
        matches!(self, Head::Frame { masked: true, .. })
    }

    /// Its own size in bytes before `payload` bytes.
    pub(super) fn bytes(self, payload: u64) -> usize {
        self.encode(payload, [0; 4]).1
    }

    /// Itself before `payload` bytes, and its size: only that many bytes are valid. `key` is used if they are masked.
    pub(super) fn encode(self, payload: u64, key: [u8; 4]) -> ([u8; MAX_SIZE], usize) {
        let mut all = [0; MAX_SIZE];
        let (kind, last, reserved, masked) = match self {
            Head::Frame {
                kind,
                last,
                reserved,
                masked,
            } => (kind, last, reserved, masked),
            Head::Size(Size::Decimal) => return decimal(payload, all),
            Head::Size(Size::TwoBytes) => {
                all[..2].copy_from_slice(&(payload as u16).to_be_bytes());
                return (all, 2);
            }
            Head::Size(Size::Varint) => return varint(payload, all),
        };
        let opcode = match kind {
            FrameKind::Continuation => Opcode::Continuation,
            FrameKind::Text => Opcode::Text,
            FrameKind::Binary => Opcode::Binary,
            FrameKind::Close => Opcode::Close,
            FrameKind::Ping => Opcode::Ping,
            FrameKind::Pong => Opcode::Pong,
        };
        let header = Header {
            fin: last,
            reserved,
            opcode,
            mask: masked.then_some(Mask(key)),
            length: payload,
        };
        let (bytes, n) = header.to_bytes();
        all[..n].copy_from_slice(&bytes[..n]);
        (all, n)
    }
}

/// A size with seven bits in each byte, the lowest first, written to `all`.
fn varint(payload: u64, mut all: [u8; MAX_SIZE]) -> ([u8; MAX_SIZE], usize) {
    let (mut left, mut n) = (payload, 0);
    loop {
        all[n] = (left & 0x7f) as u8;
        left >>= 7;
        n += 1;
        if left == 0 {
            return (all, n);
        }
        all[n - 1] |= 0x80;
    }
}

/// A size in decimal and two line ends, written to `all`.
fn decimal(payload: u64, mut all: [u8; MAX_SIZE]) -> ([u8; MAX_SIZE], usize) {
    let digits = payload.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut left = payload;
    for digit in all[..digits].iter_mut().rev() {
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
    }
    all[digits..digits + 4].copy_from_slice(b"\r\n\r\n");
    (all, digits + 4)
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
    fn a_size_is_written_in_decimal() {
        for (payload, bytes) in [
            (0, "0\r\n\r\n"),
            (10, "10\r\n\r\n"),
            (u64::MAX, "18446744073709551615\r\n\r\n"),
        ] {
            let (all, n) = Head::Size(Size::Decimal).encode(payload, [0; 4]);
            assert_eq!(&all[..n], bytes.as_bytes());
            assert_eq!(Head::Size(Size::Decimal).bytes(payload), n);
        }
    }

    #[test]
    fn sizes_of_mqtt_are_those_of_its_specification() {
        let written = |size, payload| {
            let (all, n) = Head::Size(size).encode(payload, [0; 4]);
            all[..n].to_vec()
        };
        assert_eq!(written(Size::TwoBytes, 0x0102), [1, 2]);
        // MQTT 5.0, table 1-1.
        for (payload, bytes) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 1]),
            (2_097_152, &[0x80, 0x80, 0x80, 1]),
            (Size::Varint.most(), &[0xff, 0xff, 0xff, 0x7f]),
        ] {
            assert_eq!(written(Size::Varint, payload), bytes);
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
