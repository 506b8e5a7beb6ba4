//! The local ports that the kernel assigns to outgoing connections. Together with the number of source addresses, they
//! bound the connections to one target.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use netlink_packet_sock_diag::inet::StateFlags;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket,
};
use nix::{libc, setsockopt_impl, sockopt_impl};
use rustix::net::connect_unspec;
use throng_core::host::{DEFAULT_PORT_RANGE, Ports};

use crate::reader::Reader;
use crate::sock_diag::{SockDiag, socket_id};
use crate::sockets::SockStat;

/// The option's number (linux/in.h), which libc does not have.
const IP_LOCAL_PORT_RANGE: i32 = 51;
/// With more sockets than this, all ports are asked about (1 µs each) instead of those that sockets have.
const FEW: u64 = 4096;
/// Where there are at least this many times as many ports as connections, a few ports more or less do not matter.
const PLENTY: u64 = 4;
/// The state of sockets that are bound and neither listen nor are connected (TCP_BOUND_INACTIVE, Linux 6.8). Older
/// kernels do not report such sockets.
const BOUND_INACTIVE: StateFlags = StateFlags::from_bits_retain(1 << 13);

/// The ports of this network namespace that connect() can choose.
pub(crate) struct Usable {
    range: (u16, u16),
    reserved: Vec<(u16, u16)>,
    bound: BTreeSet<u16>,
}

impl Usable {
    /// Whether connect() can choose `port`, unless a connection to the same target from the same address has it.
    pub(crate) fn contains(&self, port: u16) -> bool {
        self.is_in_range(port) && !self.bound.contains(&port)
    }

    /// How many ports connect() can choose at least: each socket may have bound one.
    fn at_least(&self) -> u64 {
        let (low, high) = self.range;
        let of_range = (low..=high).filter(|port| self.contains(*port)).count() as u64;
        let sockets = SockStat::read().map_or(u64::MAX, |s| s.tcp_inuse + s.tcp6_inuse + s.tcp_tw);
        of_range.saturating_sub(sockets)
    }

    fn is_in_range(&self, port: u16) -> bool {
        let (low, high) = self.range;
        let is_reserved = self.reserved.iter().any(|(a, b)| (*a..=*b).contains(&port));
        (low..=high).contains(&port) && !is_reserved
    }
}

/// Reads the ports of this network namespace. `listened_on` are those with listeners; `opening` is how many connections will
/// be opened, if that is known.
pub(crate) fn read(
    reader: &mut Reader,
    listened_on: impl Iterator<Item = u16>,
    opening: Option<u64>,
) -> (Ports, Usable) {
    let mut bound: BTreeSet<u16> = listened_on.collect();
    let others = add_bound(&mut bound);
    reader.kept("sockets that are bound (NETLINK_SOCK_DIAG)", others);
    let range = reader.parsed("/proc/sys/net/ipv4/ip_local_port_range", parse_range);
    let reserved = reader
        .parsed("/proc/sys/net/ipv4/ip_local_reserved_ports", parse_list)
        .unwrap_or_default();
    let mut usable = Usable {
        range: range.unwrap_or(DEFAULT_PORT_RANGE),
        reserved,
        bound,
    };
    let (low, high) = usable.range;
    let matters = opening.is_none_or(|n| n > 0 && n > usable.at_least() / PLENTY);
    if let Some(asker) = matters.then(Asker::new).flatten() {
        let connected = connected();
        let asked =
            (low..=high).filter(|port| connected.as_ref().is_none_or(|all| all.contains(port)));
        let taken = asked.filter(|port| usable.contains(*port) && !asker.is_offered(*port));
        let taken: Vec<u16> = taken.collect();
        usable.bound.extend(taken);
    }
    let bound = usable
        .bound
        .iter()
        .filter(|port| usable.is_in_range(**port));
    let ports = Ports {
        range,
        bound: bound.count() as u32,
        reserved: usable.reserved.clone(),
        tw_reuse: reader.number("/proc/sys/net/ipv4/tcp_tw_reuse"),
        timestamps: reader.number("/proc/sys/net/ipv4/tcp_timestamps"),
    };
    (ports, usable)
}

/// The range of local ports of this network namespace, lowest and highest, if a socket can be told to choose from a part of it
/// (Linux 6.3).
pub fn that_can_be_parted() -> Option<(u16, u16)> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let (low, high) = parse_range(&range)?;
    Asker::new().map(|_| (low, high))
}

/// The ports of sockets that are bound only.
fn add_bound(ports: &mut BTreeSet<u16>) -> io::Result<()> {
    let mut diag = SockDiag::open()?;
    let any = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    for family in [AF_INET, AF_INET6] {
        diag.each(family, any.clone(), BOUND_INACTIVE, |socket| {
            ports.insert(socket.socket_id.source_port);
        })?;
    }
    Ok(())
}

