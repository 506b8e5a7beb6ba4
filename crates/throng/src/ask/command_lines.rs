//! tcpkali's command lines, as its README, its manual page and its tests have them, and what they ask for.

use super::load::scenario;
use super::report::{ReportOptions, Whose};
use super::{file, serve, target};
use crate::cli::LoadArgs;
use crate::commands::Command;
use crate::programs;
use std::ops::Deref;
use std::path::Path;
use std::time::Duration;
use throng_core::payload::{FrameKind, Message, Part};
use throng_core::protocol::ProtocolKind;
use throng_core::scenario::{
    Counted, ListenMode, LoadScenario, MessageLatency, Percentile, Scenario, Sending, SteadyFrom,
    Writes,
};

/// What a line asks for, and how its run is to be reported.
struct Asked {
    args: Box<LoadArgs>,
    scenario: LoadScenario,
    report: ReportOptions,
}

impl Deref for Asked {
    type Target = LoadScenario;
    fn deref(&self) -> &LoadScenario {
        &self.scenario
    }
}

impl Asked {
    /// The port of the first target.
    fn port(&self) -> u16 {
        self.addresses()[0].port()
    }
}

/// What `line` asks for. Names that only the Internet has stand for loopback here. A scenario that is written to a
/// file and read back is the same.
fn asked(line: &str) -> Result<Asked, String> {
    let mut line = line.to_owned();
    for host in [
        "yahoo.com",
        "google.com",
        "nonexistent.com",
        "nonexistent.org",
    ] {
        line = line.replace(&format!(" {host}:"), " 127.0.0.1:");
    }
    let words = shlex::split(&line).expect("a line of the table");
    let command = programs::read(words.into_iter().map(Into::into)).map_err(|e| e.to_string())?;
    let Command::Load(args) = command else {
        return Err("not a load".into());
    };
    let lines = |e: crate::Failure| e.lines.join("; ");
    let mut scenario = scenario(&args).map_err(lines)?;
    let report = ReportOptions::of(&args.shown, &args.latency, args.as_tcpkali).map_err(lines)?;
    let text = file::text_of_load(&scenario).map_err(lines)?;
    assert_eq!(
        read_back(&text),
        Scenario::Load(Box::new(absolute(&scenario))),
        "{line}\n{text}"
    );
    target::resolve_all(&mut scenario).map_err(lines)?;
    Ok(Asked {
        args,
        scenario,
        report,
    })
}

/// What a file of this text asks for.
fn read_back(text: &str) -> Scenario {
    let directory = tempfile::tempdir().expect("a directory for a file");
    let path = directory.path().join("scenario.toml");
    std::fs::write(&path, text).expect("a file");
    let (scenario, _) =
        file::read(&path, &[]).unwrap_or_else(|e| panic!("{text}\n{}", e.lines.join("; ")));
    scenario
}

/// The same with the files that it names written out.
fn absolute(scenario: &LoadScenario) -> LoadScenario {
    let mut scenario = scenario.clone();
    for (_, path) in scenario.files_mut() {
        *path = std::path::absolute(&*path).expect("a path");
    }
    scenario
}

fn bytes(message: &Message) -> &[u8] {
    match message.parts.as_slice() {
        [Part::Bytes(bytes)] => bytes,
        _ => b"(it varies)",
    }
}

fn rate(s: &Asked) -> Option<f64> {
    s.pace.sending.per_connection().map(|rate| rate.get())
}

fn connect_rate(s: &Asked) -> f64 {
    s.connect.rate.map_or(f64::INFINITY, |r| r.get())
}

fn first(s: &Asked) -> Vec<&[u8]> {
    s.messages.first.iter().map(bytes).collect()
}

fn repeated(s: &Asked) -> Vec<&[u8]> {
    s.messages.repeated.iter().map(bytes).collect()
}

fn frame(s: &Asked) -> Option<FrameKind> {
    match s.messages.repeated[0].parts.as_slice() {
        [Part::Frame(frame)] => Some(frame.kind),
        _ => None,
    }
}

