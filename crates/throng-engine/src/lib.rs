//! The event loops. A [`Job`] says what one worker thread does: connect or accept, and drive a
//! [`Behaviour`](throng_core::behaviour::Behaviour) on each connection ([`Work`]). [`spawn`] starts a
//! worker on either engine; a [`Control`] gives orders to all workers of a run.
//!
//! - `uring/`: io_uring with direct descriptors. `epoll/`: for systems that do not allow io_uring.
//! - `table/`: what both engines share: the connections, their timers, what to open next, counting.
//! - `spawn.rs`: the threads, and which engine runs in them.
//! - `waiting.rs`: how precisely a worker waits for the next arrival.
//! - `socket/`: addresses, options, listeners, errno to cause.
//!
//! This is the only crate with unsafe code: memory shared with io_uring, and system calls that the
//! standard library does not wrap.

mod closing;
mod control;
mod epoll;
mod job;
mod pipes;
mod socket;
mod spawn;
mod table;
mod uring;
mod waiting;

pub use control::{Clock, Control, DropOrder, Order, Outlet};
pub use job::{Admission, ClientRole, Closing, Job, Partners, Role, ServerRole};
pub use socket::{
    Buffers, Listener, Reach, Setting, SocketOptions, connect, listen, listen_unix, look,
};
pub use spawn::{Work, spawn, spawn_pair};
pub use uring::{Support, probe};
