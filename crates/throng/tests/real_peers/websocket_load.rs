//! `throng load` by WebSocket, against servers by the libraries `websockets` and `ws`, and against one that
//! breaks the protocol.

use crate::ENGINES;
use crate::common::net::Net;
use crate::common::peers::{said, serve_script};
use crate::common::process::Ran;
use crate::common::{run_words, serve, stop_serving, words};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use throng_core::protocol::websocket::Violation;
use throng_core::stats::Closed;
use throng_core::summary::{Finding, WhyMissing};

const SERVERS: [&str; 2] = ["ws_server.py", "ws_server.js"];

/// Runs a load against `path` of the server on port 9000.
fn load(net: &Net, path: &str, args: &[&str]) -> Ran {
    let target = format!("ws://127.0.0.1:9000{path}");
    run_words(
        net,
        &[&["load", "--output", "json", &target], args].concat(),
    )
}

#[test]
fn messages_of_every_kind_arrive_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, size: usize| {
        let path = directory.path().join(name);
        let bytes: Vec<u8> = (0..size).map(|i| (i * i / 7) as u8).collect();
        std::fs::write(&path, bytes).unwrap();
        let path = path.display().to_string();
        let sum = Net::host().shell(&format!("sha256sum {path}"));
        let sum = sum.split(' ').next().unwrap().to_owned();
        (format!(r"\{{ws.binary <{path}>}}"), sum)
    };
    let (small, small_sum) = file("64 KiB".replace(' ', "-").as_str(), 64 << 10);
    let (large, large_sum) = file("1-MiB", 1 << 20);
    // The messages, what the server has first, and what comes back of all it has, in bytes.
    let rows: [(&[&str], Value, &[usize]); 6] = [
        (&["-m", "hällo"], json!("hällo"), &[2 + 6]),
        (
            &["-m", &small, "-m", &large],
            json!(64 << 10),
            &[4 + (64 << 10), 10 + (1 << 20)],
        ),
        (
            &["-m", r#"\{ws.text "frag" ...}\{ws.continuation "mented"}"#],
            json!("fragmented"),
            &[2 + 10],
        ),
        // An answer to the ping, and one to the text.
        (
            &["-m", r#"\{ws.ping "there?"}\{ws.text "yes"}"#],
            json!("yes"),
            &[2 + 6 + 2 + 3],
        ),
        // Another text comes back, in three.
        (
            &["-m", "fragments", "--latency-marker", "ab€cd"],
            json!("fragments"),
            &[2 + 2 + 2 + 3 + 2 + 2],
        ),
        (
            &["-1", "first", "-m", r"\{connection.uid}"],
            json!("first"),
            &[],
        ),
    ];
    for name in SERVERS {
        let net = Net::own();
        let server = serve_script(&net, name, 9000, &[]);
        let mut gone = 0;
        for engine in ENGINES {
            for (messages, first, back) in &rows {
                let how = ["-c", "4", "--closed-loop", "--hold", "1s"];
                let header = ["--engine", engine, "-H", "X-Test: yes"];
                let ran = load(&net, "/echo?a=1", &[messages, &how[..], &header].concat());
                let s = ran.reached();
                let websocket = s.protocols.websocket.clone().unwrap();
                assert_eq!(websocket.upgraded, 4, "{ran}");
                assert_eq!(websocket.violations, BTreeMap::new(), "{ran}");
                assert!(s.traffic.replies >= 4 * back.len() as u64, "{ran}");
                let all = said(&server, gone + 4).split_off(gone);
                gone += 4;
                let mut had = 0;
                for seen in &all {
                    assert_eq!(seen["path"], "/echo?a=1", "{seen}");
                    assert_eq!(seen["x"], "yes", "{seen}");
                    assert_eq!(&seen["first"][0], first, "{seen}");
                    assert!(seen["error"].is_null(), "{seen}");
                    had += seen["messages"].as_u64().unwrap();
                    if back.len() == 2 {
                        let sums = json!({ &small_sum: 64 << 10, &large_sum: 1 << 20 });
                        assert_eq!(seen["binary"], sums, "{seen}");
                    }
                    if name.ends_with("js") && messages[1].contains("ping") {
                        assert!(
                            seen["pings"].as_u64() >= seen["messages"].as_u64(),
                            "{seen}"
                        );
                    }
                }
                // A closed loop waits: at the end there is one under way on each connection at most.
                let more = had - s.traffic.replies;
                assert!(more <= 4, "{had} arrived: {ran}");
                if let [back] = back {
                    // And the greeting, which is a ping.
                    let least = s.traffic.replies * *back as u64 + 4 * (2 + 15);
                    assert!(s.traffic.bytes_received >= least, "{least}: {ran}");
                }
            }
        }
    }
}

#[test]
fn pings_of_a_server_are_answered_while_messages_go_on() {
    for name in SERVERS {
        let net = Net::own();
        let server = serve_script(&net, name, 9000, &[]);
        for (turn, engine) in ENGINES.into_iter().enumerate() {
            // Long messages, so that pings come while one is being sent.
            let long = "x".repeat(100_000);
            let args = [
                "-c", "3", "-m", &long, "-r", "50", "--hold", "1500ms", "--engine", engine,
            ];
            let ran = load(&net, "/ping", &args);
            let s = ran.summary();
            assert_eq!(s.connections.open_at_end, 3, "{ran}");
            assert_eq!(
                s.protocols.websocket.unwrap().violations,
                BTreeMap::new(),
                "{ran}"
            );
            for seen in &said(&server, 3 * (turn + 1))[3 * turn..] {
                assert!(seen["pongs"].as_u64().unwrap() >= 5, "{seen}");
                assert!(seen["messages"].as_u64().unwrap() >= 5, "{seen}");
            }
        }
    }
}

#[test]
fn pings_of_ours_are_answered_and_timed_beside_messages_and_alone() {
    for (engine, how) in ENGINES.into_iter().zip(["-c 40 -m hi -r 20", "-c 40"]) {
        for name in ["ws_server.py", "ws_server.js", "throng"] {
            let net = Net::own();
            let _server = match name {
                "throng" => serve(&net, "--mode ws 9000"),
                script => serve_script(&net, script, 9000, &[]),
            };
            let directory = tempfile::tempdir().unwrap();
            let csv = directory.path().join("pongs.csv");
            let csv = csv.to_str().unwrap();
            let args = format!(
                "{how} --ping 500ms --hold 2s --engine {engine} --samples {csv} \
                 --expect pong.max<10s --expect upgrade.p99<10s --expect pongs>=100%"
            );
            let ran = load(&net, "/echo", &words(&args));
            let s = ran.reached();
            let pings = s.pings.unwrap();
            // Four on each connection while it is held, and a few while others are opened.
            assert!((160..2000).contains(&pings.sent), "{ran}");
            assert_eq!(pings.answered, pings.sent, "{ran}");
            assert_eq!((pings.unanswered, pings.unasked), (0, 0), "{ran}");
            assert_eq!(s.latency.pong.unwrap().count, pings.sent, "{ran}");
            assert_eq!(
                s.latency.protocols.websocket.upgrade.unwrap().count,
                40,
                "{ran}"
            );
            let lines = std::fs::read_to_string(csv).unwrap();
            let pongs = lines.lines().filter(|line| line.ends_with(",0,0,0,1"));
            assert_eq!(pongs.count() as u64, pings.sent, "{ran}");
        }
    }
}

#[test]
fn the_subprotocols_that_servers_choose_are_counted_by_name() {
    for engine in ENGINES {
        // ws chooses the first one that is asked for; websockets, which has none here, chooses none.
        for (name, chosen) in [
            ("ws_server.js", "superchat"),
            ("ws_server.py", "none"),
            ("throng", "chat"),
        ] {
            let net = Net::own();
            let own = name == "throng";
            let server = match own {
                true => serve(&net, "--mode ws --subprotocol v12.stomp,chat 9000"),
                false => serve_script(&net, name, 9000, &[]),
            };
            let args = format!("-c 3 --hold 200ms --engine {engine} --subprotocol superchat,chat");
            let ran = load(&net, "/echo", &words(&args));
            let s = ran.summary();
            let counted = s.protocols.websocket.unwrap().subprotocols;
            assert_eq!(counted, BTreeMap::from([(chosen.to_owned(), 3)]), "{ran}");
            if own {
                let served = stop_serving(server).protocols.websocket.unwrap();
                assert_eq!(served.subprotocols, counted, "{name}");
            }
        }
    }
}

#[test]
fn pongs_that_are_missing_or_return_another_payload_fail_the_run() {
    let net = Net::own();
    let _server = serve_script(&net, "ws_broken_server.py", 9000, &[]);
    for engine in ENGINES {
        for (path, unasked, more, reached) in [
            ("/echo", false, "", true),
            ("/no-pong", false, "", false),
            ("/empty-pong", true, "", false),
            ("/other-pong", true, "", false),
            // A tolerance never covers all.
            ("/no-pong", false, "--allow-unanswered 100%", false),
        ] {
            let args = format!("-c 3 --ping 300ms -T 1500ms --engine {engine} {more}");
            let ran = load(&net, path, &words(&args));
            let s = if reached {
                ran.reached()
            } else {
                ran.fell_short()
            };
            let pings = s.pings.unwrap();
            let answered = if reached { pings.sent } else { 0 };
            assert_eq!(pings.answered, answered, "{path}: {ran}");
            assert_eq!(pings.unanswered, pings.sent - answered, "{path}: {ran}");
            assert_eq!(pings.unasked > 0, unasked, "{path}: {ran}");
            let told = s.findings.first().map(Finding::kind);
            let expected = (!reached).then_some("pings_unanswered");
            assert_eq!(told, expected, "{path}: {ran}");
        }
    }
}

#[test]
fn echoes_are_timed_and_each_message_has_one() {
    for name in SERVERS {
        let net = Net::own();
        let _server = serve_script(&net, name, 9000, &[]);
        for engine in ENGINES {
            let args =
                format!("-c 10 -m a -m bcd -r 20 --latency-echo --hold 1s --engine {engine}");
            let ran = load(&net, "/echo", &words(&args));
            let s = ran.reached();
            let answers = s.answers.unwrap();
            assert_eq!(answers.received, s.traffic.messages_sent, "{ran}");
            assert_eq!((answers.unanswered, answers.unasked), (0, 0), "{ran}");
            let response = s.latency.response.unwrap();
            assert_eq!(response.count, s.traffic.messages_sent, "{ran}");
            let service = s.latency.service.unwrap();
            assert!(response.mean_us >= service.mean_us, "{ran}");
        }
    }
}

#[test]
fn a_server_that_closes_is_answered_and_counted_as_closed_by_the_peer() {
    for name in SERVERS {
        let net = Net::own();
        let server = serve_script(&net, name, 9000, &[]);
        let mut gone = 0;
        for engine in ENGINES {
            // As fast as they go, too. Not with the server in Python: while it closes it takes nothing from a
            // full queue, and does not see that we have answered.
            let flood: &[&str] = match name {
                "ws_server.js" => &[],
                _ => &["-r", "100"],
            };
            for how in [&["-r", "10"][..], &["--closed-loop"], flood] {
                // The run ends when all are closed.
                let args = [
                    &["-c", "5", "-m", "hi", "--no-reconnect", "--hold", "20s"][..],
                    &["--engine", engine],
                    how,
                ]
                .concat();
                let ran = load(&net, "/close/4001", &args);
                let s = ran.fell_short();
                // A server that is flooded may take longer to close than we wait for it.
                let flooded = how.is_empty();
                let by_us = if flooded {
                    s.connections.closed_by_us
                } else {
                    0
                };
                assert_eq!(s.connections.closed_by_peer + by_us, 5, "{ran}");
                assert_eq!(s.connections.open_at_end, 0, "{ran}");
                assert_eq!(
                    s.protocols.websocket.unwrap().violations,
                    BTreeMap::new(),
                    "{ran}"
                );
                // Where all were established first, that is the verdict.
                if s.connections.peak == 5 && !flooded {
                    let (Finding::ConnectionsLost { closed, .. }
                    | Finding::ConnectionsMissing {
                        why: WhyMissing::Lost { closed, .. },
                        ..
                    }) = &s.findings[0]
                    else {
                        panic!("{ran}")
                    };
                    assert_eq!(*closed, BTreeMap::from([(Closed::ByPeer, 5)]), "{ran}");
                }
                for seen in &said(&server, gone + 5)[gone..] {
                    assert_eq!(seen["code"], 4001, "{seen}");
                }
                gone += 5;
            }
        }
    }
}

#[test]
fn a_lifetime_ends_with_a_close_frame_and_the_next_connection() {
    for name in SERVERS {
        let net = Net::own();
        let server = serve_script(&net, name, 9000, &[]);
        let mut gone = 0;
        for engine in ENGINES {
            let args =
                format!("-c 5 -m hi -r 50 --channel-lifetime 300ms --hold 2s --engine {engine}");
            let s = load(&net, "/echo", &words(&args)).summary();
            let all = s.connections.established;
            assert!(all >= 3 * 5, "{:#?}", s.connections);
            let seen = said(&server, gone + all as usize).split_off(gone);
            gone += all as usize;
            let closed = seen.iter().filter(|s| s["code"] == 1000).count() as u64;
            // Those of the end are only cut. A busy server may take longer to answer than it is waited for.
            assert!(2 * closed >= all, "{closed} of {all}: {seen:?}");
        }
    }
}

#[test]
fn peers_that_break_the_protocol_are_counted_by_kind() {
    let rows = [
        ("/404", Violation::Refused, None),
        ("/no-http", Violation::NotHttp, None),
        ("/long-head", Violation::LongHead, None),
        ("/accept", Violation::Handshake, None),
        ("/extension", Violation::Handshake, None),
        ("/subprotocol", Violation::Handshake, None),
        ("/masked", Violation::Masked, Some(1002)),
        ("/reserved", Violation::ReservedBits, Some(1002)),
        ("/opcode", Violation::Opcode, Some(1002)),
        ("/continuation", Violation::Continuation, Some(1002)),
        ("/interrupted", Violation::Interrupted, Some(1002)),
        ("/text", Violation::Text, Some(1007)),
        ("/close-code", Violation::CloseCode, Some(1002)),
        ("/long-ping", Violation::LongControl, Some(1002)),
        ("/and-much-more", Violation::Opcode, Some(1002)),
    ];
    let net = Net::own();
    let server = serve_script(&net, "ws_broken_server.py", 9000, &[]);
    for engine in ENGINES {
        for (path, kind, code) in &rows {
            let before = server.wait_for_lines(path, 0).len();
            let args = format!(
                "-c 3 -m hello -r 5 --no-reconnect --hold 300ms --connect-timeout 1s --engine {engine}"
            );
            let ran = load(&net, path, &words(&args));
            let s = ran.fell_short();
            let counted = s.protocols.websocket.unwrap().violations;
            assert_eq!(counted, BTreeMap::from([(*kind, 3)]), "{path}: {ran}");
            assert_eq!(s.connections.open_at_end, 0, "{path}: {ran}");
            for line in &server.wait_for_lines(path, before + 3)[before..] {
                let received: Option<u16> = line.split(' ').next_back().unwrap().parse().ok();
                assert_eq!(received, *code, "{line}");
            }
        }
    }
}

#[test]
fn a_target_that_is_of_no_use_is_not_hammered() {
    let net = Net::own();
    let server = serve_script(&net, "ws_broken_server.py", 9000, &[]);
    for (path, engine) in [("/404", "uring"), ("/opcode", "epoll")] {
        let args = ["-c", "5", "--hold", "1s", "-T", "2s", "--engine", engine];
        let ran = load(&net, path, &args);
        let s = ran.fell_short();
        // Each connection is tried again after 200 ms on average.
        let tried = s.connections.attempted;
        assert!(
            (10..=5 * (2000 / 200 + 5)).contains(&tried),
            "{tried}: {ran}"
        );
        assert!(server.wait_for_lines(path, tried as usize - 5).len() <= tried as usize);
    }
}
