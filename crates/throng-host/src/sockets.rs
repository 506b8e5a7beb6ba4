//! The kernel's own count of TCP sockets, and of the memory of their buffers, to compare throng's counts with.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use netlink_packet_sock_diag::inet::StateFlags;
use serde::{Deserialize, Serialize};

use crate::proc_text;
use crate::sock_diag::{SockDiag, socket_id};

/// TCP's part of `/proc/net/sockstat` and `sockstat6`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SockStat {
    /// IPv4 sockets of this network namespace that connect, are connected, or listen. Each end of a loopback connection
    /// is one. Sockets in TIME_WAIT, or half open at the server, are not included.
    pub tcp_inuse: u64,
    /// Connections that their process has closed and that are not finished, machine-wide.
    pub tcp_orphan: u64,
    /// Connections in TIME_WAIT, in this network namespace, IPv4 and IPv6.
    pub tcp_tw: u64,
    /// TCP sockets in any state on the machine, in all namespaces, IPv4 and IPv6.
    pub tcp_alloc: u64,
    /// Pages in socket buffers, machine-wide, which `net.ipv4.tcp_mem` limits.
    pub tcp_mem_pages: u64,
    /// As `tcp_inuse`, IPv6. 0 on a kernel without IPv6.
    pub tcp6_inuse: u64,
}

impl SockStat {
    /// Reads the counts. It is cheap enough to call ten times per second.
    ///
    /// # Errors
    /// `sockstat` can't be read or has no TCP line. A missing `sockstat6` is not an error.
    pub fn read() -> io::Result<Self> {
        let path = "/proc/self/net/sockstat";
        let v4 = proc_text::read(path)?;
        let v6 = proc_text::read("/proc/self/net/sockstat6").unwrap_or_default();
        Self::parse(&v4, &v6).ok_or_else(|| proc_text::malformed(path, &v4))
    }

    /// Parses the two files; `sockstat6` may be empty.
    fn parse(sockstat: &str, sockstat6: &str) -> Option<Self> {
        Some(Self {
            tcp_inuse: field(sockstat, "TCP:", "inuse")?,
            tcp_orphan: field(sockstat, "TCP:", "orphan")?,
            tcp_tw: field(sockstat, "TCP:", "tw")?,
            tcp_alloc: field(sockstat, "TCP:", "alloc")?,
            tcp_mem_pages: field(sockstat, "TCP:", "mem")?,
            tcp6_inuse: field(sockstat6, "TCP6:", "inuse").unwrap_or(0),
        })
    }
}

/// The TCP sockets of this network namespace that connect or are connected to one of `ports`, or from one of them: both
/// ends of a connection within the namespace. Sockets in TIME_WAIT, or half open at the server, are not included. Unlike
/// [`SockStat::read`] this looks at each socket, which takes about a second per million.
///
/// # Errors
/// The kernel does not list its sockets (`NETLINK_SOCK_DIAG`).
pub fn with_ports(ports: &BTreeSet<u16>) -> io::Result<u64> {
    let mut diag = SockDiag::open()?;
    let states = StateFlags::all()
        - StateFlags::LISTEN
        - StateFlags::CLOSE
        - StateFlags::SYN_RECV
        - StateFlags::TIME_WAIT;
    let mut found = 0;
    for family in [AF_INET, AF_INET6] {
        let any = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        diag.each(family, any, states.clone(), |socket| {
            let id = &socket.socket_id;
            found +=
                u64::from(ports.contains(&id.source_port) || ports.contains(&id.destination_port));
        })?;
    }
    Ok(found)
}

/// A value from a line such as `TCP: inuse 1 orphan 0`.
fn field(text: &str, line: &str, name: &str) -> Option<u64> {
    let values = text.lines().find_map(|l| l.strip_prefix(line))?;
    let mut words = values.split_whitespace();
    words.find(|word| *word == name)?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const V4: &str = "sockets: used 274\n\
        TCP: inuse 12 orphan 3 tw 41 alloc 55 mem 145\n\
        UDP: inuse 7 mem 9\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n";
    const V6: &str = "TCP6: inuse 5\nUDP6: inuse 3\nUDPLITE6: inuse 0\nRAW6: inuse 0\n";

    #[test]
    fn sockstat_is_parsed_with_and_without_ipv6() {
        let both = SockStat {
            tcp_inuse: 12,
            tcp_orphan: 3,
            tcp_tw: 41,
            tcp_alloc: 55,
            tcp_mem_pages: 145,
            tcp6_inuse: 5,
        };
        for (v4, v6, expected) in [
            (V4, V6, Some(both)),
            (
                V4,
                "",
                Some(SockStat {
                    tcp6_inuse: 0,
                    ..both
                }),
            ),
            ("sockets: used 274\n", V6, None),
            ("TCP: inuse 12 orphan 3\n", V6, None),
            ("", "", None),
        ] {
            assert_eq!(SockStat::parse(v4, v6), expected, "{v4:?} {v6:?}");
        }
    }

    #[test]
    fn sockets_are_counted_by_their_ports() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = |l: &TcpListener| l.local_addr().unwrap().port();
        let connect = |to: &TcpListener| {
            let client = TcpStream::connect(to.local_addr().unwrap()).unwrap();
            (client, to.accept().unwrap())
        };
        let _held: Vec<_> = (0..3)
            .map(|_| (connect(&listener), connect(&other)))
            .collect();
        let count = |ports: &[u16]| with_ports(&ports.iter().copied().collect()).unwrap();
        assert_eq!(count(&[port(&listener)]), 6);
        assert_eq!(count(&[port(&listener), port(&other)]), 12);
        assert_eq!(count(&[]), 0);
    }

    #[test]
    fn two_hundred_connections_are_counted_at_both_ends() {
        crate::limits::raise_soft_to_hard().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(crate::seen_in_a_quiet_moment(|| {
            let before = SockStat::read().unwrap();
            let held: Vec<_> = (0..200)
                .map(|_| {
                    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                    (client, listener.accept().unwrap())
                })
                .collect();
            let after = SockStat::read().unwrap();
            assert!(
                after.tcp_inuse >= 400 && after.tcp_alloc >= 400,
                "{after:?}"
            );
            drop(held);
            (390..450).contains(&after.tcp_inuse.saturating_sub(before.tcp_inuse))
                && (390..450).contains(&after.tcp_alloc.saturating_sub(before.tcp_alloc))
        }));
    }
}
