//! `throng report`: draws results as a page for a browser.

use crate::files::Named;
use crate::{Failure, files, output, results};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use throng_report::compare::{Material, SweptMaterial};
use throng_report::{file, html, human, sweep};

const EXAMPLES: &str = "\
Examples:
  throng report a.json -o a.html
      A page with charts of a run, which also has the result in it.
  throng report a.json b.json -o both.html
      Two runs side by side, then each of them.";

/// Draw results as a page for a browser (`throng help report`)
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Results, as written by --output json or --report; or the directory, result.json or page of a sweep, or the page of a
    /// comparison
    #[arg(value_name = "RESULT", required = true)]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    pub to: PageArgs,
}

/// Where a page goes.
#[derive(clap::Args)]
pub(crate) struct PageArgs {
    /// Write the page to a file instead of stdout (-)
    #[arg(short, long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
}

impl PageArgs {
    /// The file; `None` for stdout.
    pub fn file(&self) -> Option<&Path> {
        let path = self.output_file.as_deref();
        path.filter(|path| !files::is_stdout(path))
    }

    /// Refuses, before anything is read, a file that can't be written or is one of `inputs`, and a terminal.
    pub fn check(&self, inputs: &[Named]) -> Result<(), Failure> {
        match self.file() {
            Some(path) => files::check(&[Named::new("--output-file", path)], inputs),
            None if io::stdout().is_terminal() => Err(Failure::usage(
                "a page is no text for a terminal: add -o FILE.html",
            )),
            None => Ok(()),
        }
    }

    /// Writes the page.
    pub fn write(&self, page: &str) -> Result<(), Failure> {
        match self.file() {
            Some(path) => {
                file::write_whole(path, page.as_bytes()).map_err(|e| Failure::fault(e.to_string()))
            }
            None => output::to_stdout(page.as_bytes()),
        }
    }
}

/// Writes the page. Returns 0, whatever came of the runs.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let all = args.files.iter().map(|path| results::file_of(path));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    let inputs = all.iter().map(|p| Named::new("throng report", p));
    args.to.check(&inputs.collect::<Vec<_>>())?;
    if let [only] = all.as_slice() {
        let bytes = results::bytes(only)?;
        let page = if let Some(sweep) = sweep::read(&bytes) {
            Some(html::of_sweep(&sweep))
        } else if let Some(material) = Material::read(&bytes) {
            Some(html::of_comparison(&material))
        } else if let Some(material) = SweptMaterial::read(&bytes) {
            let drawn = html::of_sweeps(&material);
            Some(drawn.map_err(|e| Failure::usage(e.to_string()))?)
        } else {
            None
        };
        if let Some(page) = page {
            args.to.write(&page)?;
            return Ok(0);
        }
    }
    let entries = results::entries(&all)?;
    let page = match entries.as_slice() {
        [only] => html::of_result(&only.outcome),
        several => {
            let title = human::things(several.len() as u64, "result");
            html::of_results(&format!("{title} side by side"), several)
        }
    };
    args.to.write(&page)?;
    Ok(0)
}
