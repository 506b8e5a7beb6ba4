//! ab: its options, its lines and its exit codes.
//!
//! ab's documentation: <https://httpd.apache.org/docs/2.4/programs/ab.html>.

use super::http::{ALL_STATUSES, program};
use super::refused::{self, Refused};
use crate::commands::Command;
use crate::commands::http::Args;
use crate::voice::{Lines, Table, ab_style};
use clap::{Arg, ArgAction, FromArgMatches};
use std::ffi::OsString;
use std::io;
use std::rc::Rc;
use throng_core::scenario::LoadScenario;
use throng_report::http::{AbStyle, HttpResult, write_ab};

const AFTER_HELP: &str = "\
This is throng, invoked as ab: it accepts ab's options and prints ab's lines. `throng http --help` describes throng's own.
A failed request is never a complete one. Connections that cannot be established are tried again, and told as failed.
Exit codes: 0 as many requests were completed as were asked for; 1 they were not; 2 bad usage; 130 interrupted.";

const REFUSED: [Refused; 4] = [
    Refused {
        name: "f",
        takes: true,
        instead: "TLS 1.3 and 1.2 are spoken, whichever the server chooses: leave it out",
    },
    Refused {
        name: "Z",
        takes: true,
        instead: "cipher suites can't be chosen: leave it out",
    },
    Refused {
        name: "E",
        takes: true,
        instead: "throng presents no client certificate",
    },
    Refused {
        name: "I",
        takes: false,
        instead: "the server's name is always sent; --sni NAME sends another one",
    },
];

/// ab's lines.
struct Ab {
    /// What the command line says of them.
    no_percentages: bool,
    no_deviation: bool,
}

/// Reads ab's command line.
pub(super) fn read(words: Vec<OsString>) -> Result<Command, clap::Error> {
    let matches = command().try_get_matches_from(words)?;
    refused::check(&matches, &REFUSED)?;
    let mut args = Args::from_arg_matches(&matches)?;
    args.no_keep_alive = !args.keep_alive;
    if args.requests.is_none() && args.time.is_none() {
        args.requests = Some(1);
    }
    args.prefer("expect-status", ALL_STATUSES);
    args.prefer("timeout", "30s");
    args.voice = Some(match args.html {
        true => Rc::new(Table(args.table_style())),
        false => Rc::new(Ab {
            no_percentages: matches.get_flag("d"),
            no_deviation: matches.get_flag("S"),
        }),
    });
    Ok(Command::Http(Box::new(args)))
}

fn command() -> clap::Command {
    let switch = |id: &'static str, letter: char, help: &'static str| {
        let arg = Arg::new(id).short(letter);
        arg.action(ArgAction::SetTrue).help(help)
    };
    let ab = <Args as clap::Args>::augment_args(clap::Command::new("ab"))
        .arg(switch("d", 'd', "No table of percentages"))
        .arg(switch("S", 'S', "No median and no standard deviation"))
        .mut_arg("connections", |arg| arg.default_value("1"))
        .mut_arg("keep_alive", |arg| {
            arg.help("Keep connections between requests [default: a connection a request]")
        });
    program(ab, AFTER_HELP, &REFUSED)
}

impl Lines for Ab {
    fn write(
        &self,
        result: &HttpResult,
        scenario: &LoadScenario,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let style = AbStyle {
            no_percentages: self.no_percentages,
            no_deviation: self.no_deviation,
            ..ab_style(scenario)
        };
        write_ab(result, &style, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn what_throng_lacks_is_refused_with_what_to_use_instead() {
        for (line, says) in [
            ("ab -Z NULL http://a/", "leave it out"),
            ("ab -f TLS1.2 http://a/", "leave it out"),
            ("ab -E a.pem http://a/", "no client certificate"),
            ("ab -I http://a/", "--sni"),
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            let error = read(words).err().expect("it is refused").to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
