//! The options of `throng sweep`.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use crate::cli::UNITS;
use crate::live_page::At;
use clap::ValueEnum;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use throng_core::expect::Metric;
use throng_core::experiment::sweep;
use throng_core::experiment::sweep::{Objective, Vary};
use throng_core::scenario::bounds;
use throng_core::units;

/// The headings of the help.
const POINTS: &str = "Points";
const SEARCH: &str = "Search";
const TRIALS: &str = "Trials";
const SYSTEM: &str = "System under test";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  throng sweep --vary connections=1..64*2 --repeat 5 -- http URL
      Requests per second of 1, 2, 4 ... 64 connections, five trials of each.
  throng sweep --vary w=1,2,4 --start './server -w {w}' -- http URL
      A server that is started anew with each number of workers.
  throng sweep --vary net.core.somaxconn=16,128 --start x -- http URL
      A sysctl, in a network namespace of the sweep's own.
  throng sweep --find connections=1..9k --objective lost=0 -- http URL
      The most connections of which none is lost.
  throng sweep --resume sweep-1
      Go on after an interruption.";

const CODES: &str = "\
Exit codes: 0 every trial has a result, and --objective holds at a point; 1 it does not, a trial has no result, or no trial a \
throughput; 2 bad usage; \
130 interrupted (what is finished is kept, and --resume goes on).";

/// Repeat a run over one or two variables: a curve or a grid
#[derive(Clone, clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{UNITS}\n\n{CODES}"))]
pub(crate) struct Args {
    /// A scenario with a section [sweep], which has these options as keys
    #[arg(value_name = "FILE", conflicts_with = "trial")]
    pub file: Option<PathBuf>,

    /// The trial: a command line of throng load, http or run
    #[arg(value_name = "TRIAL", last = true)]
    pub trial: Vec<String>,

    /// What varies: a key of the scenario, a sysctl net.*, or a word {NAME} in commands; repeat it once for a grid.
    /// VALUES are a list (16,128), steps (100..1k:100), factors (1..64*2) or 100,200..12800
    #[arg(long, value_name = "NAME=VALUES", help_heading = POINTS)]
    pub vary: Vec<Vary>,

    /// Trials of each point
    #[arg(long, value_name = "N", default_value = "1", value_parser = repeat, help_heading = POINTS)]
    pub repeat: u32,

    /// Leave out the N best and the N worst trials of a point in its mean and in fits
    #[arg(long, value_name = "N", default_value = "0", value_parser = count, help_heading = POINTS)]
    pub trim: u32,

    /// What a point has to keep, such as 'p99<50ms,failed=0': conditions as of --expect, or pN for the latency of
    /// answers
    #[arg(long, value_name = "CONDITIONS", help_heading = POINTS)]
    pub objective: Option<Objective>,

    /// What counts as throughput, by its name in `throng help verdict` [default: answers/s, else messages/s,
    /// else opened/s]
    #[arg(long, value_name = "METRIC", help_heading = POINTS)]
    pub metric: Option<Metric>,

