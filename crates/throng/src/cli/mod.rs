//! The command line: every option, its help and its parsing. Help, man pages and completions are all
//! generated from here. A file for each subcommand; `messages` and `tls` are options that several share,
//! and `tcpkali` is what is different when the program is called by that name.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

mod load;
mod messages;
mod serve;
pub(crate) mod tcpkali;
mod tls;

pub(crate) use load::{ArrivalsArg, DumpArgs, LoadArgs, Speed, StatsdArgs, Switch};
pub(crate) use messages::{From as MessageFrom, MessageArgs};
pub(crate) use serve::ServeArgs;
pub(crate) use tls::TlsServerArgs;

use crate::commands::Command;
use clap::{Args, Parser, ValueEnum};
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use throng_core::capacity::Role;
use throng_core::engine::EngineChoice;
use throng_core::scenario::ServeMode;
use throng_core::{address, units};

/// How many TCP connections can it hold? throng finds out by holding them.
#[derive(Parser)]
#[command(name = "throng", version, max_term_width = 100, after_help = after_help())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const UNITS: &str = "\
Numbers take k and m (1000, 1000²), sizes k, m and g (1024 …), bandwidths kbps, Mbps (bits), kBps,
MBps (bytes), times us, ms, s, m, h and d.";

const EXIT_CODES: &str = "\
Results go to stdout, progress and warnings to stderr.
Exit codes: 0 as asked; 1 the run fell short; 2 usage, or a run that this machine can't do;
130 interrupted (the summary so far is still printed; a second Ctrl-C ends at once).";

const AS_TCPKALI: &str =
    "Through a link named tcpkali, it takes tcpkali's command lines and prints tcpkali's lines.";

fn after_help() -> String {
    format!("{UNITS}\n\n{EXIT_CODES}\n\n{AS_TCPKALI}")
}

/// What stands below the options of a run.
pub(crate) fn after_help_of_run(examples: &str) -> String {
    format!("{examples}\n\n{UNITS}\n\n{EXIT_CODES}")
}

impl Cli {
    /// What these words ask for. The first one is the program's name.
    ///
    /// # Errors
    /// What clap says of bad arguments, or the help or version that was asked for.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
        let words: Vec<OsString> = words.into_iter().collect();
        if tcpkali::is_called(words.first()) {
            let args = tcpkali::read(words)?;
            let command = Command::Load(Box::new(args));
            return Ok(Cli { command });
        }
        Cli::try_parse_from(words)
    }
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
const CONNECTIONS: &str = "Connections";
const MESSAGES: &str = "Messages";
const PACE: &str = "Pace";
const LATENCY: &str = "Latency";
const LISTENING: &str = "Listening in the same process";
const WEBSOCKET: &str = "WebSocket";
const TLS: &str = "TLS";
const SOCKETS: &str = "Sockets";
const RUN: &str = "Run";
const OUTPUT: &str = "Output";
const STATSD: &str = "StatsD";

/// Options of every run.
#[derive(Args)]
pub(crate) struct Common {
    /// Which event loop: io_uring is not bound by the file limit, epoll works everywhere
    #[arg(long, value_name = "ENGINE", default_value = "auto", help_heading = RUN)]
    pub engine: EngineArg,

    /// How to print the summary; docs/summary.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = OUTPUT)]
    pub output: OutputForm,

    /// Write the summary to a file instead of stdout
    #[arg(long, value_name = "F", help_heading = OUTPUT)]
    pub output_file: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
}

/// What the server of `load --self` does.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Count and discard
    Sink,
    /// Send everything back
    Echo,
}

impl From<Mode> for ServeMode {
    fn from(mode: Mode) -> ServeMode {
        match mode {
            Mode::Sink => ServeMode::Sink,
            Mode::Echo => ServeMode::Echo,
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

/// How a run's summary is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// For people
    Text,
    /// For scripts: one JSON object
    Json,
    /// tcpkali's lines; load takes its defaults, too
    Tcpkali,
}

/// How any other document is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentForm {
    /// For people
    Text,
    /// For scripts: one JSON object
    Json,
}

/// The addresses that one `--source-ip` stands for.
#[derive(Clone)]
pub(crate) struct Sources(pub Vec<IpAddr>);

pub(crate) fn source_range(text: &str) -> Result<Sources, address::AddressError> {
    address::sources(text).map(Sources)
}

/// More connections than this can't be numbered with 24-bit slots in 32-bit tables on one machine, nor
/// held in any memory there is (half a terabyte).
const MAX_CONNECTIONS: u32 = 100_000_000;

pub(crate) fn connections(text: &str) -> Result<u32, String> {
    match units::count(text).map_err(|e| e.to_string())? {
        0 => Err("at least 1 is needed".into()),
        n if n > MAX_CONNECTIONS => Err("at most 100m are possible".into()),
        n => Ok(n),
    }
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
    match text.parse() {
        Ok(n @ 1..=1024) => Ok(n),
        _ if text == "s" => Err("-w takes a number of threads; for WebSocket write --ws".into()),
        _ => Err("a whole number of 1..=1024 is needed".into()),
    }
}

pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    match units::duration(text).map_err(|e| e.to_string())? {
        Duration::ZERO => Err("it must be longer than 0".into()),
        d => Ok(d),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
