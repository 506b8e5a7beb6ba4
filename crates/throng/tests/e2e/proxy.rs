//! `throng proxy` between a load and servers, each in a process of its own.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{PATIENCE, load, run, serve, start, start_load, stop_serving};
use rustix::process::Signal;
use std::time::Duration;
use throng_core::protocol::proxy::EndedBy;
use throng_core::stats::FailCause;
use throng_core::summary::{Finding, Summary};

const ENGINES: [&str; 2] = ["uring", "epoll"];

/// Starts `throng proxy` with `args` and waits until it listens.
fn proxy(net: &Net, args: &str) -> Process {
    let proxy = start(net, &format!("proxy --output json {args}"));
    proxy.wait_for_stderr("on engine");
    proxy
}

/// Ends a proxy, which may wait for its connections. Returns its summary.
fn stop(proxy: Process) -> Summary {
    proxy.signal(Signal::TERM);
    let ran = proxy.wait(PATIENCE);
    let summary = ran.summary();
    assert!(ran.code == 130 && summary.interrupted, "{ran}");
    summary
}

#[test]
fn what_clients_send_reaches_the_server_and_answers_come_back() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9001 --mode echo");
        let proxied = proxy(
            &net,
            &format!("127.0.0.1:9000 --to 127.0.0.1:9001 --engine {engine}"),
        );
        let client = load(
            &net,
            "127.0.0.1:9000 -c 500 -m hello -r 20 --latency-echo --hold 600ms",
        );
        let client = client.reached();
        let served = stop_serving(server);
        let s = stop(proxied);
        assert_eq!(s.engine.name(), engine);
        let proxy = s.proxy.expect("a proxy has pairs");
        assert_eq!((proxy.pairs, proxy.peak, proxy.open_at_end), (500, 500, 0));
        assert_eq!(proxy.ended, [(EndedBy::Client, 500)].into());
        assert_eq!(proxy.bytes_from_clients, client.traffic.bytes_sent);
        assert_eq!(proxy.bytes_from_backends, client.traffic.bytes_received);
        assert_eq!(served.traffic.bytes_received, client.traffic.bytes_sent);
        assert_eq!(proxy.backends[0].of.established, 500);
        assert!(s.reached && s.findings.is_empty(), "{:?}", s.findings);
    }
}

#[test]
fn backends_take_turns_and_one_that_refuses_is_left_out_and_told() {
    for engine in ENGINES {
        let net = Net::own();
        let servers = [9001, 9002].map(|port| serve(&net, &format!("127.0.0.1:{port}")));
        let proxied = proxy(
            &net,
            &format!(
                "127.0.0.1:9000 --to 127.0.0.1:9001 --to 127.0.0.1:9002 --to 127.0.0.1:9003 -w 1 --engine {engine}"
            ),
        );
        load(&net, "127.0.0.1:9000 -c 300 --hold 300ms").reached();
        proxied.wait_for_stderr("backend 127.0.0.1:9003 does not answer: left out for 5");
        for server in servers {
            stop_serving(server);
        }
        let s = stop(proxied);
        let proxy = s.proxy.expect("a proxy has pairs");
        assert_eq!((proxy.pairs, proxy.turned_away), (300, 0));
        let [a, b, refuses] = &proxy.backends[..] else {
            panic!("{:?}", proxy.backends);
        };
        assert!(
            a.of.established.abs_diff(b.of.established) <= 2,
            "{a:?} {b:?}"
        );
        assert_eq!((refuses.of.established, refuses.left_out), (0, 1));
        assert!(refuses.of.failed[&FailCause::Refused] >= 1);
        // Other attempts were under way before it was known.
        assert!(refuses.of.attempted < 100, "{refuses:?}");
    }
}

#[test]
fn clients_are_turned_away_if_no_backend_can_be_reached() {
    let net = Net::own();
    let proxied = proxy(&net, "127.0.0.1:9000 --to 127.0.0.1:9003 --duration 3s");
    load(&net, "127.0.0.1:9000 -c 5 --no-reconnect --hold 500ms").fell_short();
    let ran = proxied.wait(PATIENCE);
    let s = ran.fell_short();
    let turned_away = Finding::ClientsTurnedAway {
        clients: 5,
        failed: [(FailCause::Refused, 10)].into(),
    };
    assert_eq!(s.findings.first(), Some(&turned_away), "{ran}");
    assert_eq!(s.proxy.expect("it has pairs").pairs, 0);
}

