//! wrk: its options, its lines and its exit codes.
//!
//! wrk's documentation: the README of <https://github.com/wg/wrk>.

use super::http::{ALL_STATUSES, option, program, translated};
use super::refused::{self, Refused};
use crate::commands::Command;
use crate::voice::Lines;
use clap::{Arg, ArgAction, Args, FromArgMatches};
use std::ffi::OsString;
use std::io::{self, Write};
use std::rc::Rc;
use throng_core::scenario::{LoadScenario, bounds};
use throng_report::http::{HttpResult, write_wrk};

const AFTER_HELP: &str = "\
This is throng, invoked as wrk: it accepts wrk's options and prints wrk's lines. `throng http --help` describes throng's own.
A request without a whole answer within --timeout has failed, and its connection is opened again.
Exit codes: 0 requests were completed; 1 none was; 2 bad usage; 130 interrupted.";

const REFUSED: [Refused; 1] = [Refused {
    name: "s",
    takes: true,
    instead: "throng runs no Lua: `throng http` has -m, -H and --body for fixed requests, --requests-from FILE for several in turn, \
and expressions for what differs (`throng help messages`)",
}];

/// The options of wrk.
#[derive(Args)]
struct Line {
    /// Connections to keep open
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = bounds::connections)]
    connections: u32,

    /// Duration of the test
    #[arg(short, long, value_name = "T", default_value = "10s")]
    duration: String,

    /// Threads
    #[arg(short, long, value_name = "N", default_value = "2", value_parser = bounds::workers)]
    threads: u32,

    /// Header to add to requests; repeatable
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    header: Vec<String>,

    /// Print the distribution of latencies
    #[arg(long)]
    latency: bool,

    /// Fail a request without a whole answer after this long
    #[arg(long, value_name = "T", default_value = "2s")]
    timeout: String,

    /// What to request
    #[arg(value_name = "URL")]
    url: String,
}

/// wrk's lines.
struct Wrk {
    url: String,
    duration: String,
    threads: u32,
    latency: bool,
}

/// Reads wrk's command line.
pub(super) fn read(words: Vec<OsString>) -> Result<Command, clap::Error> {
    let matches = command().try_get_matches_from(words)?;
    refused::check(&matches, &REFUSED)?;
    let line = Line::from_arg_matches(&matches)?;
    let threads = line.threads.min(line.connections);
    let mut words = Vec::new();
    words.extend(option("-c", line.connections.to_string()));
    words.extend(option("-t", &line.duration));
    words.extend(option("-j", threads.to_string()));
    words.extend(option("--timeout", &line.timeout));
    words.extend(option("--expect-status", ALL_STATUSES));
    words.extend(line.header.iter().flat_map(|field| option("-H", field)));
    words.push((&line.url).into());
    let mut args = translated(words)?;
    args.voice = Some(Rc::new(Wrk {
        url: line.url,
        duration: line.duration,
        threads,
        latency: line.latency,
    }));
    Ok(Command::Http(Box::new(args)))
}

fn command() -> clap::Command {
    let version = Arg::new("version").short('v').long("version");
    let wrk = Line::augment_args(clap::Command::new("wrk"))
        .disable_version_flag(true)
        .arg(version.action(ArgAction::Version).help("Print version"));
    program(wrk, AFTER_HELP, &REFUSED)
}

impl Lines for Wrk {
    fn write(
        &self,
        result: &HttpResult,
        scenario: &LoadScenario,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let (threads, connections) = (self.threads, scenario.connections.most());
        writeln!(out, "Running {} test @ {}", self.duration, self.url)?;
        writeln!(out, "  {threads} threads and {connections} connections")?;
        write_wrk(result, threads, self.latency, out)
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
    fn a_script_is_refused_with_what_to_use_instead() {
        let words = ["wrk", "-s", "post.lua", "http://a/"].map(OsString::from);
        let error = read(words.into()).err().expect("it is refused").to_string();
        assert!(error.contains("--requests-from"), "{error}");
    }
}
