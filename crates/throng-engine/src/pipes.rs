//! Pipes, through which pages go from one socket to another (splice(2)).

use crate::socket::length;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use throng_core::engine::Engine;

/// The most that a pipe holds, and that waits for a peer.
const PIPE_BYTES: usize = 256 * 1024;
/// A pipe, which is empty between splices.
pub(crate) struct Pipe {
    reads: OwnedFd,
    writes: OwnedFd,
    /// Counts the pipes that there are.
    _one: Arc<()>,
}

/// The pipes of a worker.
pub(crate) struct Pipes {
    idle: Vec<Pipe>,
    one: Arc<()>,
    /// How many there may be.
    most: usize,
}

impl Pipes {
    /// As many pipes as a worker of `engine` may have: plans know of their files.
    pub fn of(engine: Engine) -> Pipes {
        Pipes {
            idle: Vec::new(),
            one: Arc::default(),
            most: engine.floods_per_worker() as usize,
        }
    }

    /// An empty pipe; `None` if there are too many, or no files for another one.
    pub fn borrow(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if Arc::strong_count(&self.one) > self.most {
            return None;
        }
        Pipe::new(Arc::clone(&self.one)).ok()
    }

    /// Takes an empty pipe back.
    pub fn give_back(&mut self, pipe: Pipe) {
        self.idle.push(pipe);
    }
}

impl Pipe {
    fn new(one: Arc<()>) -> io::Result<Pipe> {
        let mut ends = [-1; 2];
        // SAFETY: room for two descriptors, which are new and ours if the call succeeds.
        let [reads, writes] = unsafe {
            if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) < 0 {
                return Err(io::Error::last_os_error());
            }
            ends.map(|fd| OwnedFd::from_raw_fd(fd))
        };
        // If a user has too many pages in pipes already, it stays as it is: 64 KiB, or less.
        // SAFETY: an int is passed.
        unsafe {
            libc::fcntl(
                writes.as_raw_fd(),
                libc::F_SETPIPE_SZ,
                PIPE_BYTES as libc::c_int,
            )
        };
        Ok(Pipe {
            reads,
            writes,
            _one: one,
        })
    }

    /// Moves bytes from a socket into the pipe, which is empty. Zero is the end of the stream.
    pub fn fill(&self, from: RawFd) -> Result<usize, i32> {
        splice(from, self.writes.as_raw_fd(), PIPE_BYTES)
    }

    /// Moves up to `most` bytes from the pipe into a socket.
    pub fn empty(&self, to: RawFd, most: usize) -> Result<usize, i32> {
        splice(self.reads.as_raw_fd(), to, most)
    }
}

fn splice(from: RawFd, to: RawFd, most: usize) -> Result<usize, i32> {
    let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK;
    // SAFETY: neither end has an offset.
    length(|| unsafe { libc::splice(from, ptr::null_mut(), to, ptr::null_mut(), most, flags) })
}
