//! Socket options: what a run sets on its sockets, and what the kernel makes of it.

use super::stream::stream;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;
use throng_core::scenario::{FastOpen, Keepalive, KernelName};

/// The option's number (linux/in.h), which libc does not have.
const IP_LOCAL_PORT_RANGE: i32 = 51;

/// What to set on sockets beyond the kernel's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// Whether small packets go out at once (TCP_NODELAY), or wait for the acknowledgement of earlier ones.
    pub nodelay: Option<bool>,
    /// SO_SNDBUF in bytes. The kernel doubles it, and limits it to `net.core.wmem_max`.
    pub send_buffer: Option<u32>,
    /// SO_RCVBUF in bytes. The kernel doubles it, and limits it to `net.core.rmem_max`.
    pub receive_buffer: Option<u32>,
    /// SO_KEEPALIVE with its times.
    pub keepalive: Option<Keepalive>,
    /// TCP_USER_TIMEOUT, in milliseconds.
    pub user_timeout: Option<Duration>,
    /// TCP_CONGESTION.
    pub congestion: Option<KernelName>,
    /// SO_MARK.
    pub mark: Option<u32>,
    /// IP_TOS and IPV6_TCLASS.
    pub tos: Option<u8>,
    /// SO_LINGER, in seconds.
    pub linger: Option<Duration>,
    /// SO_BINDTODEVICE.
    pub device: Option<KernelName>,
    /// Listeners: TCP_FASTOPEN, the number of connections whose handshake is not complete (RFC 7413).
    pub fastopen: Option<u32>,
    /// Sockets that connect: TCP_FASTOPEN_CONNECT (Linux 4.11).
    pub fastopen_connect: Option<FastOpen>,
    /// Sockets may be bound to addresses that this machine does not have: IP_TRANSPARENT (Linux 2.6.28), IPV6_TRANSPARENT
    /// (2.6.37).
    pub transparent: bool,
    /// The protocol is MPTCP (RFC 8684), which falls back to TCP if the peer does not speak it.
    pub mptcp: bool,
}

/// Something that is set on sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// [`SocketOptions::nodelay`]
    Nodelay,
    /// [`SocketOptions::send_buffer`]
    SendBuffer,
    /// [`SocketOptions::receive_buffer`]
    ReceiveBuffer,
    /// [`SocketOptions::keepalive`]
    Keepalive,
    /// [`SocketOptions::user_timeout`]
    UserTimeout,
    /// [`SocketOptions::congestion`]
    Congestion,
    /// [`SocketOptions::mark`]
    Mark,
    /// [`SocketOptions::tos`]
    Tos,
    /// [`SocketOptions::linger`]
    Linger,
    /// [`SocketOptions::device`]
    Device,
    /// [`SocketOptions::fastopen`]
    Fastopen,
    /// [`SocketOptions::fastopen_connect`]
    FastopenConnect,
    /// [`SocketOptions::transparent`]
    Transparent,
    /// [`SocketOptions::mptcp`]
    Mptcp,
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
        while at < size_of_val(ints) {
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
        // A struct linger: whether it is on, then its time.
        SocketOption::ints(libc::SOL_SOCKET, libc::SO_LINGER, &[1, int(time.as_secs())])
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

    /// IP_LOCAL_PORT_RANGE (Linux 6.3, also for IPv6): the lowest and the highest port that connect() may choose.
    pub const fn port_range(low: u16, high: u16) -> SocketOption {
        let value = (high as u32) << 16 | low as u32;
        SocketOption::int(libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, value as i32)
    }

    /// The bytes of the value.
    pub fn value(&self) -> &[u8] {
        &self.value[..self.len as usize]
    }
}

/// SO_LINGER of no time: closing the socket resets its connection.
pub(crate) static RESETS: SocketOption =
    SocketOption::ints(libc::SOL_SOCKET, libc::SO_LINGER, &[1, 0]);

/// Set before a bind to a source address: connect() chooses the port (Linux 4.2). Without it bind()
/// searches for a port that is free for every target.
pub(crate) static PORT_LATER: SocketOption =
    SocketOption::int(libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1);

