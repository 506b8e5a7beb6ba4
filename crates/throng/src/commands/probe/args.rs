//! The options of `throng probe`.

use crate::cli::{DocumentForm, OUTPUT};
use crate::files::is_stdout;
use clap::ValueEnum;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use throng_core::units::Rate;
use throng_core::{address, units};

const EXAMPLES: &str = "\
Examples:
  throng probe --server 9000
      On the far machine: the other end of each probe.
  throng probe path 10.0.0.7:9000
      What the path does to TCP: translation, proxies, options, MTU.
  throng probe idle 10.0.0.7:9000 --up-to 5m
      After how much silence connections are forgotten, and how.
  throng probe table 10.0.0.7:9000 --most 20k
      How many flows fit, what gives way then, which ports are seen.

Exit codes: 0 measured; 1 it could not be measured; 2 bad usage; 130 interrupted.";

/// Find out what stands between two machines: NAT, firewalls, proxies
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to find out
    #[arg(value_name = "WHAT", required_unless_present = "server")]
    pub what: Option<What>,

    /// Far end of the probe, or what leads to it
    #[arg(value_name = "HOST:PORT", required_unless_present = "server")]
    pub target: Option<String>,

    /// Be the far end of probes, on this port
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = address::listen, conflicts_with_all = ["what", "target"])]
    pub server: Option<SocketAddr>,

    /// idle: the longest timeout to look for, in whole seconds [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = longest_timeout)]
    up_to: Option<Duration>,

    /// table: the most flows to open [default: 10k]
    #[arg(long, value_name = "N", value_parser = most_flows)]
    most: Option<u32>,

    /// table: flows to open per second [default: 500]
    #[arg(long, value_name = "RATE")]
    connect_rate: Option<Rate>,

    /// rate: the highest rate of new flows to try, per second [default: 2k]
    #[arg(long, value_name = "RATE", value_parser = highest_rate)]
    rate_up_to: Option<Rate>,

    /// How long an answer may take; after that it counts as silence
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = answer_time)]
    pub answer_within: Duration,

    /// Format of the result; `throng help probe` describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = OUTPUT)]
    output: DocumentForm,

    /// Write the result to a file instead of stdout (-)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    output_file: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
}

/// What a probe finds out.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// Options of TCP that survive, proxies, translation, MTU
    Path,
    /// Timeout of silent connections, and how they end
    Idle,
    /// Number of flows that fit, what gives way, ports, spread over servers
    Table,
    /// Rate of new flows beyond which some are lost
    Rate,
}

/// Defaults of the options of single probes.
const UP_TO: Duration = Duration::from_secs(600);
const MOST: u32 = 10_000;
const CONNECT_RATE: f64 = 500.0;
const RATE_UP_TO: f64 = 2000.0;

impl What {
    /// As it is written.
    fn name(self) -> &'static str {
        match self {
            What::Path => "path",
            What::Idle => "idle",
            What::Table => "table",
            What::Rate => "rate",
        }
    }
}

impl Args {
    /// An option that was given and belongs to another probe, or to none, with the probe that it is for.
    pub fn misplaced(&self) -> Option<(&'static str, &'static str)> {
        let all = [
            (self.up_to.is_some(), "--up-to", What::Idle),
            (self.most.is_some(), "--most", What::Table),
            (self.connect_rate.is_some(), "--connect-rate", What::Table),
            (self.rate_up_to.is_some(), "--rate-up-to", What::Rate),
        ];
        let misplaced = all
            .into_iter()
            .find(|(given, _, of)| *given && self.what != Some(*of));
        misplaced.map(|(_, option, of)| (option, of.name()))
    }

    /// The longest timeout to look for.
    pub fn up_to(&self) -> Duration {
        self.up_to.unwrap_or(UP_TO)
    }

    /// The most flows to open.
    pub fn most(&self) -> u32 {
        self.most.unwrap_or(MOST)
    }

    /// Flows to open per second.
    pub fn connect_rate(&self) -> Rate {
        self.connect_rate.unwrap_or_else(|| usual(CONNECT_RATE))
    }

    /// The highest rate of new flows to try.
    pub fn rate_up_to(&self) -> Rate {
        self.rate_up_to.unwrap_or_else(|| usual(RATE_UP_TO))
    }

    /// The file to write the result to; `None` for stdout.
    pub fn file(&self) -> Option<&Path> {
        self.output_file.as_deref().filter(|path| !is_stdout(path))
    }

    /// Whether the result is for scripts.
    pub fn is_json(&self) -> bool {
        self.output == DocumentForm::Json
    }
}

fn usual(per_second: f64) -> Rate {
    Rate::per_second(per_second).expect("a constant above zero")
}

/// The shortest and the longest time for an answer.
const ANSWER_TIME: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(60);

fn answer_time(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).map_err(|e| e.to_string())?;
    match ANSWER_TIME.contains(&time) {
        true => Ok(time),
        false => Err("a time for an answer is between 100 ms and 1m".into()),
    }
}

/// The timeouts that can be looked for: the far end speaks after at most a day.
const TIMEOUTS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(2)..=Duration::from_secs(24 * 3600);

fn longest_timeout(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).map_err(|e| e.to_string())?;
    match TIMEOUTS.contains(&time) && time.subsec_nanos() == 0 {
        true => Ok(time),
        false => Err("a timeout to look for is between 2 s and 1d, in whole seconds".into()),
    }
}

fn most_flows(text: &str) -> Result<u32, String> {
    let most = units::count(text).map_err(|e| e.to_string())?;
    match most >= LEAST_FLOWS {
        true => Ok(most),
        false => Err(format!(
            "a table is probed with {LEAST_FLOWS} flows or more"
        )),
    }
}

/// With fewer, one flow more or less is more than a per cent.
const LEAST_FLOWS: u32 = 100;

/// The highest rate that a probe opens flows at: beyond it the probe itself is what is measured.
const HIGHEST_RATE: f64 = 20_000.0;

fn highest_rate(text: &str) -> Result<Rate, String> {
    let rate: Rate = text.parse().map_err(|e: units::UnitError| e.to_string())?;
    match (10.0..=HIGHEST_RATE).contains(&rate.get()) {
        true => Ok(rate),
        false => Err(format!(
            "a rate to look for is between 10 and {HIGHEST_RATE} per second"
        )),
    }
}
