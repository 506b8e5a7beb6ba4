//! Connections that are opened, used and closed, one after the other: each is one that the server accepted, and where ports run out
//! that is said.

use crate::common::net::Net;
use crate::common::peers::source;
use crate::common::process::{Process, Ran};
use crate::common::{load, serve, stop_serving};
use throng_core::stats::FailCause;
use throng_core::summary::{Churn, Finding};

/// A server of tests/peers/limited.py on this port.
fn limited(net: &Net, port: u16, kind: &str) -> Process {
    let mut command = net.command("python3");
    command.args([&source("limited.py"), &port.to_string(), kind]);
    let mut server = Process::start(format!("limited.py {kind}"), command);
    server.wait_for_listener(net, port);
    server
}

/// Two machines, of which the first one, 10.77.0.1, has 200 local ports.
fn two_machines() -> (Net, Net) {
    let (near, far) = (Net::own(), Net::own());
    near.shell(&format!(
        "ip link add a0 type veth peer name b0 netns {} && ip addr add 10.77.0.1/24 dev a0 && ip link set a0 up
         echo 40000 40199 > /proc/sys/net/ipv4/ip_local_port_range
         echo 2 > /proc/sys/net/ipv4/tcp_tw_reuse",
        far.pid()
    ));
    far.shell("ip addr add 10.77.0.2/24 dev b0 && ip link set b0 up");
    (near, far)
}

#[track_caller]
fn churn(ran: &Ran) -> Churn {
    let found = ran.summary().churn;
    found.unwrap_or_else(|| panic!("no churn: {ran}"))
}

#[test]
fn connections_of_a_number_of_exchanges_are_those_that_the_server_accepted() {
    for (engine, each) in [("uring", 1), ("epoll", 1), ("epoll", 3)] {
        let net = Net::own();
        let server = serve(&net, "127.0.0.1:9000 --mode echo");
        let ran = load(
            &net,
            &format!(
                "-c 20 -m ping --exchanges-per-connection {each} --connect-rate 2k --hold 1s --engine {engine} 127.0.0.1:9000"
            ),
        );
        let (s, found) = (ran.reached(), churn(&ran));
        let theirs = stop_serving(server);
        assert_eq!(
            theirs.connections.accepted,
            Some(s.connections.established),
            "{ran}"
        );
        assert_eq!(found.exchanges_each, Some(each), "{ran}");
        assert!(found.connections > 20, "{ran}");
        assert!(found.lost.is_empty() && found.failed.is_empty(), "{ran}");
        assert!(found.connect.is_some() && found.exchange.is_some(), "{ran}");
        // Those under way at the end have fewer.
        let answers = s.answers.as_ref().map_or(0, |a| a.received);
        let least = found.connections * u64::from(each);
        assert!(answers >= least, "{answers} < {least}: {ran}");
    }
}

#[test]
fn ports_that_run_out_are_foretold_and_told_and_what_helps_does() {
    let (near, far) = two_machines();
    let (_closes, _waits) = (limited(&far, 9000, "once"), limited(&far, 9001, "holds"));
    let line = "-c 10 -m ping --exchanges-per-connection 1 --hold 1s 10.77.0.2";
    for more in [":9001 --linger 0", ":9000 --await-close"] {
        let ran = load(&near, &format!("{line}{more}"));
        let s = ran.reached();
        let found = churn(&ran);
        assert!(found.connections > 200, "{ran}");
        assert!(!ran.stderr.contains("TIME_WAIT"), "{ran}");
        // Who closed them is told as it was.
        let awaited = more.contains("--await-close");
        assert_eq!(found.not_closed, awaited.then_some(0), "{ran}");
        assert_eq!(found.closed_by_server.is_some(), awaited, "{ran}");
        assert_eq!(found.closed_by_server.unwrap_or(0) > 200, awaited, "{ran}");
        assert_eq!(s.connections.closed_by_peer > 200, awaited, "{ran}");
        assert_eq!(s.connections.closed_by_us > 200, !awaited, "{ran}");
    }
    // A server that does not close first is not one that does.
    let ran = load(&near, &format!("{line}:9001 --await-close"));
    let s = ran.fell_short();
    let told = [(s.findings[0].kind(), churn(&ran).closed_by_server)];
    assert_eq!(told, [("not_closed_by_server", Some(0))], "{ran}");
    let ran = load(&near, &format!("{line}:9001"));
    let (s, found) = (ran.fell_short(), churn(&ran));
    assert!(ran.stderr.contains("3 new connections per second"), "{ran}");
    assert_eq!(found.ports_per_s, Some(3), "{ran}");
    assert!(found.failed.contains_key(&FailCause::NoAddress), "{ran}");
    let told = s.findings[0].to_string();
    assert!(
        matches!(s.findings[0], Finding::AttemptsFailed { .. }),
        "{ran}"
    );
    assert!(
        told.contains("TIME_WAIT") && told.contains("--await-close"),
        "{ran}"
    );
}
