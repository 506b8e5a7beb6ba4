//! The text of whole summaries: what must be said, and that it fits.

mod samples;

use throng_core::pacing::Limit;
use throng_core::summary::{FastOpened, Finding, HistogramOf, Server, Summary, WhyMissing};
use throng_report::text::{Form, write_text};

/// The whole form, in 80 columns.
fn text(summary: &Summary) -> String {
    let whole = Form {
        whole: true,
        ..Form::default()
    };
    written(summary, &whole)
}

/// The form that a user gets without -v.
fn short(summary: &Summary) -> String {
    written(summary, &Form::default())
}

fn written(summary: &Summary, form: &Form) -> String {
    let mut out = Vec::new();
    write_text(summary, &mut out, form).unwrap();
    let text = String::from_utf8(out).unwrap();
    println!("{text}");
    for line in text.lines() {
        // A word that is too long stays whole.
        let fits = form.columns < 60 || line.chars().count() <= form.columns;
        assert!(fits, "too wide: {line}");
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
            "throughput 935 KiB/s sent, 935 KiB/s received, while all were open",
            "accepted 1,000,000 by the server in this process",
            "kernel's sockets 2,000,000 agrees with throng's count",
            "time 27.6 s",
            "rate 36.2k/s",
            "sent 9.14 MiB 598,705 messages",
            "server received 9.14 MiB 598,705 reads",
            "asked 60.0k/s",
            "reached 59.9k/s 99.78 % of asked, over 10.0 s",
            "p50 p90 p99 p99.9 max",
            "connect 1.24 ms 2.48 ms 7.81 ms 24.8 ms 126 ms",
            "response 350 µs 700 µs 2.21 ms 7.00 ms 35.6 ms",
            "service 310 µs 620 µs 1.95 ms 6.20 ms 31.5 ms",
            "user memory 113 MiB 119 B per connection",
            "kernel memory 8.11 GiB 8.50 KiB per connection",
            "CPU 1m 15s 8.40 s user, 1m 06s system",
            "54.6 µs CPU per connection, to open it",
            "engine uring, 2 workers, 2 cores, Linux 6.18.0",
            "command throng load --self=echo -c 1m --hold 10s -M 16 -r 0.06",
        ],
    );
    for absent in [
        "failed",
        "closed",
        "under way",
        "not sent",
        "not io_uring",
        "TLS",
        "WebSocket",
        "Answers",
        "Pings",
        "Search",
        "Bandwidth",
        "first byte",
        "message age",
    ] {
        assert!(!text.contains(absent), "{absent}");
    }
    assert!(text.lines().count() <= 57);
}

#[test]
fn a_perfect_run_is_one_screen() {
    let text = short(&samples::perfect());
    assert_eq!(
        text,
        "\
1,000,000 of 1,000,000 connections held for 10.0 s at 59.9k messages/s

                            p50        p90        p99      p99.9        max
  response               350 µs     700 µs    2.21 ms    7.00 ms    35.6 ms
  service                310 µs     620 µs    1.95 ms    6.20 ms    31.5 ms
  message lateness      48.0 µs    96.0 µs     302 µs     960 µs    4.88 ms
  connect               1.24 ms    2.48 ms    7.81 ms    24.8 ms     126 ms
  598,705 response times
  up to 200 µs         3.99 %  ██▎
  200 µs to 500 µs    69.99 %  ████████████████████████████████████████
  500 µs to 1 ms      22.99 %  █████████████▏
  1 ms to 2 ms         1.79 %  █
  2 ms to 5 ms         0.99 %  ▌
  above 5 ms            0.2 %  ▏

Connections   asked = established = accepted = held 1,000,000; the kernel agrees
Set-up        time 27.6 s; rate 36.2k/s
Traffic       935 KiB/s sent, 935 KiB/s received, while all were open
Message rate  asked 60.0k/s; reached 59.9k/s, 99.78 % of asked, over 10.0 s
Cost          memory 119 B per connection; the kernel's 8.50 KiB per connection;
              CPU 1m 15s; 54.6 µs to open a connection; 32.1 µs per message
Run           uring, 2 workers, 2 cores, Linux 6.18.0; took 37.6 s
Command       throng load --self=echo -c 1m --hold 10s -M 16 -r 0.06
More          -v shows each count, --output json has everything
"
    );
    assert!(text.lines().count() <= 24);
}

