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

/// Find out what stands between two machines: NAT, firewalls, load balancers, proxies
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

    /// idle: the longest timeout to look for, in whole seconds
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = longest_timeout)]
    pub up_to: Duration,

    /// table: the most flows to open
    #[arg(long, value_name = "N", default_value = "10k", value_parser = most_flows)]
    pub most: u32,

    /// table: flows to open per second
    #[arg(long, value_name = "RATE", default_value = "500")]
    pub connect_rate: Rate,

    /// rate: the highest rate of new flows to try, per second
    #[arg(long, value_name = "RATE", default_value = "2k", value_parser = highest_rate)]
    pub rate_up_to: Rate,

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

impl Args {
    /// The file to write the result to; `None` for stdout.
    pub fn file(&self) -> Option<&Path> {
        self.output_file.as_deref().filter(|path| !is_stdout(path))
    }

    /// Whether the result is for scripts.
    pub fn is_json(&self) -> bool {
        self.output == DocumentForm::Json
    }
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
