//! hey: its options, its lines and its exit codes.
//!
//! hey's documentation: the README of <https://github.com/rakyll/hey>.

use super::http::{ALL_STATUSES, option, program, translated};
use super::refused::{self, Refused};
use crate::commands::Command;
use crate::voice::Lines;
use clap::{Args, FromArgMatches};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;
use throng_core::scenario::{LoadScenario, bounds};
use throng_core::units::Rate;
use throng_report::http::{HttpResult, write_hey};

const AFTER_HELP: &str = "\
This is throng, invoked as hey: it accepts hey's options and prints hey's lines. `throng http --help` describes throng's own.
Exit codes: 0 as many requests were completed as were asked for; 1 they were not; 2 bad usage; 130 interrupted.";

/// hey's options of more than a letter, which are written with one dash.
const LONG: [&str; 6] = [
    "host",
    "cpus",
    "disable-compression",
    "disable-keepalive",
    "disable-redirects",
    "h2",
];

const REFUSED: [Refused; 2] = [
    Refused {
        name: "h2",
        takes: false,
        instead: "throng speaks HTTP/1.1 alone: leave it out",
    },
    Refused {
        name: "o",
        takes: true,
        instead: "`throng http --samples FILE` writes each request as CSV, `--output json` the summary",
    },
];

/// How many redirects hey follows.
const REDIRECTS: &str = "10";

/// The options of hey.
#[derive(Args)]
struct Line {
    /// Requests in all
    #[arg(short, value_name = "N", default_value = "200", value_parser = bounds::requests)]
    n: u32,

    /// Connections, each with one request at a time
    #[arg(short, value_name = "N", default_value = "50", value_parser = bounds::connections)]
    c: u32,

    /// Requests per second on each connection
    #[arg(short, value_name = "R")]
    q: Option<Rate>,

    /// Send requests for this long; -n does not count then
    #[arg(short, value_name = "T")]
    z: Option<String>,

    /// Method
    #[arg(short, value_name = "METHOD", default_value = "GET")]
    m: String,

    /// Header to add to requests; repeatable
    #[arg(short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,

    /// Seconds that a request may take; 0 for any time
    #[arg(short, value_name = "SECONDS", default_value = "20")]
    t: String,

    /// Accept header
    #[arg(short = 'A', value_name = "TYPE")]
    accept: Option<String>,

    /// Body of requests
    #[arg(short, value_name = "TEXT", conflicts_with = "file")]
    d: Option<String>,

    /// File that has the body of requests
    #[arg(short = 'D', value_name = "FILE")]
    file: Option<OsString>,

    /// Content-Type
    #[arg(short = 'T', value_name = "TYPE", default_value = "text/html")]
    content_type: String,

    /// User-Agent
    #[arg(short = 'U', value_name = "NAME")]
    agent: Option<String>,

    /// Basic authentication
    #[arg(short, value_name = "USER:PASSWORD")]
    a: Option<String>,

    /// Proxy
    #[arg(short, value_name = "HOST:PORT")]
    x: Option<String>,

    /// Host header
    #[arg(long, value_name = "NAME")]
    host: Option<String>,

    /// Threads
    #[arg(long, value_name = "N", value_parser = bounds::workers)]
    cpus: Option<u32>,

    /// Ask for no compression; throng never does
    #[arg(long)]
    disable_compression: bool,

    /// A connection a request
    #[arg(long)]
    disable_keepalive: bool,

    /// Follow no redirects [default: up to 10, on connections that are kept]
    #[arg(long)]
    disable_redirects: bool,

    /// What to request
    #[arg(value_name = "URL")]
    url: String,
}

/// hey's lines.
struct Hey;

/// Reads hey's command line.
pub(super) fn read(words: Vec<OsString>) -> Result<Command, clap::Error> {
    let matches = command().try_get_matches_from(words.into_iter().map(two_dashes))?;
    refused::check(&matches, &REFUSED)?;
    let line = Line::from_arg_matches(&matches)?;
    let mut words = Vec::new();
    words.extend(option("-c", line.c.to_string()));
    words.extend(match &line.z {
        Some(time) => option("-t", time),
        None => option("-n", line.n.to_string()),
    });
    if let Some(rate) = line.q {
        // hey's rate is that of each worker, which is a connection here.
        let all = rate.get() * f64::from(line.c);
        words.extend(option("--rate", all.to_string()));
    }
    words.extend(match line.t.as_str() {
        "0" => option("--timeout", "365d"),
        seconds => option("--timeout", seconds),
    });
    words.extend(option("--expect-status", ALL_STATUSES));
    words.extend(option("-m", line.m.to_uppercase()));
    let mut fields = line.header.clone();
    fields.extend(line.accept.iter().map(|of| format!("Accept: {of}")));
    fields.extend(line.agent.iter().map(|of| format!("User-Agent: {of}")));
    fields.extend(line.host.iter().map(|of| format!("Host: {of}")));
    words.extend(fields.iter().flat_map(|field| option("-H", field)));
    let body = line.d.iter().flat_map(|text| option("--body", text));
    words.extend(body);
    words.extend(line.file.iter().flat_map(|path| option("-p", path)));
    if line.d.is_some() || line.file.is_some() {
        words.extend(option("-T", &line.content_type));
    }
    words.extend(line.a.iter().flat_map(|both| option("-A", both)));
    words.extend(line.x.iter().flat_map(|proxy| option("-X", proxy)));
    let threads = line.cpus.map(|n| n.to_string());
    words.extend(threads.iter().flat_map(|n| option("-j", n)));
    if line.disable_keepalive {
        words.push("--no-keep-alive".into());
    } else if !line.disable_redirects {
        words.extend(option("--follow", REDIRECTS));
    }
    words.push((&line.url).into());
    let mut args = translated(words)?;
    args.voice = Some(Rc::new(Hey));
    Ok(Command::Http(Box::new(args)))
}

/// A word with two dashes if it is an option of more than a letter.
fn two_dashes(word: OsString) -> OsString {
    let bytes = word.as_bytes();
    let name = bytes.split(|b| *b == b'=').next().unwrap_or_default();
    let known = LONG.iter().any(|long| {
        name.strip_prefix(b"-")
            .is_some_and(|name| name == long.as_bytes())
    });
    match known {
        true => OsString::from_vec([b"-", bytes].concat()),
        false => word,
    }
}

fn command() -> clap::Command {
    let hey = Line::augment_args(clap::Command::new("hey"));
    program(hey, AFTER_HELP, &REFUSED)
}

impl Lines for Hey {
    fn write(&self, result: &HttpResult, _: &LoadScenario, out: &mut Vec<u8>) -> io::Result<()> {
        write_hey(result, out)
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
    fn options_of_several_letters_have_one_dash() {
        for (word, read) in [
            ("-cpus", "--cpus"),
            ("-cpus=2", "--cpus=2"),
            ("-host", "--host"),
            ("-c", "-c"),
            ("-c10", "-c10"),
            ("-disable-keepalive", "--disable-keepalive"),
            ("http://a/-h2", "http://a/-h2"),
        ] {
            assert_eq!(two_dashes(word.into()), read);
        }
    }

    #[test]
    fn what_throng_lacks_is_refused_with_what_to_use_instead() {
        for (line, says) in [
            ("hey -h2 http://a/", "HTTP/1.1"),
            ("hey -o csv http://a/", "--samples"),
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            let error = read(words).err().expect("it is refused").to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
