//! What the end-to-end tests share: networks of their own, processes that end with the test, and the
//! summaries that throng prints.
//!
//! Each test binary takes this module in; not each uses all of it.

#![allow(dead_code)]

pub mod net;
mod orphans;
pub mod peers;
pub mod process;

use net::Net;
use process::{Process, Ran};
use std::time::Duration;
use throng_core::summary::Summary;

/// How long a run may take before the test gives up on it, unless it says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The words of a command line: split at blanks, but for those in a word that stands in single quotes.
pub fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').expect("a second quote"),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Starts `throng` with these [`words`].
pub fn start(net: &Net, args: &str) -> Process {
    start_words(net, &words(args))
}

/// Starts `throng` with arguments that may contain blanks.
pub fn start_words(net: &Net, args: &[&str]) -> Process {
    let mut command = net.command(env!("CARGO_BIN_EXE_throng"));
    command.args(args);
    Process::start(format!("throng {}", args.join(" ")), command)
}

/// Starts `throng` in a process whose hard limit on open files is `files`.
pub fn start_with_file_limit(net: &Net, files: u32, args: &str) -> Process {
    let mut command = net.command("prlimit");
    command
        .arg(format!("--nofile={files}:{files}"))
        .arg(env!("CARGO_BIN_EXE_throng"))
        .args(args.split_whitespace());
    Process::start(format!("throng {args}"), command)
}

/// Runs `throng` to its end.
pub fn run(net: &Net, args: &str) -> Ran {
    start(net, args).wait(PATIENCE)
}

/// Runs `throng` to its end, with arguments that may contain blanks.
pub fn run_words(net: &Net, args: &[&str]) -> Ran {
    start_words(net, args).wait(PATIENCE)
}

/// Starts `throng load` with a summary for scripts.
pub fn start_load(net: &Net, args: &str) -> Process {
    start(net, &format!("load --output json {args}"))
}

/// Runs `throng load` to its end, with a summary for scripts.
pub fn load(net: &Net, args: &str) -> Ran {
    start_load(net, args).wait(PATIENCE)
}

/// Starts `throng serve` with `args` and waits until it listens everywhere.
pub fn serve(net: &Net, args: &str) -> Process {
    let serve = start(net, &format!("serve --output json {args}"));
    // The line with the engine follows those with the addresses.
    serve.wait_for_stderr("on engine");
    serve
}

/// Stops a server once it has no connection left. Returns its summary.
pub fn stop_serving(serve: Process) -> Summary {
    // A line per second: the next one that says so was printed after the clients had gone.
    serve.wait_for_next_stderr("  0 connections");
    serve.signal(rustix::process::Signal::INT);
    let ran = serve.wait(PATIENCE);
    let summary = ran.summary();
    assert!(ran.code == 130 && summary.interrupted, "{ran}");
    summary
}

/// The sum of attempts that failed, over all causes.
pub fn failed(summary: &Summary) -> u64 {
    summary.connections.failed.values().sum()
}

/// Connections that ended without our doing.
pub fn lost(summary: &Summary) -> u64 {
    let c = &summary.connections;
    c.closed_by_peer + c.reset_by_peer + c.timed_out + c.lost_by_error
}

/// Asserts that the counts of a summary add up, as docs/summary.md says they do.
fn assert_adds_up(summary: &Summary) {
    let c = &summary.connections;
    let came_up = match summary.role.as_str() {
        "serve" => c.accepted.expect("a server says what it accepted"),
        // Both ends of each pair.
        "proxy" => c.accepted.expect("and so does a proxy") + c.established,
        _ => c.established,
    };
    let ended = lost(summary) + c.closed_by_us + c.unknown;
    assert_eq!(came_up, ended, "ends: {c:#?}");
    // Each of several sources reports what it had open at its own end.
    let one_end = summary.sources.len() > 1 || c.peak >= c.open_at_end;
    assert!(one_end && c.peak <= came_up, "peak: {c:#?}");
    if let Some(proxy) = &summary.proxy {
        let ended: u64 = proxy.ended.values().sum();
        assert_eq!(proxy.pairs, proxy.open_at_end + ended, "{proxy:#?}");
        assert!(proxy.pairs <= c.established, "{proxy:#?}");
        let of_backends: u64 = proxy.backends.iter().map(|b| b.of.established).sum();
        assert_eq!(of_backends, c.established, "{proxy:#?}");
        assert!(proxy.peak <= proxy.pairs, "{proxy:#?}");
    }
    if summary.role == "load" {
        assert!(
            c.attempted >= c.established + failed(summary),
            "attempts: {c:#?}"
        );
        // A search for the most connections opens a few beyond them.
        let bounded = c.peak <= c.asked.expect("a load asks");
        assert!(bounded || summary.maximum.is_some(), "asked: {c:#?}");
    }
}

/// Asserts that `number` is within `part` (0.01 is a hundredth) of `expected`.
#[track_caller]
pub fn assert_near(what: &str, number: f64, expected: f64, part: f64) {
    assert!(
        (number - expected).abs() <= expected * part,
        "{what} is {number}, not within {} % of {expected}",
        part * 100.0
    );
}
