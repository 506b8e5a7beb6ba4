//! The sockets of a system under test, in whichever network namespace it is: those of TCP. `unix.rs` adds Unix sockets.
//!
//! A socket is the system's if one of its descriptors is that socket. Where not all descriptors can be looked at (there are too
//! many, or they are io_uring's), connections that its listeners accepted are told by their local address and port instead,
//! unless other processes listen there, too.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, TCP_ESTABLISHED};
use netlink_packet_sock_diag::inet::{InetResponseHeader, SocketId, StateFlags};
use nix::sched::{CloneFlags, setns};
use throng_core::host::SocketObjects;

use super::processes::Held;
use super::seen::Seen;
use super::unix;
use crate::netstat::NetStat;
use crate::sock_diag::{SockDiag, socket_id};

/// The kernel's objects for a socket on Linux 6.18, in bytes: TCP socket, inode, dentry, file.
const TYPICAL: u64 = 2368 + 832 + 192 + 192;

/// The sockets of a network namespace.
pub(super) struct Sockets {
    diag: SockDiag,
    /// A process that is in it.
    pid: u32,
    objects: Option<SocketObjects>,
    /// By a listener's inode, what it had dropped when it was last looked at.
    drops: HashMap<u32, u32>,
    /// Whether listeners were looked at before: one that is new since then has dropped nothing before.
    looked: bool,
    dropped: u64,
    overflows_before: Option<u64>,
    /// Why its Unix sockets can't be read.
    unix_unread: Option<String>,
}

impl Sockets {
    /// Those of the network namespace of process `pid`.
    ///
    /// # Errors
    /// This user may not enter it, or a sandbox forbids netlink sockets: why, in one line.
    pub fn of(pid: u32, objects: Option<SocketObjects>) -> Result<Sockets, String> {
        let diag = opened_in(pid).map_err(|e| {
            format!("its sockets: the network namespace of process {pid} can't be looked into: {e}")
        })?;
        Ok(Sockets {
            diag,
            pid,
            objects,
            drops: HashMap::new(),
            looked: false,
            dropped: 0,
            overflows_before: None,
            unix_unread: None,
        })
    }

    /// The kernel's objects for one socket of IPv4, in bytes, and whether that is this kernel's size.
    pub fn typical(objects: Option<&SocketObjects>) -> (u64, bool) {
        match objects {
            Some(o) => (bytes_of(o, o.tcp), true),
            None => (TYPICAL, false),
        }
    }

    /// Why its Unix sockets could not be read, if so.
    pub fn unix_unread(&self) -> Option<&str> {
        self.unix_unread.as_deref()
    }

    /// Looks at the sockets of processes that have `held`.
    ///
    /// # Errors
    /// The kernel does not list them. `None` if they can't be told from those of others.
    pub fn look(&mut self, held: &Held) -> io::Result<Option<Seen>> {
        let mut seen = Seen::default();
        let listeners = self.listeners(held, &mut seen)?;
        self.looked = true;
        seen.dropped = self.dropped;
        seen.overflows = self.overflows();
        let listens = unix::look(&mut self.diag, held, self.objects.as_ref(), &mut seen);
        let listens_on_unix = listens.unwrap_or_else(|e| {
            self.unix_unread = Some(e.to_string());
            false
        });
        let own = |inode: u32| held.sockets.contains(&u64::from(inode));
        let objects = self.objects;
        let mut count = |socket: &InetResponseHeader, buffers: u64| {
            seen.connections += u64::from(socket.state == TCP_ESTABLISHED);
            seen.kernel_bytes += object_bytes(objects.as_ref(), socket.family) + buffers;
        };
        if held.all_sockets {
            for family in [AF_INET, AF_INET6] {
                self.diag
                    .each_with_buffers(family, any(0), connected(), |socket, buffers| {
                        if own(socket.inode) {
                            count(socket, buffers);
                        }
                    })?;
            }
            return Ok(Some(seen));
        }
        let mut ports: Vec<u16> = listeners.iter().filter(|l| l.own).map(|l| l.port).collect();
        ports.sort_unstable();
        ports.dedup();
        if ports.is_empty() && !listens_on_unix {
            return Ok(None);
        }
        for port in ports {
            for family in [AF_INET, AF_INET6] {
                self.diag.each_with_buffers(
                    family,
                    any(port),
                    connected(),
                    |socket, buffers| {
                        // One that waits to be accepted has no inode yet.
                        let mine = || own(socket.inode) || are_served(&listeners, near(socket));
                        if socket.inode != 0 && mine() {
                            count(socket, buffers);
                        }
                    },
                )?;
            }
        }
        Ok(Some(seen))
    }

