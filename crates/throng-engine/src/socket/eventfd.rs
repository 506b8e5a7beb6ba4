//! The eventfd that wakes a worker.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// An eventfd: wakes a worker, from other threads and from its own rings.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers; the descriptor is new and ours.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(EventFd(OwnedFd::from_raw_fd(fd)))
            }
        }
    }

    pub fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Wakes the waiting thread. A full counter means that it was woken already.
    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight bytes, alive during the call.
        unsafe { libc::write(self.raw(), (&raw const one).cast(), 8) };
    }

    /// Resets the counter, so that the eventfd is no longer readable.
    pub fn drain(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes, alive during the call.
        unsafe { libc::read(self.raw(), (&raw mut count).cast(), 8) };
    }
}
