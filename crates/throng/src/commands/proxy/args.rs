//! The options of `throng proxy`.

use crate::cli::{
    CONNECTIONS, Common, EngineArg, ProxyVersion, RUN, SocketArgs, TLS, TlsServerArgs,
    after_help_of_run, alpn, workers,
};
use crate::outputs::RunOutputs;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use throng_core::address::SourceRange;
use throng_core::protocol::proxy::Balance;
use throng_core::scenario::bounds;
use throng_core::units;

const EXAMPLES: &str = "\
Examples:
  throng proxy 8080 --to 10.0.0.7:80
      Send each connection to port 8080 on to one backend.
  throng proxy 8080 --to 10.0.0.7:80 --to 10.0.0.8:80
      Two backends, in turn.
  throng proxy 8080 --to 10.0.0.7:80 --source-ip 10.0.1.1-10.0.1.8
      Eight source addresses, for 8 x 28,232 connections.
  throng proxy 8080 --to db:5432 --balance least-connections
      All addresses of a name, the one with the fewest first.
  throng proxy 8080 --to 10.0.0.7:80 --accept-proxy --send-proxy v2
      Pass on who the client is, as the proxy in front tells it.
  throng proxy 8443 --to 10.0.0.7:443 --tls --backend-tls
      TLS from clients, and TLS to the backend.
  throng proxy 8080 --to 10.0.0.7:80 --transparent --print-rules
      What this machine needs to connect from clients' addresses.
  throng proxy 127.0.0.1:9000 --to original --transparent
      In the path of clients to backends, which see only each other.";

/// Send connections on to backends, from many source addresses
#[derive(Args)]
#[command(after_help = after_help_of_run(EXAMPLES))]
pub(crate) struct ProxyArgs {
    /// Addresses to listen on: PORT, HOST:PORT or ADDRESS:PORT; a port alone means IPv6 and IPv4
    #[arg(value_name = "LISTEN", required = true)]
    pub listen: Vec<String>,

    /// A backend; repeatable, and a name stands for all its addresses. `original` is the address that a client connected to, a
    /// backend's: the rules of --print-rules lead its packets here
    #[arg(long, value_name = "HOST:PORT", required = true, help_heading = CONNECTIONS)]
    pub to: Vec<String>,

    /// How a client's backend is chosen
    #[arg(long, value_name = "HOW", default_value = "round-robin", value_parser = balance(), help_heading = CONNECTIONS)]
    pub balance: Balance,

    /// Source addresses towards backends: ADDR, FIRST-LAST or ADDR/LENGTH; repeatable. All ports of one to a backend are used
    /// before the next one is [default: the kernel's choice]
    #[arg(long, value_name = "ADDRS", help_heading = CONNECTIONS)]
    pub source_ip: Vec<SourceRange>,

    /// Connect to backends from the client's own address (IP_TRANSPARENT); needs CAP_NET_ADMIN, and the rules of
    /// --print-rules. With --to original, neither end notices the proxy
    #[arg(long, conflicts_with = "source_ip", help_heading = CONNECTIONS)]
    pub transparent: bool,

    /// With --transparent or --to original: print the commands that make this machine receive the answers to clients' addresses,
    /// and clients' packets to backends, or those that undo that (--print-rules=undo), then exit
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "add", help_heading = CONNECTIONS)]
    pub print_rules: Option<RulesArg>,

    /// Begin connections to backends with a header of the PROXY protocol, which names the client
    #[arg(long, value_name = "v1|v2", help_heading = CONNECTIONS)]
    pub send_proxy: Option<ProxyVersion>,

    /// Accept such a header, of either version, before everything else on each client's connection; one without a correct
    /// header within 3 s is closed
    #[arg(long, help_heading = CONNECTIONS)]
    pub accept_proxy: bool,

    #[command(flatten)]
    pub tls: TlsServerArgs,

    /// Issue no tickets with which clients resume TLS sessions
    #[arg(long, help_heading = TLS)]
    pub no_resumption: bool,

    /// Speak TLS to backends
    #[arg(long, help_heading = TLS)]
    pub backend_tls: bool,

    /// Certificates to trust as those of backends (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", conflicts_with = "backend_insecure", help_heading = TLS)]
    pub backend_cacert: Option<PathBuf>,

    /// Accept any certificate of a backend
    #[arg(long, help_heading = TLS)]
    pub backend_insecure: bool,

    /// Server name to send to backends (SNI) and to verify in their certificates [default: the backend's]
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub backend_sni: Option<String>,

    /// Protocols to offer to backends (ALPN), preferred first; repeatable
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = alpn, help_heading = TLS)]
    pub backend_alpn: Vec<String>,

    /// Resume sessions with backends that allow it [default: a full handshake per connection]
    #[arg(long, help_heading = TLS)]
    pub backend_resume: bool,

    /// Time limit of an attempt to connect to a backend
    #[arg(long, value_name = "T", default_value = "5s", value_parser = bounds::positive, help_heading = CONNECTIONS)]
    pub connect_timeout: Duration,

    /// How long a backend that does not answer, or with which TLS fails, is left out, until a client tries it again
    #[arg(long, value_name = "T", default_value = "5s", value_parser = bounds::positive, help_heading = CONNECTIONS)]
    pub left_out: Duration,

    /// Length of the accept queue [default: net.core.somaxconn]
    #[arg(long, value_name = "N", value_parser = bounds::connections, help_heading = CONNECTIONS)]
    pub backlog: Option<u32>,

    /// Most pairs of connections to hold at once [default: as many as fit]
    #[arg(long, value_name = "N", value_parser = bounds::connections, help_heading = CONNECTIONS)]
    pub max_connections: Option<u32>,

    #[command(flatten)]
    pub sockets: SocketArgs,

    /// Stop after this long [default: at Ctrl-C]
    #[arg(short = 'T', long, value_name = "T", value_parser = bounds::positive, help_heading = RUN)]
    pub duration: Option<Duration>,

    /// How long connections may go on after the stop, while no new ones are accepted
    #[arg(long, value_name = "T", default_value = "10s", value_parser = units::duration, help_heading = RUN)]
    pub drain_timeout: Duration,

    /// Threads [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = workers, help_heading = RUN)]
    pub workers: Option<u32>,

    /// Run even if the plan says it cannot work
    #[arg(long, help_heading = RUN)]
    pub force: bool,

    /// Event loop: io_uring is not bound by the file limit, epoll works everywhere
    #[arg(long, value_name = "ENGINE", default_value = "auto", help_heading = RUN)]
    pub engine: EngineArg,

    /// Print the scenario as a file for `throng run`, then exit
    #[arg(long, help_heading = RUN)]
    pub print_scenario: bool,

    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub outputs: RunOutputs,
}

/// A value of `--print-rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesArg {
    /// Add the rules
    Add,
    /// Undo them
    Undo,
}

/// The ways to choose a backend.
fn balance() -> impl TypedValueParser<Value = Balance> {
    PossibleValuesParser::new(Balance::ALL.map(|(name, _)| name))
        .try_map(|name| name.parse::<Balance>())
}
