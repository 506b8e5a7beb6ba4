//! Asks the kernel how full a listener's accept queue is, while connections to it are opened.
//!
//! A full accept queue drops handshakes, and each costs the client a SYN timeout of a second or more. A load generator
//! on the server's own machine can see that coming: one exact lookup by `NETLINK_SOCK_DIAG` goes through the kernel's
//! hash of listeners, so its cost does not depend on the number of established sockets (4 µs; the test
//! `cost_of_a_query…` measures it).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use netlink_packet_sock_diag::inet::{InetResponseHeader, SocketId, StateFlags};
use serde::{Deserialize, Serialize};
use throng_core::address::destination;
use throng_core::diagnosis::{Listening, Queue};
use throng_core::unix_socket::Endpoint;

use crate::addresses::is_local;
use crate::sock_diag::{SockDiag, socket_id};

/// How long a listener without SO_REUSEPORT siblings is assumed to have none.
const ALONE_FOR: Duration = Duration::from_millis(100);

/// The accept queue of a listener, or those of a SO_REUSEPORT group together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptQueue {
    /// Connections that are established and wait for `accept()`: the sum over the group.
    pub waiting: u32,
    /// The limit, the smaller of the backlog and `somaxconn`: the sum over the group. Linux admits one connection more
    /// than its limit to each queue.
    pub limit: u32,
    /// How many connections fit for certain: the least `limit - waiting` in the group. The kernel spreads connections
    /// over a group by a hash of their addresses, so one queue may overflow while the sum is far below the limit.
    pub room: u32,
    /// Listeners in the group: 1 without SO_REUSEPORT.
    pub listeners: u32,
}

/// Looks up one accept queue, once. See [`AcceptQueueProbe::accept_queue`].
///
/// # Errors
/// Those of [`AcceptQueueProbe::open`] and [`AcceptQueueProbe::accept_queue`].
pub fn accept_queue(addr: SocketAddr) -> io::Result<Option<AcceptQueue>> {
    AcceptQueueProbe::open()?.accept_queue(addr)
}

/// An open netlink socket to look up accept queues repeatedly. It sees the network namespace of the thread that opened
/// it, and needs no privileges.
#[derive(Debug)]
pub struct AcceptQueueProbe {
    diag: SockDiag,
    /// Listeners without siblings, by the address asked for: their cookie, and when that was found.
    alone: HashMap<SocketAddr, ([u8; 8], Instant)>,
}

impl AcceptQueueProbe {
    /// Opens the probe and checks that the kernel answers.
    ///
    /// # Errors
    /// A sandbox forbids netlink sockets, or the kernel lacks `tcp_diag`.
    pub fn open() -> io::Result<Self> {
        let mut diag = SockDiag::open()?;
        // Without tcp_diag the kernel returns ENOENT, as it does without a listener. A dump of sockets in no state
        // tells the two apart, and loads the module.
        let nothing = socket_id(SocketAddr::from(([0, 0, 0, 0], 0)));
        let answer = diag.ask(AF_INET, nothing, Some(StateFlags::empty()));
        answer.map_err(|e| io::Error::new(e.kind(), format!("NETLINK_SOCK_DIAG for TCP: {e}")))?;
        Ok(Self {
            diag,
            alone: HashMap::new(),
        })
    }

