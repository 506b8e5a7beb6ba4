//! Opens a listener. The error says why it failed and what to do.

use crate::Failure;
use std::io;
use std::net::{SocketAddr, TcpListener};
use throng_engine::{Reach, SocketOptions};
use throng_host::listeners;

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
