//! Servers that die, pause, refuse, or hang up.

use crate::common::net::{Net, free_port};
use crate::common::peers::serve_script;
use crate::common::process::Ran;
use crate::common::{PATIENCE, failed, load, lost, run, serve, start_load, stop_serving};
use rustix::process::Signal;
use std::net::TcpListener;
use std::time::Duration;
use throng_core::stats::FailCause;
use throng_core::summary::{Finding, Summary, WhyMissing};

#[test]
fn a_server_that_is_killed_costs_all_its_connections_and_no_hang() {
    for (options, again) in [("--no-reconnect", false), ("", true)] {
        for engine in ["uring", "epoll"] {
            let net = Net::own();
            let server = serve(&net, "127.0.0.1:9000");
            let client = start_load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 2000 --hold 20s --connect-timeout 500ms --engine {engine} {options}"
                ),
            );
            client.wait_for_stderr("2,000 of 2,000, holding");
            server.signal(Signal::KILL);
            let ran = client.wait(Duration::from_secs(15));
            let s = ran.fell_short();
            assert_eq!(s.connections.peak, 2000, "{ran}");
            // A dying server's listener may outlive some of its connections.
            let all = if again {
                s.connections.established
            } else {
                2000
            };
            assert!(lost(&s) == all && all >= 2000, "{ran}");
            assert_eq!(s.connections.open_at_end, 0, "{ran}");
            let Finding::ConnectionsLost { open, asked, .. } = s.findings[0] else {
                panic!("{ran}")
            };
            assert_eq!((open, asked), (0, 2000), "{ran}");
            let refused = s.connections.failed.get(&FailCause::Refused);
            assert_eq!(refused.is_some_and(|n| *n > 0), again, "{ran}");
        }
    }
}

#[test]
fn a_server_that_pauses_and_comes_back_loses_nothing() {
    for engine in ["uring", "epoll"] {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000 --mode echo");
        let client = start_load(
            &net,
            &format!("127.0.0.1:9000 -c 500 -m hello -r 4 --hold 6s --engine {engine}"),
        );
        client.wait_for_stderr("holding");
        server.signal(Signal::STOP);
        std::thread::sleep(Duration::from_secs(2));
        server.signal(Signal::CONT);
        let ran = client.wait(PATIENCE);
        let s = ran.reached();
        assert_eq!((lost(&s), s.connections.open_at_end), (0, 500), "{ran}");
        assert_eq!(s.traffic.bytes_received, s.traffic.bytes_sent, "{ran}");
        let served = stop_serving(server);
        assert_eq!(served.traffic.bytes_received, s.traffic.bytes_sent, "{ran}");
    }
}

/// The second finding is that all failed attempts failed because of `why`, with this in the remedy.
#[track_caller]
fn assert_reported(s: &Summary, why: FailCause, remedy: &str, ran: &Ran) {
    match &s.findings[1] {
        Finding::AttemptsFailed {
            cause,
            attempts,
            remedy: Some(text),
            ..
        } => {
            assert_eq!((*cause, *attempts), (why, failed(s)), "{ran}");
            assert!(text.contains(remedy), "{ran}");
        }
        other => panic!("{other:?}: {ran}"),
    }
}

#[test]
fn a_target_that_refuses_is_reported_with_cause_and_remedy() {
    let net = Net::own();
    for (engine, options) in [("uring", ""), ("epoll", ""), ("uring", "--no-reconnect")] {
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 5 --connect-timeout 1s --engine {engine} {options}"),
        );
        let s = ran.fell_short();
        assert!(ran.took < Duration::from_secs(6), "{ran}");
        assert_eq!(s.connections.established, 0, "{ran}");
        let refused = s.connections.failed[&FailCause::Refused];
        assert_eq!(refused, failed(&s), "{ran}");
        let missing = Finding::ConnectionsMissing {
            peak: 0,
            asked: 5,
            why: WhyMissing::NoneEstablished,
        };
        assert_eq!(s.findings[0], missing, "{ran}");
        assert_reported(
            &s,
            FailCause::Refused,
            "Nothing listens on the target",
            &ran,
        );
        if !options.is_empty() {
            assert_eq!(refused, 5, "{ran}");
        }
    }
}

#[test]
fn a_source_address_that_is_not_ours_is_reported_as_such() {
    let net = Net::own();
    let _server = serve(&net, "127.0.0.1:9000");
    for engine in ["uring", "epoll"] {
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 5 --source-ip 10.9.8.7 --force --no-reconnect --engine {engine}"
            ),
        );
        let s = ran.fell_short();
        assert_eq!(s.connections.failed[&FailCause::NoAddress], 5, "{ran}");
        assert_reported(&s, FailCause::NoAddress, "--source-ip", &ran);
    }
}

#[test]
fn a_target_without_a_route_is_reported_as_such() {
    let net = Net::own();
    for engine in ["uring", "epoll"] {
        let ran = load(
            &net,
            &format!("192.0.2.1:9000 -c 5 --no-reconnect --engine {engine}"),
        );
        let s = ran.fell_short();
        assert_eq!(s.connections.failed[&FailCause::Unreachable], 5, "{ran}");
        assert_reported(&s, FailCause::Unreachable, "no route", &ran);
    }
}

