//! Where a run is reported besides its summary.

use crate::common::net::Net;
use crate::common::peers::start_script;
use crate::common::process::Ran;
use crate::common::{PATIENCE, run, serve, start, start_load, words};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// The rows of a CSV file by the names of its columns.
fn rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), head.len(), "{line}");
        let named = head.iter().zip(cells);
        named
            .map(|(name, cell)| ((*name).into(), cell.into()))
            .collect()
    };
    lines.map(row).collect()
}

fn sum(rows: &[BTreeMap<String, String>], column: &str) -> u64 {
    let cells = rows.iter().map(|row| row[column].parse::<u64>());
    cells.map(|cell| cell.expect(column)).sum()
}

#[test]
fn the_rows_of_a_run_add_up_to_its_summary() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.csv");
    let csv = file.display();
    let ran = run(
        &net,
        &format!(
            "load --self=echo -c 50 -m hello -r 20 --latency-echo --hold 2500ms --output json --csv {csv}"
        ),
    );
    let summary = ran.summary();
    let rows = rows(&file);
    assert!(rows.len() >= 3, "{rows:#?}");
    let traffic = &summary.traffic;
    let answers = summary.answers.as_ref().unwrap();
    for (column, count) in [
        ("established", summary.connections.established),
        ("accepted", summary.connections.accepted.unwrap()),
        ("messages_sent", traffic.messages_sent),
        ("answers", answers.received),
        ("bytes_sent", traffic.bytes_sent),
        ("bytes_received", traffic.bytes_received),
        ("response_count", answers.received),
        ("connect_count", summary.connections.established),
        ("closed", 0),
    ] {
        assert_eq!(sum(&rows, column), count, "{column}: {rows:#?}");
    }
    let seconds: f64 = rows
        .iter()
        .map(|row| row["seconds"].parse::<f64>().unwrap())
        .sum();
    let end: f64 = rows.last().unwrap()["time_s"].parse().unwrap();
    assert!((seconds - end).abs() < 0.05, "{seconds} {end}");
    assert!(
        rows.iter()
            .any(|row| row["open"] == "50" && row["phase"] == "holding")
    );
}

