//! The accept queues of Unix sockets that listen, as the kernel reports them (sock_diag(7)).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload, Nla as _,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixRequest, UnixResponse};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use throng_core::diagnosis::Queue;
use throng_core::unix_socket::{Endpoint, UnixAddress};

/// The largest piece of a netlink dump's answer.
const ANSWER_BYTES: usize = 32 << 10;

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
    each_listener(|listener| {
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

/// Calls `visit` for each Unix socket of this network namespace that listens.
fn each_listener(mut visit: impl FnMut(&UnixResponse)) -> io::Result<()> {
    let mut netlink = Socket::new(NETLINK_SOCK_DIAG)?;
    netlink.bind_auto()?;
    // The kernel answers within send() or recv() itself: without an answer there will be none.
    netlink.set_non_blocking(true)?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = SockDiagMessage::UnixRequest(UnixRequest {
        state_flags: StateFlags::LISTEN,
        inode: 0,
        show_flags: ShowFlags::NAME | ShowFlags::VFS | ShowFlags::RQLEN,
        cookie: [0xff; 8],
    });
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    netlink.send(&bytes, 0)?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    loop {
        answer.clear();
        let received = netlink.recv(&mut answer, 0)?;
        let mut rest = &answer[..received];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            let length = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::UnixResponse(socket)) => {
                    visit(&socket);
                }
                NetlinkPayload::Done(done) if done.code == 0 => return Ok(()),
                NetlinkPayload::Done(done) => {
                    return Err(io::Error::from_raw_os_error(done.code.saturating_neg()));
                }
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
        }
    }
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
