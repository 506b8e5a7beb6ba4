//! Socket addresses as the kernel has them, listeners, and what an errno means for a connection.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use throng_core::stats::{Closed, FailCause};

/// A socket address in the kernel's layout, of either family.
#[derive(Clone, Copy)]
pub(crate) struct Address {
    storage: libc::sockaddr_in6,
    len: u32,
}

impl Address {
    pub fn new(address: SocketAddr) -> Address {
        match address {
            SocketAddr::V4(v4) => {
                let four = libc::sockaddr_in {
                    sin_family: libc::AF_INET as u16,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_in6 is plain data for which zero is valid, and larger than sockaddr_in.
                let storage = unsafe {
                    let mut storage: libc::sockaddr_in6 = mem::zeroed();
                    (&raw mut storage).cast::<libc::sockaddr_in>().write(four);
                    storage
                };
                Address {
                    storage,
                    len: size_of::<libc::sockaddr_in>() as u32,
                }
            }
            SocketAddr::V6(v6) => Address {
                storage: libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as u16,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    sin6_scope_id: v6.scope_id(),
                },
                len: size_of::<libc::sockaddr_in6>() as u32,
            },
        }
    }

    /// A source address, with the port left to connect().
    pub fn source(ip: IpAddr) -> Address {
        Address::new((ip, 0).into())
    }

    pub fn family(&self) -> i32 {
        i32::from(self.storage.sin6_family)
    }

    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub fn len(&self) -> u32 {
        self.len
    }
}

/// Sets an int option.
fn set_option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
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

/// What to set on sockets beyond the kernel's defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Whether small packets go out at once (TCP_NODELAY), or wait while others are on their way.
    pub nodelay: Option<bool>,
    /// SO_SNDBUF in bytes; the kernel doubles it and keeps to net.core.wmem_max.
    pub send_buffer: Option<u32>,
    /// SO_RCVBUF in bytes; the kernel doubles it and keeps to net.core.rmem_max.
    pub receive_buffer: Option<u32>,
}

/// An int option: level, name, value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOption {
    pub level: i32,
    pub name: i32,
    pub value: i32,
}

/// Before a bind to a source address: leave the port to connect (Linux 4.2). Without it bind() would
/// search for a port that is free towards every target.
pub(crate) static PORT_LATER: SocketOption = SocketOption {
    level: libc::IPPROTO_IP,
    name: libc::IP_BIND_ADDRESS_NO_PORT,
    value: 1,
};

/// Sizes of a socket's buffers in bytes, without what the kernel adds for its own needs (socket(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// For sending.
    pub send: u64,
    /// For receiving.
    pub receive: u64,
}

impl SocketOptions {
    /// The buffers that a socket with these options gets.
    ///
    /// # Errors
    /// No socket can be had.
    pub fn buffers_in_effect(&self) -> io::Result<Buffers> {
        let socket = stream(libc::AF_INET).or_else(|_| stream(libc::AF_INET6))?;
        set_options(&self.list(), socket.as_raw_fd())?;
        // The kernel doubles what was asked for and tells the double.
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

/// A new TCP socket that does not block.
pub(crate) fn stream(family: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is new and ours.
    unsafe {
        let fd = libc::socket(
            family,
            libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            0,
        );
        if fd < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }
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

/// Who may connect to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whoever can reach its address.
    Address,
    /// This process, through loopback: nothing from outside this machine gets in, whatever the address
    /// (SO_BINDTODEVICE lo). Accepted sockets linger for no time: closing one resets it, which spares a
    /// million handshakes and TIME_WAITs at the end of a run.
    OwnProcess,
}

/// Listens on `address` with an accept queue of `backlog` (cut by the kernel to somaxconn). `[::]`
/// takes IPv4 too; where the kernel has no IPv6 it falls back to `0.0.0.0`. Accepted sockets have the
/// listener's `options`.
///
/// # Errors
/// As from socket(2), bind(2) and listen(2).
pub fn listen(
    address: SocketAddr,
    backlog: u32,
    reach: Reach,
    options: &SocketOptions,
) -> io::Result<TcpListener> {
    let fd = match stream(Address::new(address).family()) {
        Err(e) if e.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.ip().is_unspecified() => {
            return listen(
                (std::net::Ipv4Addr::UNSPECIFIED, address.port()).into(),
                backlog,
                reach,
                options,
            );
        }
        other => other?,
    };
    // A restarted server must not wait for its predecessor's TIME_WAIT.
    set_option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    if address.is_ipv6() {
        let only_v6 = !address.ip().is_unspecified();
        set_option(
            fd.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_V6ONLY,
            only_v6.into(),
        )?;
    }
    if reach == Reach::OwnProcess {
        let device = c"lo";
        let reset = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        // SAFETY: the options' values are a name and a struct linger, alive during the calls.
        let done = unsafe {
            let size = size_of_val(&reset) as u32;
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const reset).cast(),
                size,
            )
            .min(libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_BINDTODEVICE,
                device.as_ptr().cast(),
                2,
            ))
        };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    set_options(&options.list(), fd.as_raw_fd())?;
    bind(fd.as_raw_fd(), &Address::new(address))?;
    // SAFETY: no pointers.
    if unsafe { libc::listen(fd.as_raw_fd(), i32::try_from(backlog).unwrap_or(i32::MAX)) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TcpListener::from(fd))
}

/// How many connections wait in a listener's accept queue: for a listener TCP_INFO gives that as
/// `tcpi_unacked`.
pub(crate) fn accept_queue(listener: RawFd) -> u32 {
    /// struct tcp_info up to tcpi_unacked: eight bytes, then rto, ato, snd_mss, rcv_mss, unacked.
    const UNACKED: usize = 6;
    let mut info = [0u32; UNACKED + 1];
    let mut len = size_of_val(&info) as u32;
    // SAFETY: the kernel writes at most `len` bytes of the option's value.
    let done = unsafe {
        libc::getsockopt(
            listener,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if done < 0 { 0 } else { info[UNACKED] }
}

/// Makes a listener refuse from now on, whoever else has it open; connections in its accept queue are
/// reset.
pub(crate) fn stop_listening(listener: RawFd) {
    // SAFETY: no pointers. It fails only for a listener that another worker has stopped already.
    unsafe { libc::shutdown(listener, libc::SHUT_RD) };
}

/// What an errno from opening a connection means.
pub(crate) fn fail_cause(errno: i32) -> FailCause {
    match errno {
        libc::ECONNREFUSED => FailCause::Refused,
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

/// What an errno from an established connection means.
pub(crate) fn close_cause(errno: i32) -> Closed {
    match errno {
        libc::ECONNRESET | libc::EPIPE => Closed::ResetByPeer,
        libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH => Closed::TimedOut,
        _ => Closed::Error,
    }
}

/// An eventfd: wakes a worker, from other threads and from its own rings.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers; the descriptor is new and ours.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(EventFd(OwnedFd::from_raw_fd(fd)))
            }
        }
    }

    pub fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Wakes whoever waits for it. A full counter has woken them already.
    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight bytes, alive during the call.
        unsafe { libc::write(self.raw(), (&raw const one).cast(), 8) };
    }

    /// Empties it, so that it is no longer readable.
    pub fn drain(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes, alive during the call.
        unsafe { libc::read(self.raw(), (&raw mut count).cast(), 8) };
    }
}