#[test]
fn whatever_runs_something_has_the_outputs() {
    let net = Net::own();
    for subcommand in ["load", "http", "serve", "run"] {
        let help = run(&net, &format!("{subcommand} --help")).stdout;
        for option in [
            "--csv FILE",
            "--junit FILE",
            "--github",
            "--prometheus [ADDRESS:]PORT",
            "--otlp URL",
            "--tui",
            "--web",
        ] {
            let option = option.replacen(' ', " <", 1);
            let option = match option.contains('<') {
                true => option + ">",
                false => option,
            };
            assert!(help.contains(&option), "{subcommand}: no {option}: {help}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let csv = |name: &str| dir.path().join(name);
    let _server = serve(&net, "127.0.0.1:9000 --mode http");
    let file = csv("http.csv");
    let line = format!(
        "http -n 300 -c 5 --output json --csv {} http://127.0.0.1:9000/",
        file.display()
    );
    let ran = run(&net, &line);
    let http = ran.summary().protocols.http.unwrap();
    assert_eq!(sum(&rows(&file), "service_count"), http.completed, "{ran}");
    let scenario = run(&net, "load --self -c 7 --hold 100ms --print-scenario").stdout;
    std::fs::write(csv("run.toml"), scenario).unwrap();
    let file = csv("run.csv");
    let (toml, path) = (csv("run.toml"), file.display());
    let ran = run(&net, &format!("run {} --csv {path}", toml.display()));
    assert_eq!(sum(&rows(&file), "established"), 7, "{ran}");
}

#[test]
fn an_interrupted_run_leaves_a_whole_table_and_a_pipe_has_rows_at_once() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.csv");
    let load = start_load(
        &net,
        &format!("--self -c 10 --hold 60s --csv {}", file.display()),
    );
    load.wait_for_stderr("holding");
    std::thread::sleep(Duration::from_millis(1200));
    load.signal(Signal::INT);
    assert_eq!(load.wait(PATIENCE).code, 130);
    assert_eq!(sum(&rows(&file), "established"), 10);
    // A server's, while it lasts.
    let server = start(&net, "serve 127.0.0.1:9000 --csv /dev/stderr");
    server.wait_for_stderr("time_s,seconds,phase,open");
    server.wait_for_stderr(",serving,0,");
    server.signal(Signal::TERM);
    server.wait(PATIENCE);
}

/// The report in `file`, as another program reads it.
fn junit(net: &Net, file: &Path) -> Value {
    let ran = start_script(net, "junit.py", &[file.to_str().unwrap()]).wait(PATIENCE);
    assert_eq!(ran.code, 0, "{ran}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_test_report_has_a_case_for_the_run_and_each_expectation() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.xml");
    let xml = file.to_str().unwrap();
    let line = format!(
        "load --self=echo -c 2 -m '<&\">' --closed-loop --hold 300ms --expect service.p99<1h --expect peak>5 --junit {xml}"
    );
    let ran = run(&net, &line);
    assert_eq!(ran.code, 1, "{ran}");
    let report = junit(&net, &file);
    let suite = &report[0];
    assert_eq!(suite["name"], "throng load");
    assert_eq!(suite["stated"], suite["counted"], "{report:#}");
    assert_eq!(
        suite["stated"],
        json!({"tests": 3, "failures": 2, "errors": 0, "skipped": 0})
    );
    let command = suite["properties"]["command"].as_str().unwrap();
    assert!(command.contains("-m '<&\">' --closed-loop"), "{command}");
    let cases = suite["cases"].as_array().unwrap();
    let names: Vec<&str> = cases.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "the run reached what was asked for",
            "service.p99<1h",
            "peak>5"
        ]
    );
    assert_eq!(cases[1]["failures"], json!([]), "{report:#}");
    // A busy machine may have fallen short otherwise, too.
    let verdict = &cases[0]["failures"][0];
    assert!(
        verdict["text"].as_str().unwrap().contains("peak>5"),
        "{report:#}"
    );
    let failure = &cases[2]["failures"][0];
    assert_eq!(failure["type"], "expectation_failed", "{report:#}");
    assert!(failure["message"].as_str().unwrap().contains("peak>5"));
    // A run that is well, of a server.
    let ran = run(
        &net,
        &format!("serve 127.0.0.1:9000 --duration 100ms --junit {xml}"),
    );
    assert_eq!(ran.code, 0, "{ran}");
    let report = junit(&net, &file);
    assert_eq!(report[0]["stated"]["tests"], 1);
    assert_eq!(report[0]["stated"]["failures"], 0, "{report:#}");
    // One whose end is its user's.
    let server = start(
        &net,
        &format!("serve 127.0.0.1:9000 --junit {xml} --github"),
    );
    server.wait_for_stderr("listening on 127.0.0.1:");
    server.signal(Signal::INT);
    let ran = server.wait(PATIENCE);
    assert!(!ran.stderr.contains("::error"), "{ran}");
    assert_eq!(junit(&net, &file)[0]["stated"]["failures"], 0, "{ran}");
    // A load that was not over.
    let load = start_load(&net, &format!("--self -c 2 --hold 60s --junit {xml}"));
    load.wait_for_stderr("holding");
    load.signal(Signal::INT);
    load.wait(PATIENCE);
    let report = junit(&net, &file);
    let failure = &report[0]["cases"][0]["failures"][0];
    assert_eq!(failure["type"], "interrupted", "{report:#}");
    assert_ne!(failure["text"], "", "{report:#}");
}

