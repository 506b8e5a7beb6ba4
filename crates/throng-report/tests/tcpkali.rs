//! tcpkali's lines: those that tcpkali printed for the same numbers, and the patterns that its users'
//! scripts have for them.

mod samples;

use regex::Regex;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use throng_core::pacing::Ending;
use throng_core::scenario::Percentile;
use throng_core::stats::Durations;
use throng_core::summary::{AtPercentile, LatencyAt, LatencyOf, Steady, Traffic};
use throng_report::tcpkali::{
    BestRate, Start, TcpkaliReport, Way, exit_code, is_failure, no_best_rate, no_effect,
    not_ramped_up, ramped_up, stopped, write_result, write_start,
};

fn drawn(report: &TcpkaliReport) -> String {
    let mut out = Vec::new();
    write_result(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn latency(of: LatencyOf, at: &[(&str, Option<f64>)]) -> LatencyAt {
    LatencyAt {
        of,
        count: 1,
        unanswered: 0,
        min_us: None,
        mean_us: None,
        max_us: None,
        at: at
            .iter()
            .map(|(percentile, ms)| AtPercentile {
                at_least: false,
                percentile: (*percentile).into(),
                us: ms.map(|ms| ms * 1e3),
            })
            .collect(),
    }
}

/// A report with everything in it.
fn full() -> TcpkaliReport {
    TcpkaliReport {
        seconds: 5.027_89,
        connections: 50,
        bytes_sent: 2_519_005,
        bytes_received: 2_519_500,
        writes: 244_926,
        reads: 189_888,
        messages: Some((14_943, 14_900)),
        latencies: vec![
            latency(
                LatencyOf::Connect,
                &[("95", Some(0.04)), ("99", Some(0.3)), ("99.5", Some(0.8))],
            ),
            latency(
                LatencyOf::FirstByte,
                &[("50.0", Some(1.0)), ("100.0", None)],
            ),
            latency(
                LatencyOf::Message,
                &[
                    ("50", Some(0.24)),
                    ("95", Some(1.8)),
                    ("99", Some(6.9)),
                    ("99.5", Some(11.74)),
                ],
            ),
        ],
        best_rate: Some(BestRate {
            bound: "200ms".into(),
            percentile: 95.0,
            per_s: 24.438_52,
        }),
    }
}

/// Results that people have published, as tcpkali printed them, with the numbers they are of. Counts of
/// reads and writes follow from the packet rates, and lost digits of the duration from the bandwidth.
#[test]
fn the_lines_are_those_that_tcpkali_printed() {
    let cases = [
        (
            TcpkaliReport {
                seconds: 20.0022,
                connections: 2,
                bytes_sent: 34_637_100,
                bytes_received: 19_263_720,
                reads: 469_360,
                writes: 26_549,
                latencies: vec![latency(
                    LatencyOf::Message,
                    &[
                        ("95", Some(5043.1)),
                        ("99", Some(5327.9)),
                        ("99.5", Some(5375.9)),
                    ],
                )],
                ..TcpkaliReport::default()
            },
            "\
Total data sent:     33.0 MiB (34637100 bytes)
Total data received: 18.4 MiB (19263720 bytes)
Bandwidth per channel: 10.779⇅ Mbps (1347.4 kBps)
Aggregate bandwidth: 7.705↓, 13.853↑ Mbps
Packet rate estimate: 23465.4↓, 1327.3↑ (1↓, 1↑ TCP MSS/op)
Message latency at percentiles: 5043.1/5327.9/5375.9 ms (95/99/99.5%)
Test duration: 20.0022 s.
",
        ),
        (
            TcpkaliReport {
                seconds: 10.0027,
                connections: 100,
                bytes_sent: 162_605,
                bytes_received: 124_357,
                reads: 9557,
                writes: 9557,
                ..TcpkaliReport::default()
            },
            "\
Total data sent:     158.8 KiB (162605 bytes)
Total data received: 121.4 KiB (124357 bytes)
Bandwidth per channel: 0.002⇅ Mbps (0.3 kBps)
Aggregate bandwidth: 0.099↓, 0.130↑ Mbps
Packet rate estimate: 955.4↓, 955.4↑ (1↓, 1↑ TCP MSS/op)
Test duration: 10.0027 s.
",
        ),
        (
            TcpkaliReport {
                seconds: 20.007_751_7,
                connections: 200,
                bytes_sent: 30_266_158_036,
                bytes_received: 30_211_911_226,
                reads: 2_747_305,
                writes: 1_579_386,
                ..TcpkaliReport::default()
            },
            "\
Total data sent:     28864.1 MiB (30266158036 bytes)
Total data received: 28812.3 MiB (30211911226 bytes)
Bandwidth per channel: 120.909⇅ Mbps (15113.7 kBps)
Aggregate bandwidth: 12080.082↓, 12101.773↑ Mbps
Packet rate estimate: 1098496.2↓, 1105141.9↑ (8↓, 14↑ TCP MSS/op)
Test duration: 20.0078 s.
",
        ),
        (
            TcpkaliReport::default(),
            "\
Total data sent:     0 bytes (0 bytes)
Total data received: 0 bytes (0 bytes)
Bandwidth per channel: 0.000⇅ Mbps (0.0 kBps)
Aggregate bandwidth: 0.000↓, 0.000↑ Mbps
Packet rate estimate: 0.0↓, 0.0↑ (0↓, 0↑ TCP MSS/op)
Test duration: 0 s.
",
        ),
        (
            full(),
            "\
Total data sent:     2.4 MiB (2519005 bytes)
Total data received: 2.4 MiB (2519500 bytes)
Bandwidth per channel: 0.160⇅ Mbps (20.0 kBps)
Aggregate bandwidth: 4.009↓, 4.008↑ Mbps
Aggregate message rate: 2963.470↓, 2972.022↑ mps
Packet rate estimate: 37766.9↓, 48713.5↑ (1↓, 1↑ TCP MSS/op)
TCP connect latency at percentiles: 0.0/0.3/0.8 ms (95/99/99.5%)
First byte latency at percentiles: 1.0/0.0 ms (50.0/100.0%)
Message latency at percentiles: 0.2/1.8/6.9/11.7 ms (50/95/99/99.5%)
Test duration: 5.02789 s.
Best --message-rate for latency 200ms⁹⁵ᵖ is 24.4385
",
        ),
    ];
    for (report, expected) in cases {
        assert_eq!(drawn(&report), expected);
    }
}

#[test]
fn patterns_of_users_scripts_find_what_they_look_for() {
    // The pattern, and what its groups are.
    let cases: [(&str, &[&str]); 14] = [
        // tcpkali's own test.
        (
            r"(?m)^Aggregate bandwidth: ([\d.]+)[^\d]+, ([\d.]+)[^\d]+ Mbps",
            &["4.009", "4.008"],
        ),
        (
            r"(?m)^Total data (sent|received):.*\(([\d.]+) bytes\)",
            &["sent", "2519005"],
        ),
        (r"(?m)^Packet rate estimate: (3)", &["3"]),
        (r"latency at percentiles.*50.0/100.0", &[]),
        // Scripts that plot, in Python.
        (r"Aggregate bandwidth:.*?,\s*([\d\.]+)↑\s*Mbps", &["4.008"]),
        (
            r"Aggregate bandwidth:\s*([\d.]+)\S*,\s*([\d.]+)\S*\s*Mbps",
            &["4.009", "4.008"],
        ),
        (
            r"Aggregate bandwidth: ([\d.]+)↓, ([\d.]+)↑ Mbps",
            &["4.009", "4.008"],
        ),
        (
            r"Message latency at percentiles:\s*[\d.]+/[\d.]+/([\d.]+)/",
            &["6.9"],
        ),
        (
            r"Message latency at percentiles: ([\d.]+)/([\d.]+)/([\d.]+)/([\d.]+) ms",
            &["0.2", "1.8", "6.9", "11.7"],
        ),
        (
            r"Aggregate message rate: ([\d.]+)↓, ([\d.]+)↑ mps",
            &["2963.470", "2972.022"],
        ),
        (
            r"Bandwidth per channel: ([\d.]+)⇅ Mbps \(([\d.]+) kBps\)",
            &["0.160", "20.0"],
        ),
        (
            r"Packet rate estimate: ([\d.]+)↓, ([\d.]+)↑ \((\d+)↓, (\d+)↑ TCP MSS/op\)",
            &["37766.9", "48713.5", "1", "1"],
        ),
        (r"Test duration: ([\d.]+) s\.", &["5.02789"]),
        (
            r"Best --message-rate for latency \S+ is ([\d.]+)",
            &["24.4385"],
        ),
    ];
    let text = drawn(&full());
    for (pattern, groups) in cases {
        let found = Regex::new(pattern).unwrap();
        let found = found
            .captures(&text)
            .unwrap_or_else(|| panic!("{pattern} is not in\n{text}"));
        let found: Vec<&str> = found.iter().skip(1).flatten().map(|m| m.as_str()).collect();
        assert_eq!(found, groups, "{pattern}");
    }
}

#[test]
fn pipes_of_grep_sed_and_awk_find_it_too() {
    let text = drawn(&full());
    for (pipe, expected) in [
        (
            "grep 'Message latency at percentiles' | sed -E 's/.*: (.*) ms.*/\\1/'",
            "0.2/1.8/6.9/11.7",
        ),
        ("awk '/^Test duration:/ {print $3}'", "5.02789"),
        (
            "grep 'Total data received' | awk -F'[( ]+' '{print $6}'",
            "2519500",
        ),
        (
            "grep 'Aggregate bandwidth' | sed 's/↓.*//' | awk '{print $3}'",
            "4.009",
        ),
        ("awk -F'[:↓]' '/^Packet rate/ {print $2+0}'", "37766.9"),
    ] {
        let mut shell = Command::new("sh")
            .args(["-c", pipe])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let out = shell.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&out.stdout).trim(),
            expected,
            "{pipe}"
        );
    }
}

