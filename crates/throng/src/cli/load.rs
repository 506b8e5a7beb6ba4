//! The options of `throng load`.

use super::common::{
    CONNECTIONS, EngineArg, LATENCY, LISTENING, MESSAGES, Mode, PACE, RUN, TLS, workers,
};
use super::losses::LossArgs;
use super::messages::MessageArgs;
use super::output::{LatencyOutputArgs, OutputArgs};
use super::protocol::ProtocolArgs;
use super::route::RouteArgs;
use super::sockets::{SocketArgs, Switch};
use super::tls::TlsServerArgs;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;
use throng_core::address::SourceRange;
use throng_core::expect::{Expectation, described};
use throng_core::protocol::Protocol;
use throng_core::scenario::{
    Arrivals, ConnectRate, Connections, FastOpen, Hold, ListenMode, MessageRate, Tolerance, bounds,
};
use throng_core::units::{self, Bandwidth, Rate};

const EXAMPLES: &str = "\
Examples:
  throng load --self -c 10k
      10,000 connections from this process to itself: both ends, no set-up.
  throng load -c 50k 10.0.0.7:9000 10.0.0.7:9001
      50,000 connections to two ports in turn, held for ten seconds.
  throng load -c 20k -m 'ping\\n' -e -r 0.1 --hold 5m 10.0.0.7:5222
      A line every ten seconds on each connection: 2,000 per second in all, evenly spread.
  throng load --self=echo -c 1k -m 'hello' --closed-loop
      Round trips: send, wait for the echo, send again.
  throng load -c 1k -r 10 http://10.0.0.7:8080/hello
      HTTP: ten requests a second on each connection, each answered with 2xx or 3xx.
  throng load -c 100 -n 10k http://10.0.0.7:8080/hello
      HTTP: 10,000 requests in all over 100 connections, as fast as they are answered.
  throng load -c 10k --subscribe 'room/#:1' --hold 5m mqtt://10.0.0.7
      MQTT: 10,000 clients that are subscribed, and ping once a minute.
  throng load -c 100 -m hi --latency-echo -r @10ms wss://example.com/ws
      Find the highest rate at which 95 % of answers arrive within 10 ms, over WebSocket and TLS.
  throng load -c 1k -m x --profile '10s:1k, 30s:1k..50k' 10.0.0.7:9000
      1,000 messages per second in all for ten seconds, then rising to 50,000 within thirty.";