fn listening(s: &Asked) -> Vec<u16> {
    let on = s.listen.iter().flat_map(|l| &l.on);
    on.map(|at| at.0.port()).collect()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

type Holds = fn(&Asked) -> bool;

#[test]
fn those_of_its_readme_and_manual_mean_the_same() {
    let cases: &[(&str, Holds)] = &[
        (
            r#"tcpkali -em "GET / HTTP/1.1\r\nHost: google.com\r\n\r\n" -r 10 --latency-marker "HTTP/1.1" google.com:80"#,
            |s| {
                let marker = Some(MessageLatency::Marker(b"HTTP/1.1".to_vec().into()));
                repeated(s) == [b"GET / HTTP/1.1\r\nHost: google.com\r\n\r\n"]
                    && rate(s) == Some(10.0)
                    && s.measure.message == marker
                    && s.port() == 80
            },
        ),
        // Its defaults.
        ("tcpkali 127.0.0.1:80", |s| {
            s.connections == 1
                && connect_rate(s) == 100.0
                && s.connect.timeout == secs(1)
                && s.hold == secs(10).into()
                && s.duration.is_none()
                && s.connect.within == Some(secs(10))
                && s.connect.reconnect
                && s.report.common.verbosity() == 1
                && s.messages.is_empty()
                && s.measure.counted == Counted::Found
                && s.measure.steady_from == SteadyFrom::Begun
        }),
        ("tcpkali --message '$' localhost:echo", |s| {
            repeated(s) == [b"$"] && s.port() == 7 && s.pace.sending == Sending::Flood
        }),
        ("tcpkali -m '$' localhost:echo", |s| repeated(s) == [b"$"]),
        (
            "tcpkali --connections 10000 yahoo.com:80 google.com:80",
            |s| s.connections == 10_000 && s.targets.len() == 2 && connect_rate(s) == 2000.0,
        ),
        ("tcpkali -c 10k yahoo.com:80 google.com:80", |s| {
            s.connections == 10_000
        }),
        (
            "tcpkali --connections 100 --listen-port 12345 127.0.0.1:12345",
            |s| s.connections == 100 && listening(s) == [12345],
        ),
        ("tcpkali -c100 -l12345 127.1:12345", |s| {
            s.connections == 100
                && listening(s) == [12345]
                && s.addresses()[0].to_string() == "127.0.0.1:12345"
                && s.listen.as_ref().unwrap().mode == ListenMode::Silent
        }),
        (
            r#"tcpkali --listen-port 12345 --message "cookies" 127.0.0.1:12345"#,
            |s| repeated(s) == [b"cookies"],
        ),
        (r#"tcpkali -l 12345 -m "cookies" 127.1:12345"#, |s| {
            repeated(s) == [b"cookies"] && listening(s) == [12345]
        }),
        ("tcpkali --listen-port 12345 --duration 3h", |s| {
            s.connections == 0 && s.targets.is_empty() && s.hold == secs(3 * 3600).into()
        }),
        ("tcpkali -l12345 -T3h", |s| {
            listening(s) == [12345] && s.hold == secs(3 * 3600).into()
        }),
        (
            r#"tcpkali --websocket --first-message "hello" 127.0.0.1:80"#,
            |s| {
                s.protocol.kind() == ProtocolKind::Websocket
                    && first(s) == [b"hello"]
                    && repeated(s).is_empty()
            },
        ),
        (
            r#"tcpkali --websocket --message "\{ws.text}" 127.1:80"#,
            |s| frame(s) == Some(FrameKind::Text),
        ),
        (
            r#"tcpkali --ws -m "\{ws.binary <image.png>}" -r1 127.1:80"#,
            |s| frame(s) == Some(FrameKind::Binary) && rate(s) == Some(1.0),
        ),
        (
            r"tcpkali -c10k -r42 -em 'GET / HTTP/1.0\r\n\r\n' nonexistent.com:80",
            |s| rate(s) == Some(42.0) && repeated(s) == [b"GET / HTTP/1.0\r\n\r\n"],
        ),
        (
            "tcpkali --ws -l8080 --channel-bandwidth-downstream=0 -T1h",
            |s| {
                s.pace.downstream.is_some_and(|b| b.is_zero())
                    && s.protocol.kind() == ProtocolKind::Websocket
                    && s.hold == secs(3600).into()
            },
        ),
        (
            "tcpkali --connect-rate=1 --channel-lifetime=0.1 -vvv nonexistent.org:smtp",
            |s| {
                s.report.common.verbosity() == 3
                    && s.connect.lifetime == Some(Duration::from_millis(100))
                    && s.port() == 25
            },
        ),
        (
            r#"tcpkali -m "PING" --latency-marker "PONG" -r @100ms 127.1:80"#,
            |s| {
                let search = s.pace.sending.search().unwrap();
                search.under == Duration::from_millis(100)
                    && search.percentile == 95.0
                    && search.written == "100ms"
                    && search.at_most.is_none()
                    && s.connect.within.is_none()
            },
        ),
        (
            r"tcpkali -em 'GET /image-\{connection.uid%10}.jpg\r\n\r\n' 127.1:80",
            |s| {
                let parts = &s.messages.repeated[0].parts;
                matches!(&parts[..], [Part::Bytes(_), Part::Uid { modulo }, Part::Bytes(end)]
                    if modulo[0].get() == 10 && end == b".jpg\r\n\r\n")
            },
        ),
        (
            r"tcpkali -em 'GET /image-\{re [a-z0-9]+}.jpg\r\n\r\n' 127.1:80",
            |s| matches!(s.messages.repeated[0].parts[1], Part::Random { .. }),
        ),
        (
            "tcpkali -m x --latency-percentiles 50,100 --latency-connect 127.1:80",
            |s| {
                let written = s
                    .report
                    .latencies
                    .percentiles
                    .iter()
                    .map(Percentile::written);
                s.report.latencies.connect && written.eq(["50", "100"])
            },
        ),
    ];
    each_holds(cases);
}