    /// All listeners of the namespace. Counts those of the system.
    fn listeners(&mut self, held: &Held, seen: &mut Seen) -> io::Result<Vec<Listener>> {
        let mut all = Vec::new();
        let mut drops = HashMap::new();
        for family in [AF_INET, AF_INET6] {
            for (socket, dropped) in self.diag.listeners_with_drops(family, any(0))? {
                let own = held.sockets.contains(&u64::from(socket.inode));
                all.push(Listener {
                    address: near(&socket).ip(),
                    port: socket.socket_id.source_port,
                    own,
                });
                if !own {
                    continue;
                }
                // For a listener, the kernel puts the queue's length and limit into these two fields. It admits one more.
                let (waiting, limit) = (socket.recv_queue, socket.send_queue);
                seen.listeners += 1;
                seen.waiting += u64::from(waiting);
                seen.queue_limit += u64::from(limit);
                seen.full |= waiting > limit;
                seen.kernel_bytes += object_bytes(self.objects.as_ref(), family);
                let new_here = if self.looked { 0 } else { dropped };
                let before = self.drops.get(&socket.inode).copied();
                self.dropped += u64::from(dropped.saturating_sub(before.unwrap_or(new_here)));
                drops.insert(socket.inode, dropped);
            }
        }
        self.drops = drops;
        Ok(all)
    }

    fn overflows(&mut self) -> u64 {
        // Another process of it may be left if this one has ended; the count then stays as it is.
        let Ok(now) = NetStat::of_process(self.pid) else {
            return 0;
        };
        let before = *self.overflows_before.get_or_insert(now.listen_overflows);
        now.listen_overflows.saturating_sub(before)
    }
}

/// A listener of any process.
struct Listener {
    address: IpAddr,
    port: u16,
    /// Whether it is the system's.
    own: bool,
}

/// Whether connections at `near` were accepted by the system: all listeners that may have done so are its own. Those on the address
/// itself come before those on any.
fn are_served(listeners: &[Listener], near: SocketAddr) -> bool {
    let on_port = || listeners.iter().filter(|l| l.port == near.port());
    let mut exact = on_port().filter(|l| l.address == near.ip()).peekable();
    if exact.peek().is_some() {
        return exact.all(|l| l.own);
    }
    let mut any = on_port().filter(|l| l.address.is_unspecified()).peekable();
    any.peek().is_some() && any.all(|l| l.own)
}

/// The lookup of sockets with this local port; 0 is any.
fn any(port: u16) -> SocketId {
    socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
}

/// The states of a socket that a process may have, and that is no listener. A process's end that it has shut down is still its.
fn connected() -> StateFlags {
    StateFlags::ESTABLISHED
        | StateFlags::SYN_SENT
        | StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::CLOSE_WAIT
        | StateFlags::LAST_ACK
        | StateFlags::CLOSING
}

fn near(socket: &InetResponseHeader) -> SocketAddr {
    let id = &socket.socket_id;
    (id.source_address.to_canonical(), id.source_port).into()
}

fn object_bytes(objects: Option<&SocketObjects>, family: u8) -> u64 {
    match objects {
        Some(o) if family == AF_INET6 => bytes_of(o, o.tcp6.unwrap_or(o.tcp)),
        Some(o) => bytes_of(o, o.tcp),
        None => TYPICAL,
    }
}

fn bytes_of(objects: &SocketObjects, tcp: u32) -> u64 {
    let parts = [tcp, objects.inode, objects.dentry, objects.file];
    parts.map(u64::from).iter().sum()
}

