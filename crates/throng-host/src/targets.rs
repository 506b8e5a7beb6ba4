//! Open connections to the targets of a run: each takes one of the ports that the run could use.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, TCP_TIME_WAIT};
use netlink_packet_sock_diag::inet::StateFlags;
use throng_core::address::destination;
use throng_core::host::TargetUse;

use crate::addresses::{is_local, source_for};
use crate::ports::Usable;
use crate::reader::Reader;
use crate::sock_diag::{SockDiag, socket_id};

/// Connections by target.
type Counts = HashMap<(IpAddr, u16), Count>;

/// Connections to a target.
#[derive(Default)]
struct Count {
    /// The source addresses that matter: connections from others leave all ports to these. Empty for all.
    from: HashSet<IpAddr>,
    /// Open or being opened.
    in_use: u64,
    time_wait: u64,
}

/// Counts the connections of this network namespace to each of `targets` that take one of the `usable` ports: from one
/// of `sources`, or, without any, from the address that the kernel chooses.
pub(crate) fn read(
    reader: &mut Reader,
    targets: &[SocketAddr],
    sources: &[IpAddr],
    usable: &Usable,
) -> Vec<TargetUse> {
    let place = |target: SocketAddr| {
        let at = destination(target);
        (at.ip(), at.port())
    };
    let mut counts = Counts::new();
    for target in targets {
        let from = match sources {
            [] => source_for(*target).into_iter().collect(),
            given => given.iter().map(IpAddr::to_canonical).collect(),
        };
        let count = Count {
            from,
            ..Count::default()
        };
        counts.insert(place(*target), count);
    }
    if !counts.is_empty() {
        let counted = count(&mut counts, usable);
        reader.kept(
            "the connections to the targets (NETLINK_SOCK_DIAG)",
            counted,
        );
    }
    let in_use = |&target: &SocketAddr| {
        let count = &counts[&place(target)];
        TargetUse {
            target,
            in_use: count.in_use,
            time_wait: count.time_wait,
            local: is_local(destination(target)),
        }
    };
    targets.iter().map(in_use).collect()
}

/// Reads all sockets and keeps none: there may be millions.
fn count(counts: &mut Counts, usable: &Usable) -> io::Result<()> {
    let mut diag = SockDiag::open()?;
    // Incoming handshakes (SYN_RECV) are never connections to a target.
    let states = StateFlags::all() - StateFlags::LISTEN - StateFlags::CLOSE - StateFlags::SYN_RECV;
    // The kernel filters by one port, which saves copying the other sockets.
    let port = counts.keys().next().map_or(0, |(_, port)| *port);
    let one_port = counts.keys().all(|(_, other)| *other == port);
    let mut filter = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    filter.destination_port = if one_port { port } else { 0 };
    // IPv6 sockets may have IPv4 connections.
    for family in [AF_INET, AF_INET6] {
        diag.each(family, filter.clone(), states.clone(), |socket| {
            let id = &socket.socket_id;
            let to = (id.destination_address.to_canonical(), id.destination_port);
            let from = id.source_address.to_canonical();
            let ours = |count: &&mut Count| {
                usable.contains(id.source_port)
                    && (count.from.is_empty() || count.from.contains(&from))
            };
            match counts.get_mut(&to).filter(ours) {
                Some(count) if socket.state == TCP_TIME_WAIT => count.time_wait += 1,
                Some(count) => count.in_use += 1,
                None => {}
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::namespace::{all, inside};
    use crate::survey::{Wanted, survey};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    #[test]
    fn connections_to_each_target_are_counted() {
        if !inside("targets::tests::connections_to_each_target_are_counted", "") {
            return;
        }
        let listener = TcpListener::bind("0.0.0.0:4000").unwrap();
        let other = TcpListener::bind("127.0.0.1:4001").unwrap();
        // The last one is an IPv6 socket with an IPv4 connection.
        let to = [
            "127.0.0.1:4000",
            "127.0.0.1:4000",
            "127.0.0.1:4000",
            "[::ffff:127.0.0.1]:4000",
        ];
        let mut clients: Vec<_> = to
            .iter()
            .map(|to| TcpStream::connect(to).unwrap())
            .collect();
        clients.push(TcpStream::connect("127.0.0.2:4000").unwrap());
        clients.push(TcpStream::connect(other.local_addr().unwrap()).unwrap());
        let mut served: Vec<_> = (0..5).map(|_| listener.accept().unwrap()).collect();
        // Two end in TIME_WAIT: the client closes first.
        let ended: Vec<_> = clients
            .drain(..2)
            .map(|c| c.local_addr().unwrap())
            .collect();
        served.retain(|(_, from)| !ended.contains(from));

        let targets = [
            "127.0.0.1:4000",
            "127.0.0.2:4000",
            "127.0.0.1:4001",
            "198.51.100.1:80",
            "[2001:db8::1]:80",
        ];
        let targets = targets.map(|t| t.parse().unwrap());
        let deadline = Instant::now() + Duration::from_secs(20);
        let host = loop {
            let host = survey(&all(&targets));
            if host.targets[0].time_wait == 2 || Instant::now() > deadline {
                break host;
            }
        };
        let counted: Vec<_> = host
            .targets
            .iter()
            .map(|t| (t.in_use, t.time_wait, t.local))
            .collect();
        assert_eq!(
            counted,
            [
                (2, 2, true),
                (1, 0, true),
                (1, 0, true),
                (0, 0, false),
                (0, 0, false)
            ]
        );
        assert!(host.targets.iter().map(|t| t.target).eq(targets));
        // Connections from other addresses leave ours all ports.
        for (source, in_use) in [("127.0.0.1", 2), ("127.0.0.9", 0), ("::ffff:127.0.0.1", 2)] {
            let host = survey(&Wanted {
                sources: vec![source.parse().unwrap()],
                ..all(&targets)
            });
            assert_eq!(host.targets[0].in_use, in_use, "{source}");
        }
        // Their number is known in another way, too.
        assert_eq!(host.tcp.time_wait, Some(2));
        assert_eq!(host.tcp.in_use, Some(2 + 4 + 4));
        // One port only: the kernel filters.
        let host = survey(&all(&targets[..2]));
        assert_eq!((host.targets[0].in_use, host.targets[1].in_use), (2, 1));
    }
}
