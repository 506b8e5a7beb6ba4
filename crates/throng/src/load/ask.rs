//! From the command line to a scenario: names resolved, files read, escapes unescaped.

use crate::Failure;
use crate::cli::LoadArgs;
use std::net::{SocketAddr, ToSocketAddrs};
use throng_core::address;
use throng_core::payload::{Messages, unescape};
use throng_core::scenario::{LoadScenario, Repeat};

/// The largest message: offsets in a template are 32 bits wide.
const MAX_MESSAGE: usize = 1 << 30;

/// What `args` ask for.
pub(crate) fn scenario(args: &LoadArgs) -> Result<LoadScenario, Failure> {
    let messages = messages(args)?;
    let repeat = match (args.message_rate, args.closed_loop) {
        (Some(rate), _) => Repeat::Paced(rate),
        (None, true) => Repeat::ClosedLoop,
        (None, false) => Repeat::Flood,
    };
    if messages.repeated.is_empty() && repeat != Repeat::Flood {
        let option = if args.closed_loop {
            "--closed-loop"
        } else {
            "--message-rate"
        };
        return Err(Failure::usage(format!(
            "{option} needs a message to send: add -m or -f"
        )));
    }
    if args.closed_loop && matches!(args.own_server, Some(crate::cli::Mode::Sink)) {
        return Err(Failure::usage(
            "--closed-loop waits for echoes, and a sink sends none: write --self=echo",
        ));
    }
    Ok(LoadScenario {
        targets: args
            .targets
            .iter()
            .map(|t| resolve(t))
            .collect::<Result<_, _>>()?,
        own_server: args.own_server.map(Into::into),
        connections: args.connections,
        connect_rate: args.connect_rate,
        connect_timeout: args.connect_timeout,
        sources: args
            .source_ip
            .iter()
            .flat_map(|s| s.0.iter().copied())
            .collect(),
        reconnect: !args.no_reconnect,
        messages,
        repeat,
        in_flight: args.in_flight,
        traffic_after_ramp: args.after_ramp,
        hold: args.hold,
        duration: args.duration,
        workers: args.workers,
        engine: args.common.engine.into(),
        force: args.common.force,
    })
}

pub(crate) fn resolve(target: &str) -> Result<SocketAddr, Failure> {
    let (host, port) = address::host_port(target).map_err(|e| Failure::usage(e.to_string()))?;
    let mut found = (host.as_str(), port)
        .to_socket_addrs()
        .map_err(|e| Failure::usage(format!("target '{target}': can't resolve '{host}': {e}")))?;
    found
        .next()
        .ok_or_else(|| Failure::usage(format!("target '{target}': '{host}' has no address")))
}

fn messages(args: &LoadArgs) -> Result<Messages, Failure> {
    let text = |option: &str, text: &Option<String>| match text {
        None => Ok(Vec::new()),
        Some(text) if args.unescape_message_args => {
            unescape(text.as_bytes()).map_err(|e| Failure::usage(format!("{option} '{text}': {e}")))
        }
        Some(text) => Ok(text.clone().into_bytes()),
    };
    let first = text("--first-message", &args.first_message)?;
    let repeated = match &args.message_file {
        None => text("--message", &args.message)?,
        Some(path) => {
            let bytes = std::fs::read(path)
                .map_err(|e| Failure::usage(format!("--message-file {}: {e}", path.display())))?;
            if args.unescape_message_args {
                unescape(&bytes).map_err(|e| {
                    Failure::usage(format!("--message-file {}: {e}", path.display()))
                })?
            } else {
                bytes
            }
        }
    };
    for (what, bytes) in [("first message", &first), ("message", &repeated)] {
        if bytes.len() > MAX_MESSAGE {
            return Err(Failure::usage(format!(
                "the {what} is {} bytes long; at most 1 GiB is possible",
                bytes.len()
            )));
        }
    }
    let one = |bytes: Vec<u8>| match bytes.is_empty() {
        true => Vec::new(),
        false => vec![bytes.into()],
    };
    Ok(Messages {
        first: one(first),
        repeated: one(repeated),
    })
}
