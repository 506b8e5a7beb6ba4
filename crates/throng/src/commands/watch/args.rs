//! The options of `throng watch`.

use crate::cli::{DocumentForm, OUTPUT, UNITS};
use crate::files::is_stdout;
use std::path::{Path, PathBuf};
use std::time::Duration;
use throng_core::units;

const EXAMPLES: &str = "\
Examples:
  throng watch $(pidof -s haproxy)
      A line per second, and what a connection costs, until Ctrl-C.
  throng watch nginx.service --output json --for 5m
      A unit of systemd for five minutes, for scripts.
  throng watch web --csv web.csv
      The container web of Docker or Podman, with a row per second.
  throng load -c 20k --watch nginx --hold 1m 127.0.0.1:80
      The same during a load, in its result.";

const CODES: &str = "\
Exit codes: 0 it was watched for as long as --for says, or until it ended; 2 bad usage, or there is nothing to watch; 130 \
interrupted (what was seen is still printed).";

/// Watch what a server spends: memory per connection, CPU, queues
///
/// A process and its children, a unit of systemd, a cgroup or a container on this machine.
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{UNITS}\n\n{CODES}"))]
pub(crate) struct Args {
    /// Process with all that it starts, by its id; unit of systemd; cgroup, by its path; or container of Docker or Podman, by
    /// its name or id
    #[arg(value_name = "PID|UNIT|CONTAINER")]
    pub subject: String,

    /// Time between two readings, at least 100 ms
    #[arg(long, value_name = "T", default_value = "1s", value_parser = interval)]
    pub every: Duration,

    /// Watch for this long [default: until it ends, or Ctrl-C]
    #[arg(long = "for", value_name = "T", value_parser = length)]
    pub length: Option<Duration>,

    /// Write a row per reading to a file (CSV)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub csv: Option<PathBuf>,

    /// Format of the result; `throng help watch` describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = OUTPUT)]
    output: DocumentForm,

    /// Write the result to a file instead of stdout (-)
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    output_file: Option<PathBuf>,

    /// Show no line per reading
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
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

/// Readings of a server with many connections take longer than this.
const SHORTEST: Duration = Duration::from_millis(100);

fn length(text: &str) -> Result<Duration, String> {
    match units::duration(text).map_err(|e| e.to_string())? {
        Duration::ZERO => Err("watching takes time; without --for it goes on until Ctrl-C".into()),
        time => Ok(time),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = units::duration(text).map_err(|e| e.to_string())?;
    match time >= SHORTEST {
        true => Ok(time),
        false => Err("readings are 100 ms apart at least".into()),
    }
}
