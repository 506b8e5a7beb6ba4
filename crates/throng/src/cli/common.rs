//! What several subcommands share: headings of the help, values, units and exit codes.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use throng_core::capacity::Role;
use throng_core::engine::EngineChoice;
use throng_core::protocol::{ProtocolKind, ServeMode};
use throng_core::scenario::{OwnServer, bounds};
use throng_core::units;

// Each paragraph is one line, which the terminal's width breaks.
pub(crate) const UNITS: &str = "\
Counts and rates accept k and m (thousand, million), sizes k, m and g (powers of 1,024), bandwidths kbps and Mbps \
(bits) or kBps and MBps (bytes), times us, ms, s, m, h and d. 10,000, 10_000, 1e6 and 1m30s are numbers, too.";

pub(crate) const EXIT_CODES: &str = "\
Results go to stdout, progress and warnings to stderr.

Exit codes: 0 all that was asked for was achieved; 1 it was not; 2 bad usage, or a run that this machine cannot do; 130 \
interrupted (the summary so far is still printed; a second Ctrl-C exits).";

/// The text below the options of a run.
pub(crate) fn after_help_of_run(examples: &str) -> String {
    format!("{examples}\n\n{UNITS}\n\n{EXIT_CODES}")
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// This machine connects
    Client,
    /// This machine accepts
    Server,
    /// Both ends are on this machine
    Both,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Role {
        match role {
            RoleArg::Client => Role::Client,
            RoleArg::Server => Role::Server,
            RoleArg::Both => Role::Both,
        }
    }
}

// The headings of the help.
pub(crate) const CONNECTIONS: &str = "Connections";
pub(super) const MESSAGES: &str = "Messages";
pub(super) const PACE: &str = "Pace";
pub(crate) const LATENCY: &str = "Latency";
pub(super) const LISTENING: &str = "Listening in the same process";
pub(crate) const TLS: &str = "TLS";
pub(super) const SOCKETS: &str = "Sockets";
pub(crate) const RUN: &str = "Run";
pub(crate) const OUTPUT: &str = "Output";
pub(crate) const METRICS: &str = "Metrics";
pub(crate) const STATSD: &str = "StatsD";

/// What the server of `load --self` does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    /// What it does with messages.
    pub server: OwnServer,
    /// The protocol that its name implies, if it implies one.
    pub protocol: Option<ProtocolKind>,
    /// Its name.
    pub name: &'static str,
}

impl Mode {
    /// Reads the name of a mode.
    pub(super) fn parser() -> impl TypedValueParser<Value = Mode> {
        let own = |mode: &ServeMode| mode.of_own_server().is_some();
        let all = ServeMode::ALL.iter().copied().filter(own);
        let all = all.map(|mode| PossibleValue::new(mode.name()).help(mode.about()));
        PossibleValuesParser::new(all).try_map(|name| {
            let mode = ServeMode::named(&name).and_then(|mode| Some((mode, mode.of_own_server()?)));
            let (mode, (kind, echo)) = mode.ok_or("no such mode")?;
            Ok::<Mode, &str>(Mode {
                server: match echo {
                    true => OwnServer::Echo,
                    false => OwnServer::Sink,
                },
                protocol: (kind != ProtocolKind::default()).then_some(kind),
                name: mode.name(),
            })
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum EngineArg {
    /// io_uring if the kernel allows it, else epoll
    Auto,
    /// io_uring with direct descriptors
    Uring,
    /// epoll, with one file descriptor per connection
    Epoll,
}

impl From<EngineArg> for EngineChoice {
    fn from(engine: EngineArg) -> EngineChoice {
        match engine {
            EngineArg::Auto => EngineChoice::Auto,
            EngineArg::Uring => EngineChoice::Uring,
            EngineArg::Epoll => EngineChoice::Epoll,
        }
    }
}

/// The format of any other document.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentForm {
    /// For people
    Text,
    /// For scripts: one JSON object
    Json,
}

/// Connections to plan for. A plan may exceed what one process can number.
pub(crate) fn planned(text: &str) -> Result<u64, String> {
    match units::count(text).map_err(|e| e.to_string())? {
        0 => Err("at least 1 is needed".into()),
        n => Ok(n.into()),
    }
}

/// Threads. As tcpkali does, it hints at `--ws` for `-ws`.
pub(crate) fn workers(text: &str) -> Result<u32, String> {
    match text {
        "s" => Err("-w sets the number of threads; write --ws for WebSocket".into()),
        _ => bounds::workers(text).map_err(|e| e.to_string()),
    }
}
