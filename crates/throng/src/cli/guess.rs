//! Wrong guesses: options and subcommands that other tools have, or that a user would expect, with what throng has
//! instead. The one list of them is below.

use super::words::takes_next;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use std::ffi::OsString;
use throng_core::units;

/// A guess and the answer to it.
struct Guess {
    /// What is written: options with their dashes, or words.
    written: &'static [&'static str],
    /// What to write instead.
    instead: &'static str,
}

const fn guess(written: &'static [&'static str], instead: &'static str) -> Guess {
    Guess { written, instead }
}

/// What to use in place of tcpkali's `--server`, which lets it be told from afar what to do.
const SERVER: &str = "throng takes no orders from other hosts yet: run throng load on each, and throng merge adds up what they print with --output json; the other end of the connections is throng serve";

/// What `throng fleet` does, for whom has not said which.
const FLEET: &str = if cfg!(feature = "fleet") {
    "write throng fleet run --agents local:4 load -c 1k HOST:PORT, or throng fleet status, stop, logs, attach or manifest"
} else {
    "write throng fleet run --agents local:4 load -c 1k HOST:PORT, or throng fleet manifest"
};

/// Options of `throng load` that do not exist.
const LOAD: &[Guess] = &[
    guess(
        &["--server"],
        "a target is written without an option: HOST:PORT; several hosts that load together are several throng load, whose JSON throng merge adds up",
    ),
    guess(
        &["--tfo", "--tcp-fastopen"],
        "--fastopen sends the first data with the SYN",
    ),
    guess(
        &["--ping-interval", "--ws-ping", "--heartbeat"],
        "--ping TIME sends a WebSocket ping on each connection at this interval",
    ),
    guess(
        &[
            "--threshold",
            "--thresholds",
            "--assert",
            "--slo",
            "--fail-if",
        ],
        "--expect 'response.p99<10ms' fails the run unless it is met",
    ),
    guess(
        &[
            "-u",
            "--vus",
            "--users",
            "--clients",
            "--concurrency",
            "--conns",
            "--sockets",
            "--num-connections",
        ],
        "--connections N (-c) opens N connections",
    ),
    guess(
        &["-t", "--threads", "--num-threads"],
        "--workers N (-w) sets the number of threads, --duration 10s (-T) the length of the run",
    ),
    guess(
        &["--num-requests", "--iterations", "--count", "--messages"],
        "--requests N (-n) sends N messages in all",
    ),
    guess(
        &[
            "-z",
            "--time",
            "--timelimit",
            "--run-time",
            "--test-time",
            "--seconds",
        ],
        "--hold 10s holds all connections that long, --duration 10s (-T) ends the run after that",
    ),
    guess(
        &["-R", "--rps", "--qps", "--arrival-rate", "--request-rate"],
        "--rate R is messages per second in all, --message-rate R (-r) on each connection",
    ),
    guess(
        &[
            "--ramp",
            "--ramp-up",
            "--rampup",
            "--ramp-rate",
            "--spawn-rate",
            "--hatch-rate",
            "--connection-rate",
            "--conn-rate",
            "--cps",
        ],
        "--connect-rate R opens R connections per second",
    ),
    guess(
        &["--stage", "--stages", "--schedule"],
        "--profile '10s:1k, 30s:1k..50k' varies the rate over time",
    ),
    guess(
        &["--connection-timeout"],
        "--connect-timeout T limits an attempt to connect, --timeout T a request over HTTP, --duration T the run",
    ),
    guess(
        &["--forever", "--infinite", "--keep-open"],
        "--hold forever holds all connections until Ctrl-C",
    ),
    guess(
        &[
            "--url",
            "--uri",
            "--target",
            "--host",
            "--address",
            "--addr",
            "--endpoint",
        ],
        "a target is written without an option: HOST:PORT, http://HOST/PATH or ws://HOST/PATH",
    ),
    guess(
        &["-p", "--port"],
        "the port belongs to the target: HOST:PORT",
    ),
    guess(
        &["--body", "--data", "--payload", "--send", "--text"],
        "--message TEXT (-m) sends a text, --message-file FILE (-f) a file",
    ),
    guess(
        &["-X", "--request"],
        "--method METHOD is the method of HTTP requests",
    ),
    guess(
        &["--path"],
        "the path belongs to the target: http://HOST:PORT/PATH",
    ),
    guess(
        &[
            "--follow-redirects",
            "--location",
            "--redirects",
            "--max-redirects",
        ],
        "--follow N follows up to N redirects of an HTTP request",
    ),
    guess(
        &["--targets", "--urls", "--url-file", "--requests-file"],
        "--requests-from FILE sends the HTTP requests of a file in turn",
    ),
    guess(
        &["--think-time", "--pause", "--sleep", "--wait"],
        "--think TIME waits before each HTTP request, --message-rate R (-r) sends at a rate",
    ),
    guess(
        &["--pipelining", "--pipeline-depth", "--pipelined"],
        "--pipeline N keeps N HTTP requests under way on each connection",
    ),
    guess(
        &["--http2", "--h2"],
        "throng speaks HTTP/1.1 alone: http://HOST:PORT/PATH",
    ),
    guess(
        &["--latency", "--percentiles", "--print-latency"],
        "--latency-echo or --latency-marker TEXT measures response times, which are always printed",
    ),
    guess(
        &[
            "-k",
            "--skip-verify",
            "--insecure-skip-tls-verify",
            "--no-verify",
            "--tls-insecure",
        ],
        "--insecure accepts any certificate",
    ),
    guess(
        &["--ca", "--ca-cert", "--cafile", "--ca-file"],
        "--cacert FILE names the certificates to trust",
    ),
    guess(
        &["--cert", "--client-cert", "--key"],
        "throng presents no client certificate; --ssl-cert and --ssl-key are for the accepting side",
    ),
    guess(
        &[
            "--bind",
            "--bind-address",
            "--local-address",
            "--source",
            "--interface",
        ],
        "--source-ip IP connects from these addresses, --bind-device NAME through a network device",
    ),
    guess(
        &["-o", "--out", "--json", "--format"],
        "--output json prints JSON, --output-file FILE writes the summary to a file",
    ),
    guess(
        &["--html", "--html-report"],
        "--report FILE writes a page for a browser, --web serves it while the run lasts, --tui shows the run on the full screen",
    ),
    guess(
        &["--silent", "--no-progress"],
        "--quiet (-q) shows no progress",
    ),
    guess(
        &["--subprotocols", "--protocol"],
        "--subprotocol NAME[,NAME] asks for subprotocols of WebSocket",
    ),
    guess(
        &["--nodelay", "--no-delay", "--tcp-nodelay"],
        "TCP_NODELAY is set already; --nagle on turns it off",
    ),
    guess(
        &["--reconnect"],
        "connections that close are opened again: --reconnect-policy says when, --no-reconnect leaves them closed",
    ),
    guess(
        &["-s", "--script", "--config", "--scenario"],
        "`throng run FILE` runs a scenario file; messages are written with expressions (`throng help messages`)",
    ),
    guess(
        &["--dry-run", "--check"],
        "`throng plan` shows what this machine can hold; --print-scenario prints what would be run",
    ),
    guess(
        &["--echo"],
        "--self=echo is an echo server in this process; --latency-echo and --closed-loop wait for echoes",
    ),
];

