//! The options of `throng serve`.

use super::common::{CONNECTIONS, EngineArg, PACE, RUN, SOCKETS, TLS, workers};
use super::messages::MessageArgs;
use super::output::Common;
use super::sockets::SocketArgs;
use super::tls::TlsServerArgs;
use crate::outputs::RunOutputs;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::time::Duration;
use throng_core::address::ClientRange;
use throng_core::protocol::ServeMode;
use throng_core::protocol::websocket::Subprotocol;
use throng_core::scenario::bounds;
use throng_core::units::Rate;

const EXAMPLES: &str = "\
Examples:
  throng serve 9000
      Hold connections to port 9000, and count and discard what they send.
  throng serve --mode echo '[::1]:9001'
      Send everything back.
  throng serve --mode chargen -m 'tick\\n' -e -r 1 9019
      Send a line per second on each connection.
  throng serve --mode ws 8080
      Speak WebSocket, and send each message back.
  throng serve --mode mqtt 1883
      Speak MQTT, and acknowledge everything.
  throng serve --mode http unix:/run/app.sock
      Serve HTTP on a Unix socket, whose file is removed at the end.
  throng serve --proxy-protocol --proxy-source 198.18.0.0/15 9000
      Check that a proxy in front passes on who its clients are.
  throng serve --duration 60s --output json 9000 127.0.0.1:9001
      Listen on two ports for a minute, then print the summary as JSON.";

/// Accept and hold connections: sink, echo, HTTP, WebSocket, MQTT
#[derive(Args)]
#[command(after_help = super::common::after_help_of_run(EXAMPLES))]
pub(crate) struct ServeArgs {
    /// Addresses to listen on: PORT, HOST:PORT or [ADDR6]:PORT; a port alone means IPv6 and IPv4. Or Unix sockets: unix:PATH, or
    /// unix:@NAME for one without a file
    #[arg(value_name = "[HOST:]PORT|unix:PATH", required = true)]
    pub listen: Vec<String>,

    /// What to do with incoming data
    #[arg(long, value_name = "MODE", default_value = "sink", value_parser = mode(), help_heading = CONNECTIONS)]
    pub mode: ServeMode,

    /// Length of the accept queue [default: net.core.somaxconn]
    #[arg(long, value_name = "N", value_parser = bounds::connections, help_heading = CONNECTIONS)]
    pub backlog: Option<u32>,

    /// Most connections to hold at once [default: as many as fit]
    #[arg(long, value_name = "N", value_parser = bounds::connections, help_heading = CONNECTIONS)]
    pub max_connections: Option<u32>,

    /// Accept a header of the PROXY protocol, version 1 or 2, before everything else on each connection; one without a correct
    /// header within 3 s is closed
    #[arg(long, help_heading = CONNECTIONS)]
    pub proxy_protocol: bool,

    /// Addresses of the clients that PROXY headers may name: one, a range or a block, of any size; repeatable. Others
    /// are reported, and the exit code is 1 [default: any]
    #[arg(long, value_name = "IP", requires = "proxy_protocol", help_heading = CONNECTIONS)]
    pub proxy_source: Vec<ClientRange>,

    #[command(flatten)]
    pub messages: MessageArgs,

    /// With --mode chargen: messages per second on each connection [default: as fast as connections
    /// accept them]
    #[arg(short = 'r', long, value_name = "RATE", help_heading = PACE)]
    pub message_rate: Option<Rate>,

    /// With --mode ws or ws-sink: subprotocols, of which the first one that a client asks for is chosen; repeatable
    #[arg(long, value_name = "NAME[,NAME]", value_parser = str::parse::<Subprotocol>, value_delimiter = ',', help_heading = CONNECTIONS)]
    pub subprotocol: Vec<Subprotocol>,

    #[command(flatten)]
    pub tls: TlsServerArgs,

    /// Issue no session tickets: each connection makes a full handshake
    #[arg(long, help_heading = TLS)]
    pub no_resumption: bool,

    #[command(flatten)]
    pub sockets: SocketArgs,

    /// Take data that comes with a connection's first packet (TCP_FASTOPEN), from as many at once as the accept queue
    /// holds
    #[arg(long, help_heading = SOCKETS)]
    pub fastopen: bool,

    /// Stop after this long [default: at Ctrl-C]
    #[arg(short = 'T', long, value_name = "T", value_parser = bounds::positive, help_heading = RUN)]
    pub duration: Option<Duration>,

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

/// The modes that protocols register.
pub(crate) fn mode() -> impl TypedValueParser<Value = ServeMode> {
    let value = |mode: &ServeMode| PossibleValue::new(mode.name()).help(mode.about());
    PossibleValuesParser::new(ServeMode::ALL.iter().map(value))
        .try_map(|name| ServeMode::named(&name).ok_or("no such mode"))
}
