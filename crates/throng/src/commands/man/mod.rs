//! `throng man`: man pages, from the definitions of the options.

use crate::Failure;
use crate::cli::Cli;
use clap::CommandFactory;
use std::path::{Path, PathBuf};
use throng_report::file::write_whole;

/// Write the man pages
#[derive(clap::Args)]
#[command(after_help = "Example:\n  throng man /usr/local/share/man/man1")]
pub(crate) struct Args {
    /// The directory to write them to
    directory: PathBuf,
}

/// Writes `throng.1`, `throng-load.1` and so on into the directory.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let directory = &args.directory;
    std::fs::create_dir_all(directory)
        .map_err(|e| Failure::usage(format!("{}: {e}", directory.display())))?;
    let mut command = Cli::command();
    command.build();
    write_page(&command, "throng", directory)?;
    for sub in command.get_subcommands().filter(|s| s.get_name() != "help") {
        write_page(sub, &format!("throng-{}", sub.get_name()), directory)?;
    }
    Ok(0)
}

fn write_page(command: &clap::Command, name: &str, directory: &Path) -> Result<(), Failure> {
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().display_name(name))
        .render(&mut page)
        .and_then(|()| write_whole(&path, &page))
        .map_err(|e| Failure::fault(e.to_string()))
}
