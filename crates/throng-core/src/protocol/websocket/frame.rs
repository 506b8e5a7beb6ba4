//! Frames (RFC 6455, section 5): headers, masking, and encoding of whole frames.

use super::violation::Violation;

/// Which side of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that connected. It masks what it sends, and receives unmasked frames.
    Client,
    /// The side that accepted. It receives masked frames.
    Server,
}

/// The kind of a frame (5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the message under way.
    Continuation = 0,
    /// A text message, or its first fragment.
    Text = 1,
    /// A binary message, or its first fragment.
    Binary = 2,
    /// The end of the connection.
    Close = 8,
    /// A ping. The answer is a pong with the same payload.
    Ping = 9,
    /// The answer to a ping, or a sign of life.
    Pong = 10,
}

impl Opcode {
    /// The opcode of this number; `None` if it is reserved.
    pub fn from_number(number: u8) -> Option<Opcode> {
        Some(match number {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    /// Whether the frame is a control frame (5.5): short, and never fragmented.
    #[inline]
    pub fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// The most bytes that a control frame may carry (5.5).
pub const MAX_CONTROL: usize = 125;
/// The longest header: two bytes, eight of length, four of mask.
pub const MAX_HEADER: usize = 14;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it is the last frame of its message.
    pub fin: bool,
    /// The reserved bits: 4 is RSV1, 2 is RSV2, 1 is RSV3.
    pub reserved: u8,
    /// The kind of the frame.
    pub opcode: Opcode,
    /// The masking key of the payload: always present from a client, never from a server (5.1).
    pub mask: Option<Mask>,
    /// Bytes of payload, less than 2^63.
    pub length: u64,
}

impl Header {
    /// The header of a whole message or a control frame.
    pub fn whole(opcode: Opcode, length: u64, mask: Option<Mask>) -> Header {
        Header {
            fin: true,
            reserved: 0,
            opcode,
            mask,
            length,
        }
    }

    /// The size of the header in bytes.
    pub fn size(&self) -> usize {
        let length = match self.length {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        2 + length + if self.mask.is_some() { 4 } else { 0 }
    }

    /// The encoded header, with the length in its shortest form, and its size: only that many bytes are valid.
    #[inline]
    pub fn to_bytes(&self) -> ([u8; MAX_HEADER], usize) {
        let mut bytes = [0; MAX_HEADER];
        bytes[0] = (u8::from(self.fin) << 7) | ((self.reserved & 7) << 4) | self.opcode as u8;
        let mut size = match self.length {
            0..=125 => {
                bytes[1] = self.length as u8;
                2
            }
            126..=0xFFFF => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(self.length as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&self.length.to_be_bytes());
                10
            }
        };
        if let Some(Mask(key)) = self.mask {
            bytes[1] |= MASKED;
            bytes[size..size + 4].copy_from_slice(&key);
            size += 4;
        }
        (bytes, size)
    }

    /// Appends the encoded header to `out`.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (bytes, size) = self.to_bytes();
        out.extend_from_slice(&bytes[..size]);
    }

    /// Decodes the header at the start of `bytes`, with its size; `None` if it is incomplete.
    ///
    /// # Errors
    /// A reserved opcode, a control frame that is long or a fragment, or a length that is not in its shortest form or above
    /// 63 bits. The mask and the reserved bits are not checked here: they depend on the role and the extensions.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::from_number(first & 0x0F).ok_or(Violation::Opcode)?;
        let fin = first & FIN != 0;
        let short = second & 0x7F;
        if opcode.is_control() {
            if !fin {
                return Err(Violation::FragmentedControl);
            }
            if usize::from(short) > MAX_CONTROL {
                return Err(Violation::LongControl);
            }
        }
        let (length, rest) = match short {
            126 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let length = u64::from(u16::from_be_bytes(*bytes));
                if length < 126 {
                    return Err(Violation::LongLength);
                }
                (length, rest)
            }
            127 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                let length = u64::from_be_bytes(*bytes);
                if length >> 63 != 0 {
                    return Err(Violation::HugeLength);
                }
                if length < 0x1_0000 {
                    return Err(Violation::LongLength);
                }
                (length, rest)
            }
            _ => (u64::from(short), rest),
        };
        let (mask, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk() else {
                return Ok(None);
            };
            (Some(Mask(*key)), rest)
        };
        let header = Header {
            fin,
            reserved: (first >> 4) & 7,
            opcode,
            mask,
            length,
        };
        Ok(Some((header, bytes.len() - rest.len())))
    }
}

