//! Socket options: what a run sets on its sockets, and what the kernel makes of it.

use super::stream::stream;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

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

/// The longest value of a socket option, in bytes: the name of a device, with its NUL.
const LONGEST_VALUE: usize = 16;

/// A socket option: its value is the bytes that setsockopt(2) takes, in place, so a list of options is one piece of
/// memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOption {
    pub level: i32,
    pub name: i32,
    value: [u8; LONGEST_VALUE],
    len: u32,
}

impl SocketOption {
    /// An option whose value is an int.
    pub(super) const fn int(level: i32, name: i32, value: i32) -> SocketOption {
        SocketOption::ints(level, name, &[value])
    }

    /// An option whose value is a struct of ints.
    const fn ints(level: i32, name: i32, ints: &[i32]) -> SocketOption {
        let mut value = [0; LONGEST_VALUE];
        let mut at = 0;
        while at < ints.len() * size_of::<i32>() {
            value[at] = ints[at / size_of::<i32>()].to_ne_bytes()[at % size_of::<i32>()];
            at += 1;
        }
        SocketOption {
            level,
            name,
            value,
            len: at as u32,
        }
    }

    /// SO_LINGER, in whole seconds.
    pub(super) fn linger(time: Duration) -> SocketOption {
        let seconds = i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        // A struct linger: whether it is on, then its time.
        SocketOption::ints(libc::SOL_SOCKET, libc::SO_LINGER, &[1, seconds])
    }

    /// SO_BINDTODEVICE.
    pub(super) fn device(name: &str) -> SocketOption {
        SocketOption::text(libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name)
    }

    /// An option whose value is a name, with at least one NUL behind it; a longer one is cut.
    fn text(level: i32, name: i32, text: &str) -> SocketOption {
        let mut value = [0; LONGEST_VALUE];
        for (to, from) in value[..LONGEST_VALUE - 1].iter_mut().zip(text.bytes()) {
            *to = from;
        }
        SocketOption {
            level,
            name,
            value,
            len: LONGEST_VALUE as u32,
        }
    }

    /// The bytes of the value.
    pub fn value(&self) -> &[u8] {
        &self.value[..self.len as usize]
    }
}

/// Set before a bind to a source address: connect() chooses the port (Linux 4.2). Without it bind()
/// searches for a port that is free for every target.
pub(crate) static PORT_LATER: SocketOption =
    SocketOption::int(libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);

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
        let size = |name, bytes: Option<u32>| {
            bytes.map(|b| {
                SocketOption::int(libc::SOL_SOCKET, name, i32::try_from(b).unwrap_or(i32::MAX))
            })
        };
        [
            self.nodelay
                .map(|on| SocketOption::int(libc::IPPROTO_TCP, libc::TCP_NODELAY, on.into())),
            size(libc::SO_SNDBUF, self.send_buffer),
            size(libc::SO_RCVBUF, self.receive_buffer),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Sets `options` on a socket.
pub(crate) fn set_options(options: &[SocketOption], fd: RawFd) -> io::Result<()> {
    options.iter().try_for_each(|option| {
        let value = option.value();
        // SAFETY: the value is readable for its length during the call.
        let done = unsafe {
            libc::setsockopt(
                fd,
                option.level,
                option.name,
                value.as_ptr().cast(),
                value.len() as u32,
            )
        };
        match done {
            0.. => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })
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
