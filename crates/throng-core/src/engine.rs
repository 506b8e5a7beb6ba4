//! The engines by name, and what each of them costs.
//!
//! A new engine is a variant here, an arm in each method below, and its loop in throng-engine.

use crate::host::SocketObjects;
use serde::{Deserialize, Serialize};

/// An event loop, chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// io_uring with direct descriptors: the file limit bounds a ring's table, not the process.
    Uring,
    /// epoll: one file descriptor per connection.
    Epoll,
}

/// The engine that the user asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// io_uring if the kernel allows it, else epoll.
    #[default]
    Auto,
    /// io_uring with direct descriptors.
    Uring,
    /// epoll.
    Epoll,
}

/// Kernel bytes per end of an idle connection with io_uring, if this kernel's own sizes can't be
/// read: the socket (2368 bytes, of which 13 fit into 8 pages: 2521), its inode (862), dentry and file
/// (195 each), the armed receive (256), and 704 for the rest. Measured on Linux 6.18 over 60,000
/// connections to itself: 9,483 bytes for both ends.
pub const URING_KERNEL_BYTES_PER_END: u64 = 4752;
/// Kernel bytes per end of an idle connection with epoll.
pub const EPOLL_KERNEL_BYTES_PER_END: u64 = 4176;
/// Bytes that objects without a cache of their own add to an end with io_uring: the receive's message
/// header (512), its poll (96), the node of the table's slot (32), and what security modules keep for a
/// file and an inode (56). None of it is charged to a cgroup.
const URING_REST: u64 = 704;
/// Bytes that objects without a cache of their own add to an end with epoll: the descriptor's entry in the table (8),
/// the list of its watchers (16), and what security modules keep.
const EPOLL_REST: u64 = 80;
/// Bytes of a worker's receive buffers with io_uring. With epoll a worker has one small buffer, which is
/// counted with its tables.
const URING_BUFFERS: u64 = 2 << 20;

impl Engine {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Uring => "uring",
            Engine::Epoll => "epoll",
        }
    }

    /// File descriptors per end of a connection. With 0, sockets live in tables of the engine's own,
    /// and RLIMIT_NOFILE bounds each table instead of the process.
    pub fn files_per_end(self) -> u64 {
        match self {
            Engine::Uring => 0,
            Engine::Epoll => 1,
        }
    }

    /// File descriptors of the event loops of one worker, which has `ends` ends of each connection:
    /// eventfds, and epoll instances. Rings are not counted here: their number follows from the
    /// connections.
    pub fn files_per_worker(self, ends: u64) -> u64 {
        match self {
            // Both ends share the eventfd.
            Engine::Uring => 1,
            Engine::Epoll => 2 * ends,
        }
    }

    /// The most floods between connections in pairs that a worker keeps in the kernel, through a pipe each.
    pub const fn floods_per_worker(self) -> u64 {
        8
    }

    /// File descriptors of such a flood: those of its pipe, and with io_uring one besides its slot for each of the two sockets.
    pub const fn files_per_flood(self) -> u64 {
        match self {
            Engine::Uring => 4,
            Engine::Epoll => 2,
        }
    }

    /// Kernel bytes per end of an idle connection, as measured where the sizes of this kernel's objects
    /// can't be read.
    pub fn kernel_bytes_per_end(self) -> u64 {
        match self {
            Engine::Uring => URING_KERNEL_BYTES_PER_END,
            Engine::Epoll => EPOLL_KERNEL_BYTES_PER_END,
        }
    }

    /// Kernel bytes that watching an end takes, beyond the socket and its file: what is armed on it, and
    /// the objects that have no cache of their own.
    pub fn watching_bytes_per_end(self, objects: &SocketObjects) -> u64 {
        match self {
            Engine::Uring => u64::from(objects.uring_op.unwrap_or(256)) + URING_REST,
            Engine::Epoll => u64::from(objects.epoll_item.unwrap_or(192)) + EPOLL_REST,
        }
    }

    /// The part of [`watching_bytes_per_end`](Engine::watching_bytes_per_end) that a cgroup is charged on
    /// Linux 6.18, each object with the 8 bytes in which its slab notes the owner: with io_uring the node
    /// of the table's slot (32) and the armed receive (256), with epoll the two watchers (128 + 64).
    pub fn charged_bytes_per_end(self) -> u64 {
        match self {
            Engine::Uring => 32 + 256 + 2 * 8,
            Engine::Epoll => 128 + 64 + 2 * 8,
        }
    }

    /// Bytes of receive buffers that a worker has once something is received.
    pub fn receive_buffer_bytes(self) -> u64 {
        match self {
            Engine::Uring => URING_BUFFERS,
            Engine::Epoll => 0,
        }
    }
}