#[test]
fn the_start_reports_where_connections_go_and_come_from() {
    let lo = |to: &str, addresses: &[&str]| Way {
        to: to.parse().unwrap(),
        interface: "lo".into(),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
    };
    let mut start = Start {
        destinations: vec![
            "127.0.0.1:9150".parse().unwrap(),
            "127.0.0.1:9151".parse().unwrap(),
        ],
        sources: vec![],
        ways: vec![
            lo("127.0.0.1:9150", &["127.0.0.1", "127.0.0.9"]),
            lo("127.0.0.1:9151", &["127.0.0.1", "127.0.0.9"]),
        ],
        listening: vec![
            "127.0.0.1:9555".parse().unwrap(),
            "[::]:9556".parse().unwrap(),
        ],
    };
    let drawn = |start: &Start| {
        let mut out = Vec::new();
        write_start(start, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        drawn(&start),
        "\
Destination: [127.0.0.1]:9150
Destination: [127.0.0.1]:9151
Interface lo address [127.0.0.1]:0
Interface lo address [127.0.0.9]:0
Using interface lo to connect to [127.0.0.1]:9150
Using interface lo to connect to [127.0.0.1]:9151
Listen on: [127.0.0.1]:9555
Listen on: [::]:9556
"
    );
    start.sources = vec!["127.0.0.5".parse().unwrap()];
    let text = drawn(&start);
    assert!(
        text.contains("\nSource IP: [127.0.0.5]:0\n") && !text.contains("nterface"),
        "{text}"
    );
    assert_eq!(drawn(&Start::default()), "");
}

#[test]
fn single_lines_have_their_numbers_where_scripts_look() {
    assert_eq!(ramped_up(5000), "Ramped up to 5000 connections.");
    assert_eq!(ramped_up(1), "Ramped up to 1 connections.");
    let limit = Duration::from_millis(2500);
    assert_eq!(
        not_ramped_up(1, limit),
        "Could not create 1 connection in allotted time (2.5s)"
    );
    assert_eq!(
        not_ramped_up(2000, Duration::from_secs(10)),
        "Could not create 2000 connections in allotted time (10s)"
    );
    assert_eq!(
        no_effect("--rcvbuf"),
        "WARNING: --rcvbuf option makes no effect."
    );
    assert_eq!(stopped(b"END"), "Found --message-stop=\"END\", aborting.");
    assert!(no_best_rate("5ms", Some(limit)).ends_with("latency 5ms in -T2.5 seconds"));
    assert!(no_best_rate("5ms", None).contains("latency 5ms can not"));
}

#[test]
fn a_report_is_of_the_time_when_all_were_up_and_of_both_ends() {
    let mut summary = samples::perfect();
    let traffic = |sent, received| Traffic {
        bytes_sent: sent,
        bytes_received: received,
        writes: 10,
        reads: 20,
        messages_sent: 3,
        replies: 4,
        ..Traffic::default()
    };
    summary.steady = Some(Steady {
        seconds: 2.0,
        opened: 7,
        accepted: 5,
        traffic: traffic(100, 1),
        accepted_traffic: Some(traffic(1000, 2)),
        marked: true,
    });
    let mut took = Durations::default();
    took.record(Duration::from_millis(3));
    let percentiles = Percentile::parse_list("50/100").unwrap();
    summary.latencies = vec![LatencyAt::of(
        LatencyOf::Connect,
        &took,
        &Durations::default(),
        &percentiles,
    )];
    let report = TcpkaliReport::of(&summary);
    assert_eq!((report.seconds, report.connections), (2.0, 12));
    assert_eq!((report.bytes_sent, report.bytes_received), (1100, 3));
    assert_eq!((report.writes, report.reads), (20, 40));
    assert_eq!(report.messages, Some((6, 8)));
    let text = drawn(&report);
    assert!(
        text.contains("TCP connect latency at percentiles: 3.0/3.0 ms (50/100%)\n"),
        "{text}"
    );
    // Nothing was measured while all were established: the whole run counts.
    summary.steady = None;
    let report = TcpkaliReport::of(&summary);
    assert_eq!(report.seconds, summary.seconds);
    assert_eq!(report.messages, None);
    // An empty histogram has no percentiles.
    let none = LatencyAt::of(
        LatencyOf::Message,
        &Durations::default(),
        &Durations::default(),
        &percentiles,
    );
    assert!(none.at.iter().all(|at| at.us.is_none()) && none.count == 0);
}

#[test]
fn only_connections_that_were_not_established_are_a_failure() {
    let mut summary = samples::perfect();
    assert_eq!(exit_code(&summary), 0);
    summary.reached = false;
    assert_eq!(exit_code(&summary), 0);
    summary.search = samples::searched().search;
    assert_eq!(exit_code(&summary), 0);
    assert!(drawn(&TcpkaliReport::of(&summary)).contains("Best"));
    if let Some(search) = &mut summary.search {
        search.ending = Ending::Unfinished;
    }
    assert_eq!(exit_code(&summary), 1);
    assert!(!drawn(&TcpkaliReport::of(&summary)).contains("Best"));
    summary.search = None;
    for failure in samples::findings().into_iter().filter(is_failure) {
        summary.findings = vec![failure];
        assert_eq!(exit_code(&summary), 1);
    }
    summary.interrupted = true;
    assert_eq!(exit_code(&summary), 130);
}