#[test]
fn those_of_its_own_tests_mean_the_same() {
    let cases: &[(&str, Holds)] = &[
        // An option that comes twice counts as it comes last.
        (
            "tcpkali -vv --connections=20 --duration=2 -T1s -l127.1:1231 127.1:1231",
            |s| {
                let listening = s.listen.as_ref().unwrap();
                s.hold == secs(1).into()
                    && s.report.common.verbosity() == 3
                    && listening.on[0].to_string() == "127.0.0.1:1231"
            },
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 -vv -c10 --message Z --message-rate=2",
            |s| rate(s) == Some(2.0) && repeated(s) == [b"Z"],
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 -vv -c10 -m Z --channel-bandwidth-upstream=10kbps",
            |s| s.pace.sending.bandwidth().map(|b| b.get()) == Some(1250.0),
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 --ws --first-message ABC --message foo -w2",
            |s| first(s) == [b"ABC"] && repeated(s) == [b"foo"] && s.workers == Some(2),
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 --latency-connect --latency-first-byte --latency-percentiles 50 --latency-percentiles 100.0",
            |s| {
                let written = s
                    .report
                    .latencies
                    .percentiles
                    .iter()
                    .map(Percentile::written);
                s.measure.first_byte && written.eq(["50", "100.0"])
            },
        ),
        (
            r#"tcpkali -T1s -l127.1:1 127.1:1 -m '\{ws.binary "explicit data"}'"#,
            |s| frame(s) == Some(FrameKind::Binary),
        ),
        (
            r#"tcpkali -T1s -l127.1:1 127.1:1 -m '\{ws.binary < "/dev/null" >}'"#,
            |s| frame(s) == Some(FrameKind::Binary),
        ),
        (
            r"tcpkali -T1s -l127.1:1 127.1:1 -r3 -m 'PFX-\{connection.uid%10}' -d",
            |s| s.report.dump.sent == Whose::One && s.report.dump.received == Whose::One,
        ),
        (
            r"tcpkali -T1s -l127.1:1 127.1:1 --ws -m '\{message.marker}\{re [a-z]{1,300}}' -r10 --duration=5s",
            |s| s.hold == secs(5).into() && s.messages.repeated[0].parts[0] == Part::Marker,
        ),
        (
            "tcpkali -l1351 127.1:1351 -T1 -mFOOBARBAZ -r162222 --dump-one",
            |s| rate(s) == Some(162_222.0) && repeated(s) == [b"FOOBARBAZ"],
        ),
        (
            "tcpkali -l1 127.1:1 -T1 -w1 -r20k -mABC --dump-all --write-combine=off",
            |s| {
                s.pace.writes == Writes::Packets
                    && !s.sockets.nagle
                    && s.report.dump.received == Whose::All
            },
        ),
        (
            "tcpkali --websocket -l1 127.1:1 -m1 -T1 --listen-mode=active",
            |s| s.listen.as_ref().unwrap().mode == ListenMode::Active && repeated(s) == [b"1"],
        ),
        (
            "tcpkali -l1 -T11 --rcvbuf=5k --channel-bandwidth-downstream=100kbps",
            |s| {
                s.sockets.receive_buffer == Some(5120)
                    && s.pace.downstream.map(|b| b.get()) == Some(12_500.0)
            },
        ),
    ];
    each_holds(cases);
}