#[test]
fn several_source_addresses_make_more_connections_than_one_has_ports() {
    for engine in ENGINES {
        let net = Net::own();
        net.shell("sysctl -qw net.ipv4.ip_local_port_range='20000 20999'");
        let server = serve(&net, "127.0.0.1:9001");
        let few = "127.0.0.1:9000 --to 127.0.0.1:9001 --source-ip 127.0.3.1-127.0.3.2";
        let ran = run(&net, &format!("proxy --max-connections 3000 {few}"));
        assert!(ran.code == 2 && ran.stderr.contains("--source-ip"), "{ran}");
        let proxied = proxy(
            &net,
            &format!(
                "127.0.0.1:9000 --to 127.0.0.1:9001 --source-ip 127.0.3.1-127.0.3.4 --max-connections 3000 -w 1 --engine {engine}"
            ),
        );
        let held = start_load(&net, "127.0.0.1:9000 -c 3000 --hold 30s");
        held.wait_for_stderr("3,000 of 3,000, holding");
        net.wait_for_connections(9001, 3000);
        // The first three are full; the last has not been needed.
        let from = |ip: &str| {
            let all = net.shell(&format!("ss -Htn state established src {ip}"));
            all.lines().count()
        };
        let ips = ["127.0.3.1", "127.0.3.2", "127.0.3.3", "127.0.3.4"];
        let counts = ips.map(from);
        assert_eq!(counts.iter().sum::<usize>(), 3000, "{counts:?}");
        assert!(counts[0] >= 990 && counts[1] >= 990, "{counts:?}");
        held.signal(Signal::INT);
        held.wait(PATIENCE);
        stop_serving(server);
        let proxy = stop(proxied).proxy.expect("a proxy has pairs");
        assert_eq!((proxy.peak, proxy.turned_away), (3000, 0));
    }
}

#[test]
fn at_the_end_connections_may_go_on_and_new_ones_are_refused() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9001 --mode echo");
        let proxied = proxy(
            &net,
            &format!("127.0.0.1:9000 --to 127.0.0.1:9001 --drain-timeout 20s --engine {engine}"),
        );
        let held = start_load(
            &net,
            "127.0.0.1:9000 -c 50 -m hello -r 20 --latency-echo --hold 5s",
        );
        held.wait_for_stderr("50 of 50, holding");
        proxied.signal(Signal::TERM);
        proxied.wait_for_next_stderr("draining");
        let late = load(&net, "127.0.0.1:9000 -c 1 --no-reconnect --hold 100ms").fell_short();
        assert_eq!(late.connections.failed[&FailCause::Refused], 1);
        held.wait(PATIENCE).reached();
        let ran = proxied.wait(Duration::from_secs(15));
        let s = ran.summary();
        assert_eq!(ran.code, 130, "{ran}");
        let proxy = s.proxy.expect("a proxy has pairs");
        assert_eq!(proxy.ended, [(EndedBy::Client, 50)].into());
        stop_serving(server);
    }
}

#[test]
fn what_a_proxy_cannot_do_is_refused_in_a_line() {
    let net = Net::own();
    for (args, why) in [
        ("9000", "--to"),
        ("9000 --to unix:/run/x.sock", "not to Unix sockets"),
        ("9000 --to http://127.0.0.1:80", "write HOST:PORT"),
        ("9000 --to 127.0.0.1:80 --source-ip ::1", "address family"),
        ("9000 --to 127.0.0.1:80 --balance random", "round-robin"),
        ("9000 --to 127.0.0.1:80 --left-out 0", "longer than 0"),
    ] {
        let ran = run(&net, &format!("proxy {args}"));
        assert!(ran.code == 2 && ran.stderr.contains(why), "{args}: {ran}");
        assert!(ran.stdout.is_empty(), "{ran}");
    }
}
