//! The TCP sockets that listen in this network namespace, and whose they are.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use netlink_packet_sock_diag::inet::StateFlags;
use throng_core::host::Listener;

use crate::addresses::is_local;
use crate::listen::{destination, socket_id};
use crate::processes;
use crate::reading::Reading;
use crate::sock_diag::SockDiag;

/// A listener, and its socket's inode, by which its processes are found.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: Listener,
    inode: u64,
}

/// All listeners, by address; their processes are not looked up yet.
pub(crate) fn read() -> io::Result<Vec<Listening>> {
    let mut diag = SockDiag::open()?;
    let any = socket_id(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        diag.each(family, any.clone(), StateFlags::LISTEN, |socket| {
            let id = &socket.socket_id;
            found.push(Listening {
                listener: Listener {
                    address: (id.source_address, id.source_port).into(),
                    // Where a connection has bytes in flight, a listener has its queue and its limit.
                    backlog: socket.send_queue,
                    queued: socket.recv_queue,
                    processes: Vec::new(),
                },
                inode: socket.inode.into(),
            });
        })?;
    }
    found.sort_by_key(|listening| (listening.listener.address, listening.inode));
    Ok(found)
}

impl Listening {
    /// Whether a connection to `target` may come to it.
    pub(crate) fn serves(&self, target: SocketAddr) -> bool {
        let (at, target) = (self.listener.address, destination(target));
        at.port() == target.port()
            && (at.ip().to_canonical() == target.ip()
                // `[::]` serves IPv4 too, unless it has IPV6_V6ONLY; 0.0.0.0 never IPv6.
                || (at.ip().is_unspecified()
                    && (at.is_ipv6() || target.is_ipv4())
                    && is_local(target)))
    }
}

/// Looks up the processes of those listeners that `wanted` says.
pub(crate) fn find_processes(
    reading: &mut Reading,
    all: &mut [Listening],
    wanted: impl Fn(&Listening) -> bool,
    except: Option<u32>,
) {
    let asked: Vec<&mut Listening> = all.iter_mut().filter(|l| wanted(l)).collect();
    let inodes: HashSet<u64> = asked.iter().map(|l| l.inode).collect();
    let mut found = processes::accepting(&inodes, except);
    for listening in asked {
        match found.remove(&listening.inode) {
            Some(processes) => listening.listener.processes = processes,
            None if except.is_some() => {}
            None => reading.note(
                format!(
                    "the processes that listen on {}",
                    listening.listener.address
                ),
                "none was found that this user may look into: run as root, outside of containers",
            ),
        }
    }
}
