//! The program called through a link named `tcpkali`: its lines, on its streams, with its exit codes.

use crate::common::net::{Net, free_port};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, run, serve, stop_serving};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::time::Duration;
use tempfile::TempDir;

/// The link, in a directory of its own.
struct Link(TempDir);

impl Link {
    fn new() -> Link {
        let directory = tempfile::tempdir().unwrap();
        symlink(
            env!("CARGO_BIN_EXE_throng"),
            directory.path().join("tcpkali"),
        )
        .unwrap();
        Link(directory)
    }

    fn run(&self, net: &Net, args: &[&str]) -> Ran {
        let program = self.0.path().join("tcpkali");
        let mut command = net.command(program.to_str().expect("a plain path"));
        command.args(args);
        Process::start(format!("tcpkali {args:?}"), command).wait(PATIENCE)
    }
}

/// The lines of `text`, each up to its colon and the rest.
fn lines(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, rest)| (name, rest.trim()))
        .collect()
}

#[test]
fn it_prints_tcpkalis_lines() {
    let (link, net) = (Link::new(), Net::own());
    let server = serve(&net, "--mode echo 127.0.0.1:9150");
    let ran = link.run(
        &net,
        &[
            "-c5",
            "-T2s",
            "-em",
            r"PING\r\n",
            "-r",
            "20",
            "--latency-connect",
            "--latency-percentiles",
            "50/99.50",
            "127.1:9150",
        ],
    );
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stderr.is_empty(), "{ran}");
    let first = ran.stdout.split_inclusive('\n').take(4);
    assert_eq!(
        first.collect::<String>(),
        "\
Destination: [127.0.0.1]:9150
Interface lo address [127.0.0.1]:0
Using interface lo to connect to [127.0.0.1]:9150
Ramped up to 5 connections.
",
        "{ran}"
    );
    let said = lines(&ran.stdout);
    let names: Vec<&str> = ran
        .stdout
        .lines()
        .skip(4)
        .filter_map(|l| l.split(':').next())
        .collect();
    assert_eq!(
        names,
        [
            "Total data sent",
            "Total data received",
            "Bandwidth per channel",
            "Aggregate bandwidth",
            "Packet rate estimate",
            "TCP connect latency at percentiles",
            "Test duration",
        ]
    );
    let latency = said["TCP connect latency at percentiles"];
    assert!(latency.ends_with(" ms (50/99.50%)"), "{ran}");
    let bytes = said["Total data sent"]
        .split(['(', ' '])
        .rev()
        .nth(1)
        .unwrap();
    let bytes: u64 = bytes.parse().unwrap();
    assert!(bytes > 0 && bytes.is_multiple_of(6), "{ran}");
    // What the server had was sent: its count is of the whole run, tcpkali's since all were up.
    let summary = stop_serving(server);
    assert!(summary.traffic.bytes_received >= bytes, "{ran}");
}

#[test]
fn connections_that_are_not_established_in_time_are_reported_and_fail() {
    let (link, net) = (Link::new(), Net::own());
    let target = format!("127.0.0.1:{}", free_port());
    let ran = link.run(&net, &["-c", "3", "-T1s", &target]);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.stderr
            .contains("Could not create 3 connections in allotted time (1s)\n"),
        "{ran}"
    );
    assert!(ran.took >= Duration::from_secs(1), "{ran}");
    assert!(
        !ran.stdout.contains("Total data"),
        "there was no test: {ran}"
    );
}

#[test]
fn a_rate_is_that_of_all_messages_together() {
    let (link, net) = (Link::new(), Net::own());
    let args = ["-l127.1:1231", "127.1:1231", "-T2", "-d", "-r", "5"];
    let run = |more: &[&str]| {
        let messages = ["-m", r"\{message.marker}", "-m", "bcd"];
        link.run(&net, &[&args[..], &messages, more].concat())
    };
    let ran = run(&[]);
    // A marker has 30 bytes.
    assert_eq!(writes(&ran).into_keys().collect::<Vec<_>>(), [33], "{ran}");
    assert!(ran.stderr.contains(".bcd]"), "{ran}");
    assert_five_a_second(&ran);
    // Over WebSocket they are frames of their own, of 36 and 9 bytes, in one write. The request is longer; a
    // close frame has 8 bytes.
    let ran = run(&["--ws"]);
    let short = writes(&ran).into_keys().filter(|n| *n < 100 && *n != 8);
    assert_eq!(short.collect::<Vec<_>>(), [45], "{ran}");
    assert!(ran.stderr.contains("Snd(0, 45): [\\x81\\x9e"), "{ran}");
    assert_five_a_second(&ran);
}

