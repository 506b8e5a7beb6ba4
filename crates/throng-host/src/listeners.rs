//! The TCP sockets that listen in this network namespace, and the processes that own them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6};
use netlink_packet_sock_diag::inet::StateFlags;
use throng_core::address::destination;
use throng_core::host::Listener;

use crate::addresses::is_local;
use crate::processes;
use crate::reader::Reader;
use crate::sock_diag::{SockDiag, socket_id};

/// A listener, and the inode of its socket, by which its processes are found.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: Listener,
    inode: u64,
}

/// All listeners, by address, without their processes.
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
                    // In these fields a listener has the length and limit of its queue.
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

/// A listener of this network namespace that keeps others from listening at `at`, with its processes; `None` if none is visible.
pub fn in_the_way(at: SocketAddr) -> Option<Listener> {
    // A wildcard address takes the port of all addresses; `[::]` those of IPv4, too.
    let takes = |other: &Listening| {
        let other = other.listener.address;
        let (ip, other_ip) = (at.ip().to_canonical(), other.ip().to_canonical());
        other.port() == at.port()
            && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
    };
    first(takes).ok().flatten()
}

/// A listener of this network namespace that a connection to `target` may reach, with its processes; `None` if there is none.
///
/// # Errors
/// A sandbox forbids netlink sockets, or the kernel lacks `tcp_diag`.
pub fn serving(target: SocketAddr) -> io::Result<Option<Listener>> {
    first(|listening| listening.serves(target))
}

/// The first listener that is `wanted`, with the processes that this user can see.
fn first(wanted: impl Fn(&Listening) -> bool) -> io::Result<Option<Listener>> {
    let Some(found) = read()?.into_iter().find(wanted) else {
        return Ok(None);
    };
    let mut processes = processes::accepting(&HashSet::from([found.inode]), None);
    Ok(Some(Listener {
        processes: processes.remove(&found.inode).unwrap_or_default(),
        ..found.listener
    }))
}

/// Whether a TCP socket listens in the network namespace of the process `pid`. False if it has ended.
pub fn any_of(pid: u32) -> bool {
    // proc_net_tcp: the fourth field is the state, TCP_LISTEN is 0A.
    let listens = |file: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
        text.lines()
            .any(|line| line.split_whitespace().nth(3) == Some("0A"))
    };
    listens("tcp") || listens("tcp6")
}

impl Listening {
    /// Whether a connection to `target` may reach it.
    pub(crate) fn serves(&self, target: SocketAddr) -> bool {
        let (at, target) = (self.listener.address, destination(target));
        at.port() == target.port()
            && (at.ip().to_canonical() == target.ip()
                // `[::]` also serves IPv4, unless it has IPV6_V6ONLY; 0.0.0.0 never serves IPv6.
                || (at.ip().is_unspecified()
                    && (at.is_ipv6() || target.is_ipv4())
                    && is_local(target)))
    }
}

/// Looks up the processes of the listeners that `wanted` selects.
pub(crate) fn find_processes(
    reader: &mut Reader,
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
            None => reader.note(
                format!(
                    "the processes that listen on {}",
                    listening.listener.address
                ),
                "this user can't see any: run as root, outside of containers",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::namespace::{Server, all, inside};
    use crate::survey::{Processes, Wanted, survey};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    #[test]
    fn a_listener_s_process_is_found_with_its_file_limit() {
        if !inside(
            "listeners::tests::a_listener_s_process_is_found_with_its_file_limit",
            "",
        ) {
            return;
        }
        let single = Server::start("");
        let found = single.processes(1);
        assert_eq!(found.len(), 1, "{found:?}");
        let process = &found[0];
        assert_eq!((process.pid, process.file_limit), (single.child.id(), 777));
        assert!(process.name.starts_with("python3"), "{process:?}");
        let open = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).unwrap();
        assert_eq!(process.files_open, open.count() as u64);

        // The workers accept, and their parent waits.
        let forking = Server::start("for _ in range(2):\n    if os.fork() == 0: break");
        let found = forking.processes(2);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found.iter().all(|p| p.pid != forking.child.id()),
            "{found:?}"
        );

        // Its children have no listener: it may hand over what it accepts.
        let handing = Server::start(
            "e = select.epoll()\nif os.fork() == 0:\n    s.close()\n    sys.stdin.read()\n    os._exit(0)",
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        let process = loop {
            let process = handing.processes(1).remove(0);
            if process.workers > 0 || Instant::now() > deadline {
                break process;
            }
        };
        assert_eq!((process.workers, process.keeps_many), (1, true));
        assert!(!single.processes(1)[0].keeps_many);

        // A program that inherited the socket is not a worker of the server.
        let careless =
            Server::start("s.set_inheritable(True)\nif os.fork() == 0: os.execvp('cat', ['cat'])");
        let found = careless.processes(2);
        let mut names: Vec<_> = found.iter().map(|p| p.name.as_str()).collect();
        names.sort_unstable();
        assert!(names.len() == 2 && names[0] == "cat", "{names:?}");
        assert!(
            found.iter().any(|p| p.pid == careless.child.id()),
            "{found:?}"
        );
    }

    #[test]
    fn only_wanted_listeners_are_looked_up_and_ourselves_unless_excluded() {
        let test =
            "listeners::tests::only_wanted_listeners_are_looked_up_and_ourselves_unless_excluded";
        if !inside(test, "") {
            return;
        }
        let _ours = TcpListener::bind("127.0.0.1:4000").unwrap();
        let _any = TcpListener::bind("[::]:4001").unwrap();
        let target = "127.0.0.9:4001".parse().unwrap();
        for (processes, skip_self, expected) in [
            (Processes::None, false, [0, 0]),
            (Processes::OfTargets, false, [0, 1]),
            (Processes::All, false, [1, 1]),
            (Processes::All, true, [0, 0]),
        ] {
            let wanted = Wanted {
                processes,
                skip_self,
                ..all(&[target])
            };
            let host = survey(&wanted);
            let found: Vec<_> = host.listeners.iter().map(|l| l.processes.len()).collect();
            assert_eq!(found, expected, "{wanted:?}");
            let pids = host
                .listeners
                .iter()
                .flat_map(|l| &l.processes)
                .map(|p| p.pid);
            assert!(pids.into_iter().all(|pid| pid == std::process::id()));
        }
    }
}