/// A masking key (5.3), rotated so that its first byte applies to the next byte of the payload. Masking and unmasking
/// are the same operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask(pub [u8; 4]);

impl Mask {
    /// Masks `bytes`, the next bytes of the payload. Returns the key for the bytes after them.
    #[inline]
    pub fn apply(self, bytes: &mut [u8]) -> Mask {
        let word = u32::from_ne_bytes(self.0);
        let wide = u128::from(word) * 0x0000_0001_0000_0001_0000_0001_0000_0001;
        let (blocks, rest) = bytes.as_chunks_mut::<16>();
        for bytes in blocks {
            *bytes = (u128::from_ne_bytes(*bytes) ^ wide).to_ne_bytes();
        }
        let (words, rest) = rest.as_chunks_mut::<4>();
        for bytes in words {
            *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(self.0) {
            *byte ^= key;
        }
        self.after(rest.len())
    }

    /// Masks `bytes`, the next bytes of the payload, and appends them to `out`. Returns the key for the bytes after
    /// them.
    #[inline]
    pub fn append(self, bytes: &[u8], out: &mut Vec<u8>) -> Mask {
        let start = out.len();
        out.extend_from_slice(bytes);
        self.apply(&mut out[start..])
    }

    /// The key after `n` further bytes of payload.
    #[inline]
    pub fn after(self, n: usize) -> Mask {
        // As a number: rotating the array would compile to a loop, which takes 10 ns per frame.
        let turned = u32::from_le_bytes(self.0).rotate_right(8 * (n % 4) as u32);
        Mask(turned.to_le_bytes())
    }
}

/// Appends a whole message or a control frame to `out`. It is masked if there is a `mask`, as a client's must be.
pub fn whole(opcode: Opcode, payload: &[u8], mask: Option<Mask>, out: &mut Vec<u8>) {
    Header::whole(opcode, payload.len() as u64, mask).encode(out);
    match mask {
        None => out.extend_from_slice(payload),
        Some(mask) => {
            mask.append(payload, out);
        }
    }
}

/// Appends a close frame (5.5.1) to `out`, with a code and a reason. A reason that is too long is cut.
pub fn close(code: u16, reason: &str, mask: Option<Mask>, out: &mut Vec<u8>) {
    let mut payload = [0; MAX_CONTROL];
    let mut end = reason.len().min(MAX_CONTROL - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    payload[..2].copy_from_slice(&code.to_be_bytes());
    payload[2..2 + end].copy_from_slice(&reason.as_bytes()[..end]);
    whole(Opcode::Close, &payload[..2 + end], mask, out);
}

/// Appends the close frame with which `role` answers a violation, if the violation has one. Only a client uses `mask`.
pub fn close_for(violation: Violation, role: Role, mask: Mask, out: &mut Vec<u8>) {
    if let Some(code) = violation.close_code() {
        let mask = (role == Role::Client).then_some(mask);
        close(code, violation.words(), mask, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(fin: bool, opcode: Opcode, length: u64, mask: Option<[u8; 4]>) -> Header {
        Header {
            fin,
            reserved: 0,
            opcode,
            mask: mask.map(Mask),
            length,
        }
    }

    #[test]
    fn the_examples_of_rfc_6455_section_5_7_are_written_and_read_as_there() {
        const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
        let rows: [(Header, &[u8]); 8] = [
            (header(true, Opcode::Text, 5, None), &[0x81, 0x05]),
            (
                header(true, Opcode::Text, 5, Some(KEY)),
                &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d],
            ),
            (header(false, Opcode::Text, 3, None), &[0x01, 0x03]),
            (header(true, Opcode::Continuation, 2, None), &[0x80, 0x02]),
            (header(true, Opcode::Ping, 5, None), &[0x89, 0x05]),
            (
                header(true, Opcode::Pong, 5, Some(KEY)),
                &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d],
            ),
            (
                header(true, Opcode::Binary, 256, None),
                &[0x82, 0x7E, 0x01, 0x00],
            ),
            (
                header(true, Opcode::Binary, 65536, None),
                &[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0],
            ),
        ];
        for (header, bytes) in rows {
            let mut written = Vec::new();
            header.encode(&mut written);
            assert_eq!(written, bytes);
            assert_eq!(header.size(), bytes.len());
            assert_eq!(Header::decode(bytes), Ok(Some((header, bytes.len()))));
        }
        let mut hello = *b"Hello";
        Mask(KEY).apply(&mut hello);
        assert_eq!(hello, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn lengths_change_form_where_the_rfc_says() {
        for (length, size) in [
            (0, 2),
            (125, 2),
            (126, 4),
            (65535, 4),
            (65536, 10),
            (u64::MAX >> 1, 10),
        ] {
            assert_eq!(
                header(true, Opcode::Binary, length, None).size(),
                size,
                "{length}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_header_by_itself_is_reported() {
        let rows: [(&[u8], Violation); 9] = [
            (&[0x83, 0x00], Violation::Opcode),
            (&[0x8b, 0x00], Violation::Opcode),
            (&[0x09, 0x00], Violation::FragmentedControl),
            (&[0x08, 0x82], Violation::FragmentedControl),
            (&[0x89, 126], Violation::LongControl),
            (&[0x88, 0xff], Violation::LongControl),
            (&[0x82, 126, 0, 125], Violation::LongLength),
            (
                &[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                Violation::LongLength,
            ),
            (
                &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
                Violation::HugeLength,
            ),
        ];
        for (bytes, violation) in rows {
            assert_eq!(Header::decode(bytes), Err(violation), "{bytes:02x?}");
        }
    }

    #[test]
    fn a_close_frames_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        close(1000, &"é".repeat(100), None, &mut out);
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xe8]);
        assert_eq!(std::str::from_utf8(&out[4..]), Ok("é".repeat(61).as_str()));
    }

    proptest! {
        #[test]
        fn headers_come_back_as_they_were_and_only_when_whole(
            fin in any::<bool>(),
            reserved in 0u8..8,
            number in 0u8..16,
            mask in proptest::option::of(any::<[u8; 4]>()),
            length in prop_oneof![0u64..300, 65_000u64..66_000, 0u64..1 << 63],
        ) {
            let opcode = Opcode::from_number(number).unwrap_or(Opcode::Binary);
            let (fin, length) = if opcode.is_control() { (true, length % 126) } else { (fin, length) };
            let header = Header { fin, reserved, opcode, mask: mask.map(Mask), length };
            let mut bytes = Vec::new();
            header.encode(&mut bytes);
            prop_assert_eq!(bytes.len(), header.size());
            for end in 0..bytes.len() {
                prop_assert_eq!(Header::decode(&bytes[..end]), Ok(None));
            }
            bytes.extend(b"payload");
            prop_assert_eq!(Header::decode(&bytes), Ok(Some((header, header.size()))));
        }

        #[test]
        fn masking_is_byte_by_byte_xor_wherever_the_payload_is_cut_and_undoes_itself(
            payload in proptest::collection::vec(any::<u8>(), 0..400),
            key in any::<[u8; 4]>(),
            sizes in proptest::collection::vec(1usize..150, 1..8),
        ) {
            let expected: Vec<u8> = payload.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
            let mut masked = Vec::new();
            let (mut rest, mut mask) = (payload.as_slice(), Mask(key));
            for size in sizes.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, others) = rest.split_at(size.min(rest.len()));
                mask = mask.append(piece, &mut masked);
                rest = others;
            }
            prop_assert_eq!(&masked, &expected);
            Mask(key).apply(&mut masked);
            prop_assert_eq!(masked, payload);
        }
    }
}
