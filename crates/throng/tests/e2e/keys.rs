//! Keys that change the rate while a run lasts, and the terminal that they come from.

use crate::common::net::Net;
use crate::common::peers::start_script;
use crate::common::process::Ran;
use crate::common::{PATIENCE, assert_near, serve};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use throng_core::summary::{Finding, Summary};

/// What `tests/peers/terminal.py` says of a program on its terminal.
#[derive(Debug, Deserialize)]
struct OnTerminal {
    code: i32,
    /// How the terminal was after each step, and at the end.
    modes: Vec<String>,
    screen: String,
}

/// Runs `throng` with these words on a terminal whose user does `steps`.
fn on_a_terminal(net: &Net, steps: &serde_json::Value, args: &str) -> OnTerminal {
    let words: Vec<&str> = args.split_whitespace().collect();
    let steps = steps.to_string();
    let command = [&[steps.as_str(), env!("CARGO_BIN_EXE_throng")], &words[..]].concat();
    let ran: Ran = start_script(net, "terminal.py", &command).wait(PATIENCE);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"))
}

/// The summary in `file`, of a run that `ended` so.
fn summary(file: &Path, ended: &OnTerminal) -> Summary {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn arrow_keys_change_the_rate_and_what_was_asked_for_is_what_each_rate_had_in_its_time() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000 --mode echo");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("run.json");
    for engine in ["uring", "epoll"] {
        // Each connection waits long for its next message: only a change that reaches those that wait is kept.
        for rate in ["-r 0.5", "--rate 200", "-r 0.5 --delay-send 300ms"] {
            let steps = json!([
                ["see", "holding"],
                ["see", "200/s asked for"],
                ["pause", 0.5],
                // Five steps are twice as fast.
                ["type", "\u{1b}[A\u{1b}OA+++"],
                ["see", "400/s asked for"],
                ["pause", 1.5],
                ["type", "\u{1b}[B\u{1b}[B---"],
                ["see", "200/s asked for"],
            ]);
            let line = format!(
                "load 127.0.0.1:9000 --engine {engine} -c 400 -m ping {rate} --latency-echo --hold 6s --output json --output-file {}",
                file.display()
            );
            let ended = on_a_terminal(&net, &steps, &line);
            let s = summary(&file, &ended);
            // A machine that is too busy sends late, and misses the rate.
            let kept = s.message_rate.as_ref().expect("a rate was asked for");
            let late = kept.lateness.is_some_and(|l| l.p99_us > 100_000.0);
            assert!(ended.code == 0 && s.reached || late, "{rate}: {s:#?}");
            assert!(
                ended.modes[..8].iter().all(|mode| mode == "keys"),
                "{ended:?}"
            );
            assert_eq!(ended.modes.last().map(String::as_str), Some("lines"));
            let changes = s.findings.iter().find_map(|finding| match finding {
                Finding::RateChanged {
                    from_per_s,
                    changes,
                } => Some((*from_per_s, changes.clone())),
                _ => None,
            });
            let (from, changes) = changes.expect("the change is told");
            let fast = changes
                .iter()
                .find(|change| (change.per_s - 400.0).abs() < 1e-6);
            let fast = fast.expect("it doubled").at_s;
            let slow = changes.last().expect("it was changed back");
            assert_eq!((from, slow.per_s), (200.0, 200.0));
            // Steps on the way took time, too.
            let asked = 200.0 * kept.seconds + 200.0 * (slow.at_s - fast);
            let sure = kept.asked_messages.expect("it varied");
            assert_near("messages asked for", sure, asked, 0.05);
            assert!(
                slow.at_s - fast >= 1.4 && sure > 1200.0,
                "{sure}: {changes:?}"
            );
        }
    }
}

