//! The voices: whose output a run's output looks like. That of a program whose command line throng takes when it is invoked by
//! its name (through a link) is a file here and a word in `programs!`.

mod html;
mod http;
mod refused;
mod speak;
mod throng;

pub(crate) use html::Table;
pub(crate) use speak::{Saying, Voice};

use crate::commands::Command;
use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;

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

/// What reads the command line if `program`, its first word, is one of the programs.
pub(crate) fn reader(program: Option<&OsString>) -> Option<Read> {
    let name = Path::new(program?).file_name()?;
    let known = PROGRAMS.iter().find(|(known, _)| name == *known);
    known.map(|(_, read)| *read)
}

/// The voice of a load.
pub(crate) fn of(like_tcpkali: bool) -> Rc<dyn Voice> {
    match like_tcpkali {
        false => Rc::new(throng::Throng),
        true => Rc::new(tcpkali::Tcpkali),
    }
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
