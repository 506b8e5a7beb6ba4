//! Which words of a command line are values of the options before them.

use clap::{Arg, ArgAction, Command};

/// Whether the word after `word` is the value of an option in it.
pub(super) fn takes_next(word: &[u8], command: &Command) -> bool {
    match word {
        [b'-', b'-', name @ ..] => named(name, command).is_some_and(takes_value),
        [b'-', letters @ ..] => short_takes_next(letters, command),
        _ => false,
    }
}

/// The option of this long name.
pub(super) fn named<'a>(name: &[u8], command: &'a Command) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        let names = arg.get_long_and_visible_aliases().unwrap_or_default();
        names.iter().any(|n| n.as_bytes() == name)
    })
}

/// Whether the last of these letters is an option whose value is the next word.
pub(super) fn short_takes_next(letters: &[u8], command: &Command) -> bool {
    for (at, letter) in letters.iter().enumerate() {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_short() == Some(char::from(*letter)));
        if arg.is_some_and(takes_value) {
            return at + 1 == letters.len();
        }
    }
    false
}

/// Whether an option's value may be the next word.
pub(crate) fn takes_value(arg: &Arg) -> bool {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    takes && !arg.is_require_equals_set()
}
