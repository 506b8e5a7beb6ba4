//! Signals that end a run, at any moment.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{PATIENCE, serve, start, start_load};
use rustix::process::Signal;
use std::ffi::OsString;
use std::time::Duration;
use tempfile::TempDir;

#[test]
fn a_signal_ends_a_run_with_the_summary_so_far_and_130() {
    // When, the command line, and a line that is printed then.
    let cases = [
        (
            "opening",
            "load --self -c 5000 --connect-rate 100",
            "of 5,000 (",
        ),
        (
            "holding",
            "load --self -c 500 -m x -r 5 --hold 60s",
            "holding",
        ),
        ("serving", "serve 127.0.0.1:9000", "0 connections"),
    ];
    for engine in ["uring", "epoll"] {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
            for (when, args, line) in cases {
                let net = Net::own();
                let run = start(&net, &format!("{args} --output json --engine {engine}"));
                run.wait_for_stderr(line);
                run.signal(signal);
                let ran = run.wait(Duration::from_secs(5));
                assert_eq!(ran.code, 130, "while {when}: {ran}");
                let s = ran.summary();
                assert!(s.interrupted, "while {when}: {ran}");
                match when {
                    "opening" => assert!((1..5000).contains(&s.connections.peak), "{ran}"),
                    "holding" => assert!(s.traffic.messages_sent >= 500, "{ran}"),
                    _ => assert!(s.reached, "{ran}"),
                }
            }
        }
    }
}

#[test]
fn a_hold_without_an_end_is_complete_once_a_signal_ends_it() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000 --mode echo");
    for engine in ["uring", "epoll"] {
        let args = format!("--engine {engine} -c 100 --hold forever");
        // The drain after the hold is that of a hold that ended: answers that are under way arrive.
        let line = format!("127.0.0.1:9000 {args} -m x -r 20 --latency-echo");
        let run = start_load(&net, &line);
        run.wait_for_stderr("holding");
        run.signal(Signal::INT);
        let ran = run.wait(PATIENCE);
        let s = ran.reached();
        assert!(s.hold_s.is_some_and(|held| held > 0.3), "{ran}");
        assert!(s.answers.is_some_and(|a| a.cut_off == 0), "{ran}");

        // What a complete hold is judged by is judged.
        let run = start_load(&net, &format!("127.0.0.1:9000 {args} --expect lost>0"));
        run.wait_for_stderr("holding");
        run.signal(Signal::TERM);
        run.wait(PATIENCE).fell_short();

        // While connections are opened, it interrupts.
        let line = format!("127.0.0.1:9000 {args} --connect-rate 10");
        let run = start_load(&net, &line);
        run.wait_for_stderr("of 100");
        run.signal(Signal::INT);
        let ran = run.wait(PATIENCE);
        assert!(ran.code == 130 && ran.summary().interrupted, "{ran}");
    }
    // The run's own limit ends it, too.
    let ran = start_load(&net, "--self -c 10 --hold forever -T 1s").wait(PATIENCE);
    ran.reached();
}

#[test]
fn a_terminal_that_hangs_up_leaves_the_log_and_nothing_else_behind() {
    let net = Net::own();
    let (run, dir) = with_a_log(&net);
    run.signal(Signal::HUP);
    let ran = run.wait(Duration::from_secs(5));
    assert_eq!(ran.code, 130, "{ran}");
    assert_eq!(files(&dir), ["latency.log"], "{ran}");
}

/// A run that is holding and writes a log into a directory of its own.
fn with_a_log(net: &Net) -> (Process, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("latency.log");
    let line = format!(
        "load --self=echo -c 10 -m x -r 5 --latency-log {} --hold 60s",
        log.display()
    );
    let run = start(net, &line);
    run.wait_for_stderr("holding");
    (run, dir)
}

fn files(dir: &TempDir) -> Vec<OsString> {
    std::fs::read_dir(dir.path())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect()
}

#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let net = Net::own();
    let mut command = net.command("sh");
    let throng = env!("CARGO_BIN_EXE_throng");
    let line = format!("trap '' HUP; exec {throng} load --self -c 10 --hold 1s --output json");
    command.args(["-c", &line]);
    let run = Process::start(line.clone(), command);
    run.wait_for_stderr("holding");
    run.signal(Signal::HUP);
    let ran = run.wait(Duration::from_secs(10));
    assert!(ran.code == 0 && ran.summary().reached, "{ran}");
}

#[test]
fn an_interrupted_run_says_so_in_its_first_line() {
    let net = Net::own();
    for (args, line) in [
        ("load --self -c 100 --hold 60s", "holding"),
        ("load --self -c 5000 --connect-rate 100", "of 5,000"),
        ("serve 127.0.0.1:9000", "0 connections"),
    ] {
        let run = start(&net, args);
        run.wait_for_stderr(line);
        run.signal(Signal::INT);
        let ran = run.wait(Duration::from_secs(5));
        let first = ran.stdout.lines().next().unwrap_or_default();
        assert!(first.to_lowercase().contains("interrupted"), "{ran}");
    }
}

/// Two signals at once: it is stopped meanwhile, so that the second one comes before the first one's work is
/// done, however busy the machine is.
fn interrupt_twice(run: Process) {
    for signal in [Signal::STOP, Signal::INT, Signal::TERM, Signal::CONT] {
        run.signal(signal);
    }
    let ran = run.wait(Duration::from_secs(2));
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""), "{ran}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let client = start_load(&net, "127.0.0.1:9000 -c 1000 --hold 60s");
    client.wait_for_stderr("holding");
    interrupt_twice(client);
    interrupt_twice(server);
}

#[test]
fn a_second_signal_leaves_no_file_behind() {
    let net = Net::own();
    let (run, dir) = with_a_log(&net);
    interrupt_twice(run);
    assert!(files(&dir).is_empty());
}

#[test]
fn a_signal_ends_a_run_whose_server_does_not_answer() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let client = start_load(&net, "127.0.0.1:9000 -c 200 -m hello --hold 60s");
    client.wait_for_stderr("holding");
    server.signal(Signal::STOP);
    std::thread::sleep(Duration::from_millis(300));
    client.signal(Signal::INT);
    let ran = client.wait(Duration::from_secs(5));
    assert!(ran.code == 130 && ran.summary().interrupted, "{ran}");
    server.signal(Signal::CONT);
    server.signal(Signal::TERM);
    assert_eq!(server.wait(PATIENCE).code, 130);
}
