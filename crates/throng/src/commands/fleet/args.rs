//! The options of `throng fleet`.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use super::agents::Agents;
#[cfg(feature = "fleet")]
use super::nats::Nats;
use crate::Failure;
use crate::cli::EXIT_CODES;
use clap::ValueEnum;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use throng_core::units;
use throng_fleet::{Allow, OnLoss};

const EXAMPLES: &str = "\
Examples:
  throng fleet run --agents local:4 load -c 40k 127.0.0.1:9000
      Four processes on this machine, 10,000 connections each.
  throng fleet run --agents ssh:a,b,c load -c 300k 10.0.0.7:9000
      Three machines, one summary.
  throng fleet run --agents ssh:a,b --fit hi.toml --output json
      A scenario file; who has less room gets fewer connections.
  throng fleet run --nats nats://127.0.0.1 load -c 9k 127.0.0.1:9000
      All agents that wait at a NATS server (`throng agent --nats ...`).
  throng lab 8 --serve sink -- fleet run load -c 16k {server}:9000
      Eight hosts on this machine, an agent on each (`throng help lab`).
  throng fleet run --agents exec:'./agent 1' load -c 9k 10.0.0.7:9000
      An agent that a command starts, which runs `throng agent --stdio`.";

/// Run one load on many machines (`throng help fleet`)
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
#[command(override_usage = "throng fleet run --agents <AGENTS> [OPTIONS] <RUN>...")]
#[command(after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    /// What to do
    #[arg(value_name = "WHAT", required = true)]
    pub what: Option<What>,

    /// Agents: local:N, ssh:HOST[,HOST...], exec:'COMMAND' or lab, which are started, or nats, nats:N or nats:NAME[,NAME...], which
    /// wait at a NATS server; nobody can go on with a run of agents that were started if this coordinator dies; repeatable
    /// [default with --nats: nats, else in a lab: lab]
    #[arg(long, value_name = "AGENTS")]
    pub agents: Vec<Agents>,

    /// Give connections that one agent has no room for to others
    #[arg(long)]
    pub fit: bool,

    /// What happens when an agent is lost during the run
    #[arg(long, value_name = "WHAT", default_value = "go-on")]
    pub on_loss: OnLossArg,

    /// Count an agent as lost once it is silent for this long; at least 1s
    #[arg(long, value_name = "T", default_value = "5s", value_parser = silence)]
    pub lost_after: Duration,

    /// Targets that agents on other machines may load (ssh:): ADDRESS[/LENGTH]:PORTS; repeatable [default: those of the
    /// run]
    #[arg(long, value_name = "TARGETS")]
    pub allow: Vec<Allow>,

    /// File whose first line agents ask for that have a --token-file
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    #[cfg(feature = "fleet")]
    #[command(flatten)]
    pub nats: Nats,

    /// How long to wait for agents at the NATS server
    #[cfg(feature = "fleet")]
    #[arg(long, value_name = "T", default_value = "30s", value_parser = throng_core::units::duration, help_heading = super::nats::NATS)]
    pub nats_wait: std::time::Duration,

    /// Command line of throng load, http or run, or a scenario file and options of throng run
    #[arg(
        value_name = "RUN",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub run: Vec<OsString>,

    #[command(subcommand)]
    pub other: Option<Other>,
}

/// What has a command line of its own.
#[derive(clap::Subcommand)]
pub(crate) enum Other {
    #[cfg(feature = "fleet")]
    #[allow(missing_docs)]
    Attach(Box<super::attach::Args>),
    #[cfg(feature = "fleet")]
    #[allow(missing_docs)]
    Status(super::status::Args),
    #[cfg(feature = "fleet")]
    #[allow(missing_docs)]
    Stop(super::stop::Args),
    #[cfg(feature = "fleet")]
    #[allow(missing_docs)]
    Logs(super::logs::Args),
    #[allow(missing_docs)]
    Manifest(super::manifest::Args),
}

impl Other {
    /// Runs it. Returns the exit code.
    pub fn run(&self, grammar: &clap::Command) -> Result<u8, Failure> {
        match self {
            #[cfg(feature = "fleet")]
            Other::Attach(args) => super::attach::run(args),
            #[cfg(feature = "fleet")]
            Other::Status(args) => super::status::run(args),
            #[cfg(feature = "fleet")]
            Other::Stop(args) => super::stop::run(args),
            #[cfg(feature = "fleet")]
            Other::Logs(args) => super::logs::run(args),
            Other::Manifest(args) => super::manifest::run(args, grammar),
        }
    }
}

/// How long an agent may be silent. Agents say twice per second that they are there.
fn silence(text: &str) -> Result<Duration, String> {
    let shortest = Duration::from_secs(1);
    match units::duration(text).map_err(|e| e.to_string())? {
        time if time < shortest => Err(format!(
            "'{text}' is too short: agents say every 500 ms that they are there; write 1s or more"
        )),
        time => Ok(time),
    }
}

/// What to do with a fleet.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum What {
    /// Start agents, run a load, print one summary
    Run,
}

/// What happens when an agent is lost.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum OnLossArg {
    /// The others go on
    GoOn,
    /// The others stop, too
    Stop,
}

impl From<OnLossArg> for OnLoss {
    fn from(arg: OnLossArg) -> OnLoss {
        match arg {
            OnLossArg::GoOn => OnLoss::GoOn,
            OnLossArg::Stop => OnLoss::Stop,
        }
    }
}
