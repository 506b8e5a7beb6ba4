//! The scenario of a `throng serve`.

use super::load::server;
use super::{sockets, target, texts};
use crate::Failure;
use crate::cli::ServeArgs;
use throng_core::scenario::ServeScenario;

/// The scenario that `args` ask for.
pub(crate) fn scenario(args: &ServeArgs) -> Result<ServeScenario, Failure> {
    let scenario = ServeScenario {
        listen: target::serve_on(&args.listen)?,
        mode: args.mode,
        backlog: args.backlog,
        max_connections: args.max_connections,
        duration: args.duration,
        workers: args.workers,
        engine: args.engine.into(),
        force: args.force,
        message_rate: args.message_rate,
        messages: texts::messages(&args.messages)?,
        subprotocols: args.subprotocol.clone(),
        sockets: sockets::options(&args.sockets, false),
        fastopen: args.fastopen,
        proxy_protocol: args.proxy_protocol,
        proxy_source: args.proxy_source.clone(),
        tls: args
            .tls
            .tls
            .then(|| server(&args.tls, true, !args.no_resumption))
            .transpose()?,
    };
    let scenario = scenario
        .settled()
        .map_err(|e| Failure::usage(e.to_string()))?;
    if scenario.tls.is_some() {
        return Ok(scenario);
    }
    let of_tls = [
        (args.tls.ssl_cert.is_some(), "--ssl-cert"),
        (args.tls.ssl_key.is_some(), "--ssl-key"),
        (!args.tls.alpn.is_empty(), "--alpn"),
        (args.no_resumption, "--no-resumption"),
    ];
    match of_tls.iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(Failure::usage(format!("{option} is for TLS: add --tls"))),
        None => Ok(scenario),
    }
}
