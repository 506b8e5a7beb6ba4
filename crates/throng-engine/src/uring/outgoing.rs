//! Bytes that a behaviour wrote for one send, kept where they are until the kernel has taken them. What
//! is free again is used for the next send, so only what is under way costs memory.

/// The most buffers: as many as a tag's extra bits can name.
const MOST: usize = 1 << 16;
/// A buffer that grew larger than this is given back to the allocator.
const KEEP_BYTES: usize = 64 * 1024;
/// Free buffers that are kept: what one batch of submissions takes.
const KEEP: usize = 256;

#[derive(Default)]
struct Slot {
    bytes: Vec<u8>,
    tell: bool,
}

/// The outgoing bytes of one worker.
#[derive(Default)]
pub(super) struct Outgoing {
    slots: Vec<Slot>,
    free: Vec<u16>,
    spare: Vec<Vec<u8>>,
}

impl Outgoing {
    /// An empty buffer to write to.
    pub fn empty(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a buffer that was not sent.
    pub fn give_back(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() > 0 && bytes.capacity() <= KEEP_BYTES && self.spare.len() < KEEP {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    /// Keeps `bytes` while they are being sent, and whether the behaviour is to be told. Gives the bytes
    /// back if too much is under way.
    pub fn add(&mut self, bytes: Vec<u8>, tell: bool) -> Result<u16, Vec<u8>> {
        let slot = Slot { bytes, tell };
        match self.free.pop() {
            Some(at) => {
                self.slots[usize::from(at)] = slot;
                Ok(at)
            }
            None if self.slots.len() < MOST => {
                self.slots.push(slot);
                Ok((self.slots.len() - 1) as u16)
            }
            None => Err(slot.bytes),
        }
    }

    /// Address and length of what is in `slot`.
    pub fn at(&self, slot: u16) -> (u64, u32) {
        let bytes = &self.slots[usize::from(slot)].bytes;
        (bytes.as_ptr() as u64, bytes.len() as u32)
    }

    /// The send from `slot` is over. Returns its length, and whether the behaviour is to be told.
    pub fn done(&mut self, slot: u16) -> (usize, bool) {
        let Slot { bytes, tell } = std::mem::take(&mut self.slots[usize::from(slot)]);
        self.free.push(slot);
        let len = bytes.len();
        self.give_back(bytes);
        (len, tell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_used_again_and_its_address_stays_meanwhile() {
        let mut outgoing = Outgoing::default();
        let mut bytes = outgoing.empty();
        bytes.extend_from_slice(b"hello");
        let address = bytes.as_ptr() as u64;
        let a = outgoing.add(bytes, true).unwrap();
        let b = outgoing.add(b"more".to_vec(), false).unwrap();
        assert_eq!(outgoing.at(a), (address, 5));
        assert_eq!(outgoing.done(b), (4, false));
        assert_eq!(outgoing.done(a), (5, true));
        let again = outgoing.empty();
        assert_eq!(again.as_ptr() as u64, address);
        assert_eq!(outgoing.add(b"next".to_vec(), true), Ok(a));
    }
}