/// Those of `throng http`.
const HTTP: &[Guess] = &[
    guess(
        &["-d", "-S"],
        "it changes ab's lines, which throng prints when it is invoked through a link named ab",
    ),
    guess(
        &["-f", "-Z", "--ciphers"],
        "TLS 1.3 and 1.2 are spoken, with the cipher suite that the server chooses",
    ),
    guess(
        &["-E", "--cert", "--key"],
        "throng presents no client certificate",
    ),
    guess(
        &["-I"],
        "the server's name is always sent; --sni NAME sends another one",
    ),
    guess(
        &["--duration", "--hold", "--timelimit", "--test-time"],
        "--time T (-t) sends requests for this long",
    ),
    guess(
        &["--threads"],
        "--workers N (-j) sets the number of threads",
    ),
    guess(
        &["--data", "--body-file", "--message", "--payload"],
        "--body TEXT is the body of requests, -p FILE posts a file, -u FILE puts one",
    ),
    guess(
        &["--script", "--lua"],
        "requests with expressions differ from each other (`throng help messages`)",
    ),
    guess(
        &["--http2", "--h2", "--http3"],
        "throng speaks HTTP/1.1 alone",
    ),
    guess(
        &["--disable-keepalive", "--no-keepalive"],
        "--no-keep-alive makes a connection a request",
    ),
    guess(
        &["--latency", "--histogram"],
        "latencies are always printed; -e FILE writes every percentage",
    ),
];

