//! WebSocket frames as they are sent: the header (RFC 6455 5.2) and the mask (5.3).

use super::template::{Frame, FrameKind};

/// The longest header: 2 bytes, 8 of length, 4 of masking key.
pub(super) const LONGEST_HEADER: usize = 14;

/// What a header says, except how long the payload is and how it is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    first_byte: u8,
    /// Whether it is a client's, so that what follows is masked.
    pub(super) masked: bool,
}

impl Head {
    pub(super) fn of(frame: &Frame, masked: bool) -> Head {
        Head {
            first_byte: u8::from(frame.last) << 7 | (frame.reserved & 7) << 4 | frame.kind as u8,
            masked,
        }
    }

    /// A whole text message.
    pub(super) fn text(masked: bool) -> Head {
        Head {
            first_byte: 0x80 | FrameKind::Text as u8,
            masked,
        }
    }

    /// Bytes of the header in front of `payload` bytes.
    pub(super) fn bytes(self, payload: u64) -> usize {
        let length = match payload {
            0..126 => 0,
            126..0x1_0000 => 2,
            _ => 8,
        };
        2 + length + if self.masked { 4 } else { 0 }
    }

    /// The header in front of `payload` bytes, as many of the bytes as the second number says. `key` is
    /// used if it is a client's.
    pub(super) fn encode(self, payload: u64, key: [u8; 4]) -> ([u8; LONGEST_HEADER], usize) {
        let mut out = [0; LONGEST_HEADER];
        let masked = u8::from(self.masked) << 7;
        out[0] = self.first_byte;
        match payload {
            0..126 => out[1] = masked | payload as u8,
            126..0x1_0000 => {
                out[1] = masked | 126;
                out[2..4].copy_from_slice(&(payload as u16).to_be_bytes());
            }
            _ => {
                out[1] = masked | 127;
                out[2..10].copy_from_slice(&payload.to_be_bytes());
            }
        }
        let n = self.bytes(payload);
        if self.masked {
            out[n - 4..n].copy_from_slice(&key);
        }
        (out, n)
    }
}

/// Masks `bytes`, the whole payload of a frame, with `key` (or unmasks them).
pub(super) fn mask(bytes: &mut [u8], key: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let mut words = bytes.chunks_exact_mut(8);
    for chunk in &mut words {
        let masked = u64::from_ne_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]) ^ word;
        chunk.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
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
