//! Reports for CI servers: what fails, and as what.

mod samples;

use throng_core::summary::Summary;
use throng_report::github::{write_annotations, write_markdown};
use throng_report::junit::write_junit;

/// The report of JUnit, the annotations, and the Markdown.
fn drawn(summary: &Summary) -> [String; 3] {
    let mut out = [Vec::new(), Vec::new(), Vec::new()];
    write_junit(summary, &mut out[0]).unwrap();
    write_annotations(summary, &mut out[1]).unwrap();
    write_markdown(summary, &mut out[2]).unwrap();
    out.map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn an_interrupt_fails_a_load_and_not_a_server() {
    for (mut summary, failed) in [(samples::perfect(), true), (samples::serve(), false)] {
        summary.interrupted = true;
        summary.reached = true;
        summary.findings.clear();
        let [junit, annotations, markdown] = drawn(&summary);
        let failure = "<failure type=\"interrupted\" message=\"Interrupted after ";
        assert_eq!(junit.contains(failure), failed, "{junit}");
        assert!(!junit.contains("></failure>"), "no sentence: {junit}");
        assert_eq!(annotations.contains("::error "), failed, "{annotations}");
        assert_eq!(markdown.starts_with("### ❌ "), failed, "{markdown}");
    }
}

#[test]
fn a_command_is_quoted_for_a_shell_and_stays_a_line() {
    let mut summary = samples::perfect();
    summary.command = ["throng", "load", "-m", "a b\n```", "[::1]:80"]
        .map(String::from)
        .into();
    let [junit, _, markdown] = drawn(&summary);
    let command = r"throng load -m $'a b\n```' '[::1]:80'";
    assert!(junit.contains(command), "{junit}");
    let fenced = format!("\n```sh\n{command}\n```\n");
    assert!(markdown.contains(&fenced), "{markdown}");
}

#[test]
fn markdown_has_the_latencies_that_were_measured() {
    let mut summary = samples::perfect();
    let [_, _, markdown] = drawn(&summary);
    let head = "| latency | p50 | p90 | p99 | p99.9 | max |\n";
    assert!(markdown.contains(head), "{markdown}");
    assert!(markdown.contains("\n| response | "), "{markdown}");
    summary.latency = Default::default();
    summary.message_rate = None;
    summary.set_up = None;
    summary.tls = None;
    let [_, _, markdown] = drawn(&summary);
    assert!(!markdown.contains("| latency |"), "{markdown}");
}
