//! tcpkali's command lines, as its README, its manual page and its tests have them, and what they ask for.

use super::load::scenario;
use crate::cli::Cli;
use crate::commands::Command;
use std::path::Path;
use std::time::Duration;
use throng_core::payload::{FrameKind, Message, Part};
use throng_core::scenario::{ListenMode, LoadScenario, MessageLatency, Percentile, Repeat, Whose};

/// What `line` asks for. Names that only the Internet has stand for loopback here.
fn asked(line: &str) -> Result<LoadScenario, String> {
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
    let cli = Cli::read(words.into_iter().map(Into::into)).map_err(|e| e.to_string())?;
    let Command::Load(args) = cli.command else {
        return Err("not a load".into());
    };
    scenario(&args).map_err(|e| e.lines.join("; "))
}

fn bytes(message: &Message) -> &[u8] {
    match message.parts.as_slice() {
        [Part::Bytes(bytes)] => bytes,
        _ => b"(it varies)",
    }
}

fn rate(s: &LoadScenario) -> Option<f64> {
    match s.repeat {
        Repeat::Paced(rate) => Some(rate.get()),
        _ => None,
    }
}

fn connect_rate(s: &LoadScenario) -> f64 {
    s.connect_rate.map_or(f64::INFINITY, |r| r.get())
}

fn first(s: &LoadScenario) -> Vec<&[u8]> {
    s.messages.first.iter().map(bytes).collect()
}

fn repeated(s: &LoadScenario) -> Vec<&[u8]> {
    s.messages.repeated.iter().map(bytes).collect()
}

fn frame(s: &LoadScenario) -> Option<FrameKind> {
    match s.messages.repeated[0].parts.as_slice() {
        [Part::Frame(frame)] => Some(frame.kind),
        _ => None,
    }
}

