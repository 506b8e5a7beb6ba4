//! The accept queues of Unix sockets that listen, as the kernel reports them (sock_diag(7)).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use netlink_packet_core::Nla as _;
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags};
use throng_core::diagnosis::Queue;
use throng_core::unix_socket::{Endpoint, UnixAddress};

use crate::sock_diag::SockDiag;

/// The accept queues of `sockets` in which connections wait, of whichever program.
///
/// # Errors
/// The kernel does not say (CONFIG_UNIX_DIAG).
pub fn waiting(sockets: &[UnixAddress]) -> io::Result<Vec<Queue>> {
    let mut wanted: Vec<(&UnixAddress, Option<u64>)> = Vec::new();
    for socket in sockets {
        if wanted.iter().all(|(known, _)| known != &socket) {
            let file = socket.path().and_then(|path| fs::metadata(path).ok());
            wanted.push((socket, file.map(|file| file.ino())));
        }
    }
    let mut found = Vec::new();
    let show = ShowFlags::NAME | ShowFlags::VFS | ShowFlags::RQLEN;
    SockDiag::open()?.each_unix(StateFlags::LISTEN, show, |listener| {
        let is_of = |(socket, file): &&(&UnixAddress, Option<u64>)| {
            listener.nlas.iter().any(|nla| match nla {
                // The kernel gives the lower half of a file's number. A path may be another one to its server.
                Nla::Vfs(_) => file.is_some_and(|file| file as u32 == file_number(nla)),
                Nla::Name(UnixDiagName::Abstract(name)) => {
                    socket.name().map(str::as_bytes) == Some(name.as_slice())
                }
                _ => false,
            })
        };
        let lengths = listener.nlas.iter().find_map(|nla| match nla {
            Nla::ReceiveQueueLength(waiting, limit) => Some((*waiting, *limit)),
            _ => None,
        });
        if let (Some((socket, _)), Some((waiting @ 1.., limit))) =
            (wanted.iter().find(is_of), lengths)
        {
            found.push(Queue {
                target: Endpoint::Unix((*socket).clone()),
                waiting,
                limit,
            });
        }
    })?;
    Ok(found)
}

/// The number of the file that `vfs` (UNIX_DIAG_VFS) is about: its first field, which the type does not show.
fn file_number(vfs: &Nla) -> u32 {
    let mut bytes = [0; 8];
    vfs.emit_value(&mut bytes);
    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    #[test]
    fn connections_that_wait_are_seen_by_path_and_by_name() {
        let directory = std::env::temp_dir().join(format!("throng-queue-{}", std::process::id()));
        let path = directory.to_str().unwrap();
        let _ = fs::remove_file(path);
        let by_path = UnixListener::bind(path).unwrap();
        let name = format!("throng-queue-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixListener::bind_addr(&abstract_address).unwrap();
        let sockets = [path.parse().unwrap(), format!("@{name}").parse().unwrap()];
        assert_eq!(waiting(&sockets).unwrap(), []);
        let _one = UnixStream::connect(path).unwrap();
        let _two = [(); 2].map(|()| UnixStream::connect_addr(&abstract_address).unwrap());
        let seen = || {
            let mut all = waiting(&sockets).unwrap();
            all.sort_by_key(|queue| queue.waiting);
            let all = all.iter().map(|q| (q.target.to_string(), q.waiting));
            all.collect::<Vec<_>>()
        };
        assert_eq!(
            seen(),
            [(format!("unix:{path}"), 1), (format!("unix:@{name}"), 2)]
        );
        by_path.accept().unwrap();
        by_name.accept().unwrap();
        assert_eq!(seen(), [(format!("unix:@{name}"), 1)]);
        fs::remove_file(path).unwrap();
    }
}
