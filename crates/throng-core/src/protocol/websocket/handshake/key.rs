//! The nonce of a handshake, and what a server answers to it (RFC 6455, sections 4.1 and 4.2.2).

use crate::split_mix::{SplitMix, mix};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The version of the protocol, the only one there is (11.6).
pub(super) const VERSION: &str = "13";

/// A client's nonce, sent as Sec-WebSocket-Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub [u8; 16]);

impl Key {
    /// The key of connection `uid` in a run with this seed. It is drawn again when the answer arrives, so that no
    /// connection has to remember it.
    pub fn derived(seed: u64, uid: u64) -> Key {
        let mut random = SplitMix(mix(seed) ^ uid);
        let (first, second) = (random.next(), random.next());
        let mut key = [0; 16];
        key[..8].copy_from_slice(&first.to_le_bytes());
        key[8..].copy_from_slice(&second.to_le_bytes());
        Key(key)
    }

    /// The key that `text` stands for; `None` if that is not the base64 of 16 bytes.
    pub fn parse(text: &[u8]) -> Option<Key> {
        // 24 characters make at most 18 bytes.
        let mut bytes = [0; 18];
        (text.len() == 24 && STANDARD.decode_slice(text, &mut bytes) == Ok(16)).then_some(())?;
        bytes.first_chunk().copied().map(Key)
    }

    /// The key as a header's value.
    pub fn text(&self) -> [u8; 24] {
        let mut text = [0; 24];
        // 16 bytes are always 24 characters.
        let written = STANDARD.encode_slice(self.0, &mut text);
        debug_assert_eq!(written, Ok(24));
        text
    }

    /// What a server has to answer, as Sec-WebSocket-Accept.
    pub fn accept(&self) -> [u8; 28] {
        accept(&self.text())
    }
}

/// The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (4.2.2, step 5.4).
pub(super) fn accept(key: &[u8]) -> [u8; 28] {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut text = [0; 28];
    // 20 bytes are always 28 characters.
    let written = STANDARD.encode_slice(hash.finalize(), &mut text);
    debug_assert_eq!(written, Ok(28));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_section_1_3_is_answered_as_there() {
        let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(&key.0, b"the sample nonce");
        assert_eq!(&key.text(), b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&key.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_the_base64_of_sixteen_bytes() {
        for wrong in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "!AAAAAAAAAAAAAAAAAAAAA==",
        ] {
            assert_eq!(Key::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn keys_come_again_and_differ_between_connections_and_seeds() {
        assert_eq!(Key::derived(1, 2), Key::derived(1, 2));
        let mut keys: Vec<[u8; 16]> = (0..50)
            .flat_map(|seed| (0..200).map(move |uid| Key::derived(seed, uid).0))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 10_000);
        let mut halves: Vec<&[u8]> = keys.iter().flat_map(|key| key.chunks(8)).collect();
        halves.sort_unstable();
        halves.dedup();
        assert_eq!(halves.len(), 20_000);
    }
}
