//! What a `throng serve` is to do.

use super::load::{readable_identity, server};
use super::texts;
use crate::Failure;
use crate::cli::ServeArgs;
use throng_core::scenario::{Options, ServeMode, ServeScenario, WebSocketAsked};

/// What `args` ask for, and what a sender sends how often.
pub(crate) fn scenario(args: &ServeArgs) -> Result<ServeScenario, Failure> {
    let mode = ServeMode::from(args.mode);
    let messages = texts::messages(&args.messages)?;
    let wrong = |line: &str| Err(Failure::usage(line));
    match (mode, messages.is_empty()) {
        (ServeMode::Chargen, true) => {
            return wrong("--mode chargen needs a message to send: add -m or -f");
        }
        (ServeMode::Chargen, false) | (_, true) => {}
        (_, false) => return wrong("only --mode chargen sends messages of its own"),
    }
    if args.message_rate.is_some() && !texts::says_something(&messages.repeated) {
        return wrong("--message-rate needs a message to send: add -m or -f");
    }
    let server = args
        .tls
        .tls
        .then(|| server(&args.tls, false, !args.no_resumption));
    if server.is_some() {
        readable_identity(server.as_ref())?;
    } else {
        let of_tls = [
            (args.tls.ssl_cert.is_some(), "--ssl-cert"),
            (args.tls.ssl_key.is_some(), "--ssl-key"),
            (!args.tls.alpn.is_empty(), "--alpn"),
            (args.no_resumption, "--no-resumption"),
        ];
        if let Some((_, option)) = of_tls.iter().find(|(given, _)| *given) {
            return Err(Failure::usage(format!("{option} is for TLS: add --tls")));
        }
    }
    let websocket = matches!(mode, ServeMode::Ws | ServeMode::WsSink);
    Ok(ServeScenario {
        listen: args.listen.clone(),
        mode,
        backlog: args.backlog,
        max_connections: args.max_connections,
        duration: args.duration,
        workers: args.workers,
        engine: args.common.engine.into(),
        force: args.force,
        options: Options {
            messages,
            rate: args.message_rate,
            tls_server: server,
            websocket: websocket.then(WebSocketAsked::default),
            verbosity: 1,
            ..Options::default()
        },
    })
}
