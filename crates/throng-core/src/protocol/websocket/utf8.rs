//! Checks that a stream in pieces is UTF-8 (RFC 3629), with three bytes of state.

/// The rest that is missing of the last character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Utf8 {
    /// The number of missing bytes; 0 between characters.
    lacks: u8,
    /// The least and greatest next byte. Lead bytes narrow it, which excludes overlong forms, surrogates and code
    /// points above U+10FFFF.
    least: u8,
    greatest: u8,
}

impl Utf8 {
    /// Checks the next bytes. Returns false if the stream can't be UTF-8 any more.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> bool {
        while self.lacks > 0 {
            let Some((next, rest)) = bytes.split_first() else {
                return true;
            };
            if !(self.least..=self.greatest).contains(next) {
                return false;
            }
            *self = Utf8 {
                lacks: self.lacks - 1,
                least: 0x80,
                greatest: 0xBF,
            };
            bytes = rest;
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => true,
            // No length: the bytes end within a character that is valid so far.
            Err(e) if e.error_len().is_none() => {
                self.begin(&bytes[e.valid_up_to()..]);
                true
            }
            Err(_) => false,
        }
    }

    /// Whether the stream so far ends with a whole character.
    pub(super) fn is_whole(self) -> bool {
        self.lacks == 0
    }

    /// Records the valid start of a character.
    fn begin(&mut self, start: &[u8]) {
        let Some(lead) = start.first() else { return };
        let (length, least, greatest) = match lead {
            0xC2..=0xDF => (2, 0x80, 0xBF),
            0xE0 => (3, 0xA0, 0xBF),
            0xED => (3, 0x80, 0x9F),
            0xE1..=0xEF => (3, 0x80, 0xBF),
            0xF0 => (4, 0x90, 0xBF),
            0xF4 => (4, 0x80, 0x8F),
            _ => (4, 0x80, 0xBF),
        };
        let (least, greatest) = match start.len() {
            1 => (least, greatest),
            _ => (0x80, 0xBF),
        };
        *self = Utf8 {
            lacks: length - start.len() as u8,
            least,
            greatest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the pieces together are found to be.
    fn judged<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut utf8 = Utf8::default();
        pieces.into_iter().all(|piece| utf8.push(piece)) && utf8.is_whole()
    }

    #[test]
    fn every_sequence_of_up_to_two_bytes_and_every_lead_of_longer_ones_is_judged_as_std_does() {
        for a in 0..=255u8 {
            assert_eq!(judged([&[a][..]]), a < 0x80);
            for b in 0..=255u8 {
                assert_eq!(
                    judged([&[a][..], &[b]]),
                    std::str::from_utf8(&[a, b]).is_ok()
                );
                for tail in [&[0x80][..], &[0xBF], &[0x80, 0x80], &[0xBF, 0xBF], &[0x7F]] {
                    let all = [&[a, b], tail].concat();
                    let expected = std::str::from_utf8(&all).is_ok();
                    assert_eq!(judged(all.chunks(1)), expected, "{all:02x?}");
                    assert_eq!(judged([&[a, b][..], tail]), expected, "{all:02x?}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_become_utf8_is_found_at_the_first_wrong_byte() {
        for start in [
            &[0xC0][..],
            &[0xE0, 0x80],
            &[0xED, 0xA0],
            &[0xF4, 0x90],
            &[0xF8],
            &[0x80],
        ] {
            assert!(
                !start
                    .chunks(1)
                    .fold((Utf8::default(), true), |(mut u, ok), b| {
                        let ok = ok && u.push(b);
                        (u, ok)
                    })
                    .1,
                "{start:02x?}"
            );
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_text_is_cut(text in ".{0,40}", wrong in proptest::option::of((any::<usize>(), any::<u8>())), size in 1usize..9) {
            let mut bytes = text.into_bytes();
            if let Some((at, byte)) = wrong && !bytes.is_empty() {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            prop_assert_eq!(judged(bytes.chunks(size)), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
