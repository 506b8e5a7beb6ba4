//! The options of `throng compare`.

use crate::Failure;
use crate::files::is_stdout;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use throng_core::expect::Metric;
use throng_core::experiment::compare::{Condition, wanted};

const EXAMPLES: &str = "\
Examples:
  throng compare before/ after/
      Whether the rounds in after/ differ from those in before/.
  throng compare before/ after/ --fail-if 'p99>+5%'
      Exit with 1 if the 99th percentile got more than 5 % slower.
  throng compare --run 'load --self -w 1' --run 'load --self -w 2'
      Run ten rounds of each in turn, and compare them.
  throng compare sweep-1/ sweep-2/ --report compared.html
      Two sweeps, point by point, and a page of what differs.
  throng compare --history results/
      At which of many results a metric stepped to another level.

Exit codes: 0 compared, whether or not anything differs; 1 a --fail-if is met, or can't be told; 2 bad usage, or a \
result that can't be read; 130 interrupted (the rounds that are finished are still compared).";

/// Tell whether results differ, by how much, and how sure that is
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Results of one thing: a directory with a file per round (--output json), a file, or files
    /// separated by commas; or a sweep (its directory); all are compared with the first.
    /// Or one page of a comparison, to make that again
    #[arg(value_name = "GROUP", required_unless_present_any = ["run", "history"], conflicts_with_all = ["run", "history"])]
    pub groups: Vec<PathBuf>,

    /// Command line of throng to run and compare, such as 'load --self -c 1k'; give two or more
    #[arg(long, value_name = "CMD")]
    pub run: Vec<String>,

    /// Rounds of each command, interleaved
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with_all = ["groups", "history"])]
    pub rounds: u32,

    /// Write the result of each round to a file in this directory; it is created if it does not exist
    #[arg(long, value_name = "DIR", conflicts_with_all = ["groups", "history"])]
    pub output_dir: Option<PathBuf>,

    /// Rounds of the same thing as the first group, made at another time: smaller differences
    /// than between those two are none
    #[arg(long, value_name = "GROUP", conflicts_with = "history")]
    pub floor: Option<PathBuf>,

    /// Metric to compare, one of those of --expect, such as response.p99; repeatable
    /// [default: rates, latencies, failures and costs, as measured]
    #[arg(long, value_name = "NAME", value_parser = metric)]
    pub metric: Vec<String>,

    /// Exit with 1 if a metric differs by more, such as 'p99>+5%' or 'answers/s<-2%'; repeatable
    #[arg(long, value_name = "CONDITION", conflicts_with = "history")]
    pub fail_if: Vec<Condition>,

    /// Look for steps in a series of results: the files of this directory, and its directories with
    /// a file per round, in order of time
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    pub history: Option<PathBuf>,

    /// Format of the comparison; `throng help compare` describes the JSON
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,

    /// Write the comparison to a file instead of stdout (-)
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,

    /// Write a page for a browser, too, with the rounds of each metric and with all results in it (HTML)
    #[arg(long, value_name = "FILE", conflicts_with = "history")]
    pub report: Option<PathBuf>,

    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// The format of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// For scripts: one JSON object
    Json,
    /// A history as a table for other programs, such as Apache Otava
    Csv,
}

impl Args {
    /// The file to write the comparison to; `None` for stdout.
    pub fn file(&self) -> Option<&Path> {
        self.output_file.as_deref().filter(|path| !is_stdout(path))
    }

    /// The file of a page, if its results and nothing else are to be compared.
    pub fn page(&self) -> Option<&Path> {
        match self.groups.as_slice() {
            [only] if only.is_file() => Some(only),
            _ => None,
        }
    }

    /// What to measure in each round, so that what is asked for can be compared.
    pub fn wanted(&self) -> Vec<Metric> {
        let names = self.metric.iter().map(String::as_str);
        wanted(names.chain(self.of_conditions()))
    }

    /// The metrics of the conditions.
    pub fn of_conditions(&self) -> impl Iterator<Item = &str> {
        self.fail_if
            .iter()
            .map(|condition| condition.metric.as_str())
    }

    /// Refuses what only makes sense otherwise.
    pub fn check(&self) -> Result<(), Failure> {
        let few = |n: usize, one: &str| {
            Err(Failure::usage(format!(
                "a comparison needs two {one} or more, and there {}; see throng compare --help",
                if n == 1 { "is one" } else { "are none" }
            )))
        };
        match (self.groups.len(), self.run.len()) {
            _ if self.history.is_some() => Ok(()),
            _ if self.output == Form::Csv => Err(Failure::usage(
                "--output csv is for --history: add it, or choose text or json",
            )),
            (1, 0) if self.page().is_some() => Ok(()),
            (n @ 0..=1, 0) => few(n, "groups"),
            (_, n @ 1) => few(n, "--run"),
            _ => Ok(()),
        }
    }
}

/// The name of a metric, or a statistic alone.
fn metric(name: &str) -> Result<String, String> {
    let known = throng_core::experiment::compare::known(name);
    known.map(|()| name.to_owned()).map_err(|e| e.to_string())
}
