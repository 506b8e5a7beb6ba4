//! Buffers that the kernel chooses from when it receives (provided buffers).

use super::abi::{Buf, BufferRegistration, RegisterOp, register};
use super::mapping::Mapping;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU16, Ordering};

/// Added to the distance between buffers (cache colouring). If all buffers began at the same offset in a
/// page, their first cache lines, the only ones that a short message needs, would compete for the same
/// few cache sets.
const COLOUR: usize = 64;

/// What a ring's buffers are for: each ring has up to two lists of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Group {
    /// Receives, as the behaviour reads.
    Receives = 0,
    /// Receives that are looked at, where the others are discarded.
    Looks = 1,
}

/// The buffers of one worker.
pub(super) struct Pools {
    pub receives: BufferPool,
    /// If anything is looked at.
    pub looks: Option<BufferPool>,
}

impl Pools {
    /// The pool of this group, which must be there.
    pub fn of(&self, group: Group) -> &BufferPool {
        match (group, &self.looks) {
            (Group::Looks, Some(looks)) => looks,
            _ => &self.receives,
        }
    }
}

/// Buffers that any ring of one worker may receive into.
pub(super) struct BufferPool {
    memory: Mapping,
    size: u32,
    count: u16,
    /// The distance from one buffer to the next. 0 if all are the same memory, which nothing writes or
    /// reads.
    step: usize,
}

impl BufferPool {
    /// `count` (a power of two) buffers of `size` bytes.
    pub fn new(count: u16, size: u32) -> io::Result<BufferPool> {
        assert!(count.is_power_of_two());
        let len = usize::from(count) * (size as usize + COLOUR);
        let memory = Mapping::new(-1, 0, len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)?;
        Ok(BufferPool {
            memory,
            size,
            count,
            step: size as usize + COLOUR,
        })
    }

    /// `count` (a power of two) buffers of `size` bytes for receives that discard their bytes
    /// inside the kernel: they are only numbers and use no memory.
    pub fn for_discards(count: u16, size: u32) -> io::Result<BufferPool> {
        assert!(count.is_power_of_two());
        let memory = Mapping::new(
            -1,
            0,
            size as usize,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        )?;
        Ok(BufferPool {
            memory,
            size,
            count,
            step: 0,
        })
    }

    /// Address of buffer `bid`.
    pub fn address(&self, bid: u16) -> u64 {
        self.memory.at.as_ptr() as u64 + u64::from(bid) * self.step as u64
    }

    /// The first `len` bytes of buffer `bid`, as reported by a completion. Valid until the buffer is given
    /// back with [`BufferRing::give_back`].
    pub fn bytes(&self, bid: u16, len: usize) -> &[u8] {
        assert!(bid < self.count && len <= self.size as usize);
        // SAFETY: inside the mapping, initialised (anonymous memory is zeroed), and the kernel writes
        // to a buffer only between giving it back and its completion.
        unsafe { std::slice::from_raw_parts(self.address(bid) as *const u8, len) }
    }
}

/// One ring's list of the buffers that its receives choose from.
pub(super) struct BufferRing {
    memory: Mapping,
    mask: u16,
    tail: u16,
}

impl BufferRing {
    /// Registers a list of all buffers of `pool` with the ring `fd`, as this group.
    pub fn new(fd: RawFd, group: Group, pool: &BufferPool) -> io::Result<BufferRing> {
        let len = usize::from(pool.count) * size_of::<Buf>();
        let memory = Mapping::new(-1, 0, len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS)?;
        let arg = BufferRegistration {
            ring_addr: memory.at.as_ptr() as u64,
            ring_entries: pool.count.into(),
            bgid: group as u16,
            flags: 0,
            resv: [0; 3],
        };
        let op = RegisterOp::IORING_REGISTER_PBUF_RING;
        register(fd, op, (&raw const arg).cast(), 1)?;
        let mut ring = BufferRing {
            memory,
            mask: pool.count - 1,
            tail: 0,
        };
        for bid in 0..pool.count {
            ring.give_back(pool, bid);
        }
        Ok(ring)
    }

    /// Makes buffer `bid` of `pool` available to receives again.
    pub fn give_back(&mut self, pool: &BufferPool, bid: u16) {
        let slot = self
            .memory
            .field::<Buf>(u32::from(self.tail & self.mask) * size_of::<Buf>() as u32);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: inside the mapping; this entry is ours until the tail passes it. `resv` of the first
        // entry is the tail and must not be overwritten, so the fields are written one by one.
        unsafe {
            (&raw mut (*slot.as_ptr()).addr).write(pool.address(bid));
            (&raw mut (*slot.as_ptr()).len).write(pool.size);
            (&raw mut (*slot.as_ptr()).bid).write(bid);
            let tail = self
                .memory
                .field::<AtomicU16>(mem::offset_of!(Buf, resv) as u32);
            tail.as_ref().store(self.tail, Ordering::Release);
        }
    }
}
