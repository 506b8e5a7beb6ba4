//! `throng worklog`: draws all results in a directory as one page.

use super::report::PageArgs;
use crate::files::Named;
use crate::{Failure, results};
use std::path::PathBuf;
use throng_report::{html, human};

const EXAMPLES: &str = "\
Examples:
  throng worklog . -o worklog.html
      All results in this directory: what was tried, and what came of it.";

/// Draw all results in a directory as one page
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory with results, as written by --output json or --report, and with sweeps; directories in it are searched, too
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    #[command(flatten)]
    pub to: PageArgs,
}

/// Writes the page, and names what could not be read. Returns 0, whatever came of the runs.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    args.to.check(&[])?;
    let shown = args.directory.display();
    let found = results::in_directory(&args.directory, args.to.file())
        .map_err(|e| Failure::usage(format!("{shown}: {e}")))?;
    let inputs = found.read.iter().map(|p| Named::new("throng worklog", p));
    args.to.check(&inputs.collect::<Vec<_>>())?;
    for (name, why) in &found.unread {
        eprintln!("throng: {name} is left out: {why}");
    }
    if found.items.is_empty() {
        return Err(Failure::usage(format!(
            "{shown}: no results in it; --output json --output-file FILE.json and --report FILE.html write them"
        )));
    }
    let count = human::things(found.items.len() as u64, "result");
    let page = html::of_directory(&format!("{count} in {shown}"), &found.items, &found.unread);
    args.to.write(&page)?;
    Ok(0)
}
