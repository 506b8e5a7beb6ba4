//! The options of `throng run`.

use crate::cli::{LatencyOutputArgs, OutputArgs, after_help_of_run};
use std::path::PathBuf;
use throng_core::scenario::file::Set;

/// The heading of the help.
const OUTPUT: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  throng load -c 10k -m hi -r 1 --print-scenario 10.0.0.7:9 > hi.toml
      Save what this command line asks for.
  throng run hi.toml
      Run it.
  throng run hi.toml --set load.connections=50k --set load.hold=5m
      Run it with other values.";

/// Run a scenario from a file (`throng help scenario`)
#[derive(clap::Args)]
#[command(after_help = after_help_of_run(EXAMPLES))]
pub(crate) struct Args {
    /// Scenario file, in TOML; - reads stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Override a value of the file, such as load.connections=10k; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Set>,

    /// Print the scenario with these values as a file, then exit
    #[arg(long, help_heading = OUTPUT)]
    pub print_scenario: bool,

    #[command(flatten)]
    pub latency: LatencyOutputArgs,

    #[command(flatten)]
    pub shown: OutputArgs,
}
