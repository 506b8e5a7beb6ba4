//! New sockets.

use super::address::Address;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A new non-blocking stream socket of `protocol`.
pub(crate) fn stream(family: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is new and ours.
    unsafe {
        let fd = libc::socket(
            family,
            libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            protocol,
        );
        if fd < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }
}

/// The peer of a connection, and the address that it connected to.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// The ends of an accepted connection, and its socket again.
///
/// # Errors
/// The peer has left already.
pub(crate) fn ends(socket: OwnedFd) -> io::Result<(OwnedFd, Ends)> {
    let stream = TcpStream::from(socket);
    let ends = (stream.peer_addr()?, stream.local_addr()?);
    Ok((stream.into(), ends))
}

/// Binds `fd` to `address`.
pub(crate) fn bind(fd: RawFd, address: &Address) -> io::Result<()> {
    // SAFETY: a valid address of the length given.
    let done = unsafe { libc::bind(fd, address.as_ptr(), address.len()) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Does something with a socket that must not wait, and that has no flag of its own for it, as splice(2) has none for sockets. In
/// between the socket is as before: operations of io_uring on one that does not block fail where they should wait.
pub(crate) fn without_waiting<T>(fd: RawFd, call: impl FnOnce() -> T) -> T {
    set_nonblocking(fd, true);
    let result = call();
    set_nonblocking(fd, false);
    result
}

fn set_nonblocking(fd: RawFd, on: bool) {
    let on = libc::c_int::from(on);
    // SAFETY: an int is read. It can't fail for a socket.
    unsafe { libc::ioctl(fd, libc::FIONBIO, &raw const on) };
}

/// Sends a FIN after what was sent before. The socket still receives.
pub(crate) fn finish_sending(fd: RawFd) {
    // SAFETY: no pointers. It fails only for a connection that has ended.
    unsafe { libc::shutdown(fd, libc::SHUT_WR) };
}
