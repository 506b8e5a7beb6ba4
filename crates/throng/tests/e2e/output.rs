//! What is printed where.

use crate::common::net::{Net, free_port};
use crate::common::process::Process;
use crate::common::{PATIENCE, load, run, run_words, start};
use std::process::Stdio;

#[test]
fn json_is_one_object_and_all_there_is_on_stdout() {
    let net = Net::own();
    let refused = format!("load 127.0.0.1:{} -c 2 --no-reconnect", free_port());
    for (args, code) in [
        ("load --self -c 20 --hold 100ms", 0),
        (refused.as_str(), 1),
        ("serve 127.0.0.1:9000 --duration 100ms", 0),
    ] {
        let ran = run(&net, &format!("{args} --output json"));
        assert_eq!(ran.code, code, "{ran}");
        // Fails on anything before or after the object.
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(value["version"], 2, "{ran}");
        assert_eq!(value["reached"], code == 0, "{ran}");
        assert_eq!(value["role"], args.split(' ').next().unwrap(), "{ran}");
        let command = value["command"].as_array().unwrap();
        let words: Vec<&str> = command.iter().skip(1).filter_map(|w| w.as_str()).collect();
        assert_eq!(words.join(" "), format!("{args} --output json"), "{ran}");
    }
}

#[test]
fn an_output_file_of_a_dash_is_stdout() {
    let net = Net::own();
    for args in [
        "load --self -c 2 --hold 100ms --output json",
        "plan --output json",
    ] {
        let ran = run(&net, &format!("{args} --output-file -"));
        let value: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(
            value.is_object() && !std::path::Path::new("-").exists(),
            "{ran}"
        );
    }
}

#[test]
fn the_first_line_of_the_text_is_the_verdict() {
    let net = Net::own();
    // The command line, the exit code, and what the first line says.
    let cases: [(&str, i32, &[&str]); 4] = [
        (
            "load --self -c 20 --hold 100ms",
            0,
            &["20 of 20 connections held"],
        ),
        (
            "load --self -c 1 --hold 100ms",
            0,
            &["1 of 1 connection held"],
        ),
        (
            "load 127.0.0.1:9000 -c 2 --no-reconnect",
            1,
            &["0 of 2 connections"],
        ),
        (
            "load --self -c 2000 --connect-rate 1000 -T 500ms",
            1,
            &["of 2,000 connections", "time"],
        ),
    ];
    for (args, code, says) in cases {
        let ran = run(&net, args);
        assert_eq!(ran.code, code, "{ran}");
        let first = ran.stdout.lines().next().unwrap_or_default();
        for part in says {
            assert!(first.contains(part), "no '{part}' in '{first}': {ran}");
        }
        assert!(
            !ran.stdout.contains('\x1b'),
            "colour without a terminal: {ran}"
        );
    }
}

#[test]
fn an_output_file_is_whole_and_stdout_empty() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("run.out");
    // Longer than any summary: none of it may be left.
    std::fs::write(&file, "x".repeat(100_000)).unwrap();
    let name = file.to_str().unwrap();
    for form in ["json", "text"] {
        let ran = run(
            &net,
            &format!("load --self -c 20 --hold 100ms --output {form} --output-file {name}"),
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran}");
        let text = std::fs::read_to_string(&file).unwrap();
        match form {
            "json" => assert_eq!(
                serde_json::from_str::<serde_json::Value>(&text).unwrap()["reached"],
                true
            ),
            _ => assert!(text.starts_with("20 of 20 connections held"), "{text}"),
        }
    }
    let left: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert_eq!(left.len(), 1, "no other file is left: {left:?}");
}

