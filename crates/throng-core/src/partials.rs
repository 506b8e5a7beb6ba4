//! Where the half of something waits for its other half.
//!
//! Heads, headers and control frames nearly always arrive whole, and then nothing is kept. When one does
//! not, its first part lies in the worker's [`Partials`], and the connection remembers only where
//! ([`Slot`], four bytes). What a burst of halves needed is given back once none is left.

use std::num::NonZeroU32;

/// So many places are kept although nothing lies in any: 2 KiB, which spares one half now and then the
/// allocation.
const KEPT: usize = 64;

/// Where a connection's half lies, if it has one. A connection that goes away gives it back with
/// [`Partials::drop_at`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Slot(Option<NonZeroU32>);

impl Slot {
    /// Whether nothing lies there.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// The halves that a worker's connections wait with.
#[derive(Debug, Default)]
pub struct Partials {
    places: Vec<Vec<u8>>,
    free: Vec<u32>,
}

impl Partials {
    /// What lies at `slot`; nothing if it is empty.
    pub fn at(&self, slot: &Slot) -> &[u8] {
        slot.0
            .and_then(|n| self.places.get(n.get() as usize - 1))
            .map_or(&[], Vec::as_slice)
    }

    /// Adds `bytes` to what lies at `slot`.
    pub fn append(&mut self, slot: &mut Slot, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let place = match slot.0 {
            Some(n) => n.get() as usize - 1,
            None => {
                let place = match self.free.pop() {
                    Some(place) => place as usize,
                    None => {
                        self.places.push(Vec::new());
                        self.places.len() - 1
                    }
                };
                // Never zero, and a worker has no 2^32 connections.
                slot.0 = NonZeroU32::new(place as u32 + 1);
                place
            }
        };
        self.places[place].extend_from_slice(bytes);
    }

    /// Takes away what lies at `slot`.
    pub fn take(&mut self, slot: &mut Slot) -> Vec<u8> {
        let Some(n) = slot.0.take() else {
            return Vec::new();
        };
        let place = n.get() - 1;
        let bytes = std::mem::take(&mut self.places[place as usize]);
        self.free.push(place);
        if self.is_empty() && self.places.len() > KEPT {
            *self = Partials::default();
        }
        bytes
    }

    /// Throws away what lies at `slot`.
    pub fn drop_at(&mut self, slot: &mut Slot) {
        if !slot.is_empty() {
            drop(self.take(slot));
        }
    }

    /// How many connections have a half there.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether no connection has a half there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_kept_apart_and_nothing_is_left_once_all_are_taken() {
        let mut partials = Partials::default();
        let mut slots: Vec<Slot> = (0..100).map(|_| Slot::default()).collect();
        for round in 0..2u8 {
            for (i, slot) in slots.iter_mut().enumerate() {
                partials.append(slot, &[i as u8, round]);
            }
        }
        assert_eq!(partials.len(), 100);
        for (i, slot) in slots.iter_mut().enumerate().filter(|(i, _)| i % 2 == 0) {
            assert_eq!(partials.take(slot), [i as u8, 0, i as u8, 1]);
            assert!(slot.is_empty());
        }
        let mut another = Slot::default();
        partials.append(&mut another, b"x");
        assert_eq!(partials.places.len(), 100, "a free place is used again");
        assert_eq!(partials.at(&slots[1]), [1, 0, 1, 1]);
        partials.drop_at(&mut another);
        for slot in &mut slots {
            partials.drop_at(slot);
        }
        assert!(partials.is_empty());
        assert_eq!(partials.places.capacity() + partials.free.capacity(), 0);
    }
}