#[test]
fn those_that_its_users_have_published_mean_the_same() {
    let cases: &[(&str, Holds)] = &[
        (
            r"tcpkali -c 50 -T 10s -e1 'PROXY TCP4 127.0.0.1 127.0.0.1 \{connection.uid} 25578\r\n' -m 'PING\r\n' 127.0.0.1:1122",
            |s| {
                let parts = &s.messages.first[0].parts;
                parts.len() == 3 && repeated(s) == [b"PING\r\n"]
            },
        ),
        (
            "tcpkali -c 200 -r 20000 -f image.png -T 30s --ws 127.0.0.1:3000/connect",
            |s| {
                let target = &s.targets[0].spec;
                repeated(s) == [b"\x89PNG"]
                    && target.path == "/connect"
                    && target.authority == "127.0.0.1:3000"
            },
        ),
        (
            "tcpkali --connect-rate 1000 --duration=1200 --connections 50000 127.0.0.1:8333",
            |s| s.hold == secs(1200).into() && s.connections == 50_000,
        ),
        (
            "tcpkali --workers 4 -c 10 --connect-rate 1000 --duration 10s --latency-marker '@' -m '@xx' --verbose 2 127.0.0.1:18002",
            |s| s.workers == Some(4) && s.report.common.verbosity() == 2,
        ),
        (
            r"tcpkali -em 'E {id = 0}\n' -r 1 --dump-all 127.0.0.1:9002",
            |s| repeated(s) == [b"E {id = 0}\n"],
        ),
    ];
    each_holds(cases);
}

#[test]
fn whatever_else_getopt_takes_is_taken() {
    let cases: &[(&str, Holds)] = &[
        ("tcpkali --connections=3 127.1:80", |s| s.connections == 3),
        ("tcpkali --dur 3 127.1:80", |s| s.hold == secs(3).into()),
        ("tcpkali --message -x 127.1:80", |s| repeated(s) == [b"-x"]),
        (
            "tcpkali 127.1:80 -m a -f image.png -1 b -m c --first-message-file image.png",
            |s| {
                let png: &[u8] = b"\x89PNG";
                let together = s.messages.repeated[0].constant();
                together.as_deref() == Some(&b"a\x89PNGc"[..]) && first(s) == [b"b", png]
            },
        ),
        ("tcpkali --ws -m a -m b 127.1:80", |s| {
            let parts = &s.messages.repeated[0].parts;
            matches!(&parts[..], [Part::Frame(_), Part::Frame(_)])
        }),
        ("tcpkali --ws -m a -m b --latency-echo 127.1:80", |s| {
            repeated(s) == [b"a", b"b"]
        }),
        ("tcpkali -m a -- 127.1:80", |s| s.targets.len() == 1),
        (
            "tcpkali --ssl --ssl-cert none --ssl-key none 127.1:443",
            |s| s.tls.as_ref().is_some_and(|tls| tls.insecure),
        ),
        ("tcpkali --ssl-cert none 127.1:443", |s| s.tls.is_none()),
        (
            "tcpkali --statsd --statsd-namespace a.b --statsd-latency-window 5s 127.1:80",
            |s| {
                let statsd = &s.args.shown.of_load.statsd;
                statsd.statsd
                    && (statsd.host(), statsd.port()) == ("localhost", 8125)
                    && statsd.namespace() == "a.b"
                    && statsd.statsd_latency_window == Some(secs(5))
            },
        ),
        ("tcpkali --statsd-host h 127.1:80", |s| {
            !s.args.shown.of_load.statsd.statsd
        }),
        ("tcpkali --output json 127.1:80", |s| {
            s.connect.timeout == secs(1)
        }),
        ("throng load --output tcpkali -T5 127.1:80", |s| {
            s.hold == secs(5).into() && s.duration.is_none() && s.connect.rate.is_some()
        }),
        ("throng load -T5 127.1:80", |s| {
            s.hold == secs(5).into() && s.duration == Some(secs(5)) && s.connect.rate.is_none()
        }),
    ];
    each_holds(cases);
    for refused in [
        // These stand for several options.
        "tcpkali --conne=3 127.1:80",
        "tcpkali --mess -x 127.1:80",
        "tcpkali -c 10k --connect-rate 100 127.1:80",
        "tcpkali -T0 127.1:80",
        "tcpkali -ws 127.1:80",
        "tcpkali -H 'A: b' 127.1:80",
        "tcpkali -r5 127.1:80",
        "tcpkali -m x -r @5ms 127.1:80",
        "tcpkali",
    ] {
        assert!(asked(refused).is_err(), "{refused}");
    }
}

