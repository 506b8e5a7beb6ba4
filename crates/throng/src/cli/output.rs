//! The options that say how a run is reported. They are not part of its scenario.

use super::common::{LATENCY, OUTPUT, STATSD};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;
use throng_core::scenario::{Percentile, bounds};

/// Where the summary of a run goes.
#[derive(Clone, Args)]
pub(crate) struct Common {
    /// How to print the summary; docs/summary.md describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = OUTPUT)]
    pub output: OutputForm,

    /// Write the summary to a file instead of stdout
    #[arg(long, value_name = "F", help_heading = OUTPUT)]
    pub output_file: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
}

/// How a run's summary is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// For people
    Text,
    /// For scripts: one JSON object
    Json,
    /// tcpkali's lines; load takes its defaults, too
    Tcpkali,
}

/// Which latencies are reported, and where they are written.
#[derive(Args)]
pub(crate) struct LatencyOutputArgs {
    /// Tell how long connecting took, also in tcpkali's lines and to StatsD
    #[arg(long, help_heading = LATENCY)]
    pub latency_connect: bool,

    /// Percentiles to tell, separated by commas or slashes; 100 is the maximum; repeatable
    /// [default: 95,99,99.5]
    #[arg(long, value_name = "LIST", value_parser = percentiles, help_heading = LATENCY)]
    pub latency_percentiles: Vec<Percentiles>,

    /// Write the latencies of each second to a file, as HdrHistogram's interval log
    #[arg(long, value_name = "F", help_heading = LATENCY)]
    pub latency_log: Option<PathBuf>,

    /// Write to a file when each message or query was sent and its round trip, as CSV
    #[arg(long, value_name = "F", help_heading = LATENCY)]
    pub samples: Option<PathBuf>,
}

/// What is said of a run, and to whom.
#[derive(Args)]
pub(crate) struct OutputArgs {
    #[command(flatten)]
    pub common: Common,

    /// Increase verbosity (repeatable)
    #[arg(short = 'v', action = clap::ArgAction::Count, help_heading = OUTPUT)]
    pub more_verbose: u8,

    /// Verbosity: 0 errors, 1 normal, 2 details, 3 everything [default: 1]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=3), help_heading = OUTPUT)]
    pub verbose: Option<u8>,

    #[command(flatten)]
    pub dump: DumpArgs,

    #[command(flatten)]
    pub statsd: StatsdArgs,
}

/// Which traffic is printed on stderr.
#[derive(Args)]
pub(crate) struct DumpArgs {
    /// Print what one connection sends and receives; when it closes, another one
    #[arg(short = 'd', long, help_heading = OUTPUT)]
    pub dump_one: bool,
    /// The same, only what it receives
    #[arg(long, help_heading = OUTPUT)]
    pub dump_one_in: bool,
    /// The same, only what it sends
    #[arg(long, help_heading = OUTPUT)]
    pub dump_one_out: bool,
    /// Print what all connections send and receive
    #[arg(long, help_heading = OUTPUT)]
    pub dump_all: bool,
    /// The same, only what they receive
    #[arg(long, help_heading = OUTPUT)]
    pub dump_all_in: bool,
    /// The same, only what they send
    #[arg(long, help_heading = OUTPUT)]
    pub dump_all_out: bool,
}

/// Where metrics go.
#[derive(Args)]
pub(crate) struct StatsdArgs {
    /// Send metrics to StatsD once a second
    #[arg(long, help_heading = STATSD)]
    pub statsd: bool,

    /// Its host [default: localhost]
    #[arg(long, value_name = "HOST", help_heading = STATSD)]
    pub statsd_host: Option<String>,

    /// Its UDP port [default: 8125]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), help_heading = STATSD)]
    pub statsd_port: Option<u16>,

    /// What stands before each name [default: tcpkali]
    #[arg(long, value_name = "S", value_parser = namespace, help_heading = STATSD)]
    pub statsd_namespace: Option<String>,

    /// Send latencies of the last so long, so often, instead of those since the beginning
    #[arg(long, value_name = "T", value_parser = bounds::positive, help_heading = STATSD)]
    pub statsd_latency_window: Option<Duration>,
}

/// What one `--latency-percentiles` lists.
#[derive(Clone)]
pub(crate) struct Percentiles(pub Vec<Percentile>);

fn percentiles(text: &str) -> Result<Percentiles, String> {
    match Percentile::parse_list(text) {
        Ok(list) => Ok(Percentiles(list)),
        Err(e) => Err(e.to_string()),
    }
}

/// Names of metrics are separated by dots and end at a colon.
fn namespace(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b':' | b'|' | b'@');
    if !text.is_empty() && text.bytes().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "'{text}' is not a namespace; write it like tests.tcp"
        ))
    }
}
