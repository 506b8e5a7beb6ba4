//! What is left of the connections to a target once a run is over: those that are still being closed, and those in TIME_WAIT,
//! which keep their four-tuples.

use crate::sock_diag::{SockDiag, socket_id};
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, TCP_TIME_WAIT};
use netlink_packet_sock_diag::inet::StateFlags;
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use throng_core::address::destination;

/// Sockets of connections to targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOver {
    /// Open, or being opened or closed, at either end.
    pub open: u64,
    /// In TIME_WAIT.
    pub time_wait: u64,
}

impl LeftOver {
    /// Whether nothing is left.
    pub fn is_nothing(&self) -> bool {
        *self == LeftOver::default()
    }
}

/// Counts the sockets of this network namespace that are an end of a connection to one of `targets`, whoever opened it.
///
/// # Errors
/// The kernel does not list its sockets (`NETLINK_SOCK_DIAG`).
pub fn left_over(targets: &[SocketAddr]) -> io::Result<LeftOver> {
    let targets: HashSet<(IpAddr, u16)> = targets
        .iter()
        .map(|target| destination(*target))
        .map(|target| (target.ip(), target.port()))
        .collect();
    let mut diag = SockDiag::open()?;
    let states = StateFlags::all() - StateFlags::LISTEN - StateFlags::CLOSE;
    let mut left = LeftOver::default();
    for family in [AF_INET, AF_INET6] {
        let any = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        diag.each(family, any, states.clone(), |socket| {
            let id = &socket.socket_id;
            let ends = [
                (id.source_address.to_canonical(), id.source_port),
                (id.destination_address.to_canonical(), id.destination_port),
            ];
            if !ends.iter().any(|end| targets.contains(end)) {
                return;
            }
            match socket.state {
                TCP_TIME_WAIT => left.time_wait += 1,
                _ => left.open += 1,
            }
        })?;
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn open_connections_and_those_in_time_wait_are_counted() {
        if !crate::namespace::inside(
            "left_over::tests::open_connections_and_those_in_time_wait_are_counted",
            "",
        ) {
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let connect = |to: &TcpListener| {
            let client = TcpStream::connect(to.local_addr().unwrap()).unwrap();
            (client, to.accept().unwrap().0)
        };
        let count = || left_over(&[target]).unwrap();
        assert!(count().is_nothing());
        let held: Vec<_> = (0..3).map(|_| connect(&listener)).collect();
        let _others: Vec<_> = (0..2).map(|_| connect(&other)).collect();
        assert_eq!(
            count(),
            LeftOver {
                open: 6,
                time_wait: 0
            }
        );
        for (client, mut server) in held {
            drop(client);
            // The client closed first, and waits.
            assert_eq!(server.read(&mut [0]).unwrap(), 0);
        }
        assert_eq!(
            count(),
            LeftOver {
                open: 0,
                time_wait: 3
            }
        );
        assert!(!count().is_nothing());
    }
}
