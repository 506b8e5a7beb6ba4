//! What one connection of a pair received in several buffers goes out on the other in one send, from those buffers.
//!
//! A stream comes in buffers of 16 KiB, many of them at a time. Each send has to wait for the one before it, so without this all but
//! the first would be copied.

use std::ptr;

/// The maximum number of messages under way: as many as a tag's extra bits can distinguish.
const MOST: usize = 1 << 16;

/// A part of a message: a receive buffer, and how many of its bytes.
pub(super) type Part = (u16, u32);

/// Buffers that go out together on one connection, until something else is to go out.
#[derive(Default)]
pub(super) struct Gather {
    pub to: u32,
    pub parts: Vec<Part>,
}

impl Gather {
    /// Whether something is gathered for this connection.
    pub fn is_for(&self, index: u32) -> bool {
        self.to == index && !self.parts.is_empty()
    }
}

/// A message as the kernel reads it, in place until it is sent.
struct Message {
    header: libc::msghdr,
    vectors: Vec<libc::iovec>,
    parts: Vec<Part>,
}

/// The messages of one worker that are being sent.
#[derive(Default)]
pub(super) struct Messages {
    // In boxes, since the kernel has their addresses.
    #[allow(clippy::vec_box)]
    slots: Vec<Box<Message>>,
    free: Vec<u16>,
}

impl Messages {
    /// Whether another one can be added.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty() || self.slots.len() < MOST
    }

    /// Keeps a message of `parts` while it is being sent; `address` has the address of a buffer. Returns its slot and its address.
    pub fn add(&mut self, parts: &[Part], address: impl Fn(u16) -> u64) -> (u16, u64) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Box::new(Message {
                // SAFETY: plain data, for which zero is valid: no address, no control data, no vectors.
                header: unsafe { std::mem::zeroed() },
                vectors: Vec::new(),
                parts: Vec::new(),
            }));
            (self.slots.len() - 1) as u16
        });
        let message = &mut *self.slots[usize::from(slot)];
        message.parts.clear();
        message.parts.extend_from_slice(parts);
        message.vectors.clear();
        let vector = |(bid, len): &Part| libc::iovec {
            iov_base: ptr::with_exposed_provenance_mut(address(*bid) as usize),
            iov_len: *len as usize,
        };
        message.vectors.extend(parts.iter().map(vector));
        message.header.msg_iov = message.vectors.as_mut_ptr();
        message.header.msg_iovlen = message.vectors.len() as _;
        (slot, ptr::from_ref(&message.header) as u64)
    }

    /// The parts of a message.
    pub fn parts(&self, slot: u16) -> &[Part] {
        &self.slots[usize::from(slot)].parts
    }

    /// The message in `slot` is not needed any more.
    pub fn done(&mut self, slot: u16) {
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stays_in_place_and_its_slot_is_used_again() {
        let mut messages = Messages::default();
        let address = |bid: u16| 0x1000 + u64::from(bid);
        let (first, at) = messages.add(&[(3, 16), (5, 7)], address);
        let (second, other) = messages.add(&[(9, 1), (1, 1), (2, 2)], address);
        assert_ne!((first, at), (second, other));
        let message = &messages.slots[usize::from(first)];
        assert_eq!(ptr::from_ref(&message.header) as u64, at);
        let vectors: Vec<(usize, usize)> = message
            .vectors
            .iter()
            .map(|v| (v.iov_base.addr(), v.iov_len))
            .collect();
        assert_eq!(vectors, [(0x1003, 16), (0x1005, 7)]);
        assert_eq!(messages.parts(second), [(9, 1), (1, 1), (2, 2)]);
        messages.done(first);
        assert_eq!(messages.add(&[(8, 8)], address), (first, at));
    }
}