#[test]
fn opening_pauses_and_goes_on_and_neither_the_server_nor_the_hold_pays_for_it() {
    let net = Net::own();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("run.json");
    // Longer than a run without progress would wait.
    let steps = json!([
        ["see", "p pauses opening"],
        ["type", "p"],
        ["see", "opening is paused"],
        ["pause", 5.5],
        ["type", "p"],
        ["see", "goes on after a pause"],
        ["see", "holding"]
    ]);
    let line = format!(
        "load --self -c 1000 --connect-rate 300 --connect-timeout 1s -m x -r 1 --hold 1s --output json --output-file {}",
        file.display()
    );
    let ended = on_a_terminal(&net, &steps, &line);
    let s = summary(&file, &ended);
    let c = &s.connections;
    assert_eq!(
        (c.established, c.peak, c.attempted),
        (1000, 1000, 1000),
        "{c:#?}"
    );
    let paused = s.findings.iter().find_map(|finding| match finding {
        Finding::OpeningPaused { seconds, at_end } => Some((*seconds, *at_end)),
        _ => None,
    });
    let (seconds, at_end) = paused.expect("the pause is told");
    assert!(seconds >= 5.0 && !at_end, "{seconds}");
    // Held for as long as asked, after the pause.
    assert!(
        s.hold_s.is_some_and(|hold| (1.0..5.0).contains(&hold)),
        "{s:#?}"
    );
    assert!(s.causes.is_empty(), "{:#?}", s.causes);

    // One that ends meanwhile says why connections are missing.
    let steps = json!([
        ["see", "p pauses opening"],
        ["type", "p"],
        ["see", "opening is paused"],
        ["type", "q"]
    ]);
    let ended = on_a_terminal(&net, &steps, &line);
    let s = summary(&file, &ended);
    let told = s
        .findings
        .iter()
        .any(|f| f.to_string().contains("paused by hand when the run ended"));
    assert!(
        ended.code == 130 && told && s.connections.failed.is_empty(),
        "{s:#?}"
    );
}

#[test]
fn the_terminal_is_as_it_was_whatever_ends_the_run() {
    let net = Net::own();
    let begun = ["see", "q ends the run"];
    for (what, steps, code) in [
        ("its own end", json!([begun]), 0),
        ("q", json!([begun, ["type", "q"]]), 130),
        ("Ctrl-C", json!([begun, ["type", "\u{3}"]]), 130),
        ("SIGTERM", json!([begun, ["signal", "TERM"]]), 130),
        // Stopped meanwhile, so that both signals are there before the first one's work is done.
        (
            "two signals",
            json!([
                begun,
                ["signal", "STOP"],
                ["stopped"],
                ["signal", "INT"],
                ["signal", "TERM"],
                ["continue"]
            ]),
            130,
        ),
    ] {
        let hold = if code == 0 { "1s" } else { "60s" };
        let line = format!("load --self -c 10 -m x -r 5 --hold {hold}");
        let ended = on_a_terminal(&net, &steps, &line);
        // A busy machine may have missed the rate.
        assert!(
            ended.code == code || (ended.code, code) == (1, 0),
            "{what}: {ended:?}"
        );
        assert_eq!(ended.modes[0], "keys", "{what}: {ended:?}");
        let last = ended.modes.last().map(String::as_str);
        assert_eq!(last, Some("lines"), "{what}: {ended:?}");
    }
}

#[test]
fn a_run_that_is_stopped_gives_the_terminal_back_until_it_goes_on() {
    let net = Net::own();
    let steps = json!([
        ["see", "q ends the run"],
        ["type", "\u{1a}"],
        ["stopped"],
        ["continue"],
        ["see", "holding"],
        ["type", "+"],
        ["see", "57.4/s asked for"],
        ["type", "\u{1a}"],
        ["stopped"],
        ["background"],
        ["see", "holding"],
        ["signal", "INT"]
    ]);
    let ended = on_a_terminal(&net, &steps, "load --self -c 10 -m x -r 5 --hold 60s");
    let modes: Vec<&str> = ended.modes.iter().map(String::as_str).collect();
    let (keys, lines) = ("keys", "lines");
    assert_eq!((modes[0], modes[2]), (keys, lines), "{ended:?}");
    assert_eq!(modes[4..7], [keys; 3], "{ended:?}");
    // In the background it is the shell's.
    assert_eq!(modes[8..], [lines; 5], "{ended:?}");
    assert!(
        ended.code == 130 && ended.screen.contains("changed by hand"),
        "{ended:?}"
    );
}

#[test]
fn where_there_is_no_rate_or_no_live_view_the_terminal_is_left_alone() {
    let net = Net::own();
    for args in [
        "--self -c 10",
        "--self -c 10 -m x -r 5 -q",
        "--self=echo -c 10 -m x --closed-loop",
        "--self -c 10 -m x --profile 1s:5..10",
    ] {
        let line = format!("load {args} --hold 1s");
        let ended = on_a_terminal(&net, &json!([["pause", 0.7]]), &line);
        assert_eq!(
            (ended.code, ended.modes.as_slice()),
            (0, &["lines".to_owned(), "lines".to_owned()][..]),
            "{ended:?}"
        );
        assert!(!ended.screen.contains("ends the run"), "{ended:?}");
    }
}