fn listening(s: &LoadScenario) -> Vec<u16> {
    let at = s.options.listening.iter().flat_map(|l| &l.at);
    at.map(|at| at.port()).collect()
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

type Holds = fn(&LoadScenario) -> bool;

#[test]
fn those_of_its_readme_and_manual_mean_the_same() {
    let cases: &[(&str, Holds)] = &[
        (
            r#"tcpkali -em "GET / HTTP/1.1\r\nHost: google.com\r\n\r\n" -r 10 --latency-marker "HTTP/1.1" google.com:80"#,
            |s| {
                let marker = Some(MessageLatency::Marker(b"HTTP/1.1".to_vec().into()));
                repeated(s) == [b"GET / HTTP/1.1\r\nHost: google.com\r\n\r\n"]
                    && rate(s) == Some(10.0)
                    && s.options.latency.message == marker
                    && s.targets[0].port() == 80
            },
        ),
        // Its defaults.
        ("tcpkali 127.0.0.1:80", |s| {
            s.connections == 1
                && connect_rate(s) == 100.0
                && s.connect_timeout == secs(1)
                && s.hold == secs(10)
                && s.duration.is_none()
                && s.options.ramp_limit == Some(secs(10))
                && s.reconnect
                && s.options.verbosity == 1
                && s.messages.is_empty()
        }),
        ("tcpkali --message '$' localhost:echo", |s| {
            repeated(s) == [b"$"] && s.targets[0].port() == 7 && s.repeat == Repeat::Flood
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
                && s.targets[0].to_string() == "127.0.0.1:12345"
                && s.options.listening.as_ref().unwrap().mode == ListenMode::Silent
        }),
        (
            r#"tcpkali --listen-port 12345 --message "cookies" 127.0.0.1:12345"#,
            |s| repeated(s) == [b"cookies"],
        ),
        (r#"tcpkali -l 12345 -m "cookies" 127.1:12345"#, |s| {
            repeated(s) == [b"cookies"] && listening(s) == [12345]
        }),
        ("tcpkali --listen-port 12345 --duration 3h", |s| {
            s.connections == 0 && s.targets.is_empty() && s.hold == secs(3 * 3600)
        }),
        ("tcpkali -l12345 -T3h", |s| {
            listening(s) == [12345] && s.hold == secs(3 * 3600)
        }),
        (
            r#"tcpkali --websocket --first-message "hello" 127.0.0.1:80"#,
            |s| s.options.websocket.is_some() && first(s) == [b"hello"] && repeated(s).is_empty(),
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
                s.options.limits.downstream.is_some_and(|b| b.is_zero())
                    && s.options.websocket.is_some()
                    && s.hold == secs(3600)
            },
        ),
        (
            "tcpkali --connect-rate=1 --channel-lifetime=0.1 -vvv nonexistent.org:smtp",
            |s| {
                s.options.verbosity == 3
                    && s.options.limits.lifetime == Some(Duration::from_millis(100))
                    && s.targets[0].port() == 25
            },
        ),
        (
            r#"tcpkali -m "PING" --latency-marker "PONG" -r @100ms 127.1:80"#,
            |s| {
                let search = s.options.search.as_ref().unwrap();
                search.under == Duration::from_millis(100)
                    && search.percentile == 95.0
                    && search.written == "100ms"
                    && search.at_most.is_none()
                    && s.options.ramp_limit.is_none()
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
                    .options
                    .latency
                    .percentiles
                    .iter()
                    .map(Percentile::written);
                s.options.latency.connect && written.eq(["50", "100"])
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
                let listening = s.options.listening.as_ref().unwrap();
                s.hold == secs(1)
                    && s.options.verbosity == 3
                    && listening.at[0].to_string() == "127.0.0.1:1231"
            },
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 -vv -c10 --message Z --message-rate=2",
            |s| rate(s) == Some(2.0) && repeated(s) == [b"Z"],
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 -vv -c10 -m Z --channel-bandwidth-upstream=10kbps",
            |s| s.options.limits.upstream.map(|b| b.get()) == Some(1250.0),
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 --ws --first-message ABC --message foo -w2",
            |s| first(s) == [b"ABC"] && repeated(s) == [b"foo"] && s.workers == Some(2),
        ),
        (
            "tcpkali -T1s -l127.1:1 127.1:1 --latency-connect --latency-first-byte --latency-percentiles 50 --latency-percentiles 100.0",
            |s| {
                let written = s
                    .options
                    .latency
                    .percentiles
                    .iter()
                    .map(Percentile::written);
                s.options.latency.first_byte && written.eq(["50", "100.0"])
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
            |s| s.options.dump.sent == Whose::One && s.options.dump.received == Whose::One,
        ),
        (
            r"tcpkali -T1s -l127.1:1 127.1:1 --ws -m '\{message.marker}\{re [a-z]{1,300}}' -r10 --duration=5s",
            |s| s.hold == secs(5) && s.messages.repeated[0].parts[0] == Part::Marker,
        ),
        (
            "tcpkali -l1351 127.1:1351 -T1 -mFOOBARBAZ -r162222 --dump-one",
            |s| rate(s) == Some(162_222.0) && repeated(s) == [b"FOOBARBAZ"],
        ),
        (
            "tcpkali -l1 127.1:1 -T1 -w1 -r20k -mABC --dump-all --write-combine=off",
            |s| {
                s.options.limits.write_each
                    && s.options.socket.nagle == Some(false)
                    && s.options.dump.received == Whose::All
            },
        ),
        (
            "tcpkali --websocket -l1 127.1:1 -m1 -T1 --listen-mode=active",
            |s| {
                s.options.listening.as_ref().unwrap().mode == ListenMode::Active
                    && repeated(s) == [b"1"]
            },
        ),
        (
            "tcpkali -l1 -T11 --rcvbuf=5k --channel-bandwidth-downstream=100kbps",
            |s| {
                s.options.socket.receive_buffer == Some(5120)
                    && s.options.limits.downstream.map(|b| b.get()) == Some(12_500.0)
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
                let target = &s.options.targets[0];
                repeated(s) == [b"\x89PNG"]
                    && target.path == "/connect"
                    && target.authority == "127.0.0.1:3000"
            },
        ),
        (
            "tcpkali --connect-rate 1000 --duration=1200 --connections 50000 127.0.0.1:8333",
            |s| s.hold == secs(1200) && s.connections == 50_000,
        ),
        (
            "tcpkali --workers 4 -c 10 --connect-rate 1000 --duration 10s --latency-marker '@' -m '@xx' --verbose 2 127.0.0.1:18002",
            |s| s.workers == Some(4) && s.options.verbosity == 2,
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
        ("tcpkali --dur 3 127.1:80", |s| s.hold == secs(3)),
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
            |s| {
                s.options
                    .tls_client
                    .as_ref()
                    .is_some_and(|tls| tls.insecure)
            },
        ),
        ("tcpkali --ssl-cert none 127.1:443", |s| {
            s.options.tls_client.is_none()
        }),
        (
            "tcpkali --statsd --statsd-namespace a.b --statsd-latency-window 5s 127.1:80",
            |s| {
                let statsd = s.options.statsd.as_ref().unwrap();
                (statsd.host.as_str(), statsd.port) == ("localhost", 8125)
                    && statsd.namespace == "a.b"
                    && statsd.latency_window == Some(secs(5))
            },
        ),
        ("tcpkali --statsd-host h 127.1:80", |s| {
            s.options.statsd.is_none()
        }),
        ("tcpkali --output json 127.1:80", |s| {
            s.connect_timeout == secs(1)
        }),
        ("throng load --output tcpkali -T5 127.1:80", |s| {
            s.hold == secs(5) && s.duration.is_none() && s.connect_rate.is_some()
        }),
        ("throng load -T5 127.1:80", |s| {
            s.hold == secs(10) && s.duration == Some(secs(5)) && s.connect_rate.is_none()
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

fn each_holds(cases: &[(&str, Holds)]) {
    let directory = tempfile::tempdir().expect("a directory for a picture");
    let picture = directory.path().join("image.png");
    std::fs::write(&picture, b"\x89PNG").expect("a picture");
    for (line, holds) in cases {
        let line = with_picture(line, &picture);
        match asked(&line) {
            Ok(scenario) => assert!(holds(&scenario), "{line}: {scenario:#?}"),
            Err(e) => panic!("{line}: {e}"),
        }
    }
}

fn with_picture(line: &str, picture: &Path) -> String {
    line.replace("image.png", &picture.display().to_string())
}
