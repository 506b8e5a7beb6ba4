//! Opens listeners. The error says why that failed and what to do.

use crate::Failure;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use throng_core::unix_socket::{Endpoint, UnixAddress};
use throng_engine::{Listener, Reach, SocketOptions};
use throng_host::listeners;
use throng_host::unix_sockets::{self, SocketFile};

/// The listeners of a server. Dropped, it removes the files of those that are Unix sockets.
pub(crate) struct Listeners {
    pub all: Vec<Arc<Listener>>,
    _files: Vec<SocketFile>,
}

impl Listeners {
    /// Listens at each of `places`.
    pub fn open(
        places: impl IntoIterator<Item = Endpoint>,
        backlog: u32,
        options: &SocketOptions,
    ) -> Result<Listeners, Failure> {
        let (mut all, mut files) = (Vec::new(), Vec::new());
        for place in places {
            let listener = match &place {
                Endpoint::Address(at) => open(*at, backlog, Reach::Address, options)?.into(),
                Endpoint::Unix(at) => {
                    let (listener, file) = open_unix(at, backlog)?;
                    files.extend(file);
                    listener
                }
            };
            all.push(Arc::new(listener));
        }
        Ok(Listeners { all, _files: files })
    }
}

/// Listens on a Unix socket. What a server that was killed has left in its place is removed.
fn open_unix(at: &UnixAddress, backlog: u32) -> Result<(Listener, Option<SocketFile>), Failure> {
    let refused = |why: String| Failure::refused(format!("can't listen on unix:{at}: {why}"));
    let path = at.path().map(Path::new);
    if let Some(path) = path {
        unix_sockets::make_room(path).map_err(|e| refused(e.to_string()))?;
    }
    let listener = throng_engine::listen_unix(at, backlog).map_err(|e| {
        let remedy = match (e.kind(), path) {
            (io::ErrorKind::NotFound, _) => "; create its directory first",
            (io::ErrorKind::PermissionDenied, _) => {
                "; that takes write permission for its directory"
            }
            (io::ErrorKind::AddrInUse, None) => "; another process has this name",
            _ => "",
        };
        refused(format!("{e}{remedy}"))
    })?;
    let file = path.map(SocketFile::at).transpose();
    Ok((listener.into(), file.map_err(|e| refused(e.to_string()))?))
}

/// Listens on `at`.
pub(crate) fn open(
    at: SocketAddr,
    backlog: u32,
    reach: Reach,
    options: &SocketOptions,
) -> Result<TcpListener, Failure> {
    throng_engine::listen(at, backlog, reach, options).map_err(|e| {
        let remedy = match e.kind() {
            io::ErrorKind::AddrInUse => in_use(at),
            io::ErrorKind::PermissionDenied => {
                "; ports below net.ipv4.ip_unprivileged_port_start need root".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => {
                "; this machine has no such address (ip address)".to_owned()
            }
            _ => String::new(),
        };
        Failure::refused(format!("can't listen on {at}: {e}{remedy}"))
    })
}

/// Why `at` is in use, as far as that is visible. Connections of a listener without SO_REUSEADDR keep the port, too,
/// for the minute of their TIME_WAIT.
fn in_use(at: SocketAddr) -> String {
    match listeners::in_the_way(at) {
        Some(other) => format!(
            "; {} listens at {}: choose another port, or 0 for any",
            other.owner(),
            other.address
        ),
        None => "; no listener is visible there: the port is bound without one, or connections of an ended process \
                 remain (in TIME_WAIT for a minute): wait, or choose another port, or 0 for any"
            .to_owned(),
    }
}
