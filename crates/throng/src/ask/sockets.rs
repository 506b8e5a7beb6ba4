//! Socket options, of either end.

use crate::cli::{SocketArgs, Switch};
use throng_core::scenario::SocketOptions;

/// The socket options that `args` ask for. Nagle's algorithm is on if they say nothing and it is `usually`.
pub(crate) fn options(args: &SocketArgs, usually: bool) -> SocketOptions {
    SocketOptions {
        nagle: args.nagle.map_or(usually, |switch| switch == Switch::On),
        receive_buffer: args.rcvbuf,
        send_buffer: args.sndbuf,
        keepalive: args.keepalive,
        user_timeout: args.user_timeout,
        congestion: args.congestion.clone(),
        mark: args.mark,
        tos: args.tos.or(args.dscp),
        linger: args.linger,
        bind_device: args.bind_device.clone(),
        mptcp: args.mptcp,
    }
}
