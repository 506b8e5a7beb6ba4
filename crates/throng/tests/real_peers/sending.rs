//! When and what a load sends, as plain sockets in Python see it.

use crate::ENGINES;
use crate::common::net::Net;
use crate::common::peers::{said, serve_script};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, assert_near, load, run_words, serve, stop_serving};
use serde_json::Value;
use std::collections::BTreeSet;
use throng_core::summary::Finding;

/// Runs a load against port 9000.
fn words(net: &Net, args: &[&str]) -> Ran {
    let target = ["load", "--output", "json", "127.0.0.1:9000"];
    run_words(net, &[&target, args].concat())
}

/// Runs a load against a server that records, and returns what that had of each of `n` connections.
fn recorded(net: &Net, server: &Process, before: usize, args: &[&str]) -> (Ran, Vec<Value>) {
    let ran = words(net, args);
    let n = ran.summary().connections.established as usize;
    (ran, said(server, before + n).split_off(before))
}

#[test]
fn first_messages_come_once_and_in_order_and_each_connection_has_its_own_number() {
    let net = Net::own();
    let server = serve_script(&net, "recording_server.py", 9000, &[]);
    let mut before = 0;
    for engine in ENGINES {
        let args = [
            "-c",
            "30",
            "-e",
            "-1",
            r"one\n",
            "-1",
            r"two \{connection.uid}\n",
            "-m",
            r"\{connection.uid} \{re [a-z]{8}}\n",
            "-m",
            r"\{connection.re [0-9]{6}}\n",
            "-r",
            "20",
            "--hold",
            "1s",
            "--engine",
            engine,
        ];
        let (ran, all) = recorded(&net, &server, before, &args);
        before += all.len();
        ran.reached();
        let mut numbers = BTreeSet::new();
        let (mut words, mut sent, mut own) = (BTreeSet::new(), 0, BTreeSet::new());
        for seen in &all {
            let lines: Vec<&str> = seen["text"].as_str().unwrap().lines().collect();
            assert!(lines.len() >= 2 + 18, "{seen}");
            let uid = lines[1].strip_prefix("two ").unwrap();
            assert_eq!(lines[0], "one", "{seen}");
            assert!(numbers.insert(uid), "{uid} twice");
            for pair in lines[2..].chunks(2) {
                let (number, word) = pair[0].split_once(' ').unwrap();
                assert_eq!(number, uid, "{seen}");
                assert!(
                    word.len() == 8 && word.bytes().all(|b| b.is_ascii_lowercase()),
                    "{seen}"
                );
                words.insert(word);
                sent += 1;
            }
            let once: BTreeSet<&str> = lines[3..].iter().step_by(2).copied().collect();
            assert_eq!(once.len(), 1, "drawn once for a connection: {seen}");
            own.extend(once);
        }
        assert_eq!(numbers.len(), 30, "{ran}");
        assert_eq!(words.len(), sent, "drawn anew for each message");
        assert!(
            own.len() >= 29,
            "of a million, 30 are rarely the same: {own:?}"
        );
    }
}

#[test]
fn sending_is_held_back_and_lifetimes_end() {
    let net = Net::own();
    let server = serve_script(&net, "recording_server.py", 9000, &[]);
    let mut before = 0;
    for engine in ENGINES {
        let args = [
            "-c",
            "10",
            "-1",
            "first",
            "-m",
            "hello",
            "-r",
            "20",
            "--delay-send",
            "500ms",
            "--hold",
            "1500ms",
            "--engine",
            engine,
        ];
        let (ran, all) = recorded(&net, &server, before, &args);
        before += all.len();
        assert_eq!(all.len(), 10, "{ran}");
        for seen in &all {
            // Twenty are due in the second that is left; from the start it would be thirty. (When the first one came is not
            // known: Python sees a connection only a little after it is there.)
            let bytes = seen["bytes"].as_u64().unwrap();
            assert!((5 + 5 * 10..=5 + 5 * 25).contains(&bytes), "{seen}");
        }

        let args = [
            "-c",
            "10",
            "-m",
            "hello",
            "-r",
            "20",
            "--channel-lifetime",
            "400ms",
            "--hold",
            "2s",
            "--engine",
            engine,
        ];
        let (ran, all) = recorded(&net, &server, before, &args);
        before += all.len();
        let s = ran.summary();
        // Four times 400 ms, some of a fifth, and those that only saw the end.
        assert!((30..=80).contains(&all.len()), "{ran}");
        assert_eq!(s.connections.closed_by_us, all.len() as u64, "{ran}");
        // What is open at the end is cut, or has nothing more to send. A busy server sees some later than they began.
        let lived = |seen: &&Value| {
            seen["lived"].as_f64().unwrap() > 0.37 && seen["bytes"].as_u64().unwrap() >= 5 * 6
        };
        let whole = all.iter().filter(lived).count();
        assert!(2 * whole >= all.len(), "{whole} of {}", all.len());
    }
}

#[test]
fn the_run_ends_when_the_text_comes() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(
            &net,
            &format!("127.0.0.1:9000 --mode echo --engine {engine}"),
        );
        let args = [
            "-c",
            "5",
            "-m",
            "on and on",
            "-m",
            "until BYE comes",
            "-r",
            "2",
            "--message-stop",
            "BYE",
            "--hold",
            "50s",
            "--engine",
            engine,
        ];
        let ran = words(&net, &args);
        let s = ran.summary();
        assert!(s.stops_seen.unwrap() >= 1, "{ran}");
        assert!(s.hold_s.unwrap() < 40.0, "{ran}");
        assert!(s.findings.contains(&Finding::StoppedByText), "{ran}");
        assert_eq!(ran.code, 0, "{ran}");
        stop_serving(server);
    }
}

