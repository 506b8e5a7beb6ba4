//! Floods between the two of a pair, which stay in the kernel: pages go from one socket to a pipe and on to the other socket
//! (splice(2)), and nothing is copied.
//!
//! A pipe is borrowed for one splice in and one out, so a worker needs one. It is longer only where a peer does not take
//! what is in it. Of those there are only so many; while all are in use, bytes are copied.

use super::poll::length;
use super::rest::Rest;
use super::worker::{BLOCKED, BUFFER_BYTES, BULK, Worker};
use crate::table::{State, partner_of};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use throng_core::behaviour::Behaviour;

/// The most that a pipe holds, and that waits for a peer.
const PIPE_BYTES: usize = 256 * 1024;
/// The most pipes of a worker.
const MOST_PIPES: usize = 16;
/// After a splice of less than this, reading and writing is not dearer.
const FEW_BYTES: usize = 16 * 1024;

/// A pipe, which is empty between splices.
pub(super) struct Pipe {
    reads: OwnedFd,
    writes: OwnedFd,
    /// Counts the pipes that there are.
    _one: Arc<()>,
}

/// The pipes of a worker.
#[derive(Default)]
pub(super) struct Pipes {
    idle: Vec<Pipe>,
    one: Arc<()>,
}

impl Pipes {
    /// An empty pipe; `None` if there are too many, or no files for another one.
    fn borrow(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if Arc::strong_count(&self.one) > MOST_PIPES {
            return None;
        }
        Pipe::new(Arc::clone(&self.one)).ok()
    }

    /// Takes an empty pipe back.
    fn give_back(&mut self, pipe: Pipe) {
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
    fn fill(&self, from: RawFd) -> Result<usize, i32> {
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

impl<B: Behaviour> Worker<B> {
    /// Whether to splice what a connection receives next: its last read filled the buffer, and its partner takes it.
    pub(super) fn is_bulk(&self, index: u32) -> bool {
        let partner = &self.table.conns[partner_of(index) as usize];
        self.table.conns[index as usize].marks & BULK != 0
            && partner.state == State::Open
            && partner.marks & BLOCKED == 0
            && self.table.passes(index)
    }

    /// A connection was read from: there is likely to be much more if that filled the buffer.
    pub(super) fn note_bulk(&mut self, index: u32, got: usize) {
        if got == BUFFER_BYTES {
            self.table.conns[index as usize].marks |= BULK;
        }
    }

    /// Splices from a connection to its partner. Returns how many bytes arrived; `None` if there is no pipe for them.
    pub(super) fn splice_once(&mut self, index: u32) -> Option<usize> {
        let pipe = self.pipes.borrow()?;
        let got = pipe.fill(self.fd(index));
        let now = self.table.clock.now();
        let n = match got {
            Ok(n) if n > 0 => n,
            ended => {
                self.pipes.give_back(pipe);
                self.not_read(index, ended.err(), now);
                return Some(0);
            }
        };
        if n < FEW_BYTES {
            self.table.conns[index as usize].marks &= !BULK;
        }
        let mut out = self.outbox();
        self.table.counted(index, n, now, &mut out);
        self.keep_bytes(out.bytes);
        self.send(partner_of(index), Rest::Piped { pipe, left: n }, now);
        Some(n)
    }

    /// Everything of `rest` is sent: keeps its pipe, if it has one.
    pub(super) fn keep_pipe(&mut self, rest: Rest) {
        if let Rest::Piped { pipe, .. } = rest {
            self.pipes.give_back(pipe);
        }
    }
}
