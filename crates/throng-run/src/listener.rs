//! Opening a listener, or saying why not and what to do.

use crate::Failure;
use std::io;
use std::net::{SocketAddr, TcpListener};
use throng_engine::{Reach, SocketOptions};

/// Listens at `at`.
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
                "; ports below net.ipv4.ip_unprivileged_port_start need root"
            }
            io::ErrorKind::AddrNotAvailable => "; this machine has no such address (ip address)",
            _ => "",
        };
        Failure::refused(format!("can't listen on {at}: {e}{remedy}"))
    })
}

/// Why `at` is in use, as far as can be told. Connections keep a port, too: those of a listener that had no
/// SO_REUSEADDR, for the minute of their TIME_WAIT.
fn in_use(at: SocketAddr) -> &'static str {
    match throng_host::listen::accept_queue(at) {
        Ok(Some(_)) => "; another socket listens there: choose another port, or 0 for any",
        Ok(None) | Err(_) => {
            "; nobody is seen to listen there: the port is bound on another address, or has connections left of \
             a process that ended (TIME_WAIT, a minute): wait, or choose another port, or 0 for any"
        }
    }
}