/// Runs a load in a workflow of GitHub, whose step has this file for its summary.
fn in_a_workflow(
    net: &Net,
    step_summary: Option<&Path>,
    args: &str,
) -> (Option<i32>, String, String) {
    let mut command = net.command(env!("CARGO_BIN_EXE_throng"));
    command.args(words(args)).stdin(Stdio::null());
    command.env_remove("GITHUB_STEP_SUMMARY");
    if let Some(file) = step_summary {
        command.env("GITHUB_STEP_SUMMARY", file);
    }
    let out = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn a_workflow_has_annotations_for_what_fell_short_and_a_table_in_its_summary() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("summary.md");
    std::fs::write(&file, "# Before\n").unwrap();
    let line = "load --self=echo -c 2 -m 'a\\n' -r 50 --latency-echo --hold 300ms --expect peak>5 --output json --github";
    let (code, stdout, stderr) = in_a_workflow(&net, Some(&file), line);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(serde_json::from_str::<Value>(&stdout).is_ok(), "{stdout}");
    let annotation = stderr.lines().find(|line| line.starts_with("::error "));
    let annotation = annotation.unwrap_or_else(|| panic!("{stderr}"));
    let title = "::error title=throng load%3A expectation_failed::";
    assert!(annotation.starts_with(title), "{annotation}");
    assert!(annotation.contains("peak>5"), "{annotation}");
    let markdown = std::fs::read_to_string(&file).unwrap();
    assert!(markdown.starts_with("# Before\n### ❌ "), "{markdown}");
    assert!(markdown.contains("| ❌ | peak\\>5 | "), "{markdown}");
    assert!(markdown.contains("| Connections | "), "{markdown}");
    assert!(markdown.contains(" -m 'a\\n' -r 50 "), "{markdown}");
    let head = "| latency | p50 | p90 | p99 | p99.9 | max |\n";
    assert!(markdown.contains(head), "{markdown}");
    assert!(markdown.contains("\n| response | "), "{markdown}");
    // Outside of a workflow there is no summary to add to.
    let (code, _, stderr) = in_a_workflow(&net, None, "load --self -c 2 --hold 100ms --github");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("::error"), "{stderr}");
    // One that cannot be written is told before the run.
    let nowhere = dir.path().join("none/summary.md");
    let (code, _, stderr) =
        in_a_workflow(&net, Some(&nowhere), "load --self -c 2 --hold 60s --github");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("GITHUB_STEP_SUMMARY"), "{stderr}");
}

#[test]
fn outputs_that_would_be_written_over_each_other_are_refused_before_the_run() {
    let net = Net::own();
    let refused = |args: &str| -> Ran {
        let ran = run(&net, &format!("load --self -c 2 --hold 30s {args}"));
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
        ran
    };
    let ran = refused("--csv /tmp/same --junit /tmp/same");
    assert!(
        ran.stderr.contains("--csv and --junit would both write"),
        "{ran}"
    );
    let ran = refused("--csv -");
    assert!(ran.stderr.contains("--csv - names no file"), "{ran}");
    for option in ["--junit", "--report"] {
        let ran = refused(&format!("{option} /nowhere/to/be/found"));
        assert!(ran.stderr.contains("/nowhere/to/be/found"), "{ran}");
    }
}

#[test]
fn an_output_that_can_not_be_written_at_the_end_keeps_the_others_and_the_summary() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.xml");
    let ran = run(
        &net,
        &format!(
            "load --self -c 5 --hold 100ms --output json --report /dev/full --junit {}",
            kept.display()
        ),
    );
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr.contains("/dev/full"), "{ran}");
    assert!(kept.exists(), "{ran}");
    let summary: Value = serde_json::from_str(&ran.stdout).expect("the summary");
    assert_eq!(summary["reached"], true, "{ran}");
}

#[test]
fn requests_that_are_answered_before_the_hold_have_a_rate() {
    let net = Net::own();
    let ran = run(
        &net,
        "load --self=http -c 20 -n 40 --output json --expect answers/s>0.1",
    );
    let summary = ran.reached();
    let (answers, requests) = (summary.answers.unwrap(), summary.requests.unwrap());
    assert_eq!(answers.per_s, Some(requests.per_s), "{ran}");
}
