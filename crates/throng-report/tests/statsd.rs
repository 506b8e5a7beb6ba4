//! Metrics as a real StatsD reads them: the daemon itself (npm's `statsd`, which scripts/test installs), its UDP port
//! and its management port.

use regex::Regex;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use throng_core::scenario::Percentile;
use throng_core::stats::{Closed, Counters, Durations};
use throng_core::summary::{LatencyAt, LatencyOf};
use throng_report::statsd::{Statsd, StatsdTick};

const PATIENCE: Duration = Duration::from_secs(20);

/// The daemon, with nothing behind it: it counts, and answers on its management port.
struct Daemon {
    process: Child,
    port: u16,
    management: u16,
    _directory: tempfile::TempDir,
}

impl Daemon {
    fn start() -> Daemon {
        let program = installed();
        // Free now; the sockets that found out are closed again.
        let port = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr());
        let management = TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr());
        let (port, management) = (port.unwrap().port(), management.unwrap().port());
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.js");
        // It never flushes while the test lasts, so counters go on adding up.
        let text = format!(
            "{{ port: {port}, address: '127.0.0.1', mgmt_port: {management}, \
             mgmt_address: '127.0.0.1', flushInterval: 3600000, backends: [] }}"
        );
        std::fs::write(&config, text).unwrap();
        let process = Command::new("node")
            .arg(program)
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("node starts; run scripts/test");
        let daemon = Daemon {
            process,
            port,
            management,
            _directory: directory,
        };
        daemon.wait_for("stats", |text| text.contains("uptime"));
        daemon
    }

    /// Its answer to a command.
    fn ask(&self, command: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.management))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(command.as_bytes())?;
        let mut text = String::new();
        let mut buffer = [0; 16 * 1024];
        while !text.ends_with("END\n\n") {
            match stream.read(&mut buffer)? {
                0 => break,
                n => text += &String::from_utf8_lossy(&buffer[..n]),
            }
        }
        Ok(text)
    }

    /// The same, once it is as `wanted`.
    fn wait_for(&self, command: &str, wanted: impl Fn(&str) -> bool) -> String {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let text = self.ask(command).unwrap_or_default();
            if wanted(&text) {
                return text;
            }
            assert!(Instant::now() < give_up, "{command}: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Names and numbers of its counters or gauges, once it has read as many metrics.
    fn numbers(&self, kind: &str, metrics: u64) -> BTreeMap<String, f64> {
        let read = format!("'statsd.metrics_received': {metrics}");
        self.wait_for("counters", |text| text.contains(&read));
        let text = self.ask(kind).unwrap();
        Regex::new(r"'?([\w.]+)'?: (-?[\d.e+-]+)")
            .unwrap()
            .captures_iter(&text)
            .map(|found| (found[1].to_owned(), found[2].parse().unwrap()))
            .collect()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn installed() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = root.join("target/npm/statsd/node_modules/statsd/stats.js");
    assert!(
        program.exists(),
        "{} is missing: run scripts/test, which installs it",
        program.display()
    );
    program
}

/// 14 counters and gauges, which are always sent.
const ALWAYS: u64 = 14;

fn at(ip: &str, port: u16) -> SocketAddr {
    format!("{ip}:{port}").parse().unwrap()
}

fn latency(of: LatencyOf, ms: &[u64], percentiles: &str) -> LatencyAt {
    let mut all = Durations::default();
    for ms in ms {
        all.record(Duration::from_millis(*ms));
    }
    LatencyAt::of(
        of,
        &all,
        &Durations::default(),
        &Percentile::parse_list(percentiles).unwrap(),
    )
}

#[test]
fn a_real_statsd_reads_every_metric_under_tcpkalis_name() {
    let daemon = Daemon::start();
    let mut statsd = Statsd::open(
        &[at("[::1]", daemon.port), at("127.0.0.1", daemon.port)],
        "tests.tcpkali",
    )
    .unwrap();
    let mut tick = StatsdTick {
        opened: 5,
        open_in: 2,
        open_out: 3,
        bits_in_per_s: 8000.4,
        bits_out_per_s: 16_000.0,
        bytes_received: 1000,
        bytes_sent: 2000,
        reads: 10,
        writes: 20,
        messages_received: 100,
        messages_sent: 200,
        latencies: vec![
            latency(LatencyOf::Connect, &[1, 3], "95/99/99.5"),
            latency(LatencyOf::FirstByte, &[20], "50"),
            // Nothing was measured: nothing is sent.
            latency(LatencyOf::Message, &[], "50"),
        ],
    };
    assert_eq!(statsd.send(&tick), None);
    let metrics = ALWAYS + 6 + 4;
    let counters = daemon.numbers("counters", metrics);
    for (name, n) in [
        ("connections.opened", 5.0),
        ("traffic.data", 3000.0),
        ("traffic.data.rcvd", 1000.0),
        ("traffic.data.sent", 2000.0),
        ("traffic.data.reads", 10.0),
        ("traffic.data.writes", 20.0),
        ("traffic.msgs.rcvd", 100.0),
        ("traffic.msgs.sent", 200.0),
    ] {
        assert_eq!(
            counters[&format!("tests.tcpkali.{name}")],
            n,
            "{name}: {counters:?}"
        );
    }
    assert_eq!(counters["statsd.bad_lines_seen"], 0.0);
    let gauges = daemon.numbers("gauges", metrics);
    for (name, n) in [
        ("connections.total", 5.0),
        ("connections.total.in", 2.0),
        ("connections.total.out", 3.0),
        ("traffic.bitrate", 24_000.0),
        ("traffic.bitrate.in", 8000.0),
        ("traffic.bitrate.out", 16_000.0),
        ("latency.connect.mean", 2.0),
        ("latency.connect.min", 1.0),
        ("latency.connect.max", 3.0),
        ("latency.connect.95", 3.0),
        ("latency.connect.99", 3.0),
        ("latency.connect.99.5", 3.0),
        ("latency.firstbyte.50", 20.0),
        ("latency.firstbyte.mean", 20.0),
        ("latency.firstbyte.min", 20.0),
        ("latency.firstbyte.max", 20.0),
    ] {
        let gauge = gauges[&format!("tests.tcpkali.{name}")];
        // Two digits are what the histogram keeps.
        assert!((gauge - n).abs() <= n / 50.0, "{name} is {gauge}, not {n}");
    }
    assert!(
        !gauges.keys().any(|name| name.contains("message")),
        "{gauges:?}"
    );

    // The next second: counters add up, gauges are what they are now.
    tick = StatsdTick {
        bytes_sent: 1,
        latencies: vec![latency(LatencyOf::Message, &[7], "99.9,100")],
        ..StatsdTick::default()
    };
    assert_eq!(statsd.send(&tick), None);
    let metrics = metrics + ALWAYS + 5;
    let counters = daemon.numbers("counters", metrics);
    assert_eq!(counters["tests.tcpkali.traffic.data.sent"], 2001.0);
    assert_eq!(counters["tests.tcpkali.connections.opened"], 5.0);
    let gauges = daemon.numbers("gauges", metrics);
    assert_eq!(gauges["tests.tcpkali.connections.total"], 0.0);
    assert_eq!(gauges["tests.tcpkali.traffic.bitrate"], 0.0);
    let message = gauges["tests.tcpkali.latency.message.99.9"];
    assert!((message - 7.0).abs() < 0.2, "{message}");
    assert_eq!(statsd.failed(), 0);
}

#[test]
fn many_latencies_are_several_datagrams_and_all_arrive() {
    let daemon = Daemon::start();
    let mut statsd = Statsd::open(&[at("127.0.0.1", daemon.port)], &"n".repeat(100)).unwrap();
    let percentiles: Vec<String> = (0..100).map(|p| format!("{p}.{p:02}")).collect();
    let asked = percentiles.join("/");
    let tick = StatsdTick {
        latencies: vec![latency(LatencyOf::Message, &[7], &asked)],
        ..StatsdTick::default()
    };
    assert_eq!(statsd.send(&tick), None);
    let counters = daemon.numbers("counters", ALWAYS + 3 + 100);
    assert_eq!(counters["statsd.bad_lines_seen"], 0.0);
    assert!(counters["statsd.packets_received"] > 5.0, "{counters:?}");
}

#[test]
fn a_server_that_is_not_there_is_reported_once_and_stops_nothing() {
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let mut statsd = Statsd::open(&[at("127.0.0.1", port)], "tcpkali").unwrap();
    // The first datagram goes out; that it was refused is known at the next one.
    let give_up = Instant::now() + PATIENCE;
    let mut lines = Vec::new();
    while statsd.failed() < 3 {
        lines.extend(statsd.send(&StatsdTick::default()));
        assert!(Instant::now() < give_up, "no send has failed");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(&format!("127.0.0.1:{port}")) && !lines[0].contains('\n'),
        "{lines:?}"
    );
    assert!(Statsd::open(&[], "x").is_err());
}

/// What arrives at `daemon`, until nothing more does.
fn received(daemon: &UdpSocket) -> String {
    daemon.set_nonblocking(true).unwrap();
    let (mut all, mut bytes) = (String::new(), [0; 2000]);
    while let Ok(n) = daemon.recv(&mut bytes) {
        all += &String::from_utf8_lossy(&bytes[..n]);
        all.push('\n');
    }
    all
}

#[test]
fn metrics_go_to_the_address_of_a_name_that_takes_them_and_to_that_alone() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = daemon.local_addr().unwrap().port();
    // The others have no server: on loopback that is known at once, so not even the first metrics are lost.
    let others = [at("127.0.0.2", port), at("127.0.0.3", port)];
    let mut statsd = Statsd::open(&[others[0], at("127.0.0.1", port), others[1]], "t").unwrap();
    for opened in [5, 7] {
        let tick = StatsdTick {
            opened,
            ..StatsdTick::default()
        };
        assert_eq!(statsd.send(&tick), None);
        let all = received(&daemon);
        let counted = format!("t.connections.opened:{opened}|c");
        assert_eq!(all.matches(&counted).count(), 1, "{all}");
    }
    assert_eq!(statsd.failed(), 0);
    // One that starts later is found, too.
    drop(daemon);
    // The kernel reports at the next send, or one later, that there is no server.
    let line = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        statsd.send(&StatsdTick::default())
    });
    let line = line.expect("a refusal is reported");
    for to in [others[0], others[1], at("127.0.0.1", port)] {
        assert!(line.contains(&to.to_string()), "{line}");
    }
    let later = UdpSocket::bind(others[1]).unwrap();
    assert_eq!(statsd.send(&StatsdTick::default()), None);
    assert!(received(&later).contains("t.connections.opened:0|c"));
}

