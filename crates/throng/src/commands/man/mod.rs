//! `throng man`: man pages, generated from the definitions of the options.

mod sections;

use crate::Failure;
use clap::builder::{Resettable, StyledStr};
use sections::sections;
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
pub(crate) fn run(args: &Args, grammar: &clap::Command) -> Result<u8, Failure> {
    let directory = &args.directory;
    std::fs::create_dir_all(directory)
        .map_err(|e| Failure::usage(format!("{}: {e}", directory.display())))?;
    let mut command = grammar.clone();
    command.build();
    let mut pages = vec![(&command, "throng".to_owned())];
    add_subcommands(&command, "throng", &mut pages);
    let names: Vec<String> = pages.iter().map(|(_, name)| name.clone()).collect();
    for (page, name) in &pages {
        write_page(page, name, &names, directory)?;
    }
    Ok(0)
}

/// The pages of the subcommands of `command`, and of theirs.
fn add_subcommands<'a>(
    command: &'a clap::Command,
    name: &str,
    pages: &mut Vec<(&'a clap::Command, String)>,
) {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("{name}-{}", sub.get_name());
        pages.push((sub, name.clone()));
        add_subcommands(sub, &name, pages);
    }
}

fn write_page(
    command: &clap::Command,
    name: &str,
    others: &[String],
    directory: &Path,
) -> Result<(), Failure> {
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    // clap_mangen would put the text below the options under the heading EXTRA.
    let below = command.get_after_long_help().or(command.get_after_help());
    let below = below.map(StyledStr::to_string);
    let command = command.clone().after_long_help(Resettable::Reset);
    let command = command.display_name(name);
    let others = others.iter().filter(|other| *other != name);
    clap_mangen::Man::new(command.after_help(Resettable::Reset))
        .render(&mut page)
        .and_then(|()| {
            let roff = sections(&below.unwrap_or_default(), others);
            roff.to_writer(&mut page)
        })
        .and_then(|()| write_whole(&path, &page))
        .map_err(|e| Failure::fault(e.to_string()))
}