#[test]
fn an_output_file_that_cannot_be_written_is_refused_before_the_run() {
    let net = Net::own();
    let ran = run(
        &net,
        "load --self -c 20 --hold 5s --output-file /nowhere/to/be/found.json",
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert!(ran.stderr.contains("/nowhere/to/be/found.json"), "{ran}");
    assert!(ran.took.as_secs() < 3, "the run's result is lost: {ran}");
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let net = Net::own();
    let mut command = net.command("sh");
    command.args([
        "-c",
        r#""$0" load --self -c 20 --hold 300ms; echo "code $?" >&2"#,
        env!("CARGO_BIN_EXE_throng"),
    ]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert!(stderr.contains("code 0"), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn stdin_may_be_closed_and_stderr_too() {
    let net = Net::own();
    let mut command = net.command("sh");
    command.args([
        "-c",
        r#"exec "$0" load --self -c 200 --hold 1200ms --output json <&- 2>&-"#,
        env!("CARGO_BIN_EXE_throng"),
    ]);
    Process::start("throng without stdin and stderr".into(), command)
        .wait(PATIENCE)
        .reached();
}

#[test]
fn progress_goes_to_stderr_once_a_second_and_without_a_terminal_in_plain_lines() {
    let net = Net::own();
    let ran = load(&net, "--self -c 300 --connect-rate 200 -m x -r 1 --hold 2s");
    ran.reached();
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!((2..=4).contains(&lines.len()), "{ran}");
    assert!(
        lines[0].contains("of 300 (") && lines[0].contains("/s"),
        "{ran}"
    );
    assert!(
        lines.iter().any(|l| l.contains("300 of 300, holding")),
        "{ran}"
    );
    assert!(!ran.stderr.contains(['\r', '\x1b']), "{ran}");
}

#[test]
fn on_a_terminal_progress_is_a_line_that_is_drawn_over_and_wiped() {
    let net = Net::own();
    let mut command = net.command("script");
    command
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .args(["-qec"])
        .arg(format!(
            "stty cols 100; {} load --self -c 300 --hold 1s",
            env!("CARGO_BIN_EXE_throng")
        ))
        .arg("/dev/null");
    let ran = Process::start("throng on a terminal".into(), command).wait(PATIENCE);
    assert_eq!(ran.code, 0, "{ran}");
    let (live, rest) = ran
        .stdout
        .split_once("300 of 300 connections held")
        .unwrap_or_else(|| panic!("no verdict: {ran}"));
    assert!(live.contains('█') && live.contains('\r'), "{ran}");
    assert!(live.contains("\x1b[J"), "the live line is wiped: {ran}");
    assert!(rest.contains("Connections"), "{ran}");
}

#[test]
fn messages_with_blanks_are_shown_so_that_they_can_be_pasted() {
    let net = Net::own();
    let ran = run_words(
        &net,
        &[
            "load",
            "--self",
            "-m",
            "it's a test",
            "-r",
            "5",
            "--hold",
            "300ms",
        ],
    );
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        ran.stdout.contains(r"'it'\''s a test'") || ran.stdout.contains("\"it's a test\""),
        "{ran}"
    );
}

#[test]
fn version_and_help_go_to_stdout() {
    let net = Net::host();
    let ran = run(&net, "--version");
    assert_eq!(
        ran.stdout,
        concat!("throng ", env!("CARGO_PKG_VERSION"), "\n")
    );
    for args in ["--help", "help", "load --help", "serve --help", "load -h"] {
        let ran = start(&net, args).wait(PATIENCE);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
        assert!(ran.stdout.contains("Usage: throng"), "{ran}");
    }
}

#[test]
fn each_round_trip_of_a_closed_loop_is_a_line_of_samples() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let csv = directory.path().join("samples.csv");
    let ran = load(
        &net,
        &format!(
            "--self=echo -c 5 -m hello --closed-loop --hold 200ms --samples {}",
            csv.display()
        ),
    );
    let answered = ran.reached().traffic.replies;
    let text = std::fs::read_to_string(csv).unwrap();
    assert!(answered > 0, "{ran}");
    assert_eq!(text.lines().count() as u64, 1 + answered, "{ran}");
    for line in text.lines().skip(1) {
        assert!(line.ends_with(",0,0,0"), "{line}");
    }
}
