//! The options of `throng plan`.

use crate::cli::{DocumentForm, EngineArg, RoleArg, planned};
use throng_core::address::SourceRange;
use throng_core::scenario::bounds;
use std::path::PathBuf;
use throng_core::units;
use throng_core::units::Rate;

const EXAMPLES: &str = "\
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

/// Tell what this machine can hold and what N connections need, limit by limit
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Args {
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
    /// [default: the kernel's choice]
    #[arg(long, value_name = "IP")]
    pub source_ip: Vec<SourceRange>,

    /// Connections that one client host or container is to hold: how many of them that is
    #[arg(long, value_name = "N", requires = "connections", value_parser = planned)]
    pub per_client: Option<u64>,

    /// Reverse proxies before the targets, which then are their backends
    #[arg(long, value_name = "K", value_parser = bounds::connections)]
    pub proxies: Option<u32>,

    /// Bytes of a message: reckons with the socket buffers of traffic [default: no traffic]
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    pub message_size: Option<u64>,

    /// Messages a second on each connection [default: as fast as they go]
    #[arg(short = 'r', long, value_name = "R", requires = "message_size")]
    pub message_rate: Option<Rate>,

    /// Connections speak TLS: reckon with what throng keeps for that
    #[arg(long, visible_alias = "ssl")]
    pub tls: bool,

    /// Clients resume their sessions: reckon with what they keep until a server has sent a ticket or data
    #[arg(long, requires = "tls")]
    pub resume: bool,

    /// New connections a second: tells whether the queues that they pass suffice
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
    pub output: DocumentForm,

    /// Write it to a file instead of stdout
    #[arg(long, value_name = "F")]
    pub output_file: Option<PathBuf>,
}
