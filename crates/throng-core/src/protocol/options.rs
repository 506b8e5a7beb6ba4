//! The command-line options of protocols. Each is defined in one place in its protocol's folder: its form, its help,
//! and what it does.

use std::error::Error;
use std::io;

/// An option of `throng load` for a protocol.
pub struct ProtocolOption<A: 'static> {
    /// Its form.
    pub flag: Flag,
    /// Applies its value; that of a switch is empty.
    pub set: fn(&mut A, &str) -> Result<(), OptionError>,
}

/// Why a protocol refuses the value of an option.
pub type OptionError = Box<dyn Error + Send + Sync>;

/// The form of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its long name, without the dashes.
    pub long: &'static str,
    /// Another long name.
    pub alias: Option<&'static str>,
    /// Its letter.
    pub short: Option<char>,
    /// Its value.
    pub takes: Takes,
    /// A line of help.
    pub help: &'static str,
    /// Whether it selects the protocol. Any other option requires one that does, or a target whose scheme does.
    pub asks: bool,
}

impl Flag {
    /// Whether it may be given several times, each with a value of its own; its help says so.
    pub fn is_repeatable(&self) -> bool {
        self.help.contains("repeatable")
    }
}

/// The value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is a switch.
    Nothing,
    /// A value of this name, each time that the option is given.
    Value(&'static str),
    /// The same; escapes in it are interpreted if those in messages are.
    Text(&'static str),
    /// The same, with expressions.
    Template(&'static str),
    /// The name of a file, whose content is the value.
    File(&'static str),
}

/// A file that is the value of an option.
pub struct OptionFile<'a> {
    /// Its name, as the user wrote it.
    pub name: &'a str,
    /// What is in it.
    pub content: &'a [u8],
    /// Reads a file that it names.
    pub files: &'a dyn Fn(&str) -> io::Result<Vec<u8>>,
}

/// Sets the option with this long name. Does nothing if it is not among `options`.
pub(super) fn set<A>(
    options: &[ProtocolOption<A>],
    asked: &mut A,
    long: &str,
    value: &str,
) -> Result<(), OptionError> {
    match options.iter().find(|option| option.flag.long == long) {
        Some(option) => (option.set)(asked, value),
        None => Ok(()),
    }
}
