//! The scenario of a `throng proxy`.

use super::args::ProxyArgs;
use crate::Failure;
use crate::ask::load::server;
use crate::ask::{sockets, target};
use throng_core::scenario::{ProxyScenario, TlsClient};

/// The backend that is the address that a client connected to. No other one has this name: it has no port.
const ORIGINAL: &str = "original";

/// The scenario that `args` ask for. The names of backends are not resolved yet.
pub(crate) fn scenario(args: &ProxyArgs) -> Result<ProxyScenario, Failure> {
    refuse_what_has_no_effect(args)?;
    let (original, to): (Vec<String>, Vec<String>) =
        args.to.iter().cloned().partition(|to| to == ORIGINAL);
    ProxyScenario {
        listen: target::listen_on(&args.listen)?,
        to: target::backends(&to)?,
        to_original: !original.is_empty(),
        balance: args.balance,
        source_ip: args.source_ip.clone(),
        transparent: args.transparent,
        send_proxy: args.send_proxy.map(Into::into),
        accept_proxy: args.accept_proxy,
        tls: args
            .tls
            .tls
            .then(|| server(&args.tls, true, !args.no_resumption))
            .transpose()?,
        backend_tls: args.backend_tls.then(|| TlsClient {
            cacert: args.backend_cacert.clone().map(Into::into),
            insecure: args.backend_insecure,
            alpn: args.backend_alpn.clone(),
            sni: args.backend_sni.clone(),
            resume: args.backend_resume,
        }),
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

/// Refuses options of TLS where it is not spoken, and rules where none are needed.
fn refuse_what_has_no_effect(args: &ProxyArgs) -> Result<(), Failure> {
    let needs_rules = args.transparent || args.to.iter().any(|to| to == ORIGINAL);
    if args.print_rules.is_some() && !needs_rules {
        return Err(Failure::usage(
            "--print-rules prints what --transparent and --to original need: add one of them",
        ));
    }
    let tls = &args.tls;
    let clients = [
        (tls.ssl_cert.is_some(), "--ssl-cert"),
        (tls.ssl_key.is_some(), "--ssl-key"),
        (!tls.alpn.is_empty(), "--alpn"),
        (args.no_resumption, "--no-resumption"),
    ];
    let backends = [
        (args.backend_cacert.is_some(), "--backend-cacert"),
        (args.backend_insecure, "--backend-insecure"),
        (args.backend_sni.is_some(), "--backend-sni"),
        (!args.backend_alpn.is_empty(), "--backend-alpn"),
        (args.backend_resume, "--backend-resume"),
    ];
    for (speaks, given, needs, who) in [
        (tls.tls, &clients[..], "--tls", "clients"),
        (args.backend_tls, &backends[..], "--backend-tls", "backends"),
    ] {
        if let (false, Some((_, option))) = (speaks, given.iter().find(|(given, _)| *given)) {
            return Err(Failure::usage(format!(
                "{option} is for TLS with {who}: add {needs}"
            )));
        }
    }
    Ok(())
}
