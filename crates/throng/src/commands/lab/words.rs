//! The command of a lab.

use crate::{Failure, command_line};
use std::ffi::OsString;
use throng_core::lab::SERVER;

/// The words to run: throng's own program before one of its subcommands, and the server's address for `{server}`.
pub(super) fn of_command(
    words: &[OsString],
    grammar: &clap::Command,
) -> Result<Vec<OsString>, Failure> {
    let Some(first) = words.first() else {
        return Ok(Vec::new());
    };
    let is_ours = first
        .to_str()
        .is_some_and(|name| grammar.find_subcommand(name).is_some());
    let own = is_ours.then(command_line::program).transpose()?;
    let filled = words.iter().map(|word| match word.to_str() {
        Some(text) => text.replace("{server}", &SERVER.to_string()).into(),
        // What is not UTF-8 is given on as it is.
        None => word.clone(),
    });
    Ok(own.map(OsString::from).into_iter().chain(filled).collect())
}