/// The local ports of sockets that do not listen; `None` if there are too many to list.
fn connected() -> Option<BTreeSet<u16>> {
    let sockets = SockStat::read().ok()?;
    if sockets.tcp_inuse + sockets.tcp6_inuse + sockets.tcp_tw > FEW {
        return None;
    }
    let mut ports = BTreeSet::new();
    let mut diag = SockDiag::open().ok()?;
    let any = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    for family in [AF_INET, AF_INET6] {
        let states = StateFlags::all() - StateFlags::LISTEN;
        let listed = diag.each(family, any.clone(), states, |socket| {
            ports.insert(socket.socket_id.source_port);
        });
        listed.ok()?;
    }
    Some(ports)
}

/// Asks connect() whether it can use a port. It can't if a socket that has the port bound it itself, which is visible nowhere.
struct Asker(OwnedFd);

impl Asker {
    /// `None` on a kernel that can't be asked: one without ranges of local ports for a socket (Linux 6.3), or without TCP Fast
    /// Open.
    fn new() -> Option<Asker> {
        let (family, kind) = (AddressFamily::Inet, SockType::Stream);
        let socket = socket(family, kind, SockFlag::SOCK_NONBLOCK, None).ok()?;
        // The connection waits for data that never comes, so nothing is sent.
        setsockopt(&socket, FastOpenConnect, &true).ok()?;
        setsockopt(&socket, FastOpenNoCookie, &true).ok()?;
        let asker = Asker(socket);
        asker.allow(0).ok()?;
        Some(asker)
    }

    /// Has connect() choose `port`; 0 for any.
    fn allow(&self, port: u16) -> Result<(), Errno> {
        let range = u32::from(port) << 16 | u32::from(port);
        setsockopt(&self.0, LocalPortRange, &range)
    }

    /// Whether connect() can use `port`.
    fn is_offered(&self, port: u16) -> bool {
        /// A target that nothing else connects to: only a bind can take the port from it.
        const NOWHERE: Ipv4Addr = Ipv4Addr::new(127, 213, 7, 1);
        let to = SockaddrStorage::from(SocketAddr::from((NOWHERE, 9)));
        let asked = self
            .allow(port)
            .and_then(|()| connect(self.0.as_raw_fd(), &to));
        // Gives the port back. This socket asks for the next one: a new one for each takes three times as long.
        let _ = connect_unspec(&self.0);
        asked != Err(Errno::EADDRNOTAVAIL)
    }
}

sockopt_impl!(
    /// The ports that connect() may choose from: the lowest, and above 16 bits the highest (ip(7)).
    LocalPortRange, SetOnly, libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, u32
);
sockopt_impl!(
    /// connect() returns at once; the SYN leaves with the first data (tcp(7)).
    FastOpenConnect, SetOnly, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_CONNECT, bool
);
sockopt_impl!(
    /// It does so without a cookie of the server.
    FastOpenNoCookie, SetOnly, libc::IPPROTO_TCP, libc::TCP_FASTOPEN_NO_COOKIE, bool
);

/// Parses `32768 <TAB> 60999`.
fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.trim().split_once(char::is_whitespace)?;
    Some((low.parse().ok()?, high.trim().parse().ok()?))
}

