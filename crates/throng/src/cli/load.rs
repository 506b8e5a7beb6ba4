//! The options of `throng load`.

use super::common::{
    CONNECTIONS, EngineArg, LATENCY, LISTENING, MESSAGES, Mode, PACE, RUN, SOCKETS, TLS, WEBSOCKET,
    workers,
};
use super::messages::MessageArgs;
use super::output::{LatencyOutputArgs, OutputArgs};
use super::tls::TlsServerArgs;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use throng_core::address::SourceRange;
use throng_core::protocol::dns::Query;
use throng_core::scenario::{Arrivals, ListenMode, MessageRate, bounds};
use throng_core::units::{self, Bandwidth, Rate};

const EXAMPLES: &str = "\
Examples:
  throng load --self -c 1m
      A million connections from this process to itself: both ends, no set-up.
  throng load -c 50k 10.0.0.7:9000 10.0.0.7:9001
      50,000 connections to two ports in turn, held for ten seconds.
  throng load -c 20k -m 'ping\\n' -e -r 0.1 --hold 5m chat.example.com:5222
      Each connection sends a line every ten seconds, all together 2,000 evenly spread a second.
  throng load --self=echo -c 1k -m 'hello' --closed-loop
      Round trips: send, wait for the echo, send again.
  throng load -c 100 -m '{\"op\":\"ping\"}' --latency-marker pong -r @10ms wss://chat.example.com/ws
      The highest rate at which 95 % of answers take less than 10 ms, by WebSocket over TLS.
  throng load -c 1k -m 'x' --profile '10s:1k, 30s:1k..50k, 10s:50k' --arrivals poisson 10.0.0.7:9000
      1,000 messages a second in all for ten seconds, then more and more up to 50,000.";

