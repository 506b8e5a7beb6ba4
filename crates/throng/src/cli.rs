//! The command line: every option, its help and its parsing. Help, man pages and completions are all
//! generated from here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use throng_core::capacity::Role;
use throng_core::scenario::{EngineChoice, ServeMode};
use throng_core::tune::Extra;
use throng_core::units::Rate;
use throng_core::{address, units};

/// How many TCP connections can it hold? throng finds out by holding them.
#[derive(Parser)]
#[command(name = "throng", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Numbers take k and m (1000, 1000²), sizes k, m and g (1024 …), times us, ms, s, m, h and d.

Results go to stdout, progress and warnings to stderr.
Exit codes: 0 as asked; 1 the run fell short; 2 usage, or a run that this machine can't do;
130 interrupted (the summary so far is still printed; a second Ctrl-C ends at once).";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Open connections, keep them open, send traffic, measure
    // No allow_negative_numbers: -1 is an option.
    #[command(after_help = LOAD_EXAMPLES)]
    Load(Box<LoadArgs>),
    /// Accept connections and hold them: sink or echo
    #[command(after_help = SERVE_EXAMPLES, allow_negative_numbers = true)]
    Serve(ServeArgs),
    /// Tell what this machine can hold and what N connections need, limit by limit
    #[command(after_help = PLAN_EXAMPLES, allow_negative_numbers = true)]
    Plan(Box<PlanArgs>),
    /// Check, set and put back the system's limits for N connections
    #[command(after_help = TUNE_EXAMPLES, allow_negative_numbers = true)]
    Tune(TuneArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  throng completions bash > /etc/bash_completion.d/throng")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages
    #[command(after_help = "Example:\n  throng man /usr/local/share/man/man1")]
    Man {
        /// The directory to write them to
        directory: PathBuf,
    },
}

const LOAD_EXAMPLES: &str = "\
Examples:
  throng load --self -c 1m
      A million connections from this process to itself: both ends, no set-up.
  throng load -c 100k 10.0.0.7:9000 10.0.0.7:9001
      100,000 connections to two ports in turn, held for ten seconds.
  throng load -c 50k -m 'ping\\n' -e -r 0.1 --hold 5m chat.example.com:5222
      Each connection sends a line every ten seconds, all together 5,000 evenly spread a second.
  throng load --self=echo -c 1k -m 'hello' --closed-loop
      Round trips: send, wait for the echo, send again.";

const SERVE_EXAMPLES: &str = "\
Examples:
  throng serve 9000                 hold whatever connects to port 9000, discard what it sends
  throng serve --mode echo [::1]:7  send everything back
  throng serve --duration 60s --output json 127.0.0.1:9000 127.0.0.1:9001";

const PLAN_EXAMPLES: &str = "\
Examples:
  throng plan
      What this machine can hold with both ends here, as a server, as a client.
  throng plan -c 100k --target 10.0.0.7:80
      What would have to change here for 100,000 connections to that server.
  throng plan -c 1m --per-client 25k --target 10.0.0.7:80
      How many client hosts or containers that is, and the commands that start them.
  throng plan -c 1m --proxies 4 --target 10.0.1.1:80 --target 10.0.1.2:80
      Whether the ports of four reverse proxies towards two backends do.
  throng plan --survey > host.json; throng plan --host host.json -c 1m --role server
      Plan for a machine you are not on.
Exit codes: 0 it fits, or no number was asked for; 1 it does not; 2 usage.";

#[derive(Args)]
pub(crate) struct PlanArgs {
    /// Connections to plan for: what would have to change here for so many
    #[arg(short, long, value_name = "N", value_parser = planned)]
    pub connections: Option<u64>,

    /// Which end of the connections is on this machine [default: client with a target, else both]
    #[arg(long, value_name = "ROLE")]
    pub role: Option<RoleArg>,

    /// Where connections go: name, IPv4 or [IPv6] address, and port; repeatable
    #[arg(short, long, value_name = "HOST:PORT")]
    pub target: Vec<String>,

    /// Source address: one, a range 10.0.0.5-10.0.0.9, or a block 10.0.0.0/28; repeatable
    #[arg(long, value_name = "IP", value_parser = source_range)]
    pub source_ip: Vec<Sources>,

    /// Connections that one client host or container is to hold: how many of them that is
    #[arg(long, value_name = "N", requires = "connections", value_parser = planned)]
    pub per_client: Option<u64>,

    /// Reverse proxies before the targets, which then are their backends
    #[arg(long, value_name = "K", value_parser = connections)]
    pub proxies: Option<u32>,

    /// Bytes of a message: reckon with socket buffers, once traffic flows
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    pub message_size: Option<u64>,

    /// Messages a second on each connection [default: as fast as they go]
    #[arg(short, long, value_name = "R", requires = "message_size")]
    pub rate: Option<Rate>,

