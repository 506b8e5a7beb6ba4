//! `throng load --fastopen`: the first data goes with the SYN (TCP Fast Open), and is told as what became of it.

use crate::common::net::Net;
use crate::common::process::Ran;
use crate::common::{load, run, serve, stop_serving};
use throng_core::stats::FailCause;
use throng_core::summary::{FastOpened, Summary};

const ENGINES: [&str; 2] = ["uring", "epoll"];
/// The first connections ask for the cookie; at this rate the others have it.
const GENTLY: &str = "--connect-rate 200";
/// A message that makes a SYN longer than its options can.
const MESSAGE: &str = "0123456789012345678901234567890123456789012345678901234567890123456789";

/// A network in which `net.ipv4.tcp_fastopen` is `bits`.
fn net(bits: u32) -> Net {
    let net = Net::own();
    net.shell(&format!("sysctl -qw net.ipv4.tcp_fastopen={bits}"));
    net
}

/// Does this with each SYN to the server that has data.
fn with_data(net: &Net, verdict: &str) {
    net.shell(&format!(
        "nft add table inet wire
         nft 'add chain inet wire in {{ type filter hook input priority 0; }}'
         nft 'add counter inet wire syns'
         nft 'add rule inet wire in tcp dport 9000 tcp flags & (syn | ack) == syn meta length > 100 counter name syns {verdict}'"
    ));
}

/// How many SYNs with data there were.
fn syns_with_data(net: &Net) -> u64 {
    let text = net.shell("nft list counter inet wire syns");
    let mut words = text
        .split_whitespace()
        .skip_while(|word| *word != "packets");
    words.nth(1).unwrap().parse().unwrap()
}

/// A counter of the kernel for this network.
fn counter(net: &Net, name: &str) -> u64 {
    let text = net.shell(&format!("nstat -asz {name}"));
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn fast_open(summary: &Summary, ran: &Ran) -> FastOpened {
    let told = summary.connections.fast_open;
    told.unwrap_or_else(|| panic!("nothing is told of it: {ran}"))
}

fn is_unused(summary: &Summary) -> bool {
    let mut kinds = summary.findings.iter().map(|finding| finding.kind());
    kinds.any(|kind| kind == "fast_open_unused")
}

#[test]
fn the_first_data_goes_with_the_syn_and_both_ends_agree() {
    for engine in ENGINES {
        let net = net(3);
        with_data(&net, "");
        let server = serve(
            &net,
            &format!("9000 --mode echo --fastopen --engine {engine}"),
        );
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 60 -m {MESSAGE} --closed-loop --hold 300ms --fastopen {GENTLY} --engine {engine}"
            ),
        );
        let client = ran.reached();
        let served = stop_serving(server);
        let told = fast_open(&client, &ran);
        assert!(told.accepted >= 30, "{told:?} {ran}");
        assert!(!is_unused(&client), "{ran}");
        assert_eq!(syns_with_data(&net), told.accepted + told.ignored, "{ran}");
        assert_eq!(
            counter(&net, "TcpExtTCPFastOpenPassive"),
            told.accepted,
            "{ran}"
        );
        assert_eq!(client.connections.established, 60, "{ran}");
        assert_eq!(served.connections.accepted, Some(60), "{ran}");
        assert_eq!(
            served.traffic.bytes_received, client.traffic.bytes_sent,
            "{ran}"
        );
    }
}

#[test]
fn handshakes_of_protocols_and_requests_go_with_the_syn() {
    let cases = [
        ("ws", "ws://127.0.0.1:9000/", "-m hi -r 5"),
        ("http", "http://127.0.0.1:9000/", ""),
        ("mqtt", "mqtt://127.0.0.1:9000", ""),
    ];
    for engine in ENGINES {
        for (mode, target, options) in cases {
            let net = net(3);
            let server = serve(
                &net,
                &format!("9000 --mode {mode} --fastopen --engine {engine}"),
            );
            let ran = load(
                &net,
                &format!(
                    "{target} -c 40 {options} --hold 300ms --fastopen {GENTLY} --engine {engine}"
                ),
            );
            let client = ran.reached();
            let told = fast_open(&client, &ran);
            assert!(told.accepted >= 20, "{told:?} {ran}");
            assert_eq!(stop_serving(server).connections.accepted, Some(40), "{ran}");
        }
    }
}

