//! What differs when the program is invoked through a link named `tcpkali`: options are those of `throng load`, read
//! as getopt_long reads them, with tcpkali's defaults.
//!
//! tcpkali's documentation: its man page tcpkali(1), and `tcpkali --help`.

use super::guess;
use super::load::LoadArgs;
use super::output::OutputForm;
use super::words::{named, short_takes_next, takes_value};
use clap::{Args, Command, FromArgMatches};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// tcpkali's long options. They may be abbreviated as long as they stay unambiguous. throng's further options must be
/// written out, so that a new one never makes an old abbreviation ambiguous.
const LONG_OPTIONS: [&str; 50] = [
    "channel-bandwidth",
    "channel-bandwidth-downstream",
    "channel-bandwidth-upstream",
    "channel-lifetime",
    "connect-rate",
    "connect-timeout",
    "connections",
    "delay-send",
    "dump-all",
    "dump-all-in",
    "dump-all-out",
    "dump-one",
    "dump-one-in",
    "dump-one-out",
    "duration",
    "first-message",
    "first-message-file",
    "header",
    "help",
    "latency-connect",
    "latency-first-byte",
    "latency-marker",
    "latency-marker-skip",
    "latency-percentiles",
    "listen-mode",
    "listen-port",
    "message",
    "message-file",
    "message-marker",
    "message-rate",
    "message-stop",
    "nagle",
    "rcvbuf",
    "sndbuf",
    "source-ip",
    "ssl",
    "ssl-cert",
    "ssl-key",
    "statsd",
    "statsd-host",
    "statsd-latency-window",
    "statsd-namespace",
    "statsd-port",
    "unescape-message-args",
    "verbose",
    "version",
    "websocket",
    "workers",
    "write-combine",
    "ws",
];

const AFTER_HELP: &str = "\
This is throng, invoked as tcpkali: it accepts tcpkali's options and prints tcpkali's output.
`throng load --help` describes throng's own.
-T counts from when all connections are established. They may take as long again to get there.
Exit codes: 0 success; 1 the connections were not established in time; 2 bad usage; 130 interrupted.";

/// Reads tcpkali's command line.
///
/// # Errors
/// Bad arguments, as clap reports them; or the help or version that was asked for.
pub(crate) fn read(words: Vec<OsString>) -> Result<LoadArgs, clap::Error> {
    let mut command = command();
    command.build();
    let words = written_out(words, &command);
    let matches = command.try_get_matches_from(words);
    let matches = matches.map_err(guess::explained_to_tcpkali)?;
    let mut args = LoadArgs::from_arg_matches(&matches)?;
    args.as_tcpkali = true;
    Ok(args)
}

fn command() -> Command {
    LoadArgs::augment_args(Command::new("tcpkali"))
        .about("Open TCP and WebSocket connections, hold them, send traffic and measure")
        .version(concat!(
            "version 1.1 (throng ",
            env!("CARGO_PKG_VERSION"),
            ")"
        ))
        .max_term_width(100)
        .after_help(AFTER_HELP)
        // If an option is repeated, the last one counts.
        .args_override_self(true)
        .mut_arg("output", |arg| arg.default_value("tcpkali"))
        .mut_arg("connect_rate", |arg| {
            arg.help("New connections per second [default: 100, or as many as -T demands]")
        })
        .mut_arg("connect_timeout", |arg| {
            arg.help("Give up on a connection attempt after this long [default: 1s]")
        })
        .mut_arg("duration", |arg| {
            arg.help(
                "Hold all connections this long after the last one is established [default: 10s]",
            )
        })
        // --web is short for --websocket there.
        .mut_arg("web", |arg| arg.long("web-page").hide(true))
        .mut_arg("hold", |arg| arg.hide(true))
}

/// The words with abbreviated long options written out, as getopt_long understands them.
fn written_out(words: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let mut all = words.into_iter();
    let mut out: Vec<OsString> = all.next().into_iter().collect();
    while let Some(word) = all.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            out.push(word);
            out.extend(all);
            break;
        }
        let (word, takes_next) = match bytes {
            [b'-', b'-', rest @ ..] => long(rest, command),
            [b'-', letters @ ..] => (word.clone(), short_takes_next(letters, command)),
            _ => (word, false),
        };
        out.push(word);
        if takes_next {
            out.extend(all.next());
        }
    }
    out
}

/// A long option written out, and whether the next word is its value.
fn long(rest: &[u8], command: &Command) -> (OsString, bool) {
    let (name, value) = match rest.iter().position(|b| *b == b'=') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    let mut arg = named(name, command);
    let mut full = name;
    if arg.is_none() && !name.is_empty() {
        let mut candidates = LONG_OPTIONS
            .iter()
            .filter(|option| option.as_bytes().starts_with(name));
        if let (Some(only), None) = (candidates.next(), candidates.next()) {
            full = only.as_bytes();
            arg = named(full, command);
        }
    }
    let mut word = b"--".to_vec();
    word.extend_from_slice(full);
    word.extend_from_slice(value.unwrap_or_default());
    let takes_next = value.is_none() && arg.is_some_and(takes_value);
    (OsString::from_vec(word), takes_next)
}