/// Those of `throng serve`.
const SERVE: &[Guess] = &[
    guess(
        &[
            "-p",
            "--port",
            "-l",
            "--listen",
            "--listen-port",
            "-b",
            "--bind",
            "--host",
            "--addr",
            "--address",
        ],
        "where to listen is written without an option: throng serve 9000, or throng serve 127.0.0.1:9000",
    ),
    guess(&["--echo"], "--mode echo sends everything back"),
    guess(&["--ws", "--websocket"], "--mode ws speaks WebSocket"),
    guess(&["--chargen"], "--mode chargen -m TEXT sends messages"),
    guess(&["--sink", "--discard"], "--mode sink is the default"),
    guess(
        &[
            "-c",
            "--connections",
            "--clients",
            "--max-clients",
            "--maxconn",
        ],
        "--max-connections N holds at most N connections",
    ),
    guess(
        &["-d", "--hold", "--time"],
        "--duration T (-T) stops the server after that time",
    ),
    guess(
        &["-t", "--threads"],
        "--workers N (-w) sets the number of threads",
    ),
    guess(
        &["--cert", "--key", "--tls-cert", "--tls-key"],
        "--tls --ssl-cert FILE --ssl-key FILE serve TLS",
    ),
];

/// Those of `throng run`.
const RUN: &[Guess] = &[guess(
    &[
        "-c",
        "--connections",
        "-m",
        "--message",
        "-r",
        "--message-rate",
        "--rate",
        "-T",
        "--duration",
        "--hold",
        "-w",
        "--workers",
        "--expect",
        "--target",
        "--tls",
        "--engine",
    ],
    "--set KEY=VALUE overrides a value of the file, such as load.connections=50k (`throng help scenario` lists the keys)",
)];

/// Those of `throng tune`.
const TUNE: &[Guess] = &[
    guess(
        &["--undo", "--restore", "--reset", "--rollback"],
        "--revert restores the old values",
    ),
    guess(
        &["-n", "--dry-run", "--check"],
        "without --apply nothing is changed",
    ),
    guess(&["--json"], "--output json prints JSON"),
];

/// Those of `throng plan`.
const PLAN: &[Guess] = &[
    guess(
        &["-p", "--port"],
        "--target HOST:PORT plans for connections to that port",
    ),
    guess(&["--json"], "--output json prints JSON"),
];

/// Subcommands that do not exist.
const SUBCOMMANDS: &[Guess] = &[
    guess(
        &[
            "client",
            "connect",
            "bench",
            "benchmark",
            "attack",
            "test",
            "start",
            "flood",
        ],
        "`throng load` opens connections",
    ),
    guess(
        &["server", "listen", "accept", "echo", "sink"],
        "`throng serve` accepts connections",
    ),
    guess(
        &["check", "doctor", "capacity"],
        "`throng plan` shows what this machine can hold",
    ),
    guess(
        &["sysctl", "fix"],
        "`throng tune` checks and raises the system's limits",
    ),
    guess(
        &["messages", "verdict", "limits", "scenario"],
        "`throng help` with this word explains it",
    ),
    guess(&["version"], "`throng --version` prints it"),
];

