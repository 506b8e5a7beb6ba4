//! Probes of what stands between two ends: [`serve`] is the far one, the others the near one. Each is a loop of its own over
//! epoll: a probe has some thousand connections, each with a life of its own, and its times matter more than its costs.

mod flows;
mod idle;
mod near;
mod path;
mod rate;
mod server;
mod table;

pub use idle::{Idle, idle};
pub use path::path;
pub use rate::{FlowRate, rate};
pub use server::serve;
pub use table::{Table, table};

use crate::Failure;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use throng_core::probe::End;
use throng_engine::SocketOptions;

/// Why a target can't be probed.
fn no_far_end(target: SocketAddr, why: &str) -> Failure {
    Failure::fault(format!(
        "{target}: {why}; the far end of a probe is `throng probe --server {}`",
        target.port()
    ))
}

/// Why a connection did not come up, in words.
fn refused(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection was refused (RST)".into(),
        io::ErrorKind::TimedOut => "no answer to the handshake".into(),
        _ => format!("can't connect: {error}"),
    }
}

/// How a connection ended, in words.
fn ended(end: End) -> &'static str {
    match end {
        End::Closed => "it closed the connection (FIN)",
        End::Reset => "it reset the connection (RST)",
        End::TimedOut => "the connection timed out",
        End::Failed => "this host lost the connection",
    }
}

/// Closing flows with these options resets them, so that they leave the path's table soon, and their ports can be used again.
fn resetting() -> SocketOptions {
    SocketOptions {
        linger: Some(Duration::ZERO),
        ..SocketOptions::default()
    }
}
