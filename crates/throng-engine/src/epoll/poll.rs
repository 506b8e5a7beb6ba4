//! epoll(7) and the socket calls of this engine, safely wrapped.

use crate::socket::{Address, length};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// The maximum number of events of one wait.
const EVENTS: usize = 256;

/// An epoll instance and the events of its last wait.
pub(super) struct Poll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
    /// The kernel has no epoll_pwait2 (Linux 5.11): waits are in whole milliseconds.
    coarse: bool,
}

impl Poll {
    pub fn new() -> io::Result<Poll> {
        // SAFETY: no pointers; the descriptor is new and ours.
        let fd = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Poll {
            fd,
            events: Vec::with_capacity(EVENTS),
            coarse: false,
        })
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: key,
        };
        // SAFETY: the event is alive during the call.
        let done = unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd, &raw mut event) };
        if done < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Reports `key` whenever `fd` is readable.
    pub fn add_readable(&self, fd: RawFd, key: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, key)
    }

    /// Reports `key` each time `fd` becomes readable or writable, or its peer closes (edge-triggered: one
    /// registration for the life of a connection).
    pub fn add_edges(&self, fd: RawFd, key: u64) -> io::Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.control(libc::EPOLL_CTL_ADD, fd, events, key)
    }

    /// Reports `key` once more for the state of `fd`, even if it has not changed.
    pub fn look_again(&self, fd: RawFd, key: u64) {
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        // It can only fail for a descriptor that is not there.
        let _ = self.control(libc::EPOLL_CTL_MOD, fd, events, key);
    }

    /// Stops reporting `fd`.
    pub fn remove(&self, fd: RawFd) {
        // It can only fail for a descriptor that is not there.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    /// Waits for events, at most for `timeout`. They are read with [`Poll::event`].
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.events.clear();
        let fd = self.fd.as_raw_fd();
        let at = self.events.as_mut_ptr();
        let found = if self.coarse {
            let ms = timeout.map_or(-1, |t| {
                i32::try_from(t.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            });
            // SAFETY: room for EVENTS events.
            unsafe { i64::from(libc::epoll_wait(fd, at, EVENTS as i32, ms)) }
        } else {
            let ts = timeout.map(|t| libc::timespec {
                tv_sec: t.as_secs() as libc::time_t,
                tv_nsec: libc::c_long::from(t.subsec_nanos()),
            });
            let ts = ts.as_ref().map_or(ptr::null(), ptr::from_ref);
            // SAFETY: room for EVENTS events; the time is null or alive during the call; no signal mask.
            unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    fd,
                    at,
                    EVENTS,
                    ts,
                    ptr::null::<u8>(),
                    0,
                )
            }
        };
        if found < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EINTR) => Ok(0),
                Some(libc::ENOSYS) if !self.coarse => {
                    self.coarse = true;
                    Ok(0)
                }
                _ => Err(error),
            };
        }
        // SAFETY: the kernel wrote this many events.
        unsafe { self.events.set_len(found as usize) };
        Ok(found as usize)
    }

    /// The key and the events of entry `i` of the last wait.
    pub fn event(&self, i: usize) -> (u64, u32) {
        let event = self.events[i];
        (event.u64, event.events)
    }
}

/// Reads available bytes. Zero is the end of the stream.
pub(super) fn receive(fd: RawFd, into: &mut [u8]) -> Result<usize, i32> {
    // SAFETY: the slice is writable for its length.
    length(|| unsafe { libc::recv(fd, into.as_mut_ptr().cast(), into.len(), 0) })
}

/// Discards available bytes, at most `most`, without copying them (MSG_TRUNC on a TCP socket, tcp(7)).
pub(super) fn discard(fd: RawFd, most: usize) -> Result<usize, i32> {
    // SAFETY: with MSG_TRUNC the kernel writes nothing.
    length(|| unsafe { libc::recv(fd, ptr::null_mut(), most, libc::MSG_TRUNC) })
}

/// Sends as many bytes as the kernel takes. With `more`, a packet that is not full waits for the next send.
pub(super) fn send(fd: RawFd, bytes: &[u8], more: bool) -> Result<usize, i32> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: the slice is readable for its length.
    length(|| unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Starts to connect. Returns whether there is nothing to wait for: the attempt has succeeded, or begins with the first
/// send (TCP_FASTOPEN_CONNECT).
pub(super) fn connect(fd: RawFd, target: &Address) -> Result<bool, i32> {
    // SAFETY: a valid address of the length given.
    match length(|| unsafe { libc::connect(fd, target.as_ptr(), target.len()) as isize }) {
        Ok(_) => Ok(true),
        Err(libc::EINPROGRESS) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// The error that a connection attempt ended with, or zero.
pub(super) fn pending_error(fd: RawFd) -> i32 {
    let mut errno = 0i32;
    let mut len = size_of::<i32>() as u32;
    // SAFETY: the option's value is an int, alive during the call.
    let done = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut errno).cast(),
            &raw mut len,
        )
    };
    if done < 0 { libc::EIO } else { errno }
}

/// Accepts a connection as a non-blocking socket.
pub(super) fn accept(listener: RawFd) -> Result<OwnedFd, i32> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no address is asked for; the descriptor is new and ours.
    unsafe {
        let fd =
            length(|| libc::accept4(listener, ptr::null_mut(), ptr::null_mut(), flags) as isize)?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}
