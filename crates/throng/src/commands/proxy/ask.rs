//! The scenario of a `throng proxy`.

use super::args::ProxyArgs;
use crate::Failure;
use crate::ask::{sockets, target};
use throng_core::scenario::ProxyScenario;

/// The scenario that `args` ask for. The names of backends are not resolved yet.
pub(crate) fn scenario(args: &ProxyArgs) -> Result<ProxyScenario, Failure> {
    ProxyScenario {
        listen: target::listen_on(&args.listen)?,
        to: target::backends(&args.to)?,
        balance: args.balance,
        source_ip: args.source_ip.clone(),
        transparent: args.transparent,
        send_proxy: args.send_proxy.map(Into::into),
        accept_proxy: args.accept_proxy,
        connect_timeout: args.connect_timeout,
        left_out: args.left_out,
        drain_timeout: args.drain_timeout,
        backlog: args.backlog,
        max_connections: args.max_connections,
        duration: args.duration,
        workers: args.workers,
        engine: args.engine.into(),
        force: args.force,
        sockets: sockets::options(&args.sockets, false),
    }
    .settled()
    .map_err(|e| Failure::usage(e.to_string()))
}
