//! Options of other programs that throng has nothing like: each is refused with what to use instead.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// An option that is refused.
pub(super) struct Refused {
    /// Its letter, or its long name.
    pub name: &'static str,
    /// Whether it has a value.
    pub takes: bool,
    /// Why, and what to use instead.
    pub instead: &'static str,
}

/// `command` with these options, hidden.
pub(super) fn with(command: Command, all: &[Refused]) -> Command {
    command.args(all.iter().map(|refused| {
        let arg = Arg::new(refused.name).hide(true);
        let mut letters = refused.name.chars();
        let arg = match (letters.next(), letters.next()) {
            (Some(letter), None) => arg.short(letter),
            _ => arg.long(refused.name),
        };
        match refused.takes {
            true => arg.action(ArgAction::Append).allow_hyphen_values(true),
            false => arg.action(ArgAction::SetTrue),
        }
    }))
}

/// Refuses them if they were given.
pub(super) fn check(matches: &ArgMatches, all: &[Refused]) -> Result<(), clap::Error> {
    let given = |refused: &&Refused| match refused.takes {
        true => matches.contains_id(refused.name),
        false => matches.get_flag(refused.name),
    };
    match all.iter().find(given) {
        None => Ok(()),
        Some(Refused { name, instead, .. }) => Err(clap::Error::raw(
            ErrorKind::UnknownArgument,
            format!("-{name}: {instead}\n"),
        )),
    }
}
