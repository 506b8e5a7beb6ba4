//! `--expect`: what is not met, or not known, fails the run; what can't be known is refused before it.

use crate::common::net::Net;
use crate::common::peers::{source, start_server};
use crate::common::process::{Process, Ran};
use crate::common::{load, run, run_words, serve};
use throng_core::summary::Finding;

fn echo(net: &Net) -> Process {
    serve(net, "127.0.0.1:9000 --mode echo")
}

/// A server that reads and never answers.
fn silent(net: &Net) -> Process {
    let script = source("misbehaving.py");
    start_server(net, "python3", &[&script, "9000", "ignores"], 9000)
}

/// Which expectations were met, in their order.
fn met(ran: &Ran) -> Vec<bool> {
    ran.summary().expectations.iter().map(|e| e.met).collect()
}

#[test]
fn what_is_met_is_told_and_one_that_is_not_fails_the_run() {
    let net = Net::own();
    let _server = echo(&net);
    let line = "127.0.0.1:9000 -c 10 -m ping -r 20 --latency-echo --hold 1s --expect response.p99<60s \
         --expect answers=100% --expect lost=0 --expect connect.max<60s --expect messages/s>10";
    let ran = load(&net, line);
    ran.reached();
    assert_eq!(met(&ran), [true; 5], "{ran}");

    let ran = load(&net, &format!("{line} --expect response.p50<1us"));
    let s = ran.fell_short();
    assert_eq!(met(&ran), [true, true, true, true, true, false], "{ran}");
    let [Finding::ExpectationFailed(failed)] = s.findings.as_slice() else {
        panic!("{ran}")
    };
    assert_eq!(failed.expression.to_string(), "response.p50<1us");
    assert!(failed.value.is_some_and(|us| us > 1.0), "{ran}");

    let ran = run(&net, &format!("load {line} --expect response.p50<1us"));
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim).collect();
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        lines[0].starts_with("response.p50<1us was not met: "),
        "{ran}"
    );
    let told = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((told("✓ "), told("✗ response.p50<1us ")), (5, 1), "{ran}");
    assert_eq!(told("- response.p50"), 0, "{ran}");
}

#[test]
fn where_no_answer_came_a_latency_is_a_bound_that_is_never_low_enough() {
    let net = Net::own();
    let _server = silent(&net);
    let ran = load(
        &net,
        "127.0.0.1:9000 -c 2 -m ping -r 5 --latency-echo --hold 1s -T 2s --expect response.p50<1h \
         --expect response.p99<=1h --expect response.mean<1h --expect service.max<1h \
         --expect response.max>1s --expect answers>=0.1% --expect answers<=100%",
    );
    let s = ran.fell_short();
    assert_eq!(
        met(&ran),
        [false, false, false, false, true, false, true],
        "{ran}"
    );
    assert!(s.expectations[..5].iter().all(|e| e.at_least), "{ran}");
    // What fell short otherwise is the verdict.
    assert_eq!(s.findings[0].kind(), "messages_unanswered", "{ran}");
}

#[test]
fn a_limit_on_what_is_missing_is_what_is_tolerated() {
    let net = Net::own();
    let script = source("misbehaving.py");
    // All answers come late, but for the last ones.
    let _server = start_server(&net, "python3", &[&script, "9000", "answers", "1.5"], 9000);
    let line = "127.0.0.1:9000 -c 2 -m ping -r 5 --latency-echo --hold 2s -T 3100ms";
    let of = |more: &str| load(&net, &format!("{line} {more}"));
    let ran = of("");
    assert_eq!(
        ran.fell_short().findings[0].kind(),
        "messages_unanswered",
        "{ran}"
    );
    let ran = of("--expect answers>=1%");
    assert_eq!(
        ran.reached().findings[0].kind(),
        "messages_unanswered",
        "{ran}"
    );
    assert_eq!(met(&ran), [true], "{ran}");
    of("--expect answers>=1% --expect unanswered=0").fell_short();
    of("--expect lost=0").fell_short();
}

