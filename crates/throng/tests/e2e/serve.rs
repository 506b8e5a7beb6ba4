//! `throng serve` in a process of its own.

use crate::common::net::Net;
use crate::common::{PATIENCE, load, run, serve, start, start_load, stop_serving};
use rustix::process::Signal;
use std::time::Duration;
use throng_core::protocol::websocket::Violation;

#[test]
fn it_serves_both_families_on_every_port_asked_for() {
    // Where to listen, and the targets that this reaches.
    let cases = [
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        ("[::1]:9000", "[::1]:9000"),
        ("9000", "127.0.0.1:9000 [::1]:9000 localhost:9000"),
        (
            "9000 :9001 127.0.0.1:9002 [::1]:9003",
            "127.0.0.1:9000 [::1]:9001 127.0.0.1:9002 [::1]:9003",
        ),
    ];
    for engine in ["uring", "epoll"] {
        for (listen, targets) in cases {
            let net = Net::own();
            let server = serve(&net, &format!("{listen} --mode echo --engine {engine}"));
            let ran = load(
                &net,
                &format!("{targets} -c 240 -m hello --closed-loop --hold 300ms --engine {engine}"),
            );
            let client = ran.reached();
            let served = stop_serving(server);
            assert_eq!(served.connections.accepted, Some(240), "{listen}");
            assert_eq!(served.connections.peak, 240, "{listen}");
            assert_eq!(served.connections.closed_by_peer, 240, "{listen}");
            assert_eq!(served.engine.name(), engine);
            assert!(client.traffic.replies > 0, "{ran}");
            assert_eq!(served.traffic.bytes_received, client.traffic.bytes_sent);
            assert_eq!(served.traffic.bytes_sent, client.traffic.bytes_received);
        }
    }
}

#[test]
fn a_sink_discards_and_an_echo_gives_back() {
    for (mode, part) in [("sink", 0), ("echo", 1)] {
        let net = Net::own();
        let server = serve(&net, &format!("127.0.0.1:9000 --mode {mode}"));
        let client = load(&net, "127.0.0.1:9000 -c 50 -m hello -r 20 --hold 600ms").reached();
        let served = stop_serving(server);
        assert!(client.traffic.bytes_sent >= 50 * 5 * 10, "{mode}");
        assert_eq!(served.traffic.bytes_received, client.traffic.bytes_sent);
        assert_eq!(
            client.traffic.bytes_received,
            client.traffic.bytes_sent * part
        );
    }
}

#[test]
fn without_a_terminal_it_prints_a_line_a_second_with_the_counts() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000 --duration 5s");
    load(&net, "127.0.0.1:9000 -c 300 -m hello -r 10 --hold 2s").reached();
    let ran = server.wait(PATIENCE);
    ran.reached();
    let lines: Vec<&str> = ran.stderr.lines().filter(|l| l.contains("peak")).collect();
    assert!((4..=5).contains(&lines.len()), "{ran}");
    assert!(!ran.stderr.contains(['\r', '\x1b']), "{ran}");
    let busy = lines
        .iter()
        .find(|l| l.contains("300 connections"))
        .unwrap_or_else(|| panic!("no line with all connections: {ran}"));
    for part in ["peak 300", "300 accepted", "accepts/s", "reads/s", "B/s"] {
        assert!(busy.contains(part), "no '{part}' in '{busy}'");
    }
    assert!(
        lines
            .last()
            .is_some_and(|l| l.contains("  0 connections, peak 300, 300 accepted"))
    );
}

#[test]
fn quiet_means_that_nothing_but_the_summary_is_printed() {
    let net = Net::own();
    let ran = run(&net, "serve --quiet --duration 1200ms 127.0.0.1:9000");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
    let ran = run(&net, "load --self --quiet -c 10 --hold 1200ms");
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
}

#[test]
fn no_more_connections_are_accepted_than_asked_for_and_a_free_place_is_taken() {
    for engine in ["uring", "epoll"] {
        let net = Net::own();
        let server = serve(
            &net,
            &format!("127.0.0.1:9000 --max-connections 50 --engine {engine}"),
        );
        let first = start_load(&net, "127.0.0.1:9000 -c 50 --hold 3s");
        server.wait_for_stderr("50 of 50 connections");
        // These wait in the accept queue until the first ones have gone.
        let second = start_load(&net, "127.0.0.1:9000 -c 30 -m x -r 1 --hold 6s");
        first.wait(PATIENCE).reached();
        server.wait_for_stderr("30 of 50 connections");
        let sent = second.wait(PATIENCE).reached().traffic.bytes_sent;
        server.wait_for_next_stderr("  0 of 50 connections");
        server.signal(Signal::INT);
        let served = server.wait(PATIENCE).summary();
        assert_eq!(served.connections.accepted, Some(80), "{engine}");
        assert_eq!(served.connections.peak, 50, "{engine}");
        assert_eq!(served.connections.asked, Some(50), "{engine}");
        assert_eq!(served.traffic.bytes_received, sent, "{engine}");
    }
}