#[test]
fn the_short_form_is_for_runs_in_which_all_went_well() {
    let mut failed_once = samples::perfect();
    failed_once.connections.closed_by_peer = 1;
    let mut counted_otherwise = samples::perfect();
    counted_otherwise.connections.kernel_sockets = Some(5);
    for summary in [
        samples::shortfall(),
        samples::interrupted(),
        samples::busy(),
        samples::full(),
        failed_once,
        counted_otherwise,
    ] {
        assert_eq!(short(&summary), text(&summary));
    }
}

#[test]
fn the_short_form_hides_no_doubt() {
    let mut s = samples::perfect();
    s.findings = vec![Finding::MessagesUnsent { messages: 1 }];
    s.why_epoll = Some("kernel.io_uring_disabled is 2".into());
    s.cost.kernel_bytes_sure = false;
    s.connections.kernel_sockets = Some(2_000_007);
    s.connections.fast_open = Some(FastOpened {
        accepted: 999_990,
        ignored: 10,
    });
    s.connections.attempted += 3;
    s.connections.open_at_end -= 2;
    s.expectations = samples::expectations();
    s.expectations.truncate(1);
    s.server = Some(Server {
        unread: vec!["its processes: run as root".into()],
        ..Server::default()
    });
    let text = short(&s).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "- 1 message was due but unsent when its connection closed",
        "✓ response.p99<10ms 2.21 ms",
        "asked = established = accepted = peak 1,000,000",
        "attempted 1,000,003",
        "under way 3, neither established nor failed at the end",
        "open at the end 999,998",
        "fast open 999,990, data accepted with the SYN, and ignored on 10, by the kernel's count",
        "kernel's sockets 2,000,007 of which throng accounts for 2,000,000",
        "unsure: not only that of the sockets",
        "Server not read its processes: run as root",
        "not io_uring: kernel.io_uring_disabled is 2",
    ] {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}

#[test]
fn a_narrow_terminal_breaks_no_number() {
    for columns in [40, 60, 80, 120] {
        for whole in [false, true] {
            for summary in samples::all() {
                let form = Form {
                    columns,
                    whole,
                    ..Form::default()
                };
                let text = written(&summary, &form);
                for (line, next) in text.lines().zip(text.lines().skip(1)) {
                    let last = line.split_whitespace().last().unwrap_or_default();
                    let first = next.split_whitespace().next().unwrap_or_default();
                    let number = last.chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
                    let unit = ["%", "µs", "ms", "s", "B", "KiB", "MiB", "GiB"];
                    let unit = unit.iter().any(|unit| {
                        first
                            .trim_end_matches([',', ';', ')', '.'])
                            .trim_end_matches("/s")
                            == *unit
                    });
                    assert!(last.is_empty() || !number || !unit, "{line}\n{next}");
                }
            }
        }
    }
}

#[test]
fn a_shortfall_begins_with_its_verdict_and_names_causes() {
    let text = text(&samples::shortfall());
    assert!(
        text.starts_with("15,779 of 20,000 connections: no further connection was established\n")
    );
    says(
        &text,
        &[
            "peak 15,779 at once, 78.89 % of asked",
            "failed 3,021 refused, 15.1 % of attempts",
            "failed 1,200 timed out, 6 % of attempts",
            "closed 12 by the peer",
            "closed 7 by the peer's reset",
            "kernel's sockets 15,781 of which throng accounts for 15,779",
            "rate 2.67k/s asked: 5.00k/s",
            "engine epoll, 2 workers, 2 cores, Linux 6.18.0",
        ],
    );
    assert!(text.contains("- 1,200 attempts failed: timed out") && text.contains("not io_uring"));
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
    assert!(
        all.starts_with("Interrupted after 3.00 s: 100,000 of 1,000,000 connections established\n")
    );
    says(
        &all,
        &[
            "attempted 101,024",
            "peak 100,000 at once, 10 % of asked",
            "under way 1,024 neither established nor failed at the end",
            "accepted 99,871 by the server in this process",
        ],
    );
    s.findings = vec![Finding::ConnectionsMissing {
        peak: 100_000,
        asked: 1_000_000,
        why: WhyMissing::Interrupted,
    }];
    assert!(text(&s).starts_with("100,000 of 1,000,000 connections: interrupted while opening\n"));
    let mut reached = samples::perfect();
    reached.interrupted = true;
    assert!(text(&reached).starts_with("Interrupted after 37.6 s: 1,000,000 of"));
}

