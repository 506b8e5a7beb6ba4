//! The Unix sockets of a system under test: those that it listens on, and the connections that it accepted there.
//!
//! A socket that was accepted has the name of its listener. Others (to a log or a bus, the two of a pair) are no connections of
//! clients, and are not counted.

use std::io;

use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixResponse};
use throng_core::host::{SocketObjects, UNIX_SOCKET};

use super::processes::Held;
use super::seen::Seen;
use crate::sock_diag::SockDiag;

/// Adds to `seen` the Unix sockets on which processes that have `held` listen, and the connections that they accepted there. Returns
/// whether there are such listeners.
///
/// Where not all descriptors are known, what was accepted under a listener's name counts, unless other processes listen under it,
/// too.
///
/// # Errors
/// The kernel does not list them (CONFIG_UNIX_DIAG).
pub(super) fn look(
    diag: &mut SockDiag,
    held: &Held,
    objects: Option<&SocketObjects>,
    seen: &mut Seen,
) -> io::Result<bool> {
    let own = |socket: &UnixResponse| held.sockets.contains(&u64::from(socket.header.inode));
    let each = object_bytes(objects);
    let (mut mine, mut others): (Vec<UnixDiagName>, Vec<UnixDiagName>) = Default::default();
    let show = ShowFlags::NAME | ShowFlags::RQLEN;
    diag.each_unix(StateFlags::LISTEN, show, |listener| {
        let Some(name) = name_of(listener) else {
            return;
        };
        if !own(listener) {
            others.push(name.clone());
            return;
        }
        mine.push(name.clone());
        seen.listeners += 1;
        seen.kernel_bytes += each;
        let lengths = listener.nlas.iter().find_map(|nla| match nla {
            Nla::ReceiveQueueLength(waiting, limit) => Some((*waiting, *limit)),
            _ => None,
        });
        if let Some((waiting, limit)) = lengths {
            seen.waiting += u64::from(waiting);
            seen.queue_limit += u64::from(limit);
            // As with TCP, it admits one more.
            seen.full |= waiting > limit;
        }
    })?;
    if mine.is_empty() {
        return Ok(false);
    }
    let told_by_name = |name: &UnixDiagName| !held.all_sockets && !others.contains(name);
    let show = ShowFlags::NAME | ShowFlags::MEMINFO;
    diag.each_unix(StateFlags::ESTABLISHED, show, |socket| {
        let accepted = name_of(socket).filter(|name| mine.contains(name));
        if accepted.is_some_and(|name| own(socket) || told_by_name(name)) {
            // What was sent is charged to its sender until it is read.
            let unread = socket.nlas.iter().find_map(|nla| match nla {
                Nla::MemInfo(memory) => Some(u64::from(memory.alloc)),
                _ => None,
            });
            seen.connections += 1;
            seen.kernel_bytes += each + unread.unwrap_or(0);
        }
    })?;
    Ok(true)
}

/// The name that a socket is bound to, or that its listener is.
fn name_of(socket: &UnixResponse) -> Option<&UnixDiagName> {
    socket.nlas.iter().find_map(|nla| match nla {
        Nla::Name(name) => Some(name),
        _ => None,
    })
}

/// The kernel's objects for one socket, in bytes; without `objects` those of Linux 6.18.
fn object_bytes(objects: Option<&SocketObjects>) -> u64 {
    let besides = match objects {
        Some(o) => [o.inode, o.dentry, o.file].map(u64::from),
        None => [832, 192, 192],
    };
    u64::from(UNIX_SOCKET) + besides.iter().sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process_usage::ProcessUsage;
    use std::fs;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Child, Command, Stdio};

    fn look_at(held: &Held) -> (bool, Seen) {
        let mut seen = Seen::default();
        let mut diag = SockDiag::open().unwrap();
        let listens = look(&mut diag, held, None, &mut seen).unwrap();
        (listens, seen)
    }

    #[test]
    fn what_was_accepted_counts_and_other_unix_sockets_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("socket");
        let listener = UnixListener::bind(&at).unwrap();
        let inode = |socket: &dyn AsRawFd| {
            let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
            crate::processes::socket_inode(link.to_str().unwrap()).unwrap()
        };
        let (one, other) = UnixStream::pair().unwrap();
        let clients = [(); 3].map(|()| UnixStream::connect(&at).unwrap());
        let first = listener.accept().unwrap().0;
        // Only the accepted ends are called as the listener is.
        let mut held = Held {
            sockets: [inode(&listener), inode(&first), inode(&one), inode(&other)].into(),
            all_sockets: true,
            ..Held::default()
        };
        held.sockets
            .extend(clients.iter().map(|client| inode(client)));
        let (listens, seen) = look_at(&held);
        assert!(listens);
        assert_eq!((seen.listeners, seen.connections, seen.waiting), (1, 1, 2));
        assert_eq!(seen.kernel_bytes, 2 * object_bytes(None));
        // By its name, without the descriptors of connections. What waits is not accepted yet.
        let _second = listener.accept().unwrap();
        held.all_sockets = false;
        held.sockets = [inode(&listener)].into();
        assert_eq!(look_at(&held).1.connections, 2);
        held.sockets.clear();
        assert_eq!(look_at(&held), (false, Seen::default()));
    }

    #[test]
    fn a_process_without_unix_listeners_has_no_such_connections() {
        let mut child: Child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let held = Held::read(&[ProcessUsage::read(child.id()).unwrap()]);
        assert_eq!(look_at(&held), (false, Seen::default()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
