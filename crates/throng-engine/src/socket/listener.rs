//! Listening sockets and their accept queues.

use super::address::Address;
use super::options::{SocketOption, SocketOptions, set_options};
use super::stream::{bind, stream};
use linux_raw_sys::net::tcp_info;
use std::io;
use std::mem::offset_of;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

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
    // SAFETY: no pointers.
    if unsafe { libc::listen(fd.as_raw_fd(), i32::try_from(backlog).unwrap_or(i32::MAX)) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TcpListener::from(fd))
}

/// The number of connections in a listener's accept queue. For a listener, TCP_INFO reports it as
/// `tcpi_unacked`.
pub(crate) fn accept_queue(listener: RawFd) -> u32 {
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

/// The number of connections that wait in a listener's accept queue.
pub fn waiting_in(listener: &TcpListener) -> u32 {
    accept_queue(listener.as_raw_fd())
}

/// Makes a listener refuse connections from now on, whoever has it open. Connections in its accept queue are reset.
pub fn refuse(listener: &TcpListener) {
    stop_listening(listener.as_raw_fd());
}

/// Makes a listener refuse connections from now on, in every process that has it open. Connections in
/// its accept queue are reset.
pub(crate) fn stop_listening(listener: RawFd) {
    // SAFETY: no pointers. It fails only for a listener that another worker has stopped already.
    unsafe { libc::shutdown(listener, libc::SHUT_RD) };
}
