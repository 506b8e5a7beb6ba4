//! `throng merge`: merges the results of several runs into one.

use crate::cli::{Common, after_help_of_run};
use crate::files::{self, Named};
use crate::{Failure, output, results};
use std::path::PathBuf;
use throng_core::record::Record;
use throng_report::json::Outcome;

const EXAMPLE: &str = "\
Example:
  throng merge a.json b.json
      One summary of two runs, such as those of two machines that loaded one server.";

/// Merge the JSON results of several runs into one summary
#[derive(clap::Args)]
#[command(after_help = after_help_of_run(EXAMPLE))]
pub(crate) struct Args {
    /// Results to merge, as written by --output json or --report; the same run given twice counts once
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
    let mut merged: Option<Record> = None;
    for path in &args.files {
        for record in results::read(path)? {
            let all = match merged.take() {
                None => Ok(record),
                Some(merged) => merged.merge(record),
            };
            let wrong = |e| Failure::usage(format!("can't merge {}: {e}", path.display()));
            merged = Some(all.map_err(wrong)?);
        }
    }
    let merged = merged.ok_or_else(|| Failure::usage("no files to merge"))?;
    let outcome = Outcome::of(merged);
    output::outcome(&outcome, &args.common)?;
    Ok(outcome.summary.exit_code())
}
