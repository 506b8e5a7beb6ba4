//! Bytes that could not be sent back at once, kept until the peer takes them. Only a connection whose
//! peer is slower than we are has a spill, and only for as long.

use std::collections::HashMap;

/// A connection and its generation: the spill of a closed connection stays until its last send has
/// completed, whatever became of the place.
pub(super) type Key = (u32, u16);

/// What one connection still has to send back.
#[derive(Default)]
struct Spill {
    /// Being sent; does not move until that completes.
    sending: Box<[u8]>,
    /// Came in meanwhile, goes next.
    next: Vec<u8>,
}

/// The spills of one worker.
#[derive(Default)]
pub(super) struct Spills(HashMap<Key, Spill>);

impl Spills {
    /// Adds bytes to what goes next. Returns how many now wait.
    pub fn add(&mut self, key: Key, bytes: &[u8]) -> usize {
        let next = &mut self.0.entry(key).or_default().next;
        next.extend_from_slice(bytes);
        next.len()
    }

    /// Puts bytes before what goes next.
    pub fn add_first(&mut self, key: Key, bytes: &[u8]) {
        self.0
            .entry(key)
            .or_default()
            .next
            .splice(0..0, bytes.iter().copied());
    }

    /// What to send next, address and length, once nothing is being sent; `None` ends the spill.
    pub fn next(&mut self, key: Key) -> Option<(u64, u32)> {
        let spill = self.0.get_mut(&key)?;
        if spill.next.is_empty() {
            self.0.remove(&key);
            return None;
        }
        spill.sending = std::mem::take(&mut spill.next).into_boxed_slice();
        Some((spill.sending.as_ptr() as u64, spill.sending.len() as u32))
    }

    /// How many bytes are being sent.
    pub fn sending(&self, key: Key) -> usize {
        self.0.get(&key).map_or(0, |spill| spill.sending.len())
    }

    /// The connection is gone and nothing of its spill is being sent.
    pub fn forget(&mut self, key: Key) {
        self.0.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_out_in_order_and_the_spill_ends_when_empty() {
        let mut spills = Spills::default();
        let key = (7, 1);
        spills.add(key, b"cd");
        spills.add_first(key, b"ab");
        let (address, len) = spills.next(key).unwrap();
        spills.add(key, b"ef");
        assert_eq!((len, spills.0[&key].sending.as_ptr() as u64), (4, address));
        assert_eq!(&*spills.0[&key].sending, b"abcd");
        assert_eq!(spills.next(key).map(|(_, len)| len), Some(2));
        assert_eq!(spills.next(key), None);
        assert!(spills.0.is_empty());
    }
}