#[test]
fn a_tick_is_what_was_counted_in_its_interval_on_both_ends() {
    let opened = Counters::default();
    opened.attempted.add(4);
    opened.established.add(4);
    let before = opened.read();
    opened.attempted.add(3);
    opened.established.add(3);
    opened.closed(Closed::ByPeer, 1);
    opened.bytes_sent.add(1000);
    opened.messages_sent.add(10);
    opened.writes.add(5);
    let accepted = Counters::default();
    accepted.accepted.add(2);
    accepted.bytes_received.add(500);
    accepted.reads.add(4);
    accepted.messages_received.add(9);
    let (now, there) = (opened.read(), accepted.read());
    let tick = StatsdTick::of(
        Duration::from_millis(500),
        Some((&now.since(&before), &now)),
        Some((&there, &there)),
    );
    let expected = StatsdTick {
        opened: 3,
        open_in: 2,
        open_out: 6,
        bits_in_per_s: 8000.0,
        bits_out_per_s: 16_000.0,
        bytes_received: 500,
        bytes_sent: 1000,
        reads: 4,
        writes: 5,
        messages_received: 9,
        messages_sent: 10,
        latencies: Vec::new(),
    };
    assert_eq!(tick, expected);
    let nothing = StatsdTick::of(Duration::ZERO, None, None);
    assert_eq!(nothing, StatsdTick::default());
}
