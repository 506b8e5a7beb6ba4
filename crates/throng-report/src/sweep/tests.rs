//! The table, the findings and the CSV of a sweep.

use super::{write_csv, write_text};
use serde_json::json;
use throng_core::experiment::sweep::{Due, Plan, SweepResult, Trial};

/// A sweep of connections, with commas in the values of a second variable.
fn plan() -> Plan {
    let plan = json!({
        "version": 1, "tool": "throng test", "command": [], "trial": ["load"], "scenarios": [""],
        "variables": [
            { "name": "connections", "sets": "key", "key": "load.connections", "values": ["100", "200", "400", "800"] },
            { "name": "flags", "sets": "word", "values": ["-a,\"b\""] },
        ],
        "find": null, "repeat": 2, "order": "listed", "seed": 1, "trim": 0, "metric": "answers/s", "objective": "p99<50ms",
        "system": null, "between": { "pause_s": null, "command": null }, "warm_up_s": null,
    });
    serde_json::from_value(plan).expect("a plan")
}

fn trial(number: u32, due: Due) -> (Due, Trial) {
    let throughput = [1000.0, 1900.0, 2000.0, 1500.0][due.point];
    let slow = due.point == 3;
    let busy = (due.point, due.repetition) == (1, 2);
    let without = (due.point, due.repetition) == (2, 2);
    let measured = json!({
        "started_unix_s": 0.0, "seconds": 1.5, "throughput": throughput + f64::from(due.repetition),
        "p50_us": 1000.0, "p99_us": if slow { 61_000.0 } else { 4_100.0 }, "p99_at_least": false,
        "failed": if slow { 3 } else { 0 }, "client_bottleneck": busy.then_some("this client was full"),
        "unmet": if slow { vec!["service.p99<50ms: 61.0 ms"] } else { vec![] },
    });
    let trial = json!({
        "number": number, "repetition": due.repetition, "file": "trials/0001.json",
        "exit_code": if without { 2 } else { u8::from(slow) },
        "measured": if without { json!(null) } else { measured },
        "reason": if without { Some("not enough memory") } else { slow.then_some("3 unanswered") },
    });
    (due, serde_json::from_value(trial).expect("a trial"))
}

fn result(finished: usize) -> SweepResult {
    let plan = plan();
    let all = (1..).zip(plan.schedule()).take(finished);
    let all: Vec<_> = all.map(|(number, due)| trial(number, due)).collect();
    SweepResult::of(plan, &all)
}

fn text(result: &SweepResult, columns: usize) -> String {
    let mut out = Vec::new();
    write_text(result, &mut out, columns, false).expect("no I/O");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn each_point_has_a_row_and_what_is_left_out_is_told() {
    let text = text(&result(8), 120);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let row = |value: &str| {
        rows.iter()
            .find(|row| row.first() == Some(&value))
            .unwrap_or_else(|| panic!("{text}"))
    };
    assert_eq!(row("100")[2..6], ["2", "1.00k/s", "1.00k/s", "to"]);
    // One was not used, one has no result.
    assert_eq!(row("200")[2..5], ["1", "of", "2"]);
    assert_eq!(row("400")[2..5], ["1", "of", "2"]);
    assert!(
        row("800").contains(&"0/2") && row("800").contains(&"6"),
        "{text}"
    );
    for part in [
        "8 trials of 4 points, 1 of them without a result",
        "[1] not all trials are used: in the others this client was the bottleneck",
        "[2] no result (exit code 2): not enough memory",
        "[3] fell short: 3 unanswered (and 1 trial like it)",
        "Along connections, at flags=-a,\"b\"",
        "Objective p99<50ms: holds up to connections=400 (met in 1 of 1 trial, p99 4.10 ms); not at connections=800 (met in 0 of 2 \
         trials: service.p99<50ms: 61.0 ms)",
        "Highest answers/s: 2.00k/s at connections=400, p99 4.10 ms",
        "Universal Scalability Law: contention ",
    ] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.contains(&part.split_whitespace().collect::<Vec<_>>().join(" ")),
            "no '{part}':\n{text}"
        );
    }
}

#[test]
fn what_is_not_finished_is_said_first_and_the_table_fits() {
    let partial = result(3);
    for columns in [60, 80, 120] {
        let text = text(&partial, columns);
        assert!(
            text.starts_with("Not complete: 3 of 8 trials of 4 points\n"),
            "{text}"
        );
        assert!(text.contains("not finished"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= columns.max(76), "{columns}: {line}");
        }
    }
}

#[test]
fn the_csv_has_a_line_for_each_trial() {
    let mut out = Vec::new();
    write_csv(&result(8), &mut out).expect("no I/O");
    let text = String::from_utf8(out).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 9, "{text}");
    assert_eq!(
        lines[0],
        "connections,flags,trial,repetition,throughput,p50_us,p99_us,failed,seconds,exit_code,used,objective_met"
    );
    assert_eq!(
        lines[1],
        "100,\"-a,\"\"b\"\"\",1,1,1001,1000,4100,0,1.5,0,1,1"
    );
    assert_eq!(
        lines[4],
        "200,\"-a,\"\"b\"\"\",4,2,1902,1000,4100,0,1.5,0,0,1"
    );
    assert_eq!(lines[6], "400,\"-a,\"\"b\"\"\",6,2,,,,,,2,0,");
    assert_eq!(
        lines[8],
        "800,\"-a,\"\"b\"\"\",8,2,1502,1000,61000,3,1.5,1,1,0"
    );
}

#[test]
fn a_result_is_read_back_from_its_page() {
    let result = result(8);
    let page = crate::html::of_sweep(&result);
    assert_eq!(super::read(page.as_bytes()), Some(result.clone()));
    let json = serde_json::to_vec(&result).expect("JSON");
    assert_eq!(super::read(&json), Some(result));
    for other in [
        &b"{}"[..],
        b"<html></html>",
        &page.as_bytes()[..page.len() / 2],
    ] {
        assert_eq!(super::read(other), None);
    }
}