/// Sent, and received. Over two seconds a message more or less is within 20 %.
fn assert_five_a_second(ran: &Ran) {
    let said = lines(&ran.stdout)["Aggregate message rate"].split(['↓', ',', '↑']);
    let rates: Vec<f64> = said.filter_map(|n| n.trim().parse().ok()).collect();
    assert_eq!(rates.len(), 2, "{ran}");
    assert!(rates.iter().all(|n| (3.9..=6.1).contains(n)), "{ran}");
}

#[test]
fn the_text_that_ends_a_run_is_reported() {
    let (link, net) = (Link::new(), Net::own());
    let _server = serve(&net, "--mode echo 127.0.0.1:9150");
    let args = ["-m", "END", "-r5", "--message-stop", "END", "127.1:9150"];
    let ran = link.run(&net, &args);
    let line = "Found --message-stop=\"END\", aborting.\nTotal data sent:";
    assert!(ran.stdout.contains(line), "{ran}");
    let both = ran.stdout.clone() + &ran.stderr;
    assert!(!both.contains("Could not create"), "{ran}");
}

#[test]
fn counts_begin_with_the_last_connection_and_its_handshake() {
    let (link, net) = (Link::new(), Net::own());
    // What tcpkali's own tests want of it: a request of 149 bytes, and at both ends 149 and 129 received.
    for (first, sent, received) in [(&[][..], 149, 278), (&["-1", "ABC"], 158, 287)] {
        let listen = ["-T1s", "-l127.1:1231", "127.1:1231", "--ws", "-w2"];
        let ran = link.run(&net, &[&listen, first].concat());
        assert_eq!(ran.code, 0, "{ran}");
        let said = lines(&ran.stdout);
        let assert_total = |name: &str, bytes: u64| {
            assert_eq!(
                said[name],
                format!("{bytes} bytes ({bytes} bytes)"),
                "{ran}"
            );
        };
        assert_total("Total data sent", sent);
        assert_total("Total data received", received);
    }
}

/// The sizes of what was sent on a connection, as a dump shows them.
fn writes(ran: &Ran) -> BTreeMap<u32, u32> {
    let mut sizes = BTreeMap::new();
    for line in ran.stderr.lines().filter(|l| l.starts_with("Snd(")) {
        let size = line.split([' ', ')']).nth(1).expect("Snd(WHO, SIZE)");
        *sizes.entry(size.parse().expect("a size")).or_default() += 1;
    }
    sizes
}

#[test]
fn at_2000_messages_a_second_and_more_none_has_a_write_of_its_own() {
    let (link, net) = (Link::new(), Net::own());
    for (rate, options, each) in [
        ("20", &[][..], 1),
        ("1999", &[], 1),
        ("2k", &[], 2),
        ("2500", &[], 2),
        ("15k", &[], 15),
        ("3k", &["--write-combine=off"], 1),
    ] {
        let args = [
            "-l127.1:1351",
            "127.1:1351",
            "-T1",
            "-mABC",
            "-d",
            "-r",
            rate,
        ];
        let ran = link.run(&net, &[&args, options].concat());
        assert_eq!(ran.code, 0, "{ran}");
        let writes = writes(&ran);
        let all: u32 = writes.values().sum();
        assert!(all > 10, "{rate}: {writes:?}");
        // Never less than a group in a write; more only when it was late.
        let size = |(size, _): &(&u32, &u32)| **size % (3 * each) == 0;
        assert!(writes.iter().all(|w| size(&w)), "{rate}: {writes:?}");
        let combined = each > 1;
        assert!(combined || writes.len() == 1, "{rate}: {writes:?}");
    }
}

#[test]
fn a_latency_marker_may_be_another_on_each_connection() {
    let (link, net) = (Link::new(), Net::own());
    let _server = serve(&net, "--mode echo 127.0.0.1:9150");
    for text in [
        r"<\{connection.uid}>",
        r"\{connection.re [a-z]{12}}.",
        r"\{global.re [a-z]{12}}.",
    ] {
        let args = ["-c3", "-T1", "-r50", "127.1:9150", "-m", text];
        let percentiles = ["--latency-marker", text, "--latency-percentiles", "0/100"];
        let ran = link.run(&net, &[&args[..], &percentiles].concat());
        let latencies = lines(&ran.stdout)["Message latency at percentiles"].to_owned();
        let most: f64 = latencies.split(['/', ' ']).nth(1).unwrap().parse().unwrap();
        assert!(ran.code == 0 && most > 0.0, "{text}: {ran}");
    }
}

#[test]
fn a_search_that_finds_nothing_says_so() {
    let (link, net) = (Link::new(), Net::own());
    let _server = serve(&net, "--mode sink 127.0.0.1:9150");
    let args = [
        "-m",
        "PING",
        "--latency-marker",
        "PONG",
        "-r",
        "@5ms",
        "-T2s",
    ];
    let ran = link.run(&net, &[&args[..], &["127.1:9150"]].concat());
    assert_eq!(ran.code, 1, "{ran}");
    let why = "--message-rate for latency 5ms ";
    assert!(ran.stderr.contains(why), "{ran}");
    assert!(!ran.stdout.contains("Best --message-rate"), "{ran}");
}

