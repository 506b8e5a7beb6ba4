//! The text of whole summaries: what must be said, and that it fits.

mod samples;

use throng_core::summary::Summary;
use throng_report::text::write_text;

fn text(summary: &Summary) -> String {
    let mut out = Vec::new();
    write_text(summary, &mut out, false).unwrap();
    let text = String::from_utf8(out).unwrap();
    println!("{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "too wide: {line}");
        assert_eq!(line, line.trim_end());
    }
    assert!(!text.contains('\x1b'));
    text
}

/// Asserts that each of `wanted` is a line of `text`, however its columns are aligned.
#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(squeeze).collect();
    for line in wanted {
        assert!(lines.iter().any(|l| l == line), "{line:?} is missing");
    }
}

#[test]
fn a_perfect_run_says_so_and_what_it_took() {
    let text = text(&samples::perfect());
    assert!(
        text.starts_with(
            "1,000,000 of 1,000,000 connections held for 10.0 s at 59.9k messages/s\n\n"
        )
    );
    says(
        &text,
        &[
            "asked 1,000,000",
            "established 1,000,000",
            "peak 1,000,000 at once, 100 % of asked",
            "throughput 935 KiB/s sent, 935 KiB/s received, while all were up",
            "accepted 1,000,000 by the server in this process",
            "kernel's sockets 2,000,000 agrees with our count",
            "time 27.6 s",
            "rate 36.2k/s",
            "sent 9.14 MiB 598,705 messages",
            "server received 9.14 MiB 598,705 reads",
            "asked 60.0k/s",
            "reached 59.9k/s 99.78 % of asked, over 10.0 s",
            "p50 p90 p99 p99.9 max",
            "connect 1.24 ms 2.48 ms 7.81 ms 24.8 ms 126 ms",
            "service 310 µs 620 µs 1.95 ms 6.20 ms 31.5 ms",
            "user memory 113 MiB 119 B a connection",
            "kernel memory 8.11 GiB 8.50 KiB a connection",
            "CPU 1m 15s 8.40 s user, 1m 06s system",
            "54.6 µs CPU a connection, opening it",
            "engine uring, 2 workers, 2 cores, Linux 6.18.0",
            "command throng load --self=echo -c 1m --hold 10s -M 16 -r 0.06",
        ],
    );
    for absent in ["failed", "closed", "under way", "not sent", "not io_uring"] {
        assert!(!text.contains(absent), "{absent}");
    }
    assert!(text.lines().count() <= 50);
}

#[test]
fn a_shortfall_begins_with_its_verdict_and_names_causes() {
    let text = text(&samples::shortfall());
    assert!(text.starts_with("15,779 of 20,000 connections established: 3,021 refused, 1,200"));
    says(
        &text,
        &[
            "peak 15,779 at once, 78.89 % of asked",
            "failed 3,021 refused, 15.1 % of attempts",
            "failed 1,200 timed out, 6 % of attempts",
            "closed 12 by the peer",
            "closed 7 by the peer's reset",
            "kernel's sockets 15,781 differs: ours is 15,779, 2 fewer",
            "rate 2.67k/s asked: 5.00k/s",
            "engine epoll, 2 workers, 2 cores, Linux 6.18.0",
        ],
    );
    assert!(text.contains("- The server's accept queue") && text.contains("not io_uring"));
    for absent in ["Traffic", "Message rate", "kernel memory", "accepted"] {
        assert!(!text.contains(absent), "{absent}");
    }
}

#[test]
fn a_shortfall_without_findings_still_says_so() {
    let mut s = samples::perfect();
    s.reached = false;
    assert!(text(&s).starts_with("Fell short: 1,000,000 of"));
}

#[test]
fn an_interrupted_run_never_reads_like_a_success() {
    let mut s = samples::interrupted();
    let all = text(&s);
    assert!(all.starts_with("Interrupted after 3.00 s: 100,000 of 1,000,000 connections up\n"));
    says(
        &all,
        &[
            "attempted 101,024",
            "peak 100,000 at once, 10 % of asked",
            "under way 1,024 neither up nor failed at the end",
            "accepted 99,871 by the server in this process",
        ],
    );
    s.findings = vec!["Interrupted while opening".into()];
    assert!(text(&s).starts_with("Interrupted while opening\n"));
    let mut reached = samples::perfect();
    reached.interrupted = true;
    assert!(text(&reached).starts_with("Interrupted after 37.6 s: 1,000,000 of"));
}

#[test]
fn a_server_tells_what_it_accepted() {
    let text = text(&samples::serve());
    assert!(text.starts_with("54,321 connections accepted, up to 20,000 at once, in 1m 00s\n"));
    says(
        &text,
        &[
            "accepted 54,321",
            "peak 20,000 at once",
            "open at the end 3",
            "closed 54,300 by the peer",
            "received 600 MiB 1,234,567 reads",
            "throughput 10.0 MiB/s received, over the whole run",
        ],
    );
    for absent in [
        "asked",
        "attempted",
        "established",
        "Set-up",
        "Latency",
        "sent",
    ] {
        assert!(!text.contains(absent), "{absent}");
    }
}

#[test]
fn remarks_on_a_run_that_reached_its_goal_follow_the_verdict() {
    let mut s = samples::perfect();
    s.findings = vec!["SYN cookies were sent: the backlog was too short for a while".into()];
    let text = text(&s);
    assert!(text.starts_with("1,000,000 of"));
    assert_eq!(
        text.lines().nth(1),
        Some("- SYN cookies were sent: the backlog was too short for a while")
    );
}

#[test]
fn connections_that_did_not_last_are_not_called_held() {
    let mut s = samples::perfect();
    s.connections.open_at_end = 999_990;
    s.connections.closed_by_peer = 10;
    s.message_rate = None;
    assert!(text(&s).starts_with("1,000,000 of 1,000,000 connections up, 999,990 after 10.0 s\n"));
}

#[test]
fn the_verdict_has_the_colour_of_the_exit_code() {
    for (summary, style) in [
        (samples::perfect(), "\x1b[1m\x1b[32m"),
        (samples::shortfall(), "\x1b[1m\x1b[31m"),
        (samples::interrupted(), "\x1b[1m\x1b[33m"),
    ] {
        let mut out = Vec::new();
        write_text(&summary, &mut out, true).unwrap();
        assert!(out.starts_with(style.as_bytes()), "{}", summary.exit_code());
    }
}
