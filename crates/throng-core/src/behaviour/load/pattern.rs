//! Finding a text in a stream that comes in pieces.

use memchr::memmem::Finder;

/// A text to look for. The state of a stream between two pieces is a `u16`: how many bytes of the text its last bytes
/// match.
#[derive(Clone, Debug)]
pub struct Pattern {
    finder: Finder<'static>,
    /// For each number of bytes matched: how many of them still match when the next byte doesn't (Knuth,
    /// Morris and Pratt).
    fallback: Box<[u16]>,
}

impl Pattern {
    /// The longest text that can be looked for.
    pub const MOST: usize = u16::MAX as usize;

    /// Looks for `text`; `None` if it is empty or longer than [`Pattern::MOST`].
    pub fn new(text: &[u8]) -> Option<Pattern> {
        if text.is_empty() || text.len() > Pattern::MOST {
            return None;
        }
        let mut fallback = vec![0u16; text.len() + 1];
        let mut matched = 0;
        for at in 1..text.len() {
            while matched > 0 && text[at] != text[matched] {
                matched = usize::from(fallback[matched]);
            }
            matched += usize::from(text[at] == text[matched]);
            fallback[at + 1] = matched as u16;
        }
        Some(Pattern {
            finder: Finder::new(text).into_owned(),
            fallback: fallback.into(),
        })
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        self.finder.needle()
    }

    /// How often the text ends in `bytes`, the next piece of a stream whose state is `matched` (0 in the
    /// beginning). Occurrences do not overlap.
    #[inline]
    pub fn count(&self, matched: &mut u16, bytes: &[u8]) -> u32 {
        let mut found = 0;
        let mut rest = bytes;
        while let Some(after) = self.next(matched, rest) {
            found += 1;
            rest = &rest[after..];
        }
        found
    }

    /// Where in `bytes` the text ends for the first time, if it does.
    #[inline]
    pub fn next(&self, matched: &mut u16, bytes: &[u8]) -> Option<usize> {
        let text = self.text();
        let mut at = 0;
        // A match that began in an earlier piece.
        while *matched > 0 && at < bytes.len() {
            if self.step(matched, bytes[at]) {
                return Some(at + 1);
            }
            at += 1;
        }
        if let Some(found) = self.finder.find(&bytes[at..]) {
            return Some(at + found + text.len());
        }
        // A match that may continue in the next piece.
        let tail = at.max((bytes.len() + 1).saturating_sub(text.len()));
        for byte in &bytes[tail.min(bytes.len())..] {
            self.step(matched, *byte);
        }
        None
    }

    /// Takes a byte. Returns whether the text ends with it.
    fn step(&self, matched: &mut u16, byte: u8) -> bool {
        let text = self.text();
        let mut n = usize::from(*matched);
        while n > 0 && text[n] != byte {
            n = usize::from(self.fallback[n]);
        }
        n += usize::from(text[n] == byte);
        let whole = n == text.len();
        *matched = if whole { 0 } else { n as u16 };
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(text: &[u8], stream: &[u8]) -> u32 {
        let (mut at, mut found) = (0, 0);
        while at + text.len() <= stream.len() {
            if stream[at..].starts_with(text) {
                found += 1;
                at += text.len();
            } else {
                at += 1;
            }
        }
        found
    }

    #[test]
    fn a_text_can_be_empty_or_too_long() {
        assert!(Pattern::new(b"").is_none());
        assert!(Pattern::new(&vec![0; 65535]).is_some());
        assert!(Pattern::new(&vec![0; 65536]).is_none());
    }

    proptest! {
        #[test]
        fn a_text_is_found_however_the_stream_is_cut(
            text in prop::collection::vec(0u8..2, 1..8),
            pieces in prop::collection::vec(prop::collection::vec(0u8..2, 0..12), 0..20),
        ) {
            let pattern = Pattern::new(&text).unwrap();
            let mut matched = 0;
            let found: u32 = pieces.iter().map(|p| pattern.count(&mut matched, p)).sum();
            prop_assert_eq!(found, naive(&text, &pieces.concat()));
        }
    }
}
