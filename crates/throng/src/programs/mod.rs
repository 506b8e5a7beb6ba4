//! The programs whose command line throng takes, and whose lines it prints, when it is invoked by their name (through a link).
//! Each is a file here and a word in `programs!`.

mod http;
mod refused;

use crate::commands::Command;
use crate::grammar;
use std::ffi::OsString;
use std::path::Path;

/// Reads the command line of a program.
type Read = fn(Vec<OsString>) -> Result<Command, clap::Error>;

macro_rules! programs {
    ($($name:ident,)*) => {
        $(mod $name;)*

        /// The programs, by name.
        const PROGRAMS: [(&str, Read); [$(stringify!($name)),*].len()] = [
            $((stringify!($name), $name::read)),*
        ];
    };
}

programs! {
    tcpkali,
    ab,
    wrk,
    hey,
}

/// Reads a command line, of which the first word is the name that the program was invoked by.
///
/// # Errors
/// Bad arguments, as clap reports them; or the help or version that was asked for.
pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let words: Vec<OsString> = words.into_iter().collect();
    match reader(words.first()) {
        Some(read) => read(words),
        None => grammar::read(words),
    }
}

/// What reads the command line if `program`, its first word, is one of the programs.
fn reader(program: Option<&OsString>) -> Option<Read> {
    let name = Path::new(program?).file_name()?;
    let known = PROGRAMS.iter().find(|(known, _)| name == *known);
    known.map(|(_, read)| *read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_the_file_counts() {
        for (program, known) in [
            ("tcpkali", true),
            ("/usr/local/bin/tcpkali", true),
            ("./ab", true),
            ("wrk", true),
            ("/opt/hey", true),
            ("throng", false),
            ("/opt/tcpkali/throng", false),
            ("tcpkali2", false),
            ("", false),
        ] {
            assert_eq!(reader(Some(&program.into())).is_some(), known, "{program}");
        }
        assert!(reader(None).is_none());
    }
}
