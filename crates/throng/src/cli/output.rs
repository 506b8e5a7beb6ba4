//! The options that say how a run is reported. They are not part of its scenario.

use super::common::{LATENCY, OUTPUT};
use crate::Failure;
use crate::files::is_stdout;
use crate::outputs::{LoadOutputs, RunOutputs};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use throng_core::scenario::Percentile;

/// Where the summary of a run goes.
#[derive(Clone, Args)]
pub(crate) struct Common {
    /// Format of the summary; `throng help summary` describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = OUTPUT)]
    pub output: OutputForm,

    /// Write the summary to a file instead of stdout (-)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub output_file: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,

    /// Show more: each count in the summary, and how the run is carried out; repeatable
    #[arg(short = 'v', action = clap::ArgAction::Count, help_heading = OUTPUT)]
    pub more_verbose: u8,

    /// Verbosity: 0 errors, 1 normal, 2 details, 3 everything [default: 1]
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=3), help_heading = OUTPUT)]
    pub verbose: Option<u8>,
}

/// From this verbosity on, details are shown: the plan of the run, and each count in the summary.
pub(crate) const DETAILS: u8 = 2;

impl Common {
    /// Verbosity: 0 errors, 1 normal, 2 details, 3 everything.
    pub fn verbosity(&self) -> u8 {
        let level = self.verbose.unwrap_or(1);
        level.saturating_add(self.more_verbose).min(3)
    }

    /// The file to write the summary to; `None` for stdout, which is also `-`.
    pub fn file(&self) -> Option<&Path> {
        self.output_file.as_deref().filter(|path| !is_stdout(path))
    }

    /// Refuses a file whose name says another format than it would have.
    pub fn check(&self) -> Result<(), Failure> {
        let Some(path) = self.file() else {
            return Ok(());
        };
        let name = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        let remedy = match (name, self.output) {
            ("json", OutputForm::Text | OutputForm::Tcpkali) => "add --output json",
            ("csv", _) => "--csv FILE writes a row per second",
            ("xml", _) => "--junit FILE writes a test report",
            ("html" | "htm", _) => "--report FILE writes a page",
            ("yaml", _) => "throng writes text or JSON",
            _ => return Ok(()),
        };
        Err(Failure::usage(format!(
            "--output-file {}: the summary is not {}: {remedy}, or name the file otherwise",
            path.display(),
            name.to_uppercase()
        )))
    }
}

/// The format of a run's summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// For people
    Text,
    /// For scripts: one JSON object
    Json,
    /// tcpkali's output; load uses tcpkali's defaults, too
    Tcpkali,
}

/// Which latencies are reported.
#[derive(Args, Default)]
pub(crate) struct LatencyOutputArgs {
    /// Report the time to connect in tcpkali's output and to StatsD, too
    #[arg(long, help_heading = LATENCY)]
    pub latency_connect: bool,

    /// Percentiles to report, separated by commas or slashes; 100 is the maximum; repeatable
    /// [default: 95,99,99.5]
    #[arg(long, value_name = "LIST", value_parser = percentiles, help_heading = LATENCY)]
    pub latency_percentiles: Vec<Percentiles>,
}

/// How a run is reported.
#[derive(Args)]
pub(crate) struct OutputArgs {
    #[command(flatten)]
    pub common: Common,

    #[command(flatten)]
    pub dump: DumpArgs,

    #[command(flatten)]
    pub outputs: RunOutputs,

    #[command(flatten)]
    pub of_load: LoadOutputs,
}

/// Which traffic is printed to stderr.
#[derive(Args)]
pub(crate) struct DumpArgs {
    /// Print the traffic of one connection to stderr; when it closes, of another
    #[arg(short = 'd', long, help_heading = OUTPUT)]
    pub dump_one: bool,
    /// Print to stderr what one connection receives
    #[arg(long, help_heading = OUTPUT)]
    pub dump_one_in: bool,
    /// Print to stderr what one connection sends
    #[arg(long, help_heading = OUTPUT)]
    pub dump_one_out: bool,
    /// Print the traffic of all connections to stderr
    #[arg(long, help_heading = OUTPUT)]
    pub dump_all: bool,
    /// Print to stderr what all connections receive
    #[arg(long, help_heading = OUTPUT)]
    pub dump_all_in: bool,
    /// Print to stderr what all connections send
    #[arg(long, help_heading = OUTPUT)]
    pub dump_all_out: bool,
}

/// The percentiles of one `--latency-percentiles`.
#[derive(Clone)]
pub(crate) struct Percentiles(pub Vec<Percentile>);

fn percentiles(text: &str) -> Result<Percentiles, String> {
    match Percentile::parse_list(text) {
        Ok(list) => Ok(Percentiles(list)),
        Err(e) => Err(e.to_string()),
    }
}