/// A netlink socket in the network namespace of process `pid`.
fn opened_in(pid: u32) -> io::Result<SockDiag> {
    let of = |who: &str| fs::read_link(format!("/proc/{who}/ns/net"));
    if of(&pid.to_string())? == of("thread-self")? {
        return SockDiag::open();
    }
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    // A thread of its own enters it, and ends. The socket stays where it was opened.
    let entering = std::thread::Builder::new().spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        SockDiag::open()
    })?;
    let entered = entering.join();
    entered.unwrap_or_else(|_| Err(io::Error::other("the thread that entered it has ended")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process_usage::ProcessUsage;
    use std::net::{TcpListener, TcpStream};

    fn listener(address: &str, own: bool) -> Listener {
        let at: SocketAddr = address.parse().unwrap();
        Listener {
            address: at.ip(),
            port: at.port(),
            own,
        }
    }

    #[test]
    fn connections_are_told_by_listeners_unless_others_listen_there_too() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (mine, theirs) = (true, false);
        for (listeners, near, expected) in [
            (vec![listener("0.0.0.0:80", mine)], "10.0.0.1:80", true),
            (vec![listener("[::]:80", mine)], "10.0.0.1:80", true),
            (vec![listener("0.0.0.0:80", mine)], "10.0.0.1:81", false),
            (vec![listener("10.0.0.2:80", mine)], "10.0.0.1:80", false),
            (
                vec![
                    listener("0.0.0.0:80", mine),
                    listener("10.0.0.1:80", theirs),
                ],
                "10.0.0.1:80",
                false,
            ),
            (
                vec![
                    listener("0.0.0.0:80", theirs),
                    listener("10.0.0.1:80", mine),
                ],
                "10.0.0.1:80",
                true,
            ),
            (
                vec![listener("0.0.0.0:80", mine), listener("0.0.0.0:80", theirs)],
                "10.0.0.1:80",
                false,
            ),
            (vec![], "10.0.0.1:80", false),
        ] {
            let all: Vec<_> = listeners.iter().map(|l| (l.address, l.own)).collect();
            assert_eq!(are_served(&listeners, at(near)), expected, "{near} {all:?}");
        }
    }

    #[test]
    fn sockets_are_counted_by_descriptor_and_otherwise_by_port() {
        let at = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = ProcessUsage::read(std::process::id()).unwrap();
        let mut sockets = Sockets::of(own.pid, None).unwrap();
        let held = Held::read(&[own]);
        let before = sockets.look(&held).unwrap().unwrap();
        assert!(before.listeners >= 1 && before.queue_limit > 0);
        let clients: Vec<TcpStream> = (0..20)
            .map(|_| TcpStream::connect(at.local_addr().unwrap()).unwrap())
            .collect();
        let waiting = sockets.look(&Held::read(&[own])).unwrap().unwrap();
        assert!(waiting.waiting >= 20, "{waiting:?}");
        let accepted: Vec<_> = clients.iter().map(|_| at.accept().unwrap()).collect();
        // Both ends are in this process, and other tests have sockets, too.
        let found = crate::seen_in_a_quiet_moment(|| {
            let seen = sockets.look(&Held::read(&[own])).unwrap().unwrap();
            seen.connections >= 40 && seen.kernel_bytes >= 41 * TYPICAL
        });
        assert!(found);

        // By its port, the accepted end alone.
        let inode = |link: &std::path::Path| {
            crate::processes::socket_inode(fs::read_link(link).ok()?.to_str()?)
        };
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&at);
        let only = inode(format!("/proc/self/fd/{descriptor}").as_ref()).unwrap();
        let by_port = Held {
            sockets: [only].into(),
            all_sockets: false,
            ..Held::default()
        };
        let seen = sockets.look(&by_port).unwrap().unwrap();
        assert_eq!((seen.connections, seen.listeners), (20, 1), "{seen:?}");
        drop(accepted);
        let nothing = Held::default();
        assert_eq!(sockets.look(&nothing).unwrap(), None);
    }
}
