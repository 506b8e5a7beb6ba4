//! How long a worker that closes all its connections waits for their peers.

use std::time::Duration;

/// The maximum time that peers have to close their side, too.
pub(crate) const AWAIT_PEERS: Duration = Duration::from_secs(5);

/// The time without a connection that ends after which the rest is left to the kernel.
pub(crate) const CLOSE_PATIENCE: Duration = Duration::from_millis(500);