#[test]
fn a_profile_is_followed_from_the_command_line_and_from_stdin() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, &format!("127.0.0.1:9000 --engine {engine}"));
        let args = [
            "-c",
            "20",
            "-m",
            "hello",
            "--profile",
            "500ms:200, 1s:200..600, 500ms:600",
            "--engine",
            engine,
        ];
        let ran = words(&net, &args);
        let s = ran.reached();
        assert_near(
            "messages",
            s.traffic.messages_sent as f64,
            100.0 + 400.0 + 300.0,
            0.03,
        );

        let mut command = net.command("sh");
        let program = env!("CARGO_BIN_EXE_throng");
        command.args(["-c", &format!(
            "printf '500 200\\n250 0\\n500 400\\n' | {program} load --output json 127.0.0.1:9000 \
             -c 20 -m hello --profile - --arrivals poisson --engine {engine}"
        )]);
        let ran = Process::start("throng load --profile -".into(), command).wait(PATIENCE);
        let sent = ran.summary().traffic.messages_sent as f64;
        let asked = 100.0 + 200.0;
        assert!((sent - asked).abs() < 5.0 * asked.sqrt(), "{ran}");
        stop_serving(server);
    }
}

#[test]
fn arrivals_of_the_whole_run_are_as_many_as_asked_and_spaced_as_asked() {
    for engine in ENGINES {
        let net = Net::own();
        let _server = serve(&net, &format!("127.0.0.1:9000 --engine {engine}"));
        for (how, spread) in [("poisson", 5.0 * f64::sqrt(3000.0)), ("uniform", 30.0)] {
            let args = [
                "-c",
                "50",
                "-m",
                "hello",
                "--rate",
                "1k",
                "--arrivals",
                how,
                "--hold",
                "3s",
                "--seed",
                "7",
                "--engine",
                engine,
            ];
            let ran = words(&net, &args);
            let s = ran.summary();
            let sent = s.traffic.messages_sent as f64;
            assert!((sent - 3000.0).abs() < spread, "{how}: {ran}");
            assert_eq!(ran.code, 0, "{how}: {ran}");
        }
    }
}

#[test]
fn messages_share_writes_unless_that_is_off() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, &format!("127.0.0.1:9000 --engine {engine}"));
        let mut writes = Vec::new();
        for combine in ["on", "off"] {
            let args = [
                "-c",
                "2",
                "-m",
                "hello",
                "-r",
                "20k",
                "--write-combine",
                combine,
                "--hold",
                "1s",
                "--engine",
                engine,
            ];
            let ran = words(&net, &args);
            let s = ran.summary();
            assert!(s.traffic.messages_sent > 20_000, "{ran}");
            assert_eq!(s.traffic.bytes_sent, 5 * s.traffic.messages_sent, "{ran}");
            writes.push(s.traffic.writes as f64 / s.traffic.messages_sent as f64);
        }
        assert!(writes[0] < 0.9, "several share a write: {writes:?}");
        assert_eq!(writes[1], 1.0, "one write a message");
        stop_serving(server);
    }
}

#[test]
fn chargen_sends_its_messages_to_every_client() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(
            &net,
            &format!(
                r"127.0.0.1:9000 --mode chargen -e -1 'welcome \{{connection.uid}}\n' -m tick\n -m tock\n -r 50 --engine {engine}"
            ),
        );
        let read = "import socket, sys\n\
            for _ in range(3):\n\
            \x20   s = socket.create_connection(('127.0.0.1', 9000))\n\
            \x20   f = s.makefile()\n\
            \x20   print(''.join(f.readline() for _ in range(6)).split())\n";
        let mut python = net.command("python3");
        python.args(["-c", read]);
        let ran = Process::start("python3".into(), python).wait(PATIENCE);
        let numbers: BTreeSet<&str> = ran
            .stdout
            .lines()
            .map(|line| {
                let rest = line.strip_prefix("['welcome', '").unwrap();
                let (number, rest) = rest.split_once('\'').unwrap();
                assert_eq!(rest, ", 'tick', 'tock', 'tick', 'tock', 'tick']", "{ran}");
                number
            })
            .collect();
        assert_eq!(numbers.len(), 3, "{ran}");
        let s = stop_serving(server);
        assert!(s.traffic.messages_sent >= 15, "{:?}", s.traffic);
    }
}

#[test]
fn a_flood_and_a_closed_loop_are_answered_by_a_server_in_python() {
    let net = Net::own();
    let _server = serve_script(&net, "echo_server.py", 9000, &[]);
    for engine in ENGINES {
        // Answers of two messages are distinguished by their lengths alone.
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 10 -m a -m bcdef -r 100 --latency-echo --hold 1s --engine {engine}"
            ),
        );
        let s = ran.reached();
        let answers = s.answers.unwrap();
        assert_eq!(answers.received, s.traffic.messages_sent, "{ran}");
        assert_eq!((answers.unanswered, answers.unasked), (0, 0), "{ran}");
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 10 -m hello --latency-first-byte --hold 500ms --engine {engine}"
            ),
        );
        let s = ran.summary();
        assert!(s.latency.first_byte.unwrap().count >= 10, "{ran}");
        assert!(s.traffic.bytes_received > 0, "{ran}");
    }
}
