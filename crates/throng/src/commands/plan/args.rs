//! The options of `throng plan`.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::cli::{DocumentForm, EngineArg, RoleArg, planned};
use crate::files::is_stdout;
use std::path::{Path, PathBuf};
use throng_core::address::SourceRange;
use throng_core::scenario::bounds;
use throng_core::units;
use throng_core::units::Rate;

const EXAMPLES: &str = "\
Examples:
  throng plan
      What this machine can hold with both ends here, as a server, as a client.
  throng plan -c 100k --target 10.0.0.7:80
      What must change here for 100,000 connections to that server.
  throng plan -c 1m --per-client 25k --target 10.0.0.7:80
      How many client hosts or containers that takes, and the commands that start them.
  throng plan -c 1m --proxies 4 -t 10.0.1.1:80 -t 10.0.1.2:80
      Whether four reverse proxies have enough ports for two backends.
  throng plan --survey > host.json
      Save what is read from this machine, to plan for it elsewhere.
  throng plan --host host.json -c 1m --role server
      Plan for the machine of that survey.

Exit codes: 0 the connections fit, or no number was given; 1 they do not; 2 bad usage.";

/// Show how many connections fit here, and which limit binds first
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Args {
    /// Connections to plan for [default: only show what fits]
    #[arg(short, long, value_name = "N", value_parser = planned)]
    pub connections: Option<u64>,

    /// End of the connections that is on this machine [default: client with a target, else both]
    #[arg(long, value_name = "ROLE")]
    pub role: Option<RoleArg>,

    /// Target of the connections: a name, IPv4 or [IPv6] address with its port; repeatable
    #[arg(short, long, value_name = "HOST:PORT")]
    pub target: Vec<String>,

    /// Source addresses: one, a range (10.0.0.5-10.0.0.9) or a block (10.0.0.0/28); repeatable
    /// [default: the kernel's choice]
    #[arg(long, value_name = "IP")]
    pub source_ip: Vec<SourceRange>,

    /// Connections per client host or container; shows how many of them -c needs
    #[arg(long, value_name = "N", requires = "connections", value_parser = planned)]
    pub per_client: Option<u64>,

    /// Reverse proxies in front of the targets, which are then their backends
    #[arg(long, value_name = "K", value_parser = bounds::connections)]
    pub proxies: Option<u32>,

    /// Size of a message, to include the socket buffers of traffic [default: no traffic]
    #[arg(long, value_name = "BYTES", value_parser = units::bytes)]
    pub message_size: Option<u64>,

    /// Messages per second on each connection [default: as fast as connections accept them]
    #[arg(short = 'r', long, value_name = "R", requires = "message_size")]
    pub message_rate: Option<Rate>,

    /// Include the memory that TLS connections take
    #[arg(long, visible_alias = "ssl")]
    pub tls: bool,

    /// Include the memory that clients take to resume TLS sessions
    #[arg(long, requires = "tls")]
    pub resume: bool,

    /// New connections per second, to check the queues that they pass through
    #[arg(long, value_name = "R")]
    pub connect_rate: Option<Rate>,

    /// Event loop: io_uring is not bound by the file limit
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    pub engine: EngineArg,

    /// Threads on each side [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub workers: Option<u32>,

    /// Print what was read from this machine as JSON for --host, instead of a plan
    #[arg(long, conflicts_with_all = ["host", "connections", "output"])]
    pub survey: bool,

    /// Plan for the machine of this survey [default: this machine]
    #[arg(long, value_name = "FILE")]
    pub host: Option<PathBuf>,

    /// Format of the plan; docs/plan.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: DocumentForm,

    /// Write the plan to a file instead of stdout (-)
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
}

impl Args {
    /// The file to write the plan to; `None` for stdout.
    pub fn file(&self) -> Option<&Path> {
        self.output_file.as_deref().filter(|path| !is_stdout(path))
    }
}
