//! Options of the command line that say what is asked of a protocol. The protocol's folder has each in one place: how it is
//! written, its help, and what it does.

use std::error::Error;

/// An option of `throng load` that says what is asked of a protocol.
pub struct ProtocolOption<A: 'static> {
    /// How it is written.
    pub flag: Flag,
    /// Adds what its value says to what is asked; the value of a switch is empty.
    pub set: fn(&mut A, &str) -> Result<(), OptionError>,
}

/// Why the value of an option can't be what is asked of a protocol.
pub type OptionError = Box<dyn Error + Send + Sync>;

/// How an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its long name, without the dashes.
    pub long: &'static str,
    /// Another long name.
    pub alias: Option<&'static str>,
    /// Its letter.
    pub short: Option<char>,
    /// What follows it.
    pub takes: Takes,
    /// A line of help.
    pub help: &'static str,
    /// Whether it asks for the protocol. Any other option needs the protocol to be asked for by one that does, or by
    /// the scheme of a target.
    pub asks: bool,
}

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: it is a switch.
    Nothing,
    /// A value of this name, each time that the option is given.
    Value(&'static str),
    /// The same, with escapes in it where they are read in messages.
    Text(&'static str),
}

/// Sets the option of this long name. One that is not among `options` changes nothing.
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
