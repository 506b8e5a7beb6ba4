//! Socket options: what a run sets on its sockets, and what the kernel makes of it.

use super::stream::stream;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// What to set on sockets beyond the kernel's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Whether small packets go out at once (TCP_NODELAY), or wait for the acknowledgement of earlier ones.
    pub nodelay: Option<bool>,
    /// SO_SNDBUF in bytes. The kernel doubles it, and limits it to `net.core.wmem_max`.
    pub send_buffer: Option<u32>,
    /// SO_RCVBUF in bytes. The kernel doubles it, and limits it to `net.core.rmem_max`.
    pub receive_buffer: Option<u32>,
}

/// A socket option whose value is an int.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOption {
    pub level: i32,
    pub name: i32,
    pub value: i32,
}

/// Set before a bind to a source address: connect() chooses the port (Linux 4.2). Without it bind()
/// searches for a port that is free for every target.
pub(crate) static PORT_LATER: SocketOption = SocketOption {
    level: libc::IPPROTO_IP,
    name: libc::IP_BIND_ADDRESS_NO_PORT,
    value: 1,
};

/// Sizes of a socket's buffers in bytes, without the kernel's own overhead (socket(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// For sending.
    pub send: u64,
    /// For receiving.
    pub receive: u64,
}

impl SocketOptions {
    /// The buffer sizes that a socket with these options has.
    ///
    /// # Errors
    /// No socket can be created.
    pub fn buffers_in_effect(&self) -> io::Result<Buffers> {
        let socket = stream(libc::AF_INET).or_else(|_| stream(libc::AF_INET6))?;
        set_options(&self.list(), socket.as_raw_fd())?;
        // The kernel doubles the requested size and reports the double.
        let half = |name| Ok::<u64, io::Error>(int_option(socket.as_raw_fd(), name)? as u64 / 2);
        Ok(Buffers {
            send: half(libc::SO_SNDBUF)?,
            receive: half(libc::SO_RCVBUF)?,
        })
    }

    pub(crate) fn list(&self) -> Box<[SocketOption]> {
        let option = |level, name, value: Option<i32>| {
            value.map(|value| SocketOption { level, name, value })
        };
        let size = |bytes: Option<u32>| bytes.map(|b| i32::try_from(b).unwrap_or(i32::MAX));
        [
            option(
                libc::IPPROTO_TCP,
                libc::TCP_NODELAY,
                self.nodelay.map(i32::from),
            ),
            option(libc::SOL_SOCKET, libc::SO_SNDBUF, size(self.send_buffer)),
            option(libc::SOL_SOCKET, libc::SO_RCVBUF, size(self.receive_buffer)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Sets `options` on a socket.
pub(crate) fn set_options(options: &[SocketOption], fd: RawFd) -> io::Result<()> {
    options
        .iter()
        .try_for_each(|o| set_option(fd, o.level, o.name, o.value))
}

/// Sets an int option.
pub(super) fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the option's value is an int, alive during the call.
    let done = unsafe {
        libc::setsockopt(
            fd,
            level,
            name,
            (&raw const value).cast(),
            size_of::<i32>() as u32,
        )
    };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The value of an int option of the socket itself.
fn int_option(fd: RawFd, name: i32) -> io::Result<i32> {
    let mut value = 0i32;
    let mut len = size_of::<i32>() as u32;
    // SAFETY: the option's value is an int, alive during the call.
    let done = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
}