/// An option without a value that other tools give one.
struct Bare {
    option: &'static str,
    /// Whether a word looks like the value.
    is_value: fn(&str) -> bool,
    /// What to write instead.
    instead: &'static str,
}

/// Those of `throng load`.
const BARE: [Bare; 2] = [
    Bare {
        option: "-d",
        is_value: |text| units::duration(text).is_ok(),
        instead: "-d prints traffic and takes no time: --hold TIME holds all connections that long, --duration TIME (-T) ends the run after it",
    },
    Bare {
        option: "-q",
        is_value: |text| text.parse::<units::Rate>().is_ok(),
        instead: "-q is --quiet and takes no number: --rate R is messages per second in all, --message-rate R (-r) on each connection",
    },
];

/// Units that people write as words of their own, and what they are in a value.
const UNITS: [(&str, &[&str]); 4] = [
    ("ms", &["ms", "msec", "millis", "milliseconds"]),
    ("s", &["s", "sec", "secs", "second", "seconds"]),
    ("m", &["m", "min", "mins", "minute", "minutes"]),
    ("h", &["h", "hour", "hours"]),
];

/// Words for a hold without an end.
const WITHOUT_END: [&str; 5] = ["inf", "infinite", "infinity", "unlimited", "never"];

/// Schemes of targets that are no URL schemes here, and what to write instead of SCHEME://HOST:PORT.
const SCHEMES: [(&str, &str); 4] = [
    (
        "tcp",
        "a plain target is written without a scheme: HOST:PORT",
    ),
    ("tls", "write HOST:PORT and add --tls"),
    ("ssl", "write HOST:PORT and add --tls"),
    ("dns", "write HOST:PORT and add --dns NAME/TYPE"),
];

fn options_of(subcommand: &str) -> &'static [Guess] {
    match subcommand {
        "load" => LOAD,
        "http" => HTTP,
        "serve" => SERVE,
        "run" => RUN,
        "tune" => TUNE,
        "plan" => PLAN,
        _ => &[],
    }
}

