//! The event loops. A [`Job`] is what one worker thread does: connect or accept, and drive a
//! [`Behaviour`](throng_core::behaviour::Behaviour) on each connection ([`Work`]). [`spawn`] starts one on
//! either engine; a [`Control`] gives all workers of a run their orders.
//!
//! - `uring/`: io_uring with direct descriptors; `epoll/`: where io_uring is not allowed.
//! - `table/` is what both share: who is to be opened next, timers, counting.
//! - `waiting.rs`: how precisely a worker waits for what arrives.
//! - `socket.rs`: addresses, listeners, errno to cause.
//!
//! This is the only crate with unsafe code: memory shared with io_uring and system calls that the
//! standard library does not wrap.

mod control;
mod epoll;
mod job;
mod socket;
mod table;
mod uring;
mod waiting;

pub use control::{Clock, Control, Order, Outlet};
pub use job::{Admission, ClientRole, Closing, Job, Role, ServerRole, Work, spawn, spawn_pair};
pub use socket::{Buffers, Reach, SocketOptions, listen};
pub use uring::{Support, probe};
