//! Bytes that behaviours wrote, kept in place until the kernel has taken them. Buffers are reused, so only sends
//! under way use memory.

/// The maximum number of buffers: as many as a tag's extra bits can distinguish.
const MOST: usize = 1 << 16;
/// A buffer larger than this is returned to the allocator.
const KEEP_BYTES: usize = 64 * 1024;
/// The number of free buffers that are kept: enough for one batch of submissions.
const KEEP: usize = 256;

/// The outgoing bytes of one worker.
#[derive(Default)]
pub(super) struct Outgoing {
    slots: Vec<Vec<u8>>,
    free: Vec<u16>,
    spare: Vec<Vec<u8>>,
}

impl Outgoing {
    /// An empty buffer to write to.
    pub fn empty(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Returns a buffer that is not needed.
    pub fn give_back(&mut self, mut bytes: Vec<u8>) {
        if bytes.capacity() > 0 && bytes.capacity() <= KEEP_BYTES && self.spare.len() < KEEP {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    /// Keeps `bytes` while they are being sent. Fails with the bytes if all slots are in use.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<u16, Vec<u8>> {
        match self.free.pop() {
            Some(at) => {
                self.slots[usize::from(at)] = bytes;
                Ok(at)
            }
            None if self.slots.len() < MOST => {
                self.slots.push(bytes);
                Ok((self.slots.len() - 1) as u16)
            }
            None => Err(bytes),
        }
    }

    /// The bytes in `slot`.
    pub fn bytes(&self, slot: u16) -> &[u8] {
        &self.slots[usize::from(slot)]
    }

    /// The send from `slot` has ended.
    pub fn done(&mut self, slot: u16) {
        let bytes = std::mem::take(&mut self.slots[usize::from(slot)]);
        self.free.push(slot);
        self.give_back(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_reused_and_do_not_move_meanwhile() {
        let mut outgoing = Outgoing::default();
        let mut bytes = outgoing.empty();
        bytes.extend_from_slice(b"hello");
        let address = bytes.as_ptr() as u64;
        let a = outgoing.add(bytes).unwrap();
        let b = outgoing.add(b"more".to_vec()).unwrap();
        assert_eq!(outgoing.bytes(a), b"hello");
        assert_eq!(outgoing.bytes(a).as_ptr() as u64, address);
        outgoing.done(b);
        outgoing.done(a);
        let again = outgoing.empty();
        assert_eq!(again.as_ptr() as u64, address);
        assert_eq!(outgoing.add(b"next".to_vec()), Ok(a));
    }
}