    /// New connections a second: whether accept queue and network stand them
    #[arg(long, value_name = "R")]
    pub connect_rate: Option<Rate>,

    /// Which event loop: the file limit does not bind io_uring
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: EngineArg,

    /// Threads on each side [default: one a core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub workers: Option<u32>,

    /// Print what was read of this machine, as JSON for --host, and no plan
    #[arg(long, conflicts_with_all = ["host", "connections", "output"])]
    pub survey: bool,

    /// Plan for the machine that a survey was made on
    #[arg(long, value_name = "FILE")]
    pub host: Option<PathBuf>,

    /// How to print the plan
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: OutputForm,

    /// Write it to a file instead of stdout
    #[arg(long, value_name = "F")]
    pub output_file: Option<PathBuf>,
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

const TUNE_EXAMPLES: &str = "\
Examples:
  throng tune --role server -c 1m
      What is short for a server of a million connections; changes nothing.
  sudo throng tune --role server -c 1m --port 9000 --apply
      Sets it. The old values go to a state file first.
  sudo throng tune --revert
      Puts everything back, also after a crash, a reboot, or half of an --apply.
  sudo throng tune --role server -c 1m --apply --persist
      Also for after a reboot: files in sysctl.d, limits.d and systemd's directories.
  throng tune --role client -c 200k --script > tune.sh
  throng tune --role server -c 1m --port 9000 --container
  throng tune --role server -c 1m --os freebsd

Exit codes: 0 all is as wanted; 1 something is short, or could not be set or put back; 2 usage.";

#[derive(Args)]
#[command(next_line_help = false)]
pub(crate) struct LoadArgs {
    /// Where to connect to, in turn: name, IPv4 or [IPv6] address, and port
    #[arg(
        value_name = "HOST:PORT",
        required_unless_present = "own_server",
        conflicts_with = "own_server"
    )]
    pub targets: Vec<String>,

    /// Serve from this process too, on loopback, and connect to that
    #[arg(long = "self", value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "sink")]
    pub own_server: Option<Mode>,

    /// Connections to open and keep open
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = connections)]
    pub connections: u32,

    /// New connections a second [default: as fast as the target takes them]
    #[arg(long, value_name = "R")]
    pub connect_rate: Option<Rate>,

    /// How long one attempt to connect may take
    #[arg(long, value_name = "T", default_value = "5s", value_parser = positive_duration)]
    pub connect_timeout: Duration,

    /// Threads on each side [default: one a core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub workers: Option<u32>,

    /// How long the whole run may take [default: as long as it needs]
    #[arg(short = 'T', long, value_name = "T", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    /// How long to go on after the last connection is up
    #[arg(long, value_name = "T", default_value = "10s", value_parser = units::duration)]
    pub hold: Duration,

    /// Message to send again and again on each connection
    #[arg(short, long, value_name = "S", conflicts_with = "message_file")]
    pub message: Option<String>,

    /// The same, read from a file
    #[arg(short = 'f', long, value_name = "FILE")]
    pub message_file: Option<PathBuf>,

    /// Message to send once when a connection opens
    #[arg(short = '1', long, value_name = "S")]
    pub first_message: Option<String>,

    /// Messages a second on each connection; 0.1 is one every ten seconds [default: as fast as they go]
    #[arg(short = 'r', long, value_name = "R")]
    pub message_rate: Option<Rate>,

    /// Send a message only when the one before has been echoed in full
    #[arg(long, conflicts_with = "message_rate")]
    pub closed_loop: bool,

    /// Closed loop: messages under way at once, passed from connection to connection in turn
    /// [default: one on each]
    #[arg(long, value_name = "N", requires = "closed_loop", value_parser = connections)]
    pub in_flight: Option<u32>,

    /// Send nothing before all connections are up
    #[arg(long)]
    pub after_ramp: bool,

    /// Read escapes (\n \r \t \0 \xHH \ooo \\) in messages
    #[arg(short = 'e', long)]
    pub unescape_message_args: bool,

    /// Source address: one, a range 127.1.0.1-127.1.0.40, or a block 10.0.0.0/28; repeatable
    #[arg(long, value_name = "IP", value_parser = source_range, conflicts_with = "own_server")]
    pub source_ip: Vec<Sources>,

    /// Leave a connection that failed or closed as it is, instead of opening it again
    #[arg(long)]
    pub no_reconnect: bool,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    /// Where to listen: PORT, ADDR:PORT or [ADDR6]:PORT; a port alone takes IPv6 and IPv4
    #[arg(value_name = "[ADDR:]PORT", required = true, value_parser = address::listen)]
    pub listen: Vec<SocketAddr>,

    /// What to do with what comes in
    #[arg(long, value_name = "MODE", default_value = "sink")]
    pub mode: Mode,

    /// Length of the accept queue [default: net.core.somaxconn]
    #[arg(long, value_name = "N", value_parser = connections)]
    pub backlog: Option<u32>,

    /// Connections to hold at once, at most [default: as many as fit]
    #[arg(long, value_name = "N", value_parser = connections)]
    pub max_connections: Option<u32>,

    /// Threads [default: one a core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub workers: Option<u32>,

    /// How long to serve [default: until Ctrl-C]
    #[arg(short = 'T', long, value_name = "T", value_parser = positive_duration)]
    pub duration: Option<Duration>,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").args(["apply", "revert", "script", "container", "os"]))]
