//! Listening sockets and their accept queues.

use super::address::Address;
use super::options::{SocketOption, SocketOptions, set_options};
use super::stream::{bind, stream};
use linux_raw_sys::net::tcp_info;
use std::io;
use std::mem::offset_of;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;
use throng_core::unix_socket::{Endpoint, UnixAddress};

/// Who may connect to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anyone who can reach its address.
    Address,
    /// This process, through loopback: nothing from outside this machine gets in, whatever the address
    /// (SO_BINDTODEVICE lo). Accepted sockets have a linger time of zero: closing one resets it, which
    /// saves a million closing handshakes and TIME_WAIT sockets at the end of a run.
    OwnProcess,
}

/// Listens on `address` with an accept queue of `backlog` connections (the kernel limits it to
/// `net.core.somaxconn`). `[::]` accepts IPv4 too, and falls back to `0.0.0.0` on a kernel without IPv6.
/// Accepted sockets inherit `options` from the listener.
///
/// # Errors
/// As from socket(2), bind(2) and listen(2).
pub fn listen(
    address: SocketAddr,
    backlog: u32,
    reach: Reach,
    options: &SocketOptions,
) -> io::Result<TcpListener> {
    let family = Address::new(address).family();
    let fd = match stream(family, options.protocol()) {
        Err(e) if e.raw_os_error() == Some(libc::EAFNOSUPPORT) && address.ip().is_unspecified() => {
            return listen(
                (Ipv4Addr::UNSPECIFIED, address.port()).into(),
                backlog,
                reach,
                options,
            );
        }
        other => other?,
    };
    // A restarted server must not wait for the TIME_WAIT sockets of the previous one.
    let mut own = vec![SocketOption::int(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)];
    if address.is_ipv6() {
        let only_v6 = !address.ip().is_unspecified();
        own.push(SocketOption::int(
            libc::IPPROTO_IPV6,
            libc::IPV6_V6ONLY,
            only_v6.into(),
        ));
    }
    if reach == Reach::OwnProcess {
        own.push(SocketOption::linger(Duration::ZERO));
        own.push(SocketOption::device("lo"));
    }
    set_options(&own, fd.as_raw_fd())?;
    set_options(&options.list(family), fd.as_raw_fd())?;
    bind(fd.as_raw_fd(), &Address::new(address))?;
    start_listening(fd.as_raw_fd(), backlog)?;
    Ok(TcpListener::from(fd))
}

/// Listens on a Unix socket, with an accept queue of `backlog` connections (the kernel limits it to `net.core.somaxconn`). One
/// with a path makes a file there, which stays when the listener is closed.
///
/// # Errors
/// As from socket(2), bind(2) and listen(2).
pub fn listen_unix(at: &UnixAddress, backlog: u32) -> io::Result<UnixListener> {
    let fd = stream(libc::AF_UNIX, 0)?;
    bind(fd.as_raw_fd(), &Address::unix(at))?;
    start_listening(fd.as_raw_fd(), backlog)?;
    Ok(UnixListener::from(fd))
}

fn start_listening(fd: RawFd, backlog: u32) -> io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::listen(fd, i32::try_from(backlog).unwrap_or(i32::MAX)) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A socket that accepts connections.
#[derive(Debug)]
pub enum Listener {
    /// At an address and a port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not say, or it is the address of a Unix socket that is no text.
    pub fn endpoint(&self) -> io::Result<Endpoint> {
        let address = match self {
            Listener::Tcp(listener) => return listener.local_addr().map(Endpoint::Address),
            Listener::Unix(listener) => listener.local_addr()?,
        };
        let name = address
            .as_abstract_name()
            .and_then(|n| str::from_utf8(n).ok());
        let path = address.as_pathname().and_then(Path::to_str);
        let text = name.map(|name| format!("@{name}"));
        let text = text.or(path.map(String::from)).unwrap_or_default();
        text.parse().map(Endpoint::Unix).map_err(io::Error::other)
    }

    /// Whether accept() fails where no connection waits, instead of waiting for one.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => listener.set_nonblocking(nonblocking),
            Listener::Unix(listener) => listener.set_nonblocking(nonblocking),
        }
    }

    /// The number of connections that wait in the accept queue. That of a Unix socket is not told: 1 if there are any.
    pub fn waiting(&self) -> u32 {
        match self {
            Listener::Tcp(listener) => accept_queue(listener.as_raw_fd()),
            Listener::Unix(listener) => is_readable(listener.as_raw_fd()).into(),
        }
    }

    /// Refuses connections from now on, whoever has the listener open. Those in the accept queue are reset.
    pub fn refuse(&self) {
        // SAFETY: no pointers. It fails only for a listener that another worker has stopped already.
        unsafe { libc::shutdown(self.as_raw_fd(), libc::SHUT_RD) };
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Listener {
        Listener::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Listener {
        Listener::Unix(listener)
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Listener::Tcp(listener) => listener.as_raw_fd(),
            Listener::Unix(listener) => listener.as_raw_fd(),
        }
    }
}

/// The number of connections in a listener's accept queue. For a listener, TCP_INFO reports it as
/// `tcpi_unacked`.
fn accept_queue(listener: RawFd) -> u32 {
    const UNACKED: usize = offset_of!(tcp_info, tcpi_unacked) / size_of::<u32>();
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

/// Whether a descriptor has something to read, or a listener a connection.
fn is_readable(fd: RawFd) -> bool {
    let mut looked = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd, alive during the call.
    unsafe { libc::poll(&raw mut looked, 1, 0) > 0 }
}