#[test]
fn its_counts_survive_clients_that_come_and_go() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000 --mode echo");
    let mut bytes = 0;
    for _ in 0..5 {
        let client = load(
            &net,
            "127.0.0.1:9000 -c 400 -m hi --closed-loop --hold 100ms",
        )
        .reached();
        bytes += client.traffic.bytes_sent;
    }
    let served = stop_serving(server);
    assert_eq!(served.connections.accepted, Some(2000));
    assert!(served.connections.peak <= 800, "{served:#?}");
    assert_eq!(served.traffic.bytes_received, bytes);
    assert_eq!(served.traffic.bytes_sent, bytes);
}

#[test]
fn a_port_that_is_taken_is_refused_with_what_to_do() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000");
    let ran = run(&net, "serve 127.0.0.1:9000");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    assert!(ran.stderr.contains("choose another port"), "{ran}");
    let ran = run(&net, "serve 10.1.2.3:9000");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert!(ran.stderr.contains("no such address"), "{ran}");
}

#[test]
fn who_listens_on_a_taken_port_is_said_whatever_its_address() {
    for (taken, asked) in [
        ("0.0.0.0:9000", "127.0.0.1:9000"),
        ("127.0.0.1:9000", "0.0.0.0:9000"),
        ("[::1]:9000", "9000"),
    ] {
        let net = Net::own();
        let server = serve(&net, taken);
        let ran = run(&net, &format!("serve {asked}"));
        assert_eq!(ran.code, 2, "{ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        assert!(ran.stderr.contains("throng (process "), "{ran}");
        assert!(ran.stderr.contains(&format!("listens at {taken}")), "{ran}");
        stop_serving(server);
    }
}

#[test]
fn on_port_0_it_says_which_one_the_kernel_chose() {
    let net = Net::own();
    let server = start(&net, "serve --output json 127.0.0.1:0");
    let line = server.wait_for_stderr("listening on 127.0.0.1:");
    let port = line.rsplit(':').next().unwrap();
    load(&net, &format!("127.0.0.1:{port} -c 10 --hold 0s")).reached();
    assert_eq!(stop_serving(server).connections.accepted, Some(10));
}

#[test]
fn it_ends_when_its_time_is_over() {
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000 --duration 1s");
    let client = start_load(&net, "127.0.0.1:9000 -c 20 --no-reconnect --hold 5s");
    let ran = server.wait(Duration::from_secs(10));
    let served = ran.reached();
    assert_eq!(
        (served.connections.peak, served.connections.open_at_end),
        (20, 20),
        "{ran}"
    );
    let client = client.wait(PATIENCE).fell_short();
    assert_eq!(crate::common::lost(&client), 20);
}

#[test]
fn a_websocket_handshake_that_is_not_complete_within_ten_seconds_is_refused() {
    // Sends nothing or part of a handshake to each port, then waits for the ends. Prints the status lines, and
    // whether ten seconds had passed.
    let script = r#"
import socket, time
began, request = time.monotonic(), b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
opened = []
for port in 9000, 9001:
    for part in b"", request:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=30))
        opened[-1].sendall(part)
for one in opened:
    answer = b""
    while more := one.recv(9999):
        answer += more
    print(answer.split(b"\r\n")[0].decode(), time.monotonic() - began > 9.9)
"#;
    let net = Net::own();
    let servers = [(9000, "uring"), (9001, "epoll")].map(|(port, engine)| {
        let args = format!("127.0.0.1:{port} --mode ws --engine {engine}");
        serve(&net, &args)
    });
    let printed = net.python(script, &[]);
    assert_eq!(printed, "HTTP/1.1 408 Request Timeout True\n".repeat(4));
    for server in servers {
        let summary = stop_serving(server).protocols.websocket.unwrap();
        assert_eq!(summary.violations, [(Violation::TimedOut, 2)].into());
    }
}
