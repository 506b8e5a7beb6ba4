//! What is seen of the sockets of a system under test at an instant.

/// What is seen of a system's sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Established connections: of TCP, and those that its Unix sockets accepted.
    pub connections: u64,
    /// Objects and buffers of all of its sockets.
    pub kernel_bytes: u64,
    /// Sockets that it listens on.
    pub listeners: u64,
    /// Connections that wait in their accept queues.
    pub waiting: u64,
    /// How many these have room for.
    pub queue_limit: u64,
    /// Whether the queue of one of its listeners is full.
    pub full: bool,
    /// Packets that its listeners dropped since the first look.
    pub dropped: u64,
    /// Overflows of accept queues in the namespace since the first look.
    pub overflows: u64,
}
