//! The options of `throng agent`.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::cli::UNITS;
#[cfg(feature = "fleet")]
use crate::commands::fleet::nats::{NATS, Nats};
use std::path::PathBuf;
use std::time::Duration;
use throng_core::scenario::bounds;
use throng_core::units::{self, Rate};
use throng_fleet::Allow;

/// The headings of the help.
const ALLOWED: &str = "What it may do";
const ALONE: &str = "Without its coordinator";

const EXAMPLES: &str = "\
Examples:
  throng agent --stdio --allow 10.0.0.0/8:9000-9010
      What `throng fleet run --agents exec:'...'` starts on a machine.
  throng agent --stdio --max-connections 20k --max-rate 10k
      Targets on this machine only, with limits of its own.
  throng agent --nats tls://me:secret@nats.lan --allow 10.0.0.0/8:*
      Waits at a NATS server for `throng fleet run --nats ...`.";

const CODES: &str = "\
Exit codes: 0 its result was taken, or it was not needed; 1 there was no coordinator, or its run failed; 2 bad usage; 130 \
interrupted. At a NATS server they are those of the last run.";

/// Be one of the machines of a fleet (`throng help fleet`)
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{UNITS}\n\n{CODES}"))]
pub(crate) struct Args {
    /// Take orders from stdin and report to stdout; what is for people goes to stderr
    #[arg(long)]
    pub stdio: bool,

    #[cfg(feature = "fleet")]
    #[command(flatten)]
    pub nats: Nats,

    /// Name at the NATS server: letters, digits, '-', '_' [default: the host's, and four digits]
    #[cfg(feature = "fleet")]
    #[arg(long, value_name = "NAME", help_heading = NATS)]
    pub name: Option<String>,

    /// End after one run [default: wait for the next]
    #[cfg(feature = "fleet")]
    #[arg(long, help_heading = NATS)]
    pub once: bool,

    /// Targets that it may load: ADDRESS[/LENGTH]:PORT, :FIRST-LAST or :*; repeatable [default: 127.0.0.0/8:* and
    /// [::1]:*]
    #[arg(long, value_name = "TARGETS", help_heading = ALLOWED)]
    pub allow: Vec<Allow>,

    /// Most connections that it opens [default: as many as fit]
    #[arg(long, value_name = "N", value_parser = bounds::connections, help_heading = ALLOWED)]
    pub max_connections: Option<u32>,

    /// Most messages per second that it sends; runs without a rate are then refused [default: no limit]
    #[arg(long, value_name = "RATE", help_heading = ALLOWED)]
    pub max_rate: Option<Rate>,

    /// File whose first line a coordinator has to know (its own --token-file)
    #[arg(long, value_name = "FILE", help_heading = ALLOWED)]
    pub token_file: Option<PathBuf>,

    /// How long a run goes on after the coordinator was last heard of; at least 2s
    #[arg(long, value_name = "T", default_value = "1m", value_parser = units::duration, help_heading = ALONE)]
    pub alone_for: Duration,

    /// Directory for a result that no coordinator took
    #[arg(long, value_name = "DIR", default_value = ".", help_heading = ALONE)]
    pub keep: PathBuf,

    /// Report what a process and its children, a unit of systemd, a cgroup or a container on this machine spends during the run
    /// (`throng help watch`)
    #[arg(long, value_name = "PID|UNIT|CONTAINER")]
    pub watch: Option<String>,

    /// Append every order, and what was refused, to a file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}