#[test]
fn connections_that_are_lost_are_counted() {
    let net = Net::own();
    let script = source("misbehaving.py");
    let _server = start_server(&net, "python3", &[&script, "9000", "closes", "1"], 9000);
    let of = |more: &str| load(&net, &format!("127.0.0.1:9000 -c 10 --hold 1500ms {more}"));
    let ran = of("--no-reconnect --expect lost=0 --expect open>=90% --expect peak=10");
    ran.fell_short();
    assert_eq!(met(&ran), [false, false, true], "{ran}");
    let ran = of("--expect lost<=10");
    ran.reached();
    assert_eq!(met(&ran), [true], "{ran}");
}

#[test]
fn what_is_not_known_or_not_measured_is_refused_before_the_run() {
    let net = Net::own();
    for (line, says) in [
        (
            "--self -c 10 --expect respnse.p99<10ms",
            "did you mean 'response.p99'?",
        ),
        ("--self -c 10 --expect lost", "has no comparison"),
        ("--self -c 10 --expect connect.p99<10", "write 10ms or 10s"),
        ("--self -c 10 --expect response.p99<10ms", "--latency-echo"),
        (
            "--self -c 10 --expect user_bytes_per_connection<1k",
            "1,000 connections",
        ),
        ("-l 2001 --expect lost=0", "add a target"),
    ] {
        let ran = run(&net, &format!("load {line}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        let told = ran.stderr.contains(says) && ran.stderr.trim_end().lines().count() == 1;
        assert!(told, "no '{says}': {ran}");
    }
}

#[test]
fn a_scenario_has_expectations_too() {
    let net = Net::own();
    let words = [
        "load",
        "--self",
        "-c",
        "10",
        "--hold",
        "200ms",
        "--expect",
        "lost = 0",
        "--expect",
        "connect.p99.9<60s",
        "--print-scenario",
    ];
    let printed = run_words(&net, &words);
    let list = r#"expect = ["lost = 0", "connect.p99.9<60s"]"#;
    assert!(printed.stdout.contains(list), "{printed}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.toml");
    std::fs::write(&path, &printed.stdout).unwrap();
    let path = path.to_str().unwrap();
    let ran = run(&net, &format!("run --output json {path}"));
    ran.reached();
    assert_eq!(met(&ran), [true, true], "{ran}");
    let ran = run(
        &net,
        &format!("run --output json {path} --set load.expect=peak>10"),
    );
    ran.fell_short();
    assert_eq!(met(&ran), [false], "{ran}");
    let ran = run(&net, &format!("run {path} --set load.expect=peek>10"));
    assert!(
        ran.code == 2 && ran.stderr.contains("did you mean 'peak'?"),
        "{ran}"
    );
}

#[test]
fn merged_results_are_judged_as_a_whole() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let result = |name: &str, more: &str| {
        let path = directory.path().join(name);
        let path = path.to_str().unwrap().to_owned();
        let ran = run(
            &net,
            &format!(
                "load --self=echo -c 5 --hold 1s --quiet --output json --output-file {path} {more}"
            ),
        );
        assert!(ran.code < 2, "{ran}");
        path
    };
    let expects = "-m hi -r 10 --latency-echo --expect answers>=75 --expect service.max<60s";
    let (a, b) = (result("a.json", expects), result("b.json", expects));
    let none = result("c.json", "-m hi -r 10 --latency-echo");
    // Each alone has 50.
    let alone = run(&net, &format!("merge --output json {a}"));
    assert_eq!(met(&alone), [false, true], "{alone}");
    let both = run(&net, &format!("merge --output json {a} {b}"));
    assert_eq!(met(&both), [true, true], "{both}");
    let three = run(&net, &format!("merge --output json {a} {b} {none}"));
    assert_eq!(met(&three), [false, false], "{three}");
}

#[test]
fn tcpkalis_voice_fails_by_what_was_expected() {
    let net = Net::own();
    let _server = echo(&net);
    let line = "load --output tcpkali -c 2 -T 1s 127.0.0.1:9000 --expect peak>=2 --expect lost>5";
    let ran = run(&net, line);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("lost>5 was not met: 0 of 2"), "{ran}");
    assert!(ran.stdout.contains("Ramped up to 2"), "{ran}");
}