fn answer(guesses: &'static [Guess], written: &str) -> Option<&'static str> {
    let found = guesses
        .iter()
        .find(|guess| guess.written.contains(&written));
    found.map(|guess| guess.instead)
}

/// The error for a command line that could be read, but is not what its user means.
pub(crate) fn misread(words: &[OsString], command: &Command) -> Option<Error> {
    let words: Vec<&str> = words
        .iter()
        .map(|word| word.to_str().unwrap_or_default())
        .collect();
    let Some("load") = words.get(1).copied() else {
        return None;
    };
    let load = command.find_subcommand("load")?;
    let mut at = 2;
    while at < words.len() && words[at] != "--" {
        for bare in &BARE {
            let value = match words[at].strip_prefix(bare.option) {
                Some("") => words.get(at + 1).copied(),
                value => value,
            };
            if value.is_some_and(bare.is_value) {
                return Some(Error::raw(ErrorKind::UnknownArgument, bare.instead));
            }
        }
        if !takes_next(words[at].as_bytes(), load) {
            at += 1;
            continue;
        }
        if let Some(text) = unit_apart(&words[at..]) {
            return Some(Error::raw(ErrorKind::UnknownArgument, text));
        }
        at += 2;
    }
    None
}

/// The answer to an option whose value is followed by its unit, as in `--hold 5 min`.
fn unit_apart(words: &[&str]) -> Option<String> {
    let [option, value, apart, ..] = words else {
        return None;
    };
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let (unit, _) = UNITS.iter().find(|(_, words)| words.contains(apart))?;
    digits.then(|| {
        format!("{option} {value} {apart}: write the value without a blank, {option} {value}{unit}")
    })
}

/// `error`, with the answer to a wrong guess in place of clap's proposal if there is one.
pub(crate) fn explained(error: Error, words: &[OsString]) -> Error {
    let told = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let subcommand = words
        .get(1)
        .and_then(|word| word.to_str())
        .unwrap_or_default();
    let said = match error.kind() {
        ErrorKind::UnknownArgument => told(ContextKind::InvalidArg).and_then(|arg| {
            if subcommand.starts_with('-') {
                return Some(format!(
                    "{arg} follows a command, such as in throng load -c 100 HOST:PORT"
                ));
            }
            let negative = arg
                .strip_prefix('-')
                .is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
            match answer(options_of(subcommand), arg) {
                Some(instead) => Some(format!("throng {subcommand} has no {arg}: {instead}")),
                None if negative => Some(format!("{arg}…: a number can't be negative here")),
                None => None,
            }
        }),
        ErrorKind::InvalidSubcommand => {
            told(ContextKind::InvalidSubcommand).and_then(|name| match answer(SUBCOMMANDS, name) {
                Some(instead) => Some(format!("there is no command '{name}': {instead}")),
                None if name.contains(':') => {
                    Some(format!("'{name}' follows a command: throng load {name}"))
                }
                None => None,
            })
        }
        ErrorKind::ValueValidation => {
            let hold = told(ContextKind::InvalidArg).is_some_and(|arg| arg.starts_with("--hold"));
            told(ContextKind::InvalidValue)
                .filter(|value| hold && WITHOUT_END.contains(value))
                .map(|value| {
                    format!("'{value}' is not a duration: --hold forever holds until Ctrl-C")
                })
        }
        ErrorKind::MissingRequiredArgument if subcommand == "fleet" => {
            let is_missing = |name: &str| match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(all)) => all.iter().any(|arg| arg.starts_with(name)),
                _ => false,
            };
            match (is_missing("<WHAT>"), is_missing("<RUN>")) {
                (true, _) => Some(format!(
                    "throng fleet does what its first word says: {FLEET}"
                )),
                (false, true) => Some(format!("nothing to run: {FLEET}")),
                (false, false) => None,
            }
        }
        ErrorKind::InvalidValue if subcommand == "fleet" => {
            let is_what = told(ContextKind::InvalidArg) == Some("<WHAT>");
            let value = told(ContextKind::InvalidValue).filter(|_| is_what);
            value.map(|value| format!("throng fleet has no '{value}': {FLEET}"))
        }
        _ => None,
    };
    match said {
        Some(text) => Error::raw(error.kind(), text),
        None => error,
    }
}

/// The error for a command line in tcpkali's form, with what to use in place of what is not there.
pub(super) fn explained_to_tcpkali(error: Error) -> Error {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg))
            if error.kind() == ErrorKind::UnknownArgument && arg.starts_with("--server") =>
        {
            Error::raw(
                error.kind(),
                format!("tcpkali's --server is not there: {SERVER}"),
            )
        }
        _ => error,
    }
}