/// Parses `1,2-4,10`; an empty text has no ports. Sorts and joins ranges, as the kernel does when it prints them.
fn parse_list(text: &str) -> Option<Vec<(u16, u16)>> {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for item in text.trim().split(',').filter(|item| !item.is_empty()) {
        let (low, high) = item.split_once('-').unwrap_or((item, item));
        ranges.push((low.parse().ok()?, high.parse().ok()?));
    }
    ranges.sort_unstable();
    let mut joined: Vec<(u16, u16)> = Vec::new();
    for (low, high) in ranges {
        match joined.last_mut() {
            Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
            _ => joined.push((low, high)),
        }
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::kernel::Kernel;
    use crate::namespace::{all, inside};
    use crate::survey::{Wanted, survey};
    use socket2::{Domain, Socket, Type};

    #[test]
    fn usable_ports_are_the_range_less_the_reserved_ones() {
        for (range, reserved, expected) in [
            ("32768\t60999\n", "\n", Some(28232)),
            ("1024\t65535\n", "", Some(64512)),
            ("0 65535", "", Some(65536)),
            ("1024\t65535\n", "8080,9148\n", Some(64510)),
            ("1024\t65535\n", "1-2000,65535\n", Some(64512 - 977 - 1)),
            ("10\t19\n", "1-9,20-30\n", Some(10)),
            ("10\t19\n", "1-65535\n", Some(0)),
            // Never from the kernel, which prints them joined.
            ("10\t19\n", "14-16,12-15,17\n", Some(4)),
            ("10\t19\n", "65535,65535\n", Some(10)),
            ("10\t19\n", "12-\n", None),
            ("10\t19\n", "70000\n", None),
            ("10\n", "", None),
            ("", "", None),
        ] {
            let usable = |range, reserved| {
                let ports = Ports {
                    range: Some(parse_range(range)?),
                    reserved: parse_list(reserved)?,
                    ..Ports::default()
                };
                Some(ports.usable())
            };
            assert_eq!(usable(range, reserved), expected, "{range:?} {reserved:?}");
        }
    }

    #[test]
    fn a_connection_gets_a_port_of_the_range() {
        let (ports, _) = read(&mut Reader::default(), std::iter::empty(), None);
        let (low, high) = ports.range.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert!((low..=high).contains(&port), "{port} {ports:?}");
        let is_reserved = |(a, b): &(u16, u16)| (*a..=*b).contains(&port);
        assert!(!ports.reserved.iter().any(is_reserved), "{port} {ports:?}");
        assert!(ports.usable() > 0);
    }

    fn bound(addr: &str) -> Socket {
        let addr: SocketAddr = addr.parse().unwrap();
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        if addr.is_ipv6() {
            socket.set_only_v6(true).unwrap();
        }
        socket.bind(&addr.into()).unwrap();
        socket
    }

    #[test]
    fn as_many_connections_fit_as_ports_are_usable() {
        if !inside(
            "ports::tests::as_many_connections_fit_as_ports_are_usable",
            "cd /proc/sys/net/ipv4
             echo 2000 2399 > ip_local_port_range
             echo 2100-2149,5000 > ip_local_reserved_ports
             echo 1 > tcp_tw_reuse",
        ) {
            return;
        }
        let before = survey(&Wanted::default()).ports;
        assert_eq!(before.range, Some((2000, 2399)));
        assert_eq!(before.reserved, [(2100, 2149), (5000, 5000)]);
        assert_eq!(
            (before.bound, before.usable(), before.tw_reuse),
            (0, 350, Some(1))
        );

        // Listeners: one port twice, a reserved port, one outside of the range.
        let listening = [
            "127.0.0.1:2200",
            "[::1]:2200",
            "0.0.0.0:2101",
            "[::1]:2202",
            "0.0.0.0:3500",
        ];
        let _listeners = listening.map(|addr| {
            let socket = bound(addr);
            socket.listen(1000).unwrap();
            socket
        });
        let mut taken = 2;
        // Bound only.
        let mut inactive = Vec::new();
        if Kernel::read().unwrap().version >= Some((6, 8)) {
            inactive.push(bound("127.0.0.1:2300"));
            taken += 1;
        }
        // Bound by its owner and then connected, unlike a connection whose port connect() chose.
        let target: SocketAddr = "127.0.0.1:3500".parse().unwrap();
        let own = ["127.0.0.1:2310", "127.0.0.9:2311"].map(|from| {
            let socket = bound(from);
            socket.connect(&target.into()).unwrap();
            socket
        });
        let chosen = TcpStream::connect(target).unwrap();
        let visible = taken;
        if Kernel::read().unwrap().version >= Some((6, 3)) {
            taken += 2;
        }
        let host = survey(&Wanted::default());
        assert_eq!(
            (host.ports.bound, host.ports.usable()),
            (taken, 350 - taken)
        );
        // Whose ports are few in comparison, those that only connect() knows do not matter.
        let bound = |opening| {
            let wanted = Wanted {
                opening: Some(opening),
                ..Wanted::default()
            };
            survey(&wanted).ports.bound
        };
        assert_eq!((bound(10), bound(200)), (visible, taken));
        let at: Vec<_> = host
            .listeners
            .iter()
            .map(|l| (l.address, l.backlog))
            .collect();
        let mut expected = listening.map(|addr| (addr.parse().unwrap(), 1000));
        expected.sort_unstable();
        assert_eq!(at, expected);

        let mut held = vec![chosen];
        let error = loop {
            match TcpStream::connect(target) {
                Ok(stream) => held.push(stream),
                Err(e) => break e,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
        assert_eq!(held.len() as u32, host.ports.usable());
        let host = survey(&all(&[target]));
        // Those of bound ports are not subtracted twice.
        assert_eq!(host.targets[0].in_use, held.len() as u64);
        let queued = |l: &&throng_core::host::Listener| l.address.port() == 3500;
        let listener = host.listeners.iter().find(queued).unwrap();
        assert_eq!(listener.queued as usize, held.len() + own.len());
    }
}