#[test]
fn help_and_version_are_asked_for_as_ever() {
    let (link, net) = (Link::new(), Net::host());
    let version = link.run(&net, &["--version"]);
    assert!(
        version.stdout.starts_with("tcpkali version 1.1 (throng "),
        "{version}"
    );
    for flag in ["-h", "--help"] {
        let help = link.run(&net, &[flag]);
        assert_eq!(help.code, 0, "{help}");
        for part in [
            "Usage: tcpkali",
            "--latency-marker",
            "[default: 1s]",
            "[default: tcpkali]",
        ] {
            assert!(help.stdout.contains(part), "no '{part}': {help}");
        }
    }
    let wrong = link.run(&net, &["--connect-rat", "x", "127.0.0.1:9"]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""), "{wrong}");
    assert!(wrong.stderr.contains("'x' for '--connect-rate"), "{wrong}");
}

#[test]
fn a_load_may_print_its_lines_too() {
    let ran = run(
        &Net::own(),
        "load --self -c 20 -m abc --output tcpkali -T 2s",
    );
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        ran.stdout
            .starts_with("Ramped up to 20 connections.\nTotal data sent:"),
        "{ran}"
    );
    let said = lines(&ran.stdout);
    // Both ends are here: what one sends the other receives.
    for name in ["Total data sent", "Total data received"] {
        assert!(said[name].contains("iB ("), "{ran}");
    }
}

/// A StatsD server that keeps what it is sent.
struct Metrics(UdpSocket);

impl Metrics {
    fn listen() -> Metrics {
        Metrics(UdpSocket::bind("127.0.0.1:0").unwrap())
    }

    /// The options that have metrics sent here.
    fn options(&self) -> String {
        let port = self.0.local_addr().unwrap().port();
        format!("--statsd --statsd-host 127.0.0.1 --statsd-port {port} --statsd-namespace t")
    }

    /// Everything that arrived, by name: counters' values, and those of gauges.
    fn come(&self) -> [BTreeMap<String, Vec<f64>>; 2] {
        self.0.set_nonblocking(true).unwrap();
        let mut all = [BTreeMap::<_, Vec<f64>>::new(), BTreeMap::new()];
        let mut buffer = [0; 65536];
        while let Ok(n) = self.0.recv(&mut buffer) {
            for line in String::from_utf8_lossy(&buffer[..n]).lines() {
                let (name, rest) = line.split_once(':').expect("name:value|kind");
                let name = name.strip_prefix("t.").expect("the namespace");
                let (value, kind) = rest.split_once('|').expect("value|kind");
                let kind = ["c", "g"].iter().position(|k| *k == kind).expect("a kind");
                let values = all[kind].entry(name.to_owned()).or_default();
                values.push(value.parse().unwrap());
            }
        }
        all
    }
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

#[test]
fn metrics_tell_all_of_a_run_to_its_last_moment() {
    let metrics = Metrics::listen();
    let ran = run(
        &Net::host(),
        &format!(
            "load --self -c 7 -m hello -r 10 --hold 2500ms --quiet --output json {}",
            metrics.options()
        ),
    );
    let summary = ran.summary();
    let [counters, gauges] = metrics.come();
    let open = &gauges["connections.total.out"];
    assert!(
        open.contains(&7.0) && open.iter().all(|n| *n <= 7.0),
        "{open:?}"
    );
    assert_eq!(open.last(), Some(&0.0));
    // Those that we accept are not opened, as with tcpkali.
    assert_eq!(sum(&counters["connections.opened"]), 7.0);
    let sent = sum(&counters["traffic.msgs.sent"]);
    assert_eq!(sent, summary.traffic.messages_sent as f64);
    assert_eq!(
        sum(&counters["traffic.data"]),
        sum(&counters["traffic.data.sent"]) + sum(&counters["traffic.data.rcvd"])
    );
}

#[test]
fn latencies_are_reported_for_each_window_that_was_asked_for() {
    let metrics = Metrics::listen();
    let ran = run(
        &Net::host(),
        &format!(
            "load --self=echo -c 3 -m hello -r 50 --latency-marker hello --hold 4s --quiet \
             --statsd-latency-window 500ms {}",
            metrics.options()
        ),
    );
    assert_eq!(ran.code, 0, "{ran}");
    let [counters, gauges] = metrics.come();
    let windows = gauges["latency.message.mean"].len();
    // Eight, unless the machine is busy; once a second it would be four.
    assert!((5..=9).contains(&windows), "{windows}");
    assert_eq!(gauges["latency.message.99.5"].len(), windows);
    assert!(sum(&counters["traffic.msgs.rcvd"]) > 0.0);
}
