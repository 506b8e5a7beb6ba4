//! Memory mappings that are shared with the kernel or used by it.

use std::io;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

/// A memory mapping, unmapped on drop.
pub(super) struct Mapping {
    pub at: NonNull<u8>,
    len: usize,
}

impl Mapping {
    pub fn new(fd: RawFd, offset: i64, len: usize, flags: i32) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice; nothing existing is touched.
        let at = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                fd,
                offset,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at.cast())
            .map(|at| Mapping { at, len })
            .ok_or_else(io::Error::last_os_error)
    }

    /// The `T` at byte `offset`.
    pub fn field<T>(&self, offset: u32) -> NonNull<T> {
        assert!(
            offset as usize + size_of::<T>() <= self.len,
            "the kernel gave an offset outside its mapping"
        );
        // SAFETY: inside the mapping, as just checked.
        unsafe { self.at.add(offset as usize).cast() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped with this length in `new`, and everything that points into it is dropped with it.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}
