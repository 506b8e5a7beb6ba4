//! `throng merge`: merges the results of several runs into one.

use crate::cli::{Common, after_help_of_run};
use crate::files::{self, Named};
use crate::{Failure, output};
use std::path::{Path, PathBuf};
use throng_core::record::Record;
use throng_report::json::{Outcome, read_record};

const EXAMPLE: &str = "\
Example:
  throng merge a.json b.json
      One summary of two runs, such as those of two machines that loaded one server.";

/// Merge the JSON results of several runs into one summary
#[derive(clap::Args)]
#[command(after_help = after_help_of_run(EXAMPLE))]
pub(crate) struct Args {
    /// Results to merge, as written by --output json; the same run given twice counts once
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    pub common: Common,
}

/// Merges the results and prints the summary. Returns the exit code of a run with that summary.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    args.common.check()?;
    let path = args.common.file();
    let outputs: Vec<Named> = path
        .map(|p| Named::new("--output-file", p))
        .into_iter()
        .collect();
    let inputs = args.files.iter().map(|p| Named::new("throng merge", p));
    files::check(&outputs, &inputs.collect::<Vec<_>>())?;
    let mut records = args.files.iter();
    let mut merged = match records.next() {
        Some(first) => read(first)?,
        None => return Err(Failure::usage("no files to merge")),
    };
    for path in records {
        let record = read(path)?;
        merged = merged
            .merge(record)
            .map_err(|e| Failure::usage(format!("can't merge {}: {e}", path.display())))?;
    }
    let outcome = Outcome::of(merged);
    output::outcome(&outcome, &args.common)?;
    Ok(outcome.summary.exit_code())
}

fn read(path: &Path) -> Result<Record, Failure> {
    let refused = |e: String| Failure::usage(format!("{}: {e}", path.display()));
    let bytes = files::read(path).map_err(|e| refused(e.to_string()))?;
    read_record(&bytes).map_err(|e| refused(e.to_string()))
}