/// Open connections, hold them, send traffic and measure
// No allow_negative_numbers: -1 is an option.
#[derive(Args)]
#[command(next_line_help = false, after_help = super::common::after_help_of_run(EXAMPLES))]
pub(crate) struct LoadArgs {
    #[arg(
        value_name = "HOST:PORT",
        help = targets(),
        conflicts_with = "own_server"
    )]
    pub targets: Vec<String>,

    /// Also run a server in this process, on loopback, and connect to it [MODE: sink if not given]
    #[arg(
        long = "self",
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "sink",
        value_parser = Mode::parser(),
        conflicts_with_all = ["listen_port", "resolve", "connect_to", "tunnel", "ipv4", "ipv6", "proxy_protocol", "unix_socket"],
        help_heading = CONNECTIONS
    )]
    pub own_server: Option<Mode>,

    /// Connections to open and hold; max finds out how many can be held, @p99<50ms how many keep latency under a bound;
    /// max:N and @...:N look no further than N
    ///
    /// With max, throng opens connections until it gets no further, finds out why, backs off and comes back to see whether
    /// that is a limit, and holds as many as it found. The result has the number, the limit, and whose it is.
    ///
    /// With @p99<50ms, it tries numbers of connections with traffic, a message per connection at the rate of -r or in a closed
    /// loop, and finds the most at which the percentile stays under the bound, with 90 % confidence to 2 %. @failed=0 asks
    /// that no attempt, connection or answer fails; both may be given, with a comma. The hold confirms the result.
    #[arg(short, long, value_name = "N|max|@OBJECTIVE", default_value = "1", value_parser = Connections::parse, help_heading = CONNECTIONS)]
    pub connections: Connections,

    /// New connections per second; max finds the most that the server takes without a loss, instead of holding them, and
    /// max:R looks no further than R
    /// [default: as fast as the target accepts them]
    ///
    /// With max, all connections (-c) are reset again and again, and come back at ever other rates: all at once, then over
    /// 50 ms, 100 ms and so on, until nothing is refused, dropped or late, and then between. Three trials in a row confirm the
    /// result. Choose -c well above the server's accept queue, which takes a burst at any rate.
    #[arg(long, value_name = "R|max|max:R", help_heading = CONNECTIONS)]
    pub connect_rate: Option<ConnectRate>,

    /// Give up on a connection attempt after this long [default: 5s]
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = bounds::positive, help_heading = CONNECTIONS)]
    pub connect_timeout: Option<Duration>,

    /// Send the first data with the SYN (TCP Fast Open): cookie, once the server has given one, or no-cookie, always
    /// [WHEN: cookie if not given]
    ///
    /// The first connections ask for the cookie. A server that does not accept the data has it sent again after the
    /// handshake. The summary says how many connections had theirs accepted.
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "cookie", help_heading = CONNECTIONS)]
    pub fastopen: Option<FastOpenArg>,

    /// Source addresses: one, a range (127.1.0.1-127.1.0.40) or a block (10.0.0.0/28); repeatable
    /// [default: the kernel's choice; on IPv4 loopback, as many as are needed]
    #[arg(long, value_name = "IP", conflicts_with = "own_server", help_heading = CONNECTIONS)]
    pub source_ip: Vec<SourceRange>,

    #[command(flatten)]
    pub route: RouteArgs,

    #[command(flatten)]
    pub losses: LossArgs,

    /// Look for the smallest window over which connections have to come back after a storm so that the server takes all without
    /// a drop, instead of holding them
    ///
    /// All connections are reset again and again, and come back over a window: none, then 50 ms, 100 ms and so on. A window holds if
    /// in three storms in a row nothing is refused, times out, is dropped by a full queue or has to be tried again.
    #[arg(
        long,
        conflicts_with_all = ["drop", "drain", "no_reconnect", "reconnect_policy", "hold", "connect_rate", "channel_lifetime", "exchanges_per_connection"],
        help_heading = CONNECTIONS
    )]
    pub find_window: bool,

    /// Close each connection this long after it was established [default: never]
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = units::duration, help_heading = CONNECTIONS)]
    pub channel_lifetime: Option<Duration>,

    /// Close each connection after N exchanges, a message and its answer each, and open another [default: never]
    ///
    /// With 1, connections per second are what is measured, each opened for one exchange (tcp_crr of netperf and neper): -c of
    /// them at a time, as fast as the server takes them, or --connect-rate per second. An exchange is over once as many bytes
    /// have come back as were sent, or the --latency-marker, or a whole message of the protocol. This side closes first, so its
    /// port rests for a minute (TIME_WAIT): --linger 0 resets the connection instead.
    #[arg(long, value_name = "N", value_parser = bounds::exchanges, help_heading = CONNECTIONS)]
    pub exchanges_per_connection: Option<NonZeroU16>,

    /// With --exchanges-per-connection: wait for the server to close a connection first, so that its port does not rest here
    ///
    /// A server that has not done so 5s after the last exchange does not close first: throng then closes the connection, and the
    /// run has fallen short.
    #[arg(long, requires = "exchanges_per_connection", help_heading = CONNECTIONS)]
    pub await_close: bool,

    #[command(flatten)]
    pub messages: MessageArgs,

    /// End the run when this text is received
    #[arg(long, value_name = "S", allow_hyphen_values = true, help_heading = MESSAGES)]
    pub message_stop: Option<OsString>,

    /// Messages per second on each connection, or @LATENCY to find the highest rate [default: as fast as
    /// connections accept them]
    ///
    /// 0.1 is a message every ten seconds. At 2,000/s or more, messages due in the same millisecond are sent
    /// together. @10ms finds the highest rate with a p95 latency below 10 ms, @10ms:p99 with a p99 below it. On a
    /// terminal, the arrow keys change the rate while the run lasts: up is faster, down slower, p pauses opening, q ends the run.
    #[arg(short = 'r', long, value_name = "RATE|@LATENCY", help_heading = PACE)]
    pub message_rate: Option<MessageRate>,

    /// Limit how fast each connection is written [default: no limit]
    #[arg(
        long,
        visible_alias = "channel-bandwidth",
        value_name = "B",
        value_parser = bounds::upstream,
        conflicts_with_all = ["message_rate", "closed_loop"],
        help_heading = PACE
    )]
    pub channel_bandwidth_upstream: Option<Bandwidth>,

    /// Limit how fast each connection is read; 0 never reads [default: no limit]
    #[arg(long, value_name = "B", help_heading = PACE)]
    pub channel_bandwidth_downstream: Option<Bandwidth>,

    /// Wait this long after a connection is established before sending [default: 0s]
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = units::duration, help_heading = PACE)]
    pub delay_send: Option<Duration>,

    /// Send messages of high rates that are due together in one write; with --output tcpkali, off also sets
    /// --nagle off [default: on]
    #[arg(long, value_name = "on|off", help_heading = PACE)]
    pub write_combine: Option<Switch>,

    /// Messages per second over all connections together
    #[arg(
        long,
        value_name = "R",
        conflicts_with_all = ["message_rate", "closed_loop", "profile", "channel_bandwidth_upstream"],
        help_heading = PACE
    )]
    pub rate: Option<Rate>,

    /// Like --rate, but varying over time, such as '10s:1k, 30s:1k..50k'; - reads lines of MILLISECONDS RATE
    /// from stdin
    #[arg(
        long,
        value_name = "SPEC|-",
        value_parser = clap::builder::NonEmptyStringValueParser::new(),
        allow_hyphen_values = true,
        conflicts_with_all = ["message_rate", "closed_loop", "channel_bandwidth_upstream"],
        help_heading = PACE
    )]
    pub profile: Option<String>,

    /// Messages (requests, queries) in all, over all connections: the run ends once they are answered, and --hold bounds it
    /// only if it is given [default: as many as there is time for]
    #[arg(short = 'n', long, value_name = "N", value_parser = bounds::requests, help_heading = PACE)]
    pub requests: Option<u32>,

    /// How --rate and --profile space messages over time [default: uniform]
    #[arg(long, value_name = "HOW", help_heading = PACE)]
    pub arrivals: Option<ArrivalsArg>,

    /// Random seed; the same seed repeats messages and arrivals [default: random]
    #[arg(long, value_name = "N", help_heading = PACE)]
    pub seed: Option<u64>,

    /// Send a message only after the whole echo of the one before
    #[arg(long, conflicts_with = "message_rate", help_heading = PACE)]
    pub closed_loop: bool,

    /// With --closed-loop: messages in flight at once, passed from connection to connection
    /// [default: one per connection]
    #[arg(long, value_name = "N", requires = "closed_loop", value_parser = bounds::connections, help_heading = PACE)]
    pub in_flight: Option<u32>,

    /// Send nothing until all connections are established
    #[arg(long, help_heading = PACE)]
    pub after_ramp: bool,

    /// Measure the time from a connection's establishment to its first received byte
    #[arg(long, help_heading = LATENCY)]
    pub latency_first_byte: bool,

    /// Measure the time from when a message was due until this text is received
    #[arg(
        long,
        value_name = "S",
        allow_hyphen_values = true,
        conflicts_with_all = ["message_marker", "latency_echo"],
        help_heading = LATENCY
    )]
    pub latency_marker: Option<OsString>,

    /// Ignore the first N markers on each connection [default: 0]
    #[arg(long, value_name = "N", value_parser = units::count, help_heading = LATENCY)]
    pub latency_marker_skip: Option<u32>,

    /// Measure the age of the \{message.marker} time stamps in received data, whoever sent them
    #[arg(long, conflicts_with = "latency_echo", help_heading = LATENCY)]
    pub message_marker: bool,

    /// Measure the time from when a message was due until its whole echo is received
    #[arg(long, conflicts_with = "closed_loop", help_heading = LATENCY)]
    pub latency_echo: bool,

    #[command(flatten)]
    pub latency: LatencyOutputArgs,

    /// Also accept connections on this port; repeatable
    #[arg(short = 'l', long, value_name = "[HOST:]PORT", help_heading = LISTENING)]
    pub listen_port: Vec<String>,

    /// Whether accepted connections send the messages too [default: silent]
    #[arg(long, value_name = "MODE", help_heading = LISTENING)]
    pub listen_mode: Option<ListenModeArg>,

    #[command(flatten)]
    pub protocol: ProtocolArgs,

    #[command(flatten)]
    pub tls: TlsServerArgs,

    /// Certificates to trust (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = TLS)]
    pub cacert: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, help_heading = TLS)]
    pub insecure: bool,

    /// Server name to send (SNI) and to verify in the certificate [default: the target's]
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub sni: Option<String>,

    /// Resume sessions if the server allows it [default: a full handshake per connection]
    #[arg(long, help_heading = TLS)]
    pub resume: bool,

    #[command(flatten)]
    pub sockets: SocketArgs,

    /// End the run after this long [default: no limit]; with --output tcpkali the same as --hold
    #[arg(short = 'T', long, value_name = "T", allow_hyphen_values = true, value_parser = bounds::positive, help_heading = RUN)]
    pub duration: Option<Duration>,

    /// Hold all connections this long after the last one is established; forever: until Ctrl-C, which is then no
    /// interruption [default: 10s]
    #[arg(long, value_name = "T", allow_hyphen_values = true, value_parser = Hold::parse, help_heading = RUN)]
    pub hold: Option<Hold>,

    /// Lost connections during the hold that do not fail the run: a number, or a percentage of all [default: 0]
    #[arg(long, value_name = "N", value_parser = Tolerance::parse, help_heading = RUN)]
    pub allow_lost: Option<Tolerance>,

    /// Messages without an answer that do not fail the run: a number, or a percentage of all [default: 0]
    #[arg(long, value_name = "N", value_parser = Tolerance::parse, help_heading = RUN)]
    pub allow_unanswered: Option<Tolerance>,

    #[arg(
        long,
        value_name = "EXPR",
        help = "Fail the run unless this is met, such as 'response.p99<10ms', 'answers>=99.9%' or 'lost=0'; repeatable",
        long_help = expectations(),
        help_heading = RUN
    )]
    pub expect: Vec<Expectation>,

    /// Threads on each side [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = workers, help_heading = RUN)]
    pub workers: Option<u32>,

    /// Run even if the plan says it cannot work, and ignore full accept queues
    #[arg(long, help_heading = RUN)]
    pub force: bool,

    /// Event loop: io_uring is not bound by the file limit, epoll works everywhere
    #[arg(long, value_name = "ENGINE", default_value = "auto", help_heading = RUN)]
    pub engine: EngineArg,

    /// Print the scenario as a file for `throng run`, then exit
    #[arg(long, help_heading = RUN)]
    pub print_scenario: bool,

    #[command(flatten)]
    pub shown: OutputArgs,

    /// Whether the program was invoked as tcpkali.
    #[arg(skip)]
    pub as_tcpkali: bool,
}