/// What to write instead of `target`, which is not one.
pub(crate) fn target(text: &str) -> Option<String> {
    let (scheme, _) = text.split_once("://")?;
    let (_, instead) = SCHEMES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(scheme))?;
    Some(format!("'{}': {instead}", text.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{command, read};

    fn refused(line: &[&str]) -> String {
        let words = line.iter().map(OsString::from);
        match read(words.collect()) {
            Ok(_) => panic!("{line:?} is accepted"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn each_guess_is_answered_with_options_that_exist() {
        let mut all = command();
        all.build();
        let known = |name: &str, option: &str| {
            let subcommand = all.find_subcommand(name).expect("a subcommand");
            subcommand.get_arguments().any(|arg| {
                let long = arg.get_long_and_visible_aliases().unwrap_or_default();
                let short = arg.get_short().map(|letter| format!("-{letter}"));
                long.iter().any(|long| option == format!("--{long}"))
                    || short.as_deref() == Some(option)
            })
        };
        for name in ["load", "serve", "run", "tune", "plan"] {
            for guess in options_of(name) {
                for written in guess.written {
                    // -d of serve is a guess, -d of load an option.
                    assert!(!known(name, written), "{name} has {written}");
                    let said = refused(&["throng", name, written, "x"]);
                    assert!(said.contains(guess.instead), "{name} {written}: {said}");
                }
                let words = guess.instead.split([' ', ':', '=', ',', ';', '(', ')']);
                for option in words.filter(|word| word.starts_with('-')) {
                    assert!(known(name, option), "{name} {option}: {}", guess.instead);
                }
            }
        }
        for guess in SUBCOMMANDS {
            for written in guess.written {
                let said = refused(&["throng", written]);
                assert!(said.contains(guess.instead), "{written}: {said}");
            }
        }
    }

    #[test]
    fn a_fleet_that_is_told_too_little_says_what_it_does() {
        for (line, begin) in [
            (
                &["fleet"][..],
                "error: throng fleet does what its first word says: ",
            ),
            (
                &["fleet", "--agents", "local:2"],
                "error: throng fleet does what its first word says: ",
            ),
            (&["fleet", "run"], "error: nothing to run: "),
            (
                &["fleet", "run", "--agents", "local:2"],
                "error: nothing to run: ",
            ),
            (
                &["fleet", "sattus"],
                "error: throng fleet has no 'sattus': ",
            ),
            (
                &["fleet", "load", "127.0.0.1:9000"],
                "error: throng fleet has no 'load': ",
            ),
        ] {
            let said = refused(&[&["throng"], line].concat());
            assert!(said.starts_with(begin) && said.contains(FLEET), "{said}");
        }
        let mut all = command();
        let fleet = all.find_subcommand_mut("fleet").expect("it is there");
        for other in fleet.get_subcommands() {
            assert!(FLEET.contains(other.get_name()), "{}", other.get_name());
        }
    }

    #[test]
    fn values_of_options_that_take_none_are_not_taken_for_something_else() {
        for (line, said) in [
            (&["-d", "5s", "a:1"][..], "--hold"),
            (&["-d10s", "a:1"], "--hold"),
            (&["--self", "-d", "30"], "--hold"),
            (&["-c", "5", "-q", "50", "a:1"], "--rate"),
            (&["--self", "--hold", "infinite"], "--hold forever"),
            (&["--self", "-c", "-5k"], "negative"),
            (&["--self", "--hold", "5", "min"], "--hold 5m"),
            (&["-c", "5", "-T", "10", "seconds", "a:1"], "-T 10s"),
        ] {
            let words = [&["throng", "load"][..], line].concat();
            let text = refused(&words);
            assert!(text.contains(said), "{line:?}: {text}");
        }
        for line in [
            &["-d", "a:1"][..],
            &["-m", "-d10s", "a:1"],
            &["-q", "-d", "a:1"],
            &["-d1hello", "a:1"],
            &["--message=-d5s", "a:1"],
            &["--", "a:1"],
        ] {
            let words = [&["throng", "load"][..], line].concat();
            assert!(
                read(words.iter().map(OsString::from).collect()).is_ok(),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_command_line_without_a_command_is_answered() {
        for (line, said) in [
            (&["throng", "-c", "5", "a:1"][..], "throng load -c"),
            (&["throng", "127.0.0.1:9000"], "throng load 127.0.0.1:9000"),
            (&["throng", "lod"], "'load'"),
        ] {
            let text = refused(line);
            assert!(text.contains(said), "{line:?}: {text}");
        }
    }

    #[test]
    fn schemes_of_other_tools_are_answered() {
        for (text, said) in [
            ("TLS://a:1", Some("--tls")),
            ("tcp://a:1", Some("without a scheme")),
            ("ws://a", None),
            ("a:1", None),
        ] {
            let answer = target(text);
            assert_eq!(answer.is_some(), said.is_some(), "{text}");
            assert!(said.is_none_or(|said| answer.is_some_and(|a| a.contains(said))));
        }
    }
}
