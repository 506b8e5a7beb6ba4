//! What the options of several subcommands share: headings of the help, values, units and exit codes.

use clap::ValueEnum;
use throng_core::capacity::Role;
use throng_core::engine::EngineChoice;
use throng_core::scenario::{OwnServer, bounds};
use throng_core::units;

pub(super) const UNITS: &str = "\
Numbers take k and m (1000, 1000²), sizes k, m and g (1024 …), bandwidths kbps, Mbps (bits), kBps,
MBps (bytes), times us, ms, s, m, h and d.";

pub(super) const EXIT_CODES: &str = "\
Results go to stdout, progress and warnings to stderr.
Exit codes: 0 as asked; 1 the run fell short; 2 usage, or a run that this machine can't do;
130 interrupted (the summary so far is still printed; a second Ctrl-C ends at once).";

/// What stands below the options of a run.
pub(crate) fn after_help_of_run(examples: &str) -> String {
    format!("{examples}\n\n{UNITS}\n\n{EXIT_CODES}")
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// It connects
    Client,
    /// It accepts
    Server,
    /// Both ends are here
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
pub(super) const CONNECTIONS: &str = "Connections";
pub(super) const MESSAGES: &str = "Messages";
pub(super) const PACE: &str = "Pace";
pub(super) const LATENCY: &str = "Latency";
pub(super) const LISTENING: &str = "Listening in the same process";
pub(super) const WEBSOCKET: &str = "WebSocket";
pub(super) const TLS: &str = "TLS";
pub(super) const SOCKETS: &str = "Sockets";
pub(super) const RUN: &str = "Run";
pub(super) const OUTPUT: &str = "Output";
pub(super) const STATSD: &str = "StatsD";

/// What the server of `load --self` does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Count and discard
    Sink,
    /// Send everything back
    Echo,
}

impl From<Mode> for OwnServer {
    fn from(mode: Mode) -> OwnServer {
        match mode {
            Mode::Sink => OwnServer::Sink,
            Mode::Echo => OwnServer::Echo,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum EngineArg {
    /// io_uring where the kernel allows it, else epoll
    Auto,
    /// io_uring with direct descriptors
    Uring,
    /// One file descriptor a connection
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

/// How any other document is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentForm {
    /// For people
    Text,
    /// For scripts: one JSON object
    Json,
}

/// A plan is not bound by what one process can number.
pub(crate) fn planned(text: &str) -> Result<u64, String> {
    match units::count(text).map_err(|e| e.to_string())? {
        0 => Err("at least 1 is needed".into()),
        n => Ok(n.into()),
    }
}

/// Threads. tcpkali's users are used to a hint here.
pub(crate) fn workers(text: &str) -> Result<u32, String> {
    match text {
        "s" => Err("-w takes a number of threads; for WebSocket write --ws".into()),
        _ => bounds::workers(text).map_err(|e| e.to_string()),
    }
}