#[test]
fn what_goes_with_a_syn_that_fails_is_not_told_as_sent() {
    for engine in ENGINES {
        let net = net(1);
        with_data(&net, "");
        for (options, cause) in [
            ("", FailCause::Refused),
            ("--connect-timeout 300ms", FailCause::TimedOut),
        ] {
            if cause == FailCause::TimedOut {
                net.shell("nft add rule inet wire in tcp dport 9000 drop");
            }
            let ran = load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 20 -m {MESSAGE} --closed-loop --hold 300ms --fastopen=no-cookie --no-reconnect {options} --engine {engine}"
                ),
            );
            let client = ran.fell_short();
            assert_eq!(client.connections.failed.get(&cause), Some(&20), "{ran}");
            assert_eq!(client.connections.established, 0, "{ran}");
            let sent = &client.traffic;
            assert_eq!((sent.bytes_sent, sent.writes), (0, 0), "{ran}");
            assert_eq!(sent.messages_sent, 0, "{ran}");
        }
        assert_eq!(syns_with_data(&net), 40, "{engine}");
    }
}

#[test]
fn a_server_that_does_not_take_the_data_has_it_sent_again() {
    for engine in ENGINES {
        for (cookie, ignored) in [("", 0), ("=no-cookie", 30)] {
            let net = net(1);
            let server = serve(&net, &format!("9000 --mode echo --engine {engine}"));
            let ran = load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 30 -m {MESSAGE} --closed-loop --hold 300ms --fastopen{cookie} --engine {engine}"
                ),
            );
            let client = ran.reached();
            let served = stop_serving(server);
            assert_eq!(
                fast_open(&client, &ran),
                FastOpened {
                    accepted: 0,
                    ignored
                },
                "{ran}"
            );
            assert!(is_unused(&client), "{ran}");
            assert_eq!(served.connections.accepted, Some(30), "{ran}");
            assert_eq!(
                served.traffic.bytes_received, client.traffic.bytes_sent,
                "{ran}"
            );
        }
    }
}

#[test]
fn a_path_that_drops_syns_with_data_takes_the_next_one_without() {
    for engine in ENGINES {
        let net = net(3);
        with_data(&net, "drop");
        let server = serve(
            &net,
            &format!("9000 --mode echo --fastopen --engine {engine}"),
        );
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 20 -m {MESSAGE} --closed-loop --hold 300ms --fastopen=no-cookie --connect-timeout 20s --engine {engine}"
            ),
        );
        let client = ran.reached();
        let served = stop_serving(server);
        assert!(syns_with_data(&net) >= 20, "{ran}");
        assert_eq!(fast_open(&client, &ran).accepted, 0, "{ran}");
        // The kernel sends a SYN again after a second: a connection was not established before.
        let connect = client.set_up.as_ref().and_then(|s| s.latency.as_ref());
        assert!(connect.unwrap().max_us > 900_000.0, "{ran}");
        assert_eq!(client.connections.established, 20, "{ran}");
        assert_eq!(served.connections.accepted, Some(20), "{ran}");
        assert_eq!(
            served.traffic.bytes_received, client.traffic.bytes_sent,
            "{ran}"
        );
    }
}

#[test]
fn a_server_in_the_same_process_takes_the_data() {
    for engine in ENGINES {
        let net = net(3);
        let ran = load(
            &net,
            &format!(
                "--self=echo -c 500 -m {MESSAGE} --closed-loop --hold 300ms --fastopen {GENTLY}0 --engine {engine}"
            ),
        );
        let client = ran.reached();
        assert!(fast_open(&client, &ran).accepted >= 100, "{ran}");
        assert_eq!(client.connections.accepted, Some(500), "{ran}");
        // With TLS, a ClientHello does, whatever the messages wait for.
        let ran = load(
            &net,
            &format!(
                "--self=echo --tls -c 100 -m hi -r 5 --hold 300ms --fastopen {GENTLY} --engine {engine}"
            ),
        );
        let client = ran.reached();
        assert!(fast_open(&client, &ran).accepted >= 50, "{ran}");
        assert_eq!(client.tls.unwrap().handshakes, 100, "{engine}");
    }
}

#[test]
fn what_could_have_no_effect_is_refused_in_a_line() {
    for (bits, command, says) in [
        (0, "load 127.0.0.1:9000 -m hi", "net.ipv4.tcp_fastopen=1"),
        (2, "load 127.0.0.1:9000 -m hi", "net.ipv4.tcp_fastopen=3"),
        (1, "load --self -m hi", "net.ipv4.tcp_fastopen=3"),
        (3, "load 127.0.0.1:9000", "send nothing as they open"),
        (
            3,
            "load 127.0.0.1:9000 -m hi -r 5",
            "send nothing as they open",
        ),
        (
            3,
            "load 127.0.0.1:9000 -m hi --rate 5",
            "send nothing as they open",
        ),
        (
            3,
            "load 127.0.0.1:9000 -m hi --mptcp",
            "leave out one of them",
        ),
        (3, "load -l 9000", "there is no target"),
    ] {
        let ran = run(&net(bits), &format!("{command} --fastopen"));
        let line = ran.stderr.trim_end();
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        assert!(line.contains(says) && !line.contains('\n'), "{ran}");
        assert!(line.contains("--fastopen"), "{ran}");
    }
}