/// Open connections, keep them open, send traffic, measure
// No allow_negative_numbers: -1 is an option.
#[derive(Args)]
#[command(next_line_help = false, after_help = super::common::after_help_of_run(EXAMPLES))]
pub(crate) struct LoadArgs {
    /// Where to connect to, in turn: name, IPv4 or [IPv6] address, and port; or ws:// or wss://
    #[arg(
        value_name = "HOST:PORT",
        required_unless_present_any = ["own_server", "listen_port"],
        conflicts_with = "own_server"
    )]
    pub targets: Vec<String>,

    /// Serve from this process too, on loopback, and connect to that
    #[arg(
        long = "self",
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "sink",
        conflicts_with = "listen_port",
        help_heading = CONNECTIONS
    )]
    pub own_server: Option<Mode>,

    /// Connections to open and keep open
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = bounds::connections, help_heading = CONNECTIONS)]
    pub connections: u32,

    /// New connections a second [default: as fast as the target takes them]
    #[arg(long, value_name = "R", help_heading = CONNECTIONS)]
    pub connect_rate: Option<Rate>,

    /// How long one attempt to connect may take [default: 5s]
    #[arg(long, value_name = "T", value_parser = bounds::positive, help_heading = CONNECTIONS)]
    pub connect_timeout: Option<Duration>,

    /// Source address: one, a range 127.1.0.1-127.1.0.40, or a block 10.0.0.0/28; repeatable
    /// [default: the kernel's choice; on IPv4 loopback as many as are needed]
    #[arg(long, value_name = "IP", conflicts_with = "own_server", help_heading = CONNECTIONS)]
    pub source_ip: Vec<SourceRange>,

    /// Leave a connection that failed or closed as it is, instead of opening it again
    #[arg(long, help_heading = CONNECTIONS)]
    pub no_reconnect: bool,

    /// Close each connection so long after it came up
    #[arg(long, value_name = "T", value_parser = units::duration, help_heading = CONNECTIONS)]
    pub channel_lifetime: Option<Duration>,

    #[command(flatten)]
    pub messages: MessageArgs,

    /// DNS question over TCP as the message: a name and a record's type, as example.com/A; repeatable
    #[arg(
        long,
        value_name = "NAME/TYPE",
        conflicts_with_all = ["message", "message_file", "websocket"],
        help_heading = MESSAGES
    )]
    pub dns: Vec<Query>,

    /// End the run when this is seen in what is received
    #[arg(long, value_name = "S", allow_hyphen_values = true, help_heading = MESSAGES)]
    pub message_stop: Option<OsString>,

    /// Messages a second on each connection; 0.1 is one every ten seconds [default: as fast as they go].
    /// From 2k on those of a millisecond are due together. @10ms finds the highest rate with p95 of latency under 10 ms, @10ms:p99 with p99
    #[arg(short = 'r', long, value_name = "RATE|@LATENCY", help_heading = PACE)]
    pub message_rate: Option<MessageRate>,

    /// Send at most so much a second on each connection
    #[arg(
        long,
        visible_alias = "channel-bandwidth",
        value_name = "B",
        value_parser = bounds::upstream,
        conflicts_with_all = ["message_rate", "closed_loop"],
        help_heading = PACE
    )]
    pub channel_bandwidth_upstream: Option<Bandwidth>,

    /// Read at most so much a second from each connection; 0 is nothing, ever
    #[arg(long, value_name = "B", help_heading = PACE)]
    pub channel_bandwidth_downstream: Option<Bandwidth>,

    /// Begin to send so long after a connection came up
    #[arg(long, value_name = "T", value_parser = units::duration, help_heading = PACE)]
    pub delay_send: Option<Duration>,

    /// Whether messages of high rates are due together and share a write; with --output tcpkali off also sets --nagle off [default: on]
    #[arg(long, value_name = "on|off", help_heading = PACE)]
    pub write_combine: Option<Switch>,

    /// Messages a second in all, over whichever connection is next
    #[arg(
        long,
        value_name = "R",
        conflicts_with_all = ["message_rate", "closed_loop", "profile", "channel_bandwidth_upstream"],
        help_heading = PACE
    )]
    pub rate: Option<Rate>,

    /// The same over time, such as '10s:1k, 30s:1k..50k'; - reads lines of milliseconds and rate from
    /// stdin
    #[arg(
        long,
        value_name = "SPEC|-",
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        allow_hyphen_values = true,
        conflicts_with_all = ["message_rate", "closed_loop", "channel_bandwidth_upstream"],
        help_heading = PACE
    )]
    pub profile: Option<String>,

    /// How --rate and --profile spread messages over time [default: uniform]
    #[arg(long, value_name = "HOW", help_heading = PACE)]
    pub arrivals: Option<ArrivalsArg>,

    /// What random numbers begin with: the same seed, the same messages and arrivals [default: another
    /// one each time]
    #[arg(long, value_name = "N", help_heading = PACE)]
    pub seed: Option<u64>,

    /// Send a message only when the one before has been echoed in full
    #[arg(long, conflicts_with = "message_rate", help_heading = PACE)]
    pub closed_loop: bool,

    /// Closed loop: messages under way at once, passed from connection to connection in turn
    /// [default: one on each]
    #[arg(long, value_name = "N", requires = "closed_loop", value_parser = bounds::connections, help_heading = PACE)]
    pub in_flight: Option<u32>,

    /// Send nothing before all connections are up
    #[arg(long, help_heading = PACE)]
    pub after_ramp: bool,

    /// Measure how long it took from a connection's coming up to the first byte on it
    #[arg(long, help_heading = LATENCY)]
    pub latency_first_byte: bool,

    /// Measure how long it took from when a message was due to seeing this in what comes back
    #[arg(
        long,
        value_name = "S",
        allow_hyphen_values = true,
        conflicts_with_all = ["message_marker", "latency_echo"],
        help_heading = LATENCY
    )]
    pub latency_marker: Option<OsString>,

    /// Pass over the first N markers on each connection
    #[arg(long, value_name = "N", value_parser = units::count, help_heading = LATENCY)]
    pub latency_marker_skip: Option<u32>,

    /// Measure how long messages took that say when they were sent: by the \{message.marker} in what is
    /// received, whoever wrote it
    #[arg(long, conflicts_with = "latency_echo", help_heading = LATENCY)]
    pub message_marker: bool,

    /// Measure how long it took until all of a message came back
    #[arg(long, conflicts_with = "closed_loop", help_heading = LATENCY)]
    pub latency_echo: bool,

    #[command(flatten)]
    pub latency: LatencyOutputArgs,

    /// Accept connections too; repeatable
    #[arg(short = 'l', long, value_name = "[HOST:]PORT", help_heading = LISTENING)]
    pub listen_port: Vec<String>,

    /// Discard what comes on accepted connections, or also send the messages [default: silent]
    #[arg(long, value_name = "MODE", help_heading = LISTENING)]
    pub listen_mode: Option<ListenModeArg>,

    /// Speak WebSocket: each message is a text frame; ws:// targets imply it
    #[arg(long, visible_alias = "ws", help_heading = WEBSOCKET)]
    pub websocket: bool,

    /// Header to add to the WebSocket handshake; repeatable
    #[arg(short = 'H', long, value_name = "NAME: VALUE", allow_hyphen_values = true, help_heading = WEBSOCKET)]
    pub header: Vec<OsString>,

    #[command(flatten)]
    pub tls: TlsServerArgs,

    /// Certificates to trust (PEM) instead of the system's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = TLS)]
    pub cacert: Option<PathBuf>,

    /// Take any certificate
    #[arg(long, help_heading = TLS)]
    pub insecure: bool,

    /// Name to ask for and to check in the certificate [default: the target's]
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub sni: Option<String>,

    /// Resume sessions where the server lets us [default: a whole handshake for each connection]
    #[arg(long, help_heading = TLS)]
    pub resume: bool,

    /// Nagle's algorithm; off sets TCP_NODELAY [default: off; with --output tcpkali on]
    #[arg(long, value_name = "on|off", help_heading = SOCKETS)]
    pub nagle: Option<Switch>,

    /// Receive buffer (SO_RCVBUF) [default: the kernel adapts it]
    #[arg(long, value_name = "BYTES", value_parser = bounds::buffer, help_heading = SOCKETS)]
    pub rcvbuf: Option<u64>,

    /// Send buffer (SO_SNDBUF) [default: the kernel adapts it]
    #[arg(long, value_name = "BYTES", value_parser = bounds::buffer, help_heading = SOCKETS)]
    pub sndbuf: Option<u64>,

    /// How long the whole run may take [default: as long as it needs]; with --output tcpkali it means --hold
    #[arg(short = 'T', long, value_name = "T", value_parser = bounds::positive, help_heading = RUN)]
    pub duration: Option<Duration>,

    /// How long to go on after the last connection is up [default: 10s]
    #[arg(long, value_name = "T", value_parser = units::duration, help_heading = RUN)]
    pub hold: Option<Duration>,

    /// Threads on each side [default: one a core]
    #[arg(short, long, value_name = "N", value_parser = workers, help_heading = RUN)]
    pub workers: Option<u32>,

    /// Go ahead although the plan says that it can't work, and don't hold back for a full accept queue
    #[arg(long, help_heading = RUN)]
    pub force: bool,

    /// Which event loop: io_uring is not bound by the file limit, epoll works everywhere
    #[arg(long, value_name = "ENGINE", default_value = "auto", help_heading = RUN)]
    pub engine: EngineArg,

    /// Print the scenario as a file for `throng run`, and end
    #[arg(long, help_heading = RUN)]
    pub print_scenario: bool,

    #[command(flatten)]
    pub shown: OutputArgs,

    /// Whether the program was called as tcpkali.
    #[arg(skip)]
    pub as_tcpkali: bool,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// `--arrivals`
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ArrivalsArg {
    /// Evenly
    Uniform,
    /// As from many independent users
    Poisson,
}

/// `--listen-mode`
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ListenModeArg {
    /// Discard what comes
    Silent,
    /// Also send the messages
    Active,
}

impl From<ArrivalsArg> for Arrivals {
    fn from(arg: ArrivalsArg) -> Arrivals {
        match arg {
            ArrivalsArg::Uniform => Arrivals::Uniform,
            ArrivalsArg::Poisson => Arrivals::Poisson,
        }
    }
}

impl From<ListenModeArg> for ListenMode {
    fn from(arg: ListenModeArg) -> ListenMode {
        match arg {
            ListenModeArg::Silent => ListenMode::Silent,
            ListenModeArg::Active => ListenMode::Active,
        }
    }
}