    /// The accept queue that a connection to `addr` would wait in; `None` if no listener on this machine serves it.
    ///
    /// The kernel finds the listener as it does for a SYN: one on the exact address comes before a wildcard, and a
    /// dual-stack `[::]` serves IPv4, too. Listeners bound to a device (SO_BINDTODEVICE) are not found. The queues of a
    /// SO_REUSEPORT group are summed up, which takes a dump of listeners, some 10 to 20 µs more each time. A listener
    /// without siblings is looked up exactly, and checked for siblings every 100 ms.
    ///
    /// # Errors
    /// The kernel does not answer as documented. The probe stays usable.
    pub fn accept_queue(&mut self, addr: SocketAddr) -> io::Result<Option<AcceptQueue>> {
        let addr = destination(addr);
        let family = if addr.is_ipv4() { AF_INET } else { AF_INET6 };
        let found = match self.diag.ask(family, socket_id(addr), None) {
            Ok(mut found) => found.pop(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let Some(found) = found else { return Ok(None) };

        let cookie = found.socket_id.cookie;
        if self
            .alone
            .get(&addr)
            .is_some_and(|(c, at)| *c == cookie && at.elapsed() < ALONE_FOR)
        {
            return Ok(Some(AcceptQueue::of(&[found])));
        }
        // A wildcard listener matches any address, also one on another machine.
        if found.socket_id.source_address.is_unspecified() && !is_local(addr) {
            return Ok(None);
        }
        let group = self.siblings(&found)?;
        if let [_] = group[..] {
            self.alone.insert(addr, (cookie, Instant::now()));
        }
        Ok(Some(AcceptQueue::of(&group)))
    }

    /// The listeners that a connection to `addr` may wait at, each with its own queue: several in a SO_REUSEPORT group,
    /// none if no listener on this machine serves it. Their processes are left out.
    ///
    /// # Errors
    /// Those of [`AcceptQueueProbe::accept_queue`].
    pub fn queues(&mut self, addr: SocketAddr) -> io::Result<Vec<Listening>> {
        let addr = destination(addr);
        let family = if addr.is_ipv4() { AF_INET } else { AF_INET6 };
        let found = match self.diag.ask(family, socket_id(addr), None) {
            Ok(found) => found.into_iter().next(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let Some(found) = found else {
            return Ok(Vec::new());
        };
        let mine = &found.socket_id;
        if mine.source_address.is_unspecified() && !is_local(addr) {
            return Ok(Vec::new());
        }
        let mut all = self.diag.listeners_with_drops(found.family, mine.clone())?;
        all.retain(|(other, _)| is_sibling(&other.socket_id, mine));
        let listening = |(socket, drops): (InetResponseHeader, u32)| Listening {
            inode: socket.inode.into(),
            // For a listener, the kernel puts the queue's length and limit into these two fields.
            queue: Queue {
                target: Endpoint::Address(addr),
                waiting: socket.recv_queue,
                limit: socket.send_queue,
            },
            dropped: drops.into(),
            processes: Vec::new(),
        };
        Ok(all.into_iter().map(listening).collect())
    }

    /// All listeners bound like `found`, including itself. Only SO_REUSEPORT allows several.
    fn siblings(&mut self, found: &InetResponseHeader) -> io::Result<Vec<InetResponseHeader>> {
        let mine = &found.socket_id;
        // A dump filters by port and state, not by address.
        let id = mine.clone();
        let mut all = self.diag.ask(found.family, id, Some(StateFlags::LISTEN))?;
        all.retain(|other| is_sibling(&other.socket_id, mine));
        if all.is_empty() {
            // It was closed meanwhile. What is known of it is the best answer.
            all.push(found.clone());
        }
        Ok(all)
    }
}

/// Whether two listeners are bound to the same address and device.
fn is_sibling(one: &SocketId, other: &SocketId) -> bool {
    one.source_port == other.source_port
        && one.source_address == other.source_address
        && one.interface_id == other.interface_id
}

impl AcceptQueue {
    fn of(group: &[InetResponseHeader]) -> Self {
        // For a listener, the kernel puts the queue's length and limit into these two fields.
        let room = |l: &InetResponseHeader| l.send_queue.saturating_sub(l.recv_queue);
        Self {
            waiting: group
                .iter()
                .fold(0, |sum: u32, l| sum.saturating_add(l.recv_queue)),
            limit: group
                .iter()
                .fold(0, |sum: u32, l| sum.saturating_add(l.send_queue)),
            room: group.iter().map(room).min().unwrap_or(0),
            listeners: group.len().try_into().unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use socket2::{Domain, Type};

    use super::*;

    /// A listener with options that std's lacks: a backlog, IPV6_V6ONLY and SO_REUSEPORT.
    fn listen(addr: SocketAddr, backlog: i32, v6_only: bool, reuse: bool) -> TcpListener {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::STREAM, None).unwrap();
        if addr.is_ipv6() {
            socket.set_only_v6(v6_only).unwrap();
        }
        socket.set_reuse_port(reuse).unwrap();
        socket.bind(&addr.into()).unwrap();
        socket.listen(backlog).unwrap();
        socket.into()
    }

    fn at(ip: &str, port: u16) -> SocketAddr {
        SocketAddr::new(ip.parse().unwrap(), port)
    }

    #[test]
    fn waiting_connections_are_seen_at_every_address_that_reaches_the_listener() {
        let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
        for (listens, v6_only, reached_by, others) in [
            (
                "127.0.0.1",
                false,
                &["127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"][..],
                &["127.0.0.2", "::1"][..],
            ),
            (
                "127.9.9.9",
                false,
                &["127.9.9.9"],
                &["127.0.0.1", "0.0.0.0"],
            ),
            (
                "0.0.0.0",
                false,
                &["127.0.0.1", "127.9.9.9", "0.0.0.0"],
                &["::1", "198.51.100.1"],
            ),
            ("::1", false, &["::1", "::"], &["127.0.0.1"]),
            (
                "::",
                false,
                &["::1", "::", "127.0.0.1", "127.9.9.9"],
                &["2001:db8::1", "198.51.100.1"],
            ),
            ("::", true, &["::1", "::"], &["127.0.0.1"]),
        ] {
            let listener_addr = at(listens, 0);
            if listener_addr.is_ipv6() && !has_ipv6 {
                continue;
            }
            let listener = listen(listener_addr, 7, v6_only, false);
            let port = listener.local_addr().unwrap().port();
            let mut probe = AcceptQueueProbe::open().unwrap();
            let mut clients = Vec::new();
            for waiting in 0..=3 {
                let expected = AcceptQueue {
                    waiting,
                    limit: 7,
                    room: 7 - waiting,
                    listeners: 1,
                };
                for target in reached_by {
                    let queue = probe.accept_queue(at(target, port)).unwrap();
                    assert_eq!(queue, Some(expected), "{target} of {listens}");
                }
                for target in others {
                    let queue = probe.accept_queue(at(target, port)).unwrap();
                    assert_eq!(queue, None, "{target}, not {listens}");
                }
                clients.push(TcpStream::connect(at(reached_by[0], port)).unwrap());
            }
            listener.accept().unwrap();
            let queue = accept_queue(at(reached_by[0], port)).unwrap().unwrap();
            assert_eq!(queue.waiting, 3, "four connected, one accepted");
        }
    }

    #[test]
    fn an_exact_address_comes_before_a_wildcard() {
        let wildcard = listen(at("0.0.0.0", 0), 7, false, true);
        let port = wildcard.local_addr().unwrap().port();
        let _exact = listen(at("127.0.0.1", port), 5, false, true);
        let mut probe = AcceptQueueProbe::open().unwrap();
        for (target, limit) in [("127.0.0.1", 5), ("127.0.0.2", 7)] {
            let queue = probe.accept_queue(at(target, port)).unwrap().unwrap();
            assert_eq!((queue.limit, queue.listeners), (limit, 1), "{target}");
        }
    }

    #[test]
    fn a_reuseport_group_is_summed_up_and_its_fullest_queue_bounds_the_room() {
        let first = listen(at("127.0.0.1", 0), 20, false, true);
        let target = first.local_addr().unwrap();
        let group = [
            first,
            listen(target, 10, false, true),
            listen(target, 15, false, true),
        ];
        let mut probe = AcceptQueueProbe::open().unwrap();
        let empty = AcceptQueue {
            waiting: 0,
            limit: 45,
            room: 10,
            listeners: 3,
        };
        assert_eq!(probe.accept_queue(target).unwrap(), Some(empty));

        let _clients: Vec<_> = (0..9)
            .map(|_| TcpStream::connect(target).unwrap())
            .collect();
        let queue = probe.accept_queue(target).unwrap().unwrap();
        // Accepting from one listener after another shows how the kernel spread the nine.
        let spread = group.each_ref().map(|listener| {
            listener.set_nonblocking(true).unwrap();
            std::iter::from_fn(|| listener.accept().ok()).count() as u32
        });
        let room = (20 - spread[0]).min(10 - spread[1]).min(15 - spread[2]);
        assert_eq!(
            queue,
            AcceptQueue {
                waiting: 9,
                limit: 45,
                room,
                listeners: 3
            }
        );
    }

    #[test]
    fn a_full_queue_has_no_room_and_a_closed_listener_no_queue() {
        let listener = listen(at("127.0.0.1", 0), 2, false, false);
        let target = listener.local_addr().unwrap();
        let mut probe = AcceptQueueProbe::open().unwrap();
        // Linux admits one more than the limit.
        let _clients: Vec<_> = (0..3)
            .map(|_| TcpStream::connect(target).unwrap())
            .collect();
        let full = AcceptQueue {
            waiting: 3,
            limit: 2,
            room: 0,
            listeners: 1,
        };
        assert_eq!(probe.accept_queue(target).unwrap(), Some(full));
        drop(listener);
        assert_eq!(probe.accept_queue(target).unwrap(), None);
    }

    #[test]
    fn siblings_that_come_later_are_found() {
        let first = listen(at("127.0.0.1", 0), 5, false, true);
        let target = first.local_addr().unwrap();
        let mut probe = AcceptQueueProbe::open().unwrap();
        assert_eq!(probe.accept_queue(target).unwrap().unwrap().listeners, 1);
        let _second = listen(target, 5, false, true);
        std::thread::sleep(ALONE_FOR);
        assert_eq!(probe.accept_queue(target).unwrap().unwrap().listeners, 2);
    }

    #[test]
    fn backlogs_are_those_of_the_kernel() {
        let listener = listen(at("127.0.0.1", 0), i32::MAX, false, false);
        let queue = accept_queue(listener.local_addr().unwrap())
            .unwrap()
            .unwrap();
        let accept = crate::accept::read(&mut Default::default());
        assert_eq!(Some(queue.limit), accept.somaxconn);
        assert!(accept.syn_backlog > Some(0) && accept.syncookies.is_some());
    }
}
