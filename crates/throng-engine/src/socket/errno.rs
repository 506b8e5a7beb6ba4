//! What an errno means for a connection.

use std::io;
use throng_core::stats::{Closed, FailCause};

/// What an errno from opening a connection means.
pub(crate) fn fail_cause(errno: i32) -> FailCause {
    match errno {
        // No file has the path of a Unix socket, or one that is no socket, or a socket of another kind.
        libc::ECONNREFUSED | libc::ENOENT | libc::ENOTSOCK | libc::EPROTOTYPE => FailCause::Refused,
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

/// What an errno from an established connection means; `unix` if it is of a Unix socket. There, EPIPE says that the peer has closed,
/// as its end does that was not read yet, and ECONNRESET that it had not read all (unix(7)); TCP has EPIPE after a reset.
pub(crate) fn close_cause(errno: i32, unix: bool) -> Closed {
    match errno {
        libc::EPIPE if unix => Closed::ByPeer,
        libc::ECONNRESET | libc::EPIPE => Closed::ResetByPeer,
        libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH => Closed::TimedOut,
        _ => Closed::Error,
    }
}

/// The result of a call that returns a length or -1. Repeats the call on EINTR.
pub(crate) fn length(mut call: impl FnMut() -> isize) -> Result<usize, i32> {
    loop {
        let n = call();
        if n >= 0 {
            return Ok(n as usize);
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            errno => return Err(errno.unwrap_or(libc::EIO)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_unix_socket_whose_peer_has_closed_was_not_reset() {
        let (mut ours, peer) = UnixStream::pair().expect("a pair");
        drop(peer);
        let errno = ours
            .write(b"x")
            .expect_err("the peer is gone")
            .raw_os_error();
        assert_eq!(errno, Some(libc::EPIPE));
        for (errno, unix, cause) in [
            (libc::EPIPE, true, Closed::ByPeer),
            (libc::EPIPE, false, Closed::ResetByPeer),
            (libc::ECONNRESET, true, Closed::ResetByPeer),
            (libc::ETIMEDOUT, false, Closed::TimedOut),
            (libc::EIO, false, Closed::Error),
        ] {
            assert_eq!(close_cause(errno, unix), cause, "{errno} {unix}");
        }
    }
}
