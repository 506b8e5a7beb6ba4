//! The cost of a run.

use serde::{Deserialize, Serialize};

/// The cost of a run: what throng itself used, not the server on the other end of its connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The process's own resident memory at the peak, less that before the first socket. It includes rings, tables and
    /// buffers, and both ends if the server is in the same process.
    pub user_bytes: u64,
    /// The same per connection; `None` below 1000 connections, where it says nothing.
    pub user_bytes_per_connection: Option<f64>,
    /// Growth of the machine's slab memory per connection; `None` below 1000 connections.
    pub kernel_bytes_per_connection: Option<f64>,
    /// Whether that growth is about what the run's sockets take. Otherwise memory of other programs, or of a run before, was
    /// taken or returned meanwhile, or data waited in the sockets' buffers.
    pub kernel_bytes_sure: bool,
    /// CPU time in user mode, seconds.
    pub cpu_user_s: f64,
    /// CPU time in the kernel, seconds.
    pub cpu_system_s: f64,
}