#[test]
fn a_target_that_never_answers_times_out_in_the_time_given() {
    let net = Net::own();
    // Packets to an address that is routed to `lo` but not on it are dropped there.
    net.shell("ip addr add 10.9.0.1/32 dev lo && ip route add 10.9.1.0/24 dev lo src 10.9.0.1");
    for engine in ["uring", "epoll"] {
        let ran = load(
            &net,
            &format!(
                "10.9.1.1:9000 -c 50 --connect-timeout 700ms --no-reconnect --engine {engine}"
            ),
        );
        let s = ran.fell_short();
        assert_eq!(s.connections.failed[&FailCause::TimedOut], 50, "{ran}");
        assert_reported(&s, FailCause::TimedOut, "No answer within 700 ms", &ran);
        assert!(s.seconds >= 0.7 && s.seconds < 3.0, "{ran}");
    }
}

/// A server that accepts and at once closes. Returns its port; it ends with the test process.
fn one_that_hangs_up() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

#[test]
fn a_connection_that_the_peer_closes_is_opened_again_unless_that_is_not_wanted() {
    let port = one_that_hangs_up();
    for engine in ["uring", "epoll"] {
        let ran = load(
            &Net::host(),
            &format!("127.0.0.1:{port} -c 50 --no-reconnect --hold 1s --engine {engine}"),
        );
        let s = ran.fell_short();
        assert_eq!(s.connections.attempted, 50, "{ran}");
        assert_eq!((s.connections.established, lost(&s)), (50, 50), "{ran}");

        let ran = load(
            &Net::host(),
            &format!(
                "127.0.0.1:{port} -c 50 --connect-rate 200 --reconnect-policy immediate -T 3s --engine {engine}"
            ),
        );
        let s = ran.fell_short();
        assert!(s.connections.closed_by_peer > 100, "{ran}");
        // Never faster than the rate, first attempts and repeated ones together.
        assert!((500..=620).contains(&s.connections.attempted), "{ran}");
        assert!(s.connections.peak <= 50, "{ran}");
    }
}

#[test]
fn a_run_that_nobody_answers_any_more_does_not_wait_for_its_hold() {
    let port = free_port();
    let ran = load(
        &Net::host(),
        &format!("127.0.0.1:{port} -c 3 --hold 1h --connect-timeout 100ms"),
    );
    ran.fell_short();
    assert!(ran.took < Duration::from_secs(6), "{ran}");
}

#[test]
fn a_target_that_refuses_everything_is_given_up_soon() {
    let net = Net::own();
    for engine in ["uring", "epoll"] {
        let ran = load(&net, &format!("127.0.0.1:9000 -c 5 --engine {engine}"));
        let s = ran.fell_short();
        // Retries back off: there are some on each connection, but no flood.
        let attempts = s.connections.attempted;
        assert!((15..=100).contains(&attempts), "{ran}");
        assert!((2.9..7.0).contains(&s.seconds), "{ran}");
        let policy = s.connections.reconnect_policy.as_deref();
        assert_eq!(policy, Some("exponential:400ms..3s:full-jitter"), "{ran}");
    }
    // A policy that waits longer is waited for.
    let ran = load(&net, "127.0.0.1:9000 -c 2 --reconnect-policy fixed:4s");
    assert!(ran.fell_short().seconds > 7.9, "{ran}");
    // It is told where it was of use.
    let ran = run(
        &net,
        "load 127.0.0.1:9000 -c 2 --connect-timeout 1s --reconnect-policy fixed:100ms",
    );
    assert!(ran.stdout.contains("again: fixed:100ms"), "{ran}");
}

#[test]
fn a_server_that_accepts_and_closes_at_once_is_tried_less_and_less_and_given_up_soon() {
    let net = Net::own();
    let _server = serve_script(&net, "misbehaving.py", 9000, &["closes", "0"]);
    for engine in ["uring", "epoll"] {
        // All may be open at one instant, or not.
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 20 --hold 60s --engine {engine}"),
        );
        let s = ran.fell_short();
        assert!((2.9..30.0).contains(&s.seconds), "{ran}");
        // Each is closed at once, and tried again after 200 ms, 400 ms and so on, on average.
        let each = s.connections.established / 20;
        assert!((3..12).contains(&each), "{ran}");
        let closed = s.connections.closed_by_peer + s.connections.reset_by_peer;
        assert!(closed >= 60, "{ran}");
    }
    // Where that is asked for, they are tried as fast as they are closed.
    let line = "127.0.0.1:9000 -c 20 --hold 60s --reconnect-policy immediate";
    let s = load(&net, line).fell_short();
    assert!(
        s.seconds < 30.0 && s.connections.established > 400,
        "{s:#?}"
    );
}

#[test]
fn no_policy_hides_what_was_lost() {
    let net = Net::own();
    let _server = serve_script(&net, "misbehaving.py", 9000, &["closes", "0.7"]);
    for policy in ["immediate", "window:100ms", "exponential:10ms..50ms"] {
        let line = format!("127.0.0.1:9000 -c 10 --hold 2s --reconnect-policy {policy}");
        let ran = load(&net, &line);
        let s = ran.fell_short();
        let Finding::ConnectionsLost { lost, .. } = &s.findings[0] else {
            panic!("{ran}")
        };
        assert!(*lost >= 10 && s.connections.attempted > 20, "{ran}");
    }
}