pub(crate) struct TuneArgs {
    /// Which end of the connections is on this machine
    #[arg(long, value_name = "ROLE", default_value = "both")]
    pub role: RoleArg,

    /// Connections to tune for
    #[arg(short, long, value_name = "N", default_value = "1m", value_parser = connections)]
    pub connections: u32,

    /// Port of the server, here or at the target: to be kept free, or out of connection tracking;
    /// repeatable
    #[arg(long, value_name = "P", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Vec<u16>,

    /// Also change a setting that takes something away; repeatable
    #[arg(long, value_name = "SETTING", value_delimiter = ',')]
    pub with: Vec<ExtraArg>,

    /// Set what is short; the old values are kept in the state file
    #[arg(long)]
    pub apply: bool,

    /// Put the old values back and remove what --persist wrote
    #[arg(long)]
    pub revert: bool,

    /// With --apply: also write the files that make it outlast a reboot
    #[arg(long, requires = "apply")]
    pub persist: bool,

    /// The process whose file limit counts; with --apply it is raised
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,

    /// With --revert: also write over what somebody else has changed since
    #[arg(long, requires = "revert")]
    pub force: bool,

    /// Print a shell script that does it instead
    #[arg(long)]
    pub script: bool,

    /// Print flags for docker run and Compose instead
    #[arg(long)]
    pub container: bool,

    /// Print a shell script for this system instead
    #[arg(long, value_name = "OS")]
    pub os: Option<OsArg>,

    /// State file [default: /var/lib/throng/tune.json, or throng/tune.json in $XDG_STATE_HOME]
    #[arg(long, value_name = "F")]
    pub state: Option<PathBuf>,

    /// The system whose files below /proc/sys and /etc are meant, if it is not this one: a copy of them
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,

    /// How to print what was found and done; docs/tune.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", conflicts_with_all = ["script", "container", "os"])]
    pub output: OutputForm,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ExtraArg {
    /// SYN cookies off: no protection against SYN floods
    SyncookiesOff,
    /// Connections to the ports out of connection tracking: changes the firewall
    Notrack,
    /// A shorter tcp_fin_timeout: slow peers get resets
    FinTimeout,
}

impl From<ExtraArg> for Extra {
    fn from(extra: ExtraArg) -> Extra {
        match extra {
            ExtraArg::SyncookiesOff => Extra::SyncookiesOff,
            ExtraArg::Notrack => Extra::Notrack,
            ExtraArg::FinTimeout => Extra::FinTimeout,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum OsArg {
    /// As --script
    Linux,
    /// FreeBSD 12 and later
    Freebsd,
    /// macOS
    Macos,
}

/// Options of every run.
#[derive(Args)]
pub(crate) struct Common {
    /// Which event loop: io_uring is not bound by the file limit, epoll works everywhere
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: EngineArg,

    /// Go ahead although the plan says that it can't work, and don't hold back for a full accept queue
    #[arg(long)]
    pub force: bool,

    /// How to print the summary
    /// How to print the summary; docs/summary.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: OutputForm,

    /// Write the summary to a file instead of stdout
    #[arg(long, value_name = "F")]
    pub output_file: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Clone, Copy, ValueEnum)]
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// For people
    Text,
    /// For scripts: one JSON object (docs/summary.md, docs/plan.md)
    /// For scripts: one JSON object
    Json,
}

/// The addresses that one `--source-ip` stands for.
#[derive(Clone)]
pub(crate) struct Sources(pub Vec<IpAddr>);

fn source_range(text: &str) -> Result<Sources, address::AddressError> {
    address::sources(text).map(Sources)
}

/// More connections than this can't be numbered with 24-bit slots in 32-bit tables on one machine, nor
/// held in any memory there is (half a terabyte).
const MAX_CONNECTIONS: u32 = 100_000_000;

fn connections(text: &str) -> Result<u32, String> {
    match units::count(text).map_err(|e| e.to_string())? {
        0 => Err("at least 1 is needed".into()),
        n if n > MAX_CONNECTIONS => Err("at most 100m are possible".into()),
        n => Ok(n),
    }
}

/// A plan is not bound by what one process can number.
fn planned(text: &str) -> Result<u64, String> {
    match units::count(text).map_err(|e| e.to_string())? {
        0 => Err("at least 1 is needed".into()),
        n => Ok(n.into()),
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
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
