//! Spills: copies of bytes that could not be sent at once, kept until the peer takes them. Only a connection
//! whose peer is slower than this side has a spill.

use std::collections::HashMap;

/// A connection and its generation: the spill of a closed connection stays until its last send has completed,
/// even if its place is in use again.
pub(super) type Key = (u32, u16);

/// Bytes in order, and the number to report to the behaviour when they are sent.
#[derive(Default)]
struct Bytes {
    bytes: Vec<u8>,
    to_tell: usize,
}

/// What one connection still has to send.
#[derive(Default)]
struct Spill {
    /// Being sent. It does not move until the send completes.
    sending: Bytes,
    /// Added meanwhile, sent next.
    next: Bytes,
    /// The connection was never established: what the kernel took was not carried.
    unopened: bool,
}

/// The spills of one worker.
#[derive(Default)]
pub(super) struct Spills(HashMap<Key, Spill>);

impl Spills {
    /// Adds bytes to those sent next. With `tell`, they are reported when they are sent. Returns the number of
    /// bytes that now wait.
    pub fn add(&mut self, key: Key, bytes: &[u8], tell: bool) -> usize {
        let next = &mut self.0.entry(key).or_default().next;
        next.bytes.extend_from_slice(bytes);
        next.to_tell += if tell { bytes.len() } else { 0 };
        next.bytes.len()
    }

    /// Puts bytes before those sent next: the rest of a send. `to_tell` bytes are reported when they are sent.
    pub fn add_first(&mut self, key: Key, bytes: &[u8], to_tell: usize) {
        let next = &mut self.0.entry(key).or_default().next;
        next.bytes.splice(0..0, bytes.iter().copied());
        next.to_tell += to_tell;
    }

    /// The address and length of what to send next; `None` ends the spill. Nothing may be under way.
    pub fn next(&mut self, key: Key) -> Option<(u64, u32)> {
        let spill = self.0.get_mut(&key)?;
        if spill.next.bytes.is_empty() {
            self.0.remove(&key);
            return None;
        }
        spill.sending = std::mem::take(&mut spill.next);
        let bytes = &spill.sending.bytes;
        Some((bytes.as_ptr() as u64, bytes.len() as u32))
    }

    /// The number of bytes that are sent next.
    pub fn waiting(&self, key: Key) -> usize {
        self.0.get(&key).map_or(0, |spill| spill.next.bytes.len())
    }

    /// Whether the connection has a spill.
    pub fn has(&self, key: Key) -> bool {
        self.0.contains_key(&key)
    }

    /// The place of a connection has another generation, and its spill is for that. Nothing of it may be under way.
    pub fn hand_on(&mut self, from: Key, to: Key) {
        if let Some(spill) = self.0.remove(&from) {
            self.0.insert(to, spill);
        }
    }

    /// The number of bytes being sent, and the number to report when they are sent.
    pub fn sending(&self, key: Key) -> (usize, usize) {
        self.0.get(&key).map_or((0, 0), |spill| {
            (spill.sending.bytes.len(), spill.sending.to_tell)
        })
    }

    /// The address and length of what is being sent, to be sent again. Nothing may be under way.
    pub fn again(&self, key: Key) -> Option<(u64, u32)> {
        let bytes = &self.0.get(&key)?.sending.bytes;
        Some((bytes.as_ptr() as u64, bytes.len() as u32))
    }

    /// The connection could not be established, and its send is still under way.
    pub fn unopened(&mut self, key: Key) {
        if let Some(spill) = self.0.get_mut(&key) {
            spill.unopened = true;
        }
    }

    /// Removes the spill of a connection that has ended. Nothing of it may be under way. Returns whether the connection
    /// had been established.
    pub fn forget(&mut self, key: Key) -> bool {
        self.0.remove(&key).is_none_or(|spill| !spill.unopened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_out_in_order_and_the_spill_ends_when_empty() {
        let mut spills = Spills::default();
        let key = (7, 1);
        spills.add(key, b"cd", true);
        spills.add_first(key, b"ab", 3);
        let (address, len) = spills.next(key).unwrap();
        spills.add(key, b"ef", false);
        let sending = &spills.0[&key].sending.bytes;
        assert_eq!((len, sending.as_ptr() as u64), (4, address));
        assert_eq!(sending, b"abcd");
        assert_eq!(spills.sending(key), (4, 5));
        assert_eq!(spills.next(key).map(|(_, len)| len), Some(2));
        assert_eq!(spills.sending(key), (2, 0));
        assert_eq!(spills.next(key), None);
        assert!(spills.0.is_empty());
    }
}