/// The port range of the network namespace again.
pub(crate) static ANY_PORT: SocketOption = SocketOption::port_range(0, 0);

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
        let family = libc::AF_INET;
        let (family, socket) = match stream(family, self.protocol()) {
            Ok(socket) => (family, socket),
            Err(_) => (libc::AF_INET6, stream(libc::AF_INET6, self.protocol())?),
        };
        set_options(&self.list(family), socket.as_raw_fd())?;
        // The kernel doubles the requested size and reports the double.
        let half = |name| Ok::<u64, io::Error>(int_option(socket.as_raw_fd(), name)? as u64 / 2);
        Ok(Buffers {
            send: half(libc::SO_SNDBUF)?,
            receive: half(libc::SO_RCVBUF)?,
        })
    }

    /// Tries each option on sockets of their own: one of IPv6 if it is `six`, one of IPv4 if it is `four`, as far as this
    /// machine has that family.
    ///
    /// # Errors
    /// The first setting that the kernel refuses, and why.
    pub fn tried(&self, four: bool, six: bool) -> Result<(), (Setting, io::Error)> {
        let families = [(four, libc::AF_INET), (six, libc::AF_INET6)];
        for (_, family) in families.into_iter().filter(|(used, _)| *used) {
            // A machine may have only one of the families.
            if stream(family, libc::IPPROTO_TCP).is_err() {
                continue;
            }
            let socket = stream(family, self.protocol()).map_err(|e| (Setting::Mptcp, e))?;
            for (setting, option) in self.settings(family) {
                set_options(&[option], socket.as_raw_fd()).map_err(|e| (setting, e))?;
            }
        }
        Ok(())
    }

    /// The protocol of the sockets.
    pub(crate) fn protocol(&self) -> i32 {
        match self.mptcp {
            true => libc::IPPROTO_MPTCP,
            false => libc::IPPROTO_TCP,
        }
    }

    /// The options to set on a socket of `family`.
    pub(crate) fn list(&self, family: i32) -> Box<[SocketOption]> {
        let all = self.settings(family);
        all.map(|(_, option)| option).collect()
    }

    /// What is asked for on a socket of `family`, as the kernel has it.
    fn settings(&self, family: i32) -> impl Iterator<Item = (Setting, SocketOption)> {
        let socket = |name, value| SocketOption::int(libc::SOL_SOCKET, name, value);
        let tcp = |name, value| SocketOption::int(libc::IPPROTO_TCP, name, value);
        let seconds = |time: Duration| int(time.as_secs());
        let keepalive = self.keepalive;
        let interval = keepalive.and_then(|k| k.interval).map(seconds);
        let probes = keepalive.and_then(|k| k.count);
        let tos = self.tos.map(i32::from);
        let transparent = match family {
            libc::AF_INET6 => SocketOption::int(libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1),
            _ => SocketOption::int(libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1),
        };
        [
            self.nodelay
                .map(|on| (Setting::Nodelay, tcp(libc::TCP_NODELAY, on.into()))),
            self.send_buffer
                .map(|n| (Setting::SendBuffer, socket(libc::SO_SNDBUF, int(n)))),
            self.receive_buffer
                .map(|n| (Setting::ReceiveBuffer, socket(libc::SO_RCVBUF, int(n)))),
            keepalive.map(|_| (Setting::Keepalive, socket(libc::SO_KEEPALIVE, 1))),
            keepalive.map(|k| (Setting::Keepalive, tcp(libc::TCP_KEEPIDLE, seconds(k.idle)))),
            interval.map(|s| (Setting::Keepalive, tcp(libc::TCP_KEEPINTVL, s))),
            probes.map(|n| (Setting::Keepalive, tcp(libc::TCP_KEEPCNT, n.into()))),
            self.user_timeout.map(|t| {
                (
                    Setting::UserTimeout,
                    tcp(libc::TCP_USER_TIMEOUT, int(t.as_millis())),
                )
            }),
            self.congestion.as_ref().map(|name| {
                let option =
                    SocketOption::text(libc::IPPROTO_TCP, libc::TCP_CONGESTION, name.as_str());
                (Setting::Congestion, option)
            }),
            // A mark has 32 bits without a sign; the kernel reads them from an int.
            self.mark
                .map(|mark| (Setting::Mark, socket(libc::SO_MARK, mark.cast_signed()))),
            // An IPv6 socket may speak IPv4, too: to a mapped address, or as a listener on [::].
            tos.map(|tos| {
                let option = SocketOption::int(libc::IPPROTO_IP, libc::IP_TOS, tos);
                (Setting::Tos, option)
            }),
            tos.filter(|_| family == libc::AF_INET6).map(|tos| {
                let option = SocketOption::int(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, tos);
                (Setting::Tos, option)
            }),
            self.linger
                .map(|time| (Setting::Linger, SocketOption::linger(time))),
            self.device
                .as_ref()
                .map(|name| (Setting::Device, SocketOption::device(name.as_str()))),
            self.transparent
                .then_some((Setting::Transparent, transparent)),
            self.fastopen
                .map(|queue| (Setting::Fastopen, tcp(libc::TCP_FASTOPEN, int(queue)))),
            self.fastopen_connect
                .map(|_| (Setting::FastopenConnect, tcp(libc::TCP_FASTOPEN_CONNECT, 1))),
            self.fastopen_connect
                .filter(|how| *how == FastOpen::NoCookie)
                .map(|_| {
                    (
                        Setting::FastopenConnect,
                        tcp(libc::TCP_FASTOPEN_NO_COOKIE, 1),
                    )
                }),
        ]
        .into_iter()
        .flatten()
    }
}

