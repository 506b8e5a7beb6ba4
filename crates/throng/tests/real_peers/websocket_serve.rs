//! `throng serve` by WebSocket, and connections that a load accepts (`-l`), tried by the libraries `websockets`
//! and `ws`.

use crate::ENGINES;
use crate::common::net::Net;
use crate::common::peers::start_script;
use crate::common::{PATIENCE, serve, start_words, stop_serving};
use std::collections::BTreeMap;
use throng_core::protocol::websocket::Violation;
use throng_core::summary::Summary;

const CLIENTS: [&str; 2] = ["ws_client.py", "ws_client.js"];

/// Has the client by each library try what listens on port 9000.
fn try_all(net: &Net, what: &str) {
    for name in CLIENTS {
        let client = start_script(net, name, &["9000", what]);
        let ran = client.wait(PATIENCE);
        assert_eq!(ran.code, 0, "{ran}");
    }
}

fn violations(summary: &Summary) -> BTreeMap<Violation, u64> {
    let websocket = summary.protocols.websocket.as_ref();
    websocket.expect("it spoke WebSocket").violations.clone()
}

#[test]
fn an_echo_server_does_what_each_library_expects() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, &format!("127.0.0.1:9000 --mode ws --engine {engine}"));
        try_all(&net, "echo");
        let s = stop_serving(server);
        let counted = BTreeMap::from([
            (Violation::NotHttp, 2),
            (Violation::Refused, 2),
            (Violation::ReservedBits, 1),
            (Violation::Opcode, 1),
            (Violation::Unmasked, 1),
            (Violation::FragmentedControl, 1),
            (Violation::LongControl, 1),
            (Violation::LongLength, 1),
            (Violation::Continuation, 1),
            (Violation::Interrupted, 1),
            (Violation::Text, 2),
            (Violation::TooBig, 1),
            (Violation::CloseCode, 1),
        ]);
        assert_eq!(violations(&s), counted);
        let upgraded = s.protocols.websocket.as_ref().unwrap().upgraded;
        // All but those that were refused.
        assert_eq!(Some(upgraded + 4), s.connections.accepted);
    }
}

#[test]
fn a_sink_takes_everything_and_answers_pings_and_closes() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(
            &net,
            &format!("127.0.0.1:9000 --mode ws-sink --engine {engine}"),
        );
        try_all(&net, "sink");
        let s = stop_serving(server);
        assert_eq!(violations(&s), BTreeMap::new());
        assert_eq!(s.protocols.websocket.unwrap().upgraded, 2);
        // 20 MiB in messages from each.
        assert!(s.traffic.bytes_received > (2 * 20) << 20, "{:?}", s.traffic);
        assert!(s.traffic.bytes_sent < 4096, "{:?}", s.traffic);
        assert_eq!(s.traffic.replies, 2 * 20, "whole messages: {:?}", s.traffic);
    }
}

#[test]
fn a_load_that_listens_sends_its_messages_to_who_connects() {
    for engine in ENGINES {
        let net = Net::own();
        let args = [
            "load",
            "--output",
            "json",
            "-l",
            "127.0.0.1:9000",
            "--listen-mode",
            "active",
            "--ws",
            "-1",
            "first",
            "-m",
            "tick",
            "-m",
            r#"\{ws.text "ti" ...}\{ws.continuation "ck"}"#,
            "-r",
            "50",
            "--hold",
            "30s",
            "--engine",
            engine,
        ];
        let mut load = start_words(&net, &args);
        load.wait_for_listener(&net, 9000);
        try_all(&net, "listen");
        load.signal(rustix::process::Signal::INT);
        let ran = load.wait(PATIENCE);
        let s: Summary = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(ran.code, 130, "{ran}");
        assert_eq!(s.connections.accepted, Some(2), "{ran}");
        assert_eq!(s.protocols.websocket.as_ref().unwrap().upgraded, 2, "{ran}");
        assert_eq!(
            violations(&s),
            BTreeMap::from([(Violation::Opcode, 1)]),
            "{ran}"
        );
    }
}
