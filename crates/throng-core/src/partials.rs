//! Storage for incomplete input, until the rest of it arrives.
//!
//! Heads, headers, records and control frames nearly always arrive at once, and then nothing is kept. When one does
//! not, its first part is kept in the worker's [`Partials`], and the connection only has its place ([`Slot`], four
//! bytes). The memory for a burst of parts is freed once none is left.

use std::num::NonZeroU32;

/// Places that are kept while all are empty: 2 KiB, which saves the allocation for an occasional part.
const KEPT: usize = 64;

/// The number of buffers that are kept for later parts, and their largest size.
const SPARE: usize = 16;
const SPARE_BYTES: usize = 32 * 1024;

/// The place of a connection's part, if it has one. When the connection ends, [`Partials::drop_at`] must free it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Slot(Option<NonZeroU32>);

impl Slot {
    /// Whether it holds no part.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// The incomplete input of a worker's connections.
#[derive(Debug, Default)]
pub struct Partials {
    places: Vec<Vec<u8>>,
    free: Vec<u32>,
    spare: Vec<Vec<u8>>,
}

impl Partials {
    /// The part at `slot`; empty if there is none.
    pub fn at(&self, slot: &Slot) -> &[u8] {
        slot.0
            .and_then(|n| self.places.get(n.get() as usize - 1))
            .map_or(&[], Vec::as_slice)
    }

    /// Appends `bytes` to the part at `slot`.
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
                self.places[place] = self.spare.pop().unwrap_or_default();
                // Never zero, and a worker has fewer than 2^32 connections.
                slot.0 = NonZeroU32::new(place as u32 + 1);
                place
            }
        };
        self.places[place].extend_from_slice(bytes);
    }

    /// Removes and returns the part at `slot`. Its buffer can be [given back](Partials::give_back).
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

    /// Takes back a buffer for a later part.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if (1..=SPARE_BYTES).contains(&buffer.capacity()) && self.spare.len() < SPARE {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Discards the part at `slot`.
    pub fn drop_at(&mut self, slot: &mut Slot) {
        if !slot.is_empty() {
            drop(self.take(slot));
        }
    }

    /// The number of connections with a part.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether no connection has a part.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_apart_and_nothing_is_left_once_all_are_taken() {
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

    #[test]
    fn a_buffer_that_was_given_back_holds_the_next_part_and_nothing_of_the_last() {
        let mut partials = Partials::default();
        let mut slot = Slot::default();
        partials.append(&mut slot, &[1; 1000]);
        let buffer = partials.take(&mut slot);
        let at = buffer.as_ptr();
        partials.give_back(buffer);
        partials.append(&mut slot, &[2; 10]);
        assert_eq!(partials.at(&slot), [2; 10]);
        assert_eq!(partials.at(&slot).as_ptr(), at);
        // A large buffer is freed: it may have been for a single long record.
        partials.give_back(vec![0; SPARE_BYTES + 1]);
        assert!(partials.spare.is_empty());
    }
}