/// The number as the kernel's int, or the largest that it takes.
fn int(n: impl TryInto<i32>) -> i32 {
    n.try_into().unwrap_or(i32::MAX)
}

/// How a worker makes the sockets that connect: built once, and in place for the whole run.
pub(crate) struct Making {
    protocol: i32,
    early: bool,
    four: Box<[SocketOption]>,
    six: Box<[SocketOption]>,
    unix: Box<[SocketOption]>,
}

impl Making {
    pub fn new(options: &SocketOptions) -> Making {
        Making {
            protocol: options.protocol(),
            early: options.fastopen_connect.is_some(),
            four: options.list(libc::AF_INET),
            six: options.list(libc::AF_INET6),
            // They have buffers, and nothing of TCP and IP.
            unix: SocketOptions {
                send_buffer: options.send_buffer,
                receive_buffer: options.receive_buffer,
                ..SocketOptions::default()
            }
            .list(libc::AF_UNIX),
        }
    }

    /// The protocol of sockets of `family`.
    pub fn protocol(&self, family: i32) -> i32 {
        match family {
            libc::AF_UNIX => 0,
            _ => self.protocol,
        }
    }

    /// Whether connect() may return before the handshake begins (TCP_FASTOPEN_CONNECT).
    pub fn opens_early(&self) -> bool {
        self.early
    }

    /// The options to set on a socket of `family`.
    pub fn options(&self, family: i32) -> &[SocketOption] {
        match family {
            libc::AF_INET6 => &self.six,
            libc::AF_UNIX => &self.unix,
            _ => &self.four,
        }
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

#[cfg(test)]
mod tests {
    use super::super::address::Address;
    use super::super::listener::{Reach, listen};
    use super::*;
    use std::net::TcpStream;

    /// The bytes of an option's value as the kernel reports it.
    fn read(fd: RawFd, level: i32, name: i32) -> Vec<u8> {
        let mut value = [0u8; LONGEST_VALUE];
        let mut len = LONGEST_VALUE as u32;
        // SAFETY: the kernel writes at most `len` bytes of the option's value.
        let done =
            unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut len) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
        value[..len as usize].to_vec()
    }

    #[test]
    fn accepted_sockets_have_the_options_of_their_listener() {
        let options = SocketOptions {
            nodelay: Some(true),
            keepalive: "70s:11s:6".parse().ok(),
            user_timeout: Some(Duration::from_millis(12_345)),
            congestion: "reno".parse().ok(),
            tos: Some(0xb8),
            linger: Some(Duration::from_secs(7)),
            ..SocketOptions::default()
        };
        for family in ["127.0.0.1", "::1"] {
            let at = (family.parse::<std::net::IpAddr>().unwrap(), 0).into();
            let listener = listen(at, 8, Reach::Address, &options).unwrap();
            let at = listener.local_addr().unwrap();
            let _client = TcpStream::connect(at).unwrap();
            listener.set_nonblocking(false).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            let all = options.list(Address::new(at).family());
            assert!(all.len() >= 9, "{all:?}");
            for option in &all {
                let value = read(accepted.as_raw_fd(), option.level, option.name);
                assert_eq!(value, option.value(), "{family} {option:?}");
            }
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_named() {
        let options = SocketOptions {
            nodelay: Some(true),
            congestion: "nosuch".parse().ok(),
            ..SocketOptions::default()
        };
        let (setting, why) = options.tried(true, true).unwrap_err();
        assert_eq!(setting, Setting::Congestion);
        assert_eq!(why.kind(), io::ErrorKind::NotFound);
        assert!(SocketOptions::default().tried(true, true).is_ok());
    }
}