impl LoadArgs {
    /// Whether tcpkali's defaults apply.
    pub fn like_tcpkali(&self) -> bool {
        self.as_tcpkali || self.shown.common.output == OutputForm::Tcpkali
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(of: &[&str]) -> Vec<OsString> {
        of.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_server_of_orders_is_refused_with_what_is_there_instead() {
        for line in [
            &["tcpkali", "--server", "a:1"][..],
            &["tcpkali", "--server=a:1"],
        ] {
            let error = read(words(line)).err().expect("an error").to_string();
            assert!(error.contains("tcpkali's --server"), "{error}");
            assert!(error.contains("throng merge"), "{error}");
        }
    }

    #[test]
    fn long_options_may_be_abbreviated_and_values_are_left_alone() {
        let mut command = command();
        command.build();
        for (given, out) in [
            (&["--dur", "5s"][..], &["--duration", "5s"][..]),
            (&["--dur=5s"], &["--duration=5s"]),
            (&["--con", "5"], &["--con", "5"]),
            (&["--connec", "5"], &["--connec", "5"]),
            (&["--connecti", "5"], &["--connections", "5"]),
            (&["--sn", "4k"], &["--sndbuf", "4k"]),
            (&["--sni", "a"], &["--sni", "a"]),
            (&["--web"], &["--websocket"]),
            (&["--r=5k"], &["--rcvbuf=5k"]),
            (&["--rate", "--dur"], &["--rate", "--dur"]),
            (&["-m", "--dur"], &["-m", "--dur"]),
            (
                &["-em", "--dur", "--dur=1"],
                &["-em", "--dur", "--duration=1"],
            ),
            (&["-mx", "--dur=1"], &["-mx", "--duration=1"]),
            (&["--mess", "--dur=1"], &["--mess", "--duration=1"]),
            (
                &["--message=--x", "--dur=1"],
                &["--message=--x", "--duration=1"],
            ),
            (&["--", "--dur"], &["--", "--dur"]),
            (&["--=x", "-", "--"], &["--=x", "-", "--"]),
            (&["-m"], &["-m"]),
        ] {
            let mut line = vec!["tcpkali"];
            line.extend(given);
            let mut expected = vec!["tcpkali"];
            expected.extend(out);
            assert_eq!(
                written_out(words(&line), &command),
                words(&expected),
                "{given:?}"
            );
        }
    }

    #[test]
    fn every_long_option_of_its_is_known() {
        let command = command();
        let unknown: Vec<&str> = LONG_OPTIONS
            .into_iter()
            .filter(|name| !matches!(*name, "help" | "version"))
            .filter(|name| {
                !command.get_arguments().any(|arg| {
                    let names = arg.get_long_and_visible_aliases().unwrap_or_default();
                    names.contains(name)
                })
            })
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    /// Words as people type them, wrong ones, and any bytes.
    fn word() -> impl Strategy<Value = Vec<u8>> {
        const USUAL: &[&str] = &[
            "-c",
            "-c10",
            "-em",
            "-m",
            "-1",
            "-f",
            "-r",
            "-r@5ms:p9",
            "-T",
            "-l",
            "-H",
            "-vvd",
            "--",
            "--dur",
            "--dur=5",
            "--mess",
            "--latency-p=50/",
            "--ws",
            "--ssl",
            "--self=x",
            "-",
            "5k",
            "127.1:80",
            "@",
            "--profile",
            "10s:1k..5",
            "--dns",
            "a/A",
            "--rcvbuf",
            "--statsd",
            "=",
        ];
        prop_oneof![
            4 => proptest::sample::select(USUAL).prop_map(|w| w.as_bytes().to_vec()),
            1 => proptest::collection::vec(1u8.., 0..6),
        ]
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused(line in proptest::collection::vec(word(), 0..8)) {
            for program in ["tcpkali", "throng"] {
                let mut words = vec![OsString::from(program)];
                if program == "throng" {
                    words.push("load".into());
                }
                words.extend(line.iter().map(|w| OsString::from_vec(w.clone())));
                // No input panics, and every refusal has a text.
                if let Err(e) = crate::programs::read(words) {
                    prop_assert!(!e.to_string().is_empty());
                }
            }
        }

        #[test]
        fn nothing_is_lost_or_added_when_words_are_written_out(
            line in proptest::collection::vec(word(), 0..8)
        ) {
            let mut command = command();
            command.build();
            let mut words = vec![OsString::from("tcpkali")];
            words.extend(line.into_iter().map(OsString::from_vec));
            let out = written_out(words.clone(), &command);
            prop_assert_eq!(out.len(), words.len());
            for (given, out) in words.iter().zip(&out) {
                prop_assert!(given == out || given.as_bytes().starts_with(b"--"));
            }
        }
    }
}
