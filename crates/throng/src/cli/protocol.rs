//! Options that say what is asked of a protocol. Each protocol states its own, in its folder in throng-core; here they
//! become arguments.

use crate::files::Named;
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use std::ffi::OsString;
use throng_core::protocol::{Flag, ProtocolKind, Takes};

/// Options of protocols, in the order of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProtocolArgs {
    /// Every one that was given, with its value; that of a switch is empty.
    pub given: Vec<(Flag, OsString)>,
}

impl ProtocolArgs {
    /// The files that they name.
    pub fn files(&self) -> impl Iterator<Item = Named> {
        let files = self.given.iter();
        let files = files.filter(|(flag, _)| matches!(flag.takes, Takes::File(_)));
        files.map(|(flag, value)| Named::new(format!("--{}", flag.long), value))
    }

    /// The protocol that they ask for, if they ask for one.
    pub fn kind(&self) -> Option<ProtocolKind> {
        let mut asking = self.given.iter().filter(|(flag, _)| flag.asks);
        let (flag, _) = asking.next()?;
        let mut all = ProtocolKind::ALL.iter().copied();
        all.find(|kind| kind.flag(flag.long).is_some())
    }
}

/// Every option, with the protocol that states it. Of those that several protocols have, the first.
fn options() -> Vec<(ProtocolKind, Flag)> {
    let mut all: Vec<(ProtocolKind, Flag)> = Vec::new();
    for kind in ProtocolKind::ALL {
        for flag in kind.flags() {
            if all.iter().all(|(_, known)| known.long != flag.long) {
                all.push((*kind, flag));
            }
        }
    }
    all
}

fn argument(kind: ProtocolKind, flag: Flag) -> Arg {
    let arg = Arg::new(flag.long)
        .long(flag.long)
        .visible_aliases(flag.alias)
        .help(flag.help)
        .help_heading(kind.name());
    let arg = match flag.short {
        Some(letter) => arg.short(letter),
        None => arg,
    };
    let others = options()
        .into_iter()
        .filter(|(other, flag)| *other != kind && flag.asks);
    let arg = match flag.asks {
        true => arg.conflicts_with_all(others.map(|(_, other)| other.long)),
        false => arg,
    };
    match flag.takes {
        Takes::Nothing => arg.action(ArgAction::SetTrue),
        Takes::Value(name) => arg
            .value_name(name)
            .action(ArgAction::Append)
            .value_parser(value(kind, flag.long)),
        Takes::Text(name) | Takes::Template(name) | Takes::File(name) => arg
            .value_name(name)
            .action(ArgAction::Append)
            .allow_hyphen_values(true)
            .value_parser(value_parser!(OsString)),
    }
}

/// Refuses what the protocol refuses.
fn value(kind: ProtocolKind, long: &'static str) -> ValueParser {
    ValueParser::from(move |text: &str| {
        let tried = kind.by_default().set(long, text);
        tried.map(|()| OsString::from(text))
    })
}

impl Args for ProtocolArgs {
    fn augment_args(command: Command) -> Command {
        let all = options().into_iter();
        command.args(all.map(|(kind, flag)| argument(kind, flag)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        ProtocolArgs::augment_args(command)
    }
}

impl FromArgMatches for ProtocolArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<ProtocolArgs, clap::Error> {
        Ok(ProtocolArgs::among(
            matches,
            options().into_iter().map(|(_, flag)| flag),
        ))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = ProtocolArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The letters that ab has for options of HTTP.
const LETTERS: [(&str, char); 2] = [("method", 'm'), ("timeout", 's')];

/// Options of HTTP, for a subcommand that speaks nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HttpOptions(pub ProtocolArgs);

impl HttpOptions {
    /// Those that do not ask for HTTP, which is spoken in any case.
    fn flags() -> impl Iterator<Item = Flag> {
        let all = ProtocolKind::Http.flags().into_iter();
        all.filter(|flag| !flag.asks)
    }
}

impl Args for HttpOptions {
    fn augment_args(command: Command) -> Command {
        command.args(HttpOptions::flags().map(|flag| {
            let arg = argument(ProtocolKind::Http, flag);
            match LETTERS.iter().find(|(long, _)| *long == flag.long) {
                Some((_, letter)) => arg.short(*letter),
                None => arg,
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        HttpOptions::augment_args(command)
    }
}

impl FromArgMatches for HttpOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<HttpOptions, clap::Error> {
        Ok(HttpOptions(ProtocolArgs::among(
            matches,
            HttpOptions::flags(),
        )))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = HttpOptions::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ProtocolArgs {
    /// Those of `flags` that were given.
    fn among(matches: &ArgMatches, flags: impl Iterator<Item = Flag>) -> ProtocolArgs {
        let mut given = Vec::new();
        for flag in flags {
            if flag.takes == Takes::Nothing {
                if matches.get_flag(flag.long) {
                    given.push((matches.index_of(flag.long), (flag, OsString::new())));
                }
                continue;
            }
            let places = matches.indices_of(flag.long).into_iter().flatten();
            let values = matches.get_many::<OsString>(flag.long);
            let values = values.into_iter().flatten().cloned();
            given.extend(
                places
                    .zip(values)
                    .map(|(place, value)| (Some(place), (flag, value))),
            );
        }
        given.sort_by_key(|(place, _)| *place);
        ProtocolArgs {
            given: given.into_iter().map(|(_, one)| one).collect(),
        }
    }
}