#[test]
fn what_throngs_own_options_ask_for_is_written_and_read_back() {
    for line in [
        "throng load --self -c 1m",
        "throng load -c 50k 10.0.0.7:9000 10.0.0.7:9001 --connect-rate 1.5k --connect-timeout 250ms",
        "throng load -c 20k -m 'ping\\n' -e -r 0.1 --hold 5m 127.1:5222",
        "throng load --self=echo -c 1k -m 'hello' --closed-loop --in-flight 128 --seed 18446744073709551615",
        r#"throng load -c 100 -m '{"op":"ping"}' --latency-marker pong -r @10ms:p99 --hold 1h wss://127.0.0.1/ws"#,
        "throng load -c 1k -m 'x' --profile '10s:1k, 30s:1k..50k, 10s:50k' --arrivals poisson 127.1:9000",
        "throng load -m x --profile - 127.1:9",
        "throng load -m x --rate 0.5 127.1:9 --after-ramp --delay-send 1.5s --channel-lifetime 3m",
        "throng load -m x --exchanges-per-connection 1k --await-close --connect-rate 5k 127.1:9",
        "throng load -c 2k --connect-rate max:1.5k 127.1:9",
        "throng load --dns example.com/A --dns a.example/TYPE99 127.1:53 --samples round-trips.csv",
        "throng load --ws -H 'Origin: http://a' -H 'X-Empty:' 127.1:80 --message-stop '\\x01' -e",
        r"throng load 127.1:80 -m '\{message.marker}\{re [a-z]{3}}' --latency-marker-skip 3 --latency-first-byte -T 1h",
        "throng load 127.1:80 --source-ip 127.1.0.1-127.1.0.9 --source-ip 127.2.0.0/30 --no-reconnect -w 3 --force",
        "throng load 127.1:80 --nagle off --rcvbuf 64k --sndbuf 512m --write-combine off --engine epoll",
        "throng load 127.1:80 --keepalive 60s:10s:5 --user-timeout 30s --congestion bbr --mark 0x2a --tos 0xb8 --linger 0 --bind-device eth0.100 --mptcp",
        "throng load 127.1:80 --keepalive 1m30s --dscp af41",
        "throng load -l 127.1:9 --listen-mode active -m x --tls --ssl-cert a.pem --ssl-key b.pem --alpn h2,http/1.1",
        "throng load 127.1:443 --tls --cacert ca.pem --sni a.example --resume",
        "throng load 127.1:443 --tls --insecure --channel-bandwidth 10Mbps --channel-bandwidth-downstream 0 -m x",
        "throng load 127.1:80 -f image.png -1 '\\x80' -e --latency-echo",
    ] {
        let directory = tempfile::tempdir().expect("a directory for a picture");
        let picture = directory.path().join("image.png");
        std::fs::write(&picture, b"\x89PNG\x00\xff").expect("a picture");
        let line = with_picture(line, &picture);
        if let Err(e) = asked(&line) {
            panic!("{line}: {e}");
        }
    }
    for line in [
        "throng serve 9000",
        "throng serve --mode echo '[::1]:9001' 127.0.0.1:0 --backlog 64 --max-connections 1m",
        "throng serve --mode chargen -m 'tick\\n' -e -1 'hi' -r 1 9019 -T 60s -w 2 --engine uring --force",
        "throng serve 9000 --nagle on --rcvbuf 64k --keepalive 60s:10s --user-timeout 250ms --congestion bbr --mark 7 --dscp ef --linger 0 --bind-device lo --mptcp --fastopen",
        "throng serve --mode http 8080 --proxy-protocol --proxy-source 198.18.0.0/15 --proxy-source fd00::/64",
        "throng serve --mode ws-sink 8080 --tls --ssl-cert a.pem --ssl-key b.pem --alpn h2 --no-resumption",
    ] {
        let words = shlex::split(line).expect("a line of the table");
        let command = programs::read(words.into_iter().map(Into::into)).expect(line);
        let Command::Serve(args) = command else {
            panic!("{line} is not a serve");
        };
        let mut scenario = serve::scenario(&args).unwrap_or_else(|e| panic!("{line}: {e:?}"));
        let text = file::text_of_serve(&scenario).unwrap_or_else(|e| panic!("{line}: {e:?}"));
        for (_, path) in scenario.files_mut() {
            *path = std::path::absolute(&*path).expect("a path");
        }
        assert_eq!(
            read_back(&text),
            Scenario::Serve(Box::new(scenario)),
            "{line}\n{text}"
        );
    }
}

fn each_holds(cases: &[(&str, Holds)]) {
    let directory = tempfile::tempdir().expect("a directory for a picture");
    let picture = directory.path().join("image.png");
    std::fs::write(&picture, b"\x89PNG").expect("a picture");
    for (line, holds) in cases {
        let line = with_picture(line, &picture);
        match asked(&line) {
            Ok(asked) => assert!(holds(&asked), "{line}: {:#?}", asked.scenario),
            Err(e) => panic!("{line}: {e}"),
        }
    }
}

fn with_picture(line: &str, picture: &Path) -> String {
    line.replace("image.png", &picture.display().to_string())
}