/// The help of targets.
fn targets() -> String {
    format!(
        "Targets, used in turn: a name, IPv4 or [IPv6] address with its port, unix:PATH, or a {} URL",
        Protocol::schemes_in_words("or")
    )
}

/// The long help of `--expect`.
fn expectations() -> String {
    let mut text = "Fail the run unless this is met: METRIC, one of < <= > >= =, and VALUE; repeatable. What is unknown is not met.\n\n\
        Latencies take .pN (.p99.9), .min, .mean or .max and a time with its unit; counts a number or, where they have a whole, \
        a percentage; the others a rate (20k), a throughput (10MiB/s, 100Mbps) or a size (4KiB):\n"
        .to_owned();
    for (name, help) in described() {
        text += &format!("\n- {name}: {help}");
    }
    text
}

/// `--arrivals`
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ArrivalsArg {
    /// At even intervals
    Uniform,
    /// At random, as from many independent users
    Poisson,
}

/// `--listen-mode`
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum ListenModeArg {
    /// Discard received data
    Silent,
    /// Discard received data, and send the messages
    Active,
}

/// `--fastopen`
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FastOpenArg {
    /// Once the server has given a cookie
    Cookie,
    /// Always
    NoCookie,
}

impl From<FastOpenArg> for FastOpen {
    fn from(arg: FastOpenArg) -> FastOpen {
        match arg {
            FastOpenArg::Cookie => FastOpen::Cookie,
            FastOpenArg::NoCookie => FastOpen::NoCookie,
        }
    }
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