    /// Find the highest value at which --objective holds, by trials that grow longer (MLRsearch), such as
    /// connections=100..100k; with one --vary, for each of its values
    #[arg(
        long,
        value_name = "NAME=LOW..HIGH",
        requires = "objective",
        conflicts_with_all = ["repeat", "trim", "order"],
        help_heading = SEARCH
    )]
    pub find: Option<Find>,

    /// How far the values that it lies between may be apart, as a share of the greater one
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent, help_heading = SEARCH)]
    pub goal_width: f64,

    /// Length of the first trials
    #[arg(long, value_name = "T", default_value = "1s", value_parser = bounds::positive, help_heading = SEARCH)]
    pub goal_initial: Duration,

    /// Length of the last trials
    #[arg(long, value_name = "T", default_value = "10s", value_parser = bounds::positive, help_heading = SEARCH)]
    pub goal_final: Duration,

    /// How long trials of a value take together before it is judged
    #[arg(long, value_name = "T", default_value = "30s", value_parser = bounds::positive, help_heading = SEARCH)]
    pub goal_sum: Duration,

    /// The share of that time for which the objective may be missed
    #[arg(long, value_name = "PERCENT", default_value = "50%", value_parser = percent, help_heading = SEARCH)]
    pub goal_exceed: f64,

    /// Order of the trials; shuffled and interleaved make rounds that have every point once
    #[arg(long, value_name = "ORDER", default_value = "shuffled", help_heading = TRIALS)]
    pub order: Order,

    /// Seed of the order [default: random]
    #[arg(long, value_name = "N", help_heading = TRIALS)]
    pub seed: Option<u64>,

    /// Make a trial of this length after each start of the system, and leave it out
    #[arg(long, value_name = "T", value_parser = bounds::positive, help_heading = TRIALS)]
    pub warm_up: Option<Duration>,

    /// Wait this long between trials [default: until no connection to the target is left, in TIME_WAIT either]
    #[arg(long, value_name = "T", value_parser = units::duration, help_heading = TRIALS)]
    pub pause: Option<Duration>,

    /// Shell command to run between trials
    #[arg(long, value_name = "COMMAND", help_heading = TRIALS)]
    pub between: Option<String>,

    /// Shell command that starts the system under test; it is stopped at the end
    #[arg(long, value_name = "COMMAND", help_heading = SYSTEM)]
    pub start: Option<String>,

    /// Shell command that stops it [default: SIGTERM, and SIGKILL after 5s]
    #[arg(long, value_name = "COMMAND", requires = "start", help_heading = SYSTEM)]
    pub stop: Option<String>,

    /// When to start it again: before each trial, before each change of the point, or never
    #[arg(long, value_name = "WHEN", default_value = "point", help_heading = SYSTEM)]
    pub restart: Restart,

    /// Where it answers once it is ready [default: the trial's target]
    #[arg(long, value_name = "HOST:PORT", requires = "start", help_heading = SYSTEM)]
    pub ready: Option<String>,

    /// How long it may take to be ready
    #[arg(long, value_name = "T", default_value = "30s", value_parser = bounds::positive, help_heading = SYSTEM)]
    pub ready_timeout: Duration,

    /// Directory for the results of trials; it is created [default: sweep-1, or the next number that is free]
    #[arg(long, value_name = "DIR", help_heading = OUTPUT)]
    pub output_dir: Option<PathBuf>,

    /// Go on with the sweep in this directory, with the trials that are missing
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "file", "trial", "vary", "repeat", "trim", "objective", "metric", "find", "goal_width", "goal_initial",
        "goal_final", "goal_sum", "goal_exceed", "order", "seed", "warm_up", "pause", "between", "start", "stop",
        "restart", "ready", "ready_timeout", "output_dir",
    ], help_heading = OUTPUT)]
    pub resume: Option<PathBuf>,

    /// Format of the result; `throng help sweep` describes them
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = OUTPUT)]
    pub output: Form,

    /// Write the result to a file, too
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub output_file: Option<PathBuf>,

    /// Write a page for a browser, too, with charts and with the result in it (HTML)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub report: Option<PathBuf>,

    /// Show the sweep on a page for a browser while it lasts, at http://ADDRESS:PORT; not on loopback, its address has a token
    /// [default: 127.0.0.1:9465]
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, require_equals = true, default_missing_value = "",
          value_parser = At::parse, help_heading = OUTPUT)]
    pub web: Option<At>,

    /// Show no progress
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
}

/// The format of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A table for people
    Text,
    /// One JSON object
    Json,
    /// A line per trial, for plotting
    Csv,
}

/// The order of trials.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Order {
    /// Rounds in random order
    Shuffled,
    /// Rounds in the order given
    Interleaved,
    /// Point by point
    Listed,
}

impl From<Order> for sweep::Order {
    fn from(order: Order) -> sweep::Order {
        match order {
            Order::Shuffled => sweep::Order::Shuffled,
            Order::Interleaved => sweep::Order::Interleaved,
            Order::Listed => sweep::Order::Listed,
        }
    }
}

/// When the system under test is started again.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Restart {
    /// Before each trial
    Trial,
    /// Before a trial of another point
    Point,
    /// Only at the beginning
    Never,
}

impl From<Restart> for sweep::Restart {
    fn from(restart: Restart) -> sweep::Restart {
        match restart {
            Restart::Trial => sweep::Restart::Trial,
            Restart::Point => sweep::Restart::Point,
            Restart::Never => sweep::Restart::Never,
        }
    }
}

/// A value to find, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Find {
    /// The key.
    pub name: String,
    /// The least value.
    pub low: u32,
    /// The greatest value.
    pub high: u32,
}

impl FromStr for Find {
    type Err = String;

    fn from_str(text: &str) -> Result<Find, String> {
        let parts = text.split_once('=').and_then(|(name, range)| {
            let (low, high) = range.split_once("..")?;
            (!name.trim().is_empty()).then_some((name.trim(), low.trim(), high.trim()))
        });
        let Some((name, low, high)) = parts else {
            return Err(format!(
                "'{}' is not NAME=LOW..HIGH; write it like connections=100..100k",
                text.escape_debug()
            ));
        };
        Ok(Find {
            name: name.to_owned(),
            low: count(low)?,
            high: count(high)?,
        })
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|n| n.parse::<f64>().ok());
    match number {
        Some(n) if (0.0..=100.0).contains(&n) => Ok(n / 100.0),
        _ => Err(format!(
            "'{}' is not a percentage; write it like 5%",
            text.escape_debug()
        )),
    }
}

fn count(text: &str) -> Result<u32, String> {
    units::count(text).map_err(|e| e.to_string())
}

fn repeat(text: &str) -> Result<u32, String> {
    match count(text)? {
        0 => Err("at least 1 is needed".into()),
        n => Ok(n),
    }
}
