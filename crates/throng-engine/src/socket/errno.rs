//! What an errno means for a connection.

use throng_core::stats::{Closed, FailCause};

/// What an errno from opening a connection means.
pub(crate) fn fail_cause(errno: i32) -> FailCause {
    match errno {
        // No file has the path of a Unix socket, or one that is no socket.
        libc::ECONNREFUSED | libc::ENOENT | libc::ENOTSOCK => FailCause::Refused,
        libc::ETIMEDOUT => FailCause::TimedOut,
        libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE => FailCause::Reset,
        libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN => {
            FailCause::Unreachable
        }
        libc::EADDRNOTAVAIL | libc::EADDRINUSE => FailCause::NoAddress,
        libc::EMFILE | libc::ENFILE => FailCause::FileLimit,
        libc::ENOMEM | libc::ENOBUFS => FailCause::NoMemory,
        libc::EPERM | libc::EACCES => FailCause::Forbidden,
        _ => FailCause::Other,
    }
}

/// Whether an errno that ends an attempt shows that the connection was established before: a reset that answers a SYN is
/// [`libc::ECONNREFUSED`].
pub(crate) fn was_established(errno: i32) -> bool {
    matches!(errno, libc::ECONNRESET | libc::EPIPE)
}

/// What an errno from an established connection means.
pub(crate) fn close_cause(errno: i32) -> Closed {
    match errno {
        libc::ECONNRESET | libc::EPIPE => Closed::ResetByPeer,
        libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH => Closed::TimedOut,
        _ => Closed::Error,
    }
}
