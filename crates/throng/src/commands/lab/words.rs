//! The command of a lab, and that of its server.

use crate::commands::serve;
use crate::{Failure, ask, command_line, usage};
use clap::FromArgMatches;
use clap::error::ErrorKind;
use std::ffi::OsString;
use throng_core::lab::SERVER;
use throng_core::protocol::ServeMode;

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

/// The command line of a `throng serve`, without the program.
///
/// # Errors
/// It would be refused, which is found out before anything is made.
pub(super) fn of_server(
    mode: ServeMode,
    port: u16,
    messages: &[OsString],
    grammar: &clap::Command,
) -> Result<Vec<OsString>, Failure> {
    if mode.sends() && messages.is_empty() {
        let name = mode.name();
        return Err(Failure::usage(format!(
            "--serve {name} needs a message to send: add -m"
        )));
    }
    let fixed = ["serve", "--mode", mode.name(), &port.to_string()].map(OsString::from);
    let messages = messages.iter().flat_map(|m| ["-m".into(), m.clone()]);
    let words: Vec<OsString> = fixed.into_iter().chain(messages).collect();
    let all = std::iter::once("throng".into()).chain(words.iter().cloned());
    let matches = grammar.clone().try_get_matches_from(all);
    let server = matches.and_then(|matches| match matches.subcommand() {
        Some((_, of_server)) => serve::Args::from_arg_matches(of_server),
        None => Err(clap::Error::new(ErrorKind::MissingSubcommand)),
    });
    let server = server.map_err(|e| Failure::usage(usage::in_one_line(&e)))?;
    ask::serve::scenario(&server)?;
    Ok(words)
}
