//! Connections outside an event loop: opened one by one, and looked at.

use super::address::Address;
use super::options::{PORT_LATER, SocketOption, SocketOptions, set_options};
use super::stream::{bind, stream};
use linux_raw_sys::net::tcp_info;
use std::io;
use std::mem::offset_of;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd};
use throng_core::probe::TcpInfo;

/// Starts to connect to `target`, without waiting for it: the socket is writable once it is known whether that succeeded.
/// `source` is the address to connect from; port 0 lets the kernel choose. `segment` is the MSS of both directions
/// (TCP_MAXSEG).
///
/// # Errors
/// As from socket(2), setsockopt(2), bind(2) and connect(2).
pub fn connect(
    target: SocketAddr,
    source: Option<SocketAddr>,
    segment: Option<u16>,
    options: &SocketOptions,
) -> io::Result<TcpStream> {
    let address = Address::new(target);
    let fd = stream(address.family(), options.protocol())?;
    let raw = fd.as_raw_fd();
    set_options(&options.list(address.family()), raw)?;
    if let Some(segment) = segment {
        let option = SocketOption::int(libc::IPPROTO_TCP, libc::TCP_MAXSEG, segment.into());
        set_options(&[option], raw)?;
    }
    if let Some(source) = source {
        let how = match source.port() {
            0 => PORT_LATER,
            _ => SocketOption::int(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1),
        };
        set_options(&[how], raw)?;
        bind(raw, &Address::new(source))?;
    }
    // SAFETY: a valid address of the length given.
    let done = unsafe { libc::connect(raw, address.as_ptr(), address.len()) };
    match done < 0 {
        true => match io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::EINPROGRESS) => Ok(TcpStream::from(fd)),
            e => Err(e),
        },
        false => Ok(TcpStream::from(fd)),
    }
}

/// What the kernel knows about a connection. Fields that this kernel lacks are 0.
///
/// # Errors
/// As from getsockopt(2).
pub fn look(socket: BorrowedFd<'_>) -> io::Result<TcpInfo> {
    let mut info = [0u8; size_of::<tcp_info>()];
    let mut len = info.len() as u32;
    // SAFETY: the kernel writes at most `len` bytes of the option's value.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    match done < 0 {
        true => Err(io::Error::last_os_error()),
        false => Ok(read(&info)),
    }
}

// tcpi_options (include/uapi/linux/tcp.h).
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
const WINDOW_SCALING: u8 = 4;
const ECN: u8 = 8;
/// The kernel takes the bytes of timestamps off the MSS that it announced, once they are agreed on.
const TIMESTAMPS_BYTES: u64 = 12;

fn read(info: &[u8]) -> TcpInfo {
    let bytes4 = |at: usize| {
        let bytes = info.get(at..).and_then(|rest| rest.first_chunk());
        u64::from(u32::from_ne_bytes(bytes.copied().unwrap_or_default()))
    };
    let bytes8 = |at: usize| {
        let bytes = info.get(at..).and_then(|rest| rest.first_chunk());
        u64::from_ne_bytes(bytes.copied().unwrap_or_default())
    };
    let options = info[offset_of!(tcp_info, tcpi_options)];
    // Two fields of four bits behind it: snd_wscale, then rcv_wscale, from the end that the machine begins with.
    let scales = info[offset_of!(tcp_info, tcpi_options) + 1];
    let (low, high) = (u64::from(scales & 0xf), u64::from(scales >> 4));
    let (send_scale, receive_scale) = match cfg!(target_endian = "little") {
        true => (low, high),
        false => (high, low),
    };
    let timestamps = options & TIMESTAMPS != 0;
    let taken_off = if timestamps { TIMESTAMPS_BYTES } else { 0 };
    TcpInfo {
        send_segment: bytes4(offset_of!(tcp_info, tcpi_snd_mss)),
        announced_segment: bytes4(offset_of!(tcp_info, tcpi_advmss)) + taken_off,
        path_mtu: bytes4(offset_of!(tcp_info, tcpi_pmtu)),
        send_scale,
        receive_scale,
        send_window: bytes4(offset_of!(tcp_info, tcpi_snd_wnd)),
        rtt_us: bytes4(offset_of!(tcp_info, tcpi_rtt)),
        min_rtt_us: bytes4(offset_of!(tcp_info, tcpi_min_rtt)),
        unacknowledged: bytes4(offset_of!(tcp_info, tcpi_unacked)),
        retransmitted: bytes4(offset_of!(tcp_info, tcpi_total_retrans)),
        acknowledged_bytes: bytes8(offset_of!(tcp_info, tcpi_bytes_acked)),
        received_bytes: bytes8(offset_of!(tcp_info, tcpi_bytes_received)),
        timestamps,
        sack: options & SACK != 0,
        window_scaling: options & WINDOW_SCALING != 0,
        ecn: options & ECN != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::fd::AsFd;

    #[test]
    fn both_ends_of_a_connection_agree() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = listener.local_addr().unwrap();
        let source = Some((Ipv4Addr::new(127, 0, 0, 9), 0).into());
        let mut near = connect(target, source, Some(1000), &SocketOptions::default()).unwrap();
        let (mut far, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 9));
        near.set_nonblocking(false).unwrap();
        near.write_all(&[7; 500]).unwrap();
        far.read_exact(&mut [0; 500]).unwrap();
        let (near, far) = (look(near.as_fd()).unwrap(), look(far.as_fd()).unwrap());
        assert_eq!(near.receive_scale, far.send_scale);
        assert_eq!(near.send_scale, far.receive_scale);
        assert_eq!(far.largest_segment(), 1000);
        assert_eq!(near.announced_segment, 1000);
        assert_eq!((far.received_bytes, near.retransmitted), (500, 0));
        assert!(near.path_mtu >= 1500 && near.timestamps == far.timestamps);
    }

    #[test]
    fn a_connection_that_nobody_accepts_is_noticed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = listener.local_addr().unwrap();
        drop(listener);
        let refused = connect(target, None, None, &SocketOptions::default());
        let error = match refused {
            Err(e) => Some(e),
            Ok(stream) => stream.take_error().unwrap(),
        };
        assert_eq!(error.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }
}