#[test]
fn a_server_reports_what_it_accepted() {
    let mut ended = samples::serve();
    ended.interrupted = true;
    let written = text(&ended);
    let first = written.lines().next();
    assert_eq!(
        first,
        Some("Interrupted after 1m 00s: 54,321 connections accepted, up to 20,000 at once")
    );
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
fn tls_websocket_and_answers_are_reported_with_their_faults() {
    let text = text(&samples::busy());
    says(
        &text,
        &[
            "handshakes 1,004 25 % of them resumed a session",
            "rate 1.43k/s over 700 ms",
            "failed 3 protocol violated by the peer",
            "failed 1 certificate of an unknown authority",
            "1 of these after their handshake",
            "cut off 2 closed by the peer without close_notify",
            "upgraded 1,003 of 1,007 connections",
            "violated 3 text is not UTF-8",
            "violated 1 server frame masked",
            "not DNS 1 connection that received something else",
            "text received 1 the text of --message-stop",
            "received 29,950",
            "with an error 31 of those: 28 SERVFAIL, 3 NXDOMAIN",
            "unanswered 8 messages",
            "unasked 2 answers that match no message",
        ],
    );
}

#[test]
fn rates_that_vary_and_bandwidth_are_reported_beside_what_was_asked() {
    let text = text(&samples::busy());
    assert!(text.starts_with(
        "29,958 of 30,000 requests over 1,000 of 1,000 connections in 10.2 s, opening\nincluded: 2.94k/s\n\n"
    ));
    says(
        &text,
        &[
            "asked 30,000 messages, 3.00k/s on average",
            "sent 29,958 99.86 % of asked, over 10.0 s",
            "sent 935 KiB/s 93.54 % of 1000 KiB/s, over 10.0 s",
            "received 935 KiB/s 46.77 % of 1.95 MiB/s, over 10.0 s",
        ],
    );
    assert!(!text.contains("reached"));
}

#[test]
fn latencies_begin_with_the_response_time_and_end_with_what_was_asked_for() {
    let text = text(&samples::busy());
    let table = text.split("\nLatency\n").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    assert_eq!(
        table,
        "                            p50        p90        p99      p99.9        max
  response               350 µs     700 µs    2.21 ms    7.00 ms    35.6 ms
  service                310 µs     620 µs    1.95 ms    6.20 ms    31.5 ms
  to first byte          300 µs     600 µs    1.89 ms    6.00 ms    30.5 ms
  message lateness      48.0 µs    96.0 µs     302 µs     960 µs    4.88 ms
  message age            160 µs     320 µs    1.01 ms    3.20 ms    16.3 ms
  pong                   240 µs     480 µs    1.51 ms    4.80 ms    24.4 ms
  first byte             900 µs    1.80 ms    5.67 ms    18.0 ms    91.5 ms
  upgrade                820 µs    1.64 ms    5.17 ms    16.4 ms    83.4 ms
  first event            900 µs    1.80 ms    5.67 ms    18.0 ms    91.5 ms
  event gap              100 ms     201 ms     633 ms     2.01 s     10.2 s
  event silence         60.0 ms     120 ms     378 ms     1.20 s     6.10 s
  event age              180 µs     360 µs    1.13 ms    3.60 ms    18.3 ms
  SUBACK                 410 µs     820 µs    2.58 ms    8.20 ms    41.7 ms
  CONNACK                640 µs    1.28 ms    4.03 ms    12.8 ms    65.1 ms
  TLS handshake          710 µs    1.42 ms    4.47 ms    14.2 ms    72.2 ms
  connect               1.24 ms    2.48 ms    7.81 ms    24.8 ms     126 ms
  connect           p95 310 µs, p99.95 880 µs
  29,950 response times
  up to 200 µs         3.17 %  █▎
  200 µs to 500 µs    93.48 %  ████████████████████████████████████████
  500 µs to 1 ms       3.33 %  █▍"
    );
}

#[test]
fn expectations_have_a_line_each_and_those_that_failed_no_other() {
    let mut summary = samples::perfect();
    summary.expectations = samples::expectations();
    let failed = summary.expectations.iter().filter(|e| !e.met).cloned();
    summary.findings = failed.map(Finding::ExpectationFailed).collect();
    summary.reached = false;
    let told = text(&summary);
    let first = "answers>=99.999% was not met: 99.99 %, 598,705 of 598,713\n\nExpectations\n";
    assert!(told.starts_with(first));
    says(
        &told,
        &[
            "✓ response.p99<10ms 2.21 ms",
            "✗ answers>=99.999% 99.99 %, 598,705 of 598,713",
            "✗ held/s>=10k unknown: the search found no rate",
        ],
    );
}

#[test]
fn what_the_server_on_this_machine_used_is_told_beside_throng_s_own_cost() {
    let mut summary = samples::perfect();
    summary.server = Some(samples::server());
    says(
        &text(&summary),
        &[
            "Server on this machine",
            "processes 3 nginx",
            "memory (PSS) 512 MiB 6.00 MiB before, 531 B per connection",
            "memory (RSS) 520 MiB 14.0 MiB before, 531 B per connection",
            "CPU 28.5 s 7.20 s user, 21.3 s system",
            "open files 500,021 of 1,048,576 in the fullest process",
            "ended 1 of its processes, during the run",
            "not read its open files: Permission denied",
            "Cost of throng",
        ],
    );
    // What was not read is not 0.
    summary.server = Some(Server {
        unread: vec!["its processes: run as root".into()],
        ..Server::default()
    });
    let text = text(&summary);
    let section = text.split("Server on this machine\n").nth(1).unwrap();
    let (section, _) = section.split_once("\n\n").unwrap();
    assert_eq!(section, "  not read          its processes: run as root");
}

#[test]
fn the_report_says_that_all_answers_arrived() {
    let mut s = samples::busy();
    let answers = s.answers.as_mut().unwrap();
    answers.asked -= answers.unanswered;
    (answers.unanswered, answers.with_error) = (0, 0);
    s.pings.as_mut().unwrap().unanswered = 0;
    let text = text(&s);
    says(
        &text,
        &[
            "received 29,950 none missing",
            "sent 1,994 none without a pong",
        ],
    );
    assert!(!text.contains("unanswered") && !text.contains("with an error"));
}

#[test]
fn a_closed_loop_has_service_times_alone() {
    let mut s = samples::perfect();
    s.latency.response = None;
    s.histogram.as_mut().unwrap().of = HistogramOf::Service;
    let rate = s.message_rate.as_mut().unwrap();
    (rate.asked_per_s, rate.lateness) = (None, None);
    let text = text(&s);
    says(
        &text,
        &[
            "reached 59.9k/s over 10.0 s",
            "service 310 µs 620 µs 1.95 ms 6.20 ms 31.5 ms",
        ],
    );
    assert!(!text.contains("response") && !text.contains("lateness"));
}

#[test]
fn a_search_says_what_it_found_and_how_sure_it_is() {
    let mut s = samples::searched();
    let all = text(&s);
    // The mean over all its rates would say nothing.
    assert!(all.starts_with(
        "1,000,000 of 1,000,000 connections held for 10.0 s\n- the highest rate that keeps p95"
    ));
    says(
        &all,
        &[
            "held 12.3k/s 0.012/s on each connection",
            "latency there 8.20 ms at p95, of 10.0 ms allowed",
            "broke 12.5k/s latency exceeded the limit",
            "between 12.4k/s and 12.5k/s (90 % confidence), 23 trials",
        ],
    );
    let search = s.search.as_mut().unwrap();
    (search.held_per_s, search.held_latency_us) = (None, None);
    search.broke_by = Some(Limit::Answers);
    let all = text(&s);
    says(&all, &["broke 12.5k/s not all messages were answered"]);
    assert!(!all.contains("latency there"));
    s.search.as_mut().unwrap().broke_by = Some(Limit::Unwanted);
    says(
        &text(&s),
        &["broke 12.5k/s not all answers were as expected"],
    );
}

#[test]
fn remarks_on_a_run_that_reached_its_goal_follow_the_verdict() {
    let mut s = samples::perfect();
    s.findings = vec![Finding::MessagesUnsent { messages: 1 }];
    let text = text(&s);
    assert!(text.starts_with("1,000,000 of"));
    assert_eq!(
        text.lines().nth(1),
        Some("- 1 message was due but unsent when its connection closed")
    );
}

#[test]
fn connections_that_did_not_last_are_not_called_held() {
    let mut s = samples::perfect();
    s.connections.open_at_end = 999_990;
    s.connections.closed_by_peer = 10;
    s.message_rate = None;
    assert!(text(&s).starts_with(
        "1,000,000 of 1,000,000 connections established, 999,990 still open after 10.0 s\n"
    ));
}

#[test]
fn the_verdict_has_the_colour_of_the_exit_code() {
    for (summary, style) in [
        (samples::perfect(), "\x1b[1m\x1b[32m"),
        (samples::shortfall(), "\x1b[1m\x1b[31m"),
        (samples::interrupted(), "\x1b[1m\x1b[33m"),
    ] {
        let mut out = Vec::new();
        let coloured = Form {
            colour: true,
            ..Form::default()
        };
        write_text(&summary, &mut out, &coloured).unwrap();
        assert!(out.starts_with(style.as_bytes()), "{}", summary.exit_code());
    }
}
