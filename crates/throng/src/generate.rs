//! Man pages and completions, from the definitions in `cli.rs`.

use crate::Failure;
use crate::cli::Cli;
use clap::CommandFactory;
use std::path::Path;
use throng_report::file::write_whole;

/// Prints a completion script.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "throng", &mut script);
    crate::output::to_stdout(&script)?;
    Ok(0)
}

/// Writes `throng.1`, `throng-load.1` and so on into `directory`.
pub(crate) fn man_pages(directory: &Path) -> Result<u8, Failure> {
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
