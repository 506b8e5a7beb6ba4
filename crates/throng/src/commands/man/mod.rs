//! `throng man`: man pages, generated from the definitions of the options.

use crate::Failure;
use crate::cli;
use clap::builder::{Resettable, StyledStr};
use clap_mangen::roff::{Roff, roman};
use std::path::{Path, PathBuf};
use throng_report::file::write_whole;

/// Write the man pages
#[derive(clap::Args)]
#[command(after_help = "Example:\n  throng man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// Directory to write them to; it is created if it does not exist
    directory: PathBuf,
}

/// Writes `throng.1`, `throng-load.1` and so on into the directory.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let directory = &args.directory;
    std::fs::create_dir_all(directory)
        .map_err(|e| Failure::usage(format!("{}: {e}", directory.display())))?;
    let mut command = cli::command();
    command.build();
    write_page(&command, "throng", directory)?;
    for sub in command.get_subcommands() {
        write_page(sub, &format!("throng-{}", sub.get_name()), directory)?;
    }
    Ok(0)
}

fn write_page(command: &clap::Command, name: &str, directory: &Path) -> Result<(), Failure> {
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    // clap_mangen would put the text below the options under the heading EXTRA.
    let below = command.get_after_help().map(StyledStr::to_string);
    let command = command.clone().display_name(name);
    clap_mangen::Man::new(command.after_help(Resettable::Reset))
        .render(&mut page)
        .and_then(|()| sections(&below.unwrap_or_default()).to_writer(&mut page))
        .and_then(|()| write_whole(&path, &page))
        .map_err(|e| Failure::fault(e.to_string()))
}

/// The sections for the text below the options: its examples, then everything else.
fn sections(text: &str) -> Roff {
    let mut page = Roff::default();
    let mut heading = "NOTES";
    for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) {
        let lines = match paragraph.split_once('\n') {
            Some((first, examples)) if first.starts_with("Example") => {
                page.control("SH", ["EXAMPLES"]);
                examples
            }
            _ => {
                match std::mem::take(&mut heading) {
                    "" => page.control("PP", []),
                    notes => page.control("SH", [notes]),
                };
                paragraph
            }
        };
        for line in lines.lines() {
            page.text([roman(line)]);
        }
    }
    page
}
