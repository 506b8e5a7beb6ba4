//! The options that say what is sent. `-m`, `-f`, `-1` and `--first-message-file` may be repeated and mixed, and
//! messages are sent in the order given. clap's derive does not keep that order, so they are read here by their
//! place on the command line.

use super::common::MESSAGES;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The long help of `-m`.
pub(crate) const EXPRESSIONS: &str = r#"Message to send again and again on each connection; repeatable, sent in turn

Expressions make messages differ. They need no -e, and work in files, too; `throng help messages` explains them:

- \{connection.uid}: a number that increases with each new connection
- \{connection.ptr}: another number unique to the connection
- \{connection.uid % N}: the remainder; so with connection.ptr
- \{re REGEX}: a random string, drawn for each message
- \{connection.re REGEX}: a random string, drawn once per connection
- \{global.re REGEX}: a random string, drawn once per run
- \{message.marker}: the time, for --message-marker at the other end
- \{<FILE>}: the bytes of a file
- \{ws.KIND "DATA"}: a WebSocket frame: text, binary, ping, pong, close or continuation
- \{raw "DATA"}: bytes without a WebSocket frame"#;

/// What is sent, in the order of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageArgs {
    /// Every message.
    pub given: Vec<Given>,
    /// Whether escapes in them are interpreted.
    pub unescape: bool,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// The option that gave it, with its dashes.
    pub option: &'static str,
    /// Whether it is sent once or repeatedly.
    pub when: When,
    /// Its text, or the file that has it.
    pub from: MessageSource,
}

/// When a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Once, when the connection opens.
    First,
    /// Repeatedly, in turn with the others.
    Repeated,
}

/// Where a message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessageSource {
    /// The command line. Any bytes, not only UTF-8.
    Inline(Vec<u8>),
    /// A file.
    File(PathBuf),
}

struct Flag {
    id: &'static str,
    dashed: &'static str,
    when: When,
    file: bool,
}

const OPTIONS: [Flag; 4] = [
    Flag {
        id: "message",
        dashed: "--message",
        when: When::Repeated,
        file: false,
    },
    Flag {
        id: "message_file",
        dashed: "--message-file",
        when: When::Repeated,
        file: true,
    },
    Flag {
        id: "first_message",
        dashed: "--first-message",
        when: When::First,
        file: false,
    },
    Flag {
        id: "first_message_file",
        dashed: "--first-message-file",
        when: When::First,
        file: true,
    },
];

impl Args for MessageArgs {
    fn augment_args(command: Command) -> Command {
        let text = |arg: Arg| {
            arg.value_name("S")
                .action(ArgAction::Append)
                .value_parser(value_parser!(OsString))
                .allow_hyphen_values(true)
                .help_heading(MESSAGES)
        };
        let file = |arg: Arg| {
            arg.value_name("FILE")
                .action(ArgAction::Append)
                .value_parser(value_parser!(PathBuf))
                .help_heading(MESSAGES)
        };
        command
            .arg(text(Arg::new("message").short('m').long("message")).help(
                "Message to send again and again on each connection; repeatable, sent in turn",
            ))
            .arg(
                file(Arg::new("message_file").short('f').long("message-file"))
                    .help("Like -m, read from a file; repeatable, sent in the order given"),
            )
            .arg(
                text(Arg::new("first_message").short('1').long("first-message"))
                    .help("Message to send once when a connection opens; repeatable"),
            )
            .arg(
                file(Arg::new("first_message_file").long("first-message-file"))
                    .help("Like -1, read from a file; repeatable, sent in the order given"),
            )
            .arg(
                Arg::new("unescape_message_args")
                    .short('e')
                    .long("unescape-message-args")
                    .action(ArgAction::SetTrue)
                    .help(
                        r"Interpret escapes (\n \r \t \0 \xHH \ooo \\) in messages, markers and headers",
                    )
                    .help_heading(MESSAGES),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        MessageArgs::augment_args(command)
    }
}

impl FromArgMatches for MessageArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<MessageArgs, clap::Error> {
        let mut given = Vec::new();
        for option in OPTIONS {
            let places = matches.indices_of(option.id).into_iter().flatten();
            let froms: Vec<MessageSource> = match option.file {
                false => matches
                    .get_many::<OsString>(option.id)
                    .into_iter()
                    .flatten()
                    .map(|text| MessageSource::Inline(text.clone().into_vec()))
                    .collect(),
                true => matches
                    .get_many::<PathBuf>(option.id)
                    .into_iter()
                    .flatten()
                    .map(|path| MessageSource::File(path.clone()))
                    .collect(),
            };
            given.extend(places.zip(froms).map(|(place, from)| {
                let one = Given {
                    option: option.dashed,
                    when: option.when,
                    from,
                };
                (place, one)
            }));
        }
        given.sort_by_key(|(place, _)| *place);
        Ok(MessageArgs {
            given: given.into_iter().map(|(_, one)| one).collect(),
            unescape: matches.get_flag("unescape_message_args"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = MessageArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::EXPRESSIONS;

    #[test]
    fn the_help_has_every_documented_expression() {
        let page = include_str!("../../../../docs/messages.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix(r"| `\{"));
        let names: Vec<&str> = rows
            .filter_map(|row| row.split([' ', '}', '%']).next())
            .collect();
        assert!(names.len() > 8, "{names:?}");
        for name in names {
            let start = name.trim_end_matches('>');
            assert!(EXPRESSIONS.contains(&format!(r"\{{{start}")), "no {name}");
        }
    }
}
