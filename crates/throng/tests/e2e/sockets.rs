//! Socket options: on the sockets as `ss` shows them, on the wire as nftables counts it, and by what they do.

use crate::common::net::Net;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, run, serve, start_load, stop_serving};
use rustix::process::Signal;
use std::time::Duration;

const ENGINES: [&str; 2] = ["uring", "epoll"];

/// Counts packets that leave a socket of the namespace and that match `rule`, from now on.
fn count(net: &Net, name: &str, rule: &str) {
    net.shell(&format!(
        "nft add table inet wire
         nft 'add chain inet wire out {{ type filter hook output priority 0; }}'
         nft 'add counter inet wire {name}'
         nft 'add rule inet wire out {rule} counter name {name}'"
    ));
}

/// The number of packets that [`count`] has counted.
fn counted(net: &Net, name: &str) -> u64 {
    let text = net.shell(&format!("nft list counter inet wire {name}"));
    let mut words = text
        .split_whitespace()
        .skip_while(|word| *word != "packets");
    words.nth(1).unwrap().parse().unwrap()
}

/// Drops every segment from or to the server, both ways: a path that becomes silent.
fn silence(net: &Net) {
    net.shell(
        "nft add table inet silence
         nft 'add chain inet silence out { type filter hook output priority 0; }'
         nft 'add rule inet silence out tcp dport 9000 drop'
         nft 'add rule inet silence out tcp sport 9000 drop'",
    );
}

/// What `ss` shows of each established socket with `filter`.
fn sockets(net: &Net, filter: &str) -> Vec<String> {
    let all = net.shell(&format!(
        "ss -HOtneio --tos state established '( {filter} )'"
    ));
    all.lines().map(str::to_owned).collect()
}

#[test]
fn options_are_set_on_both_ends_of_both_families_and_seen_on_the_wire() {
    for engine in ENGINES {
        let net = Net::own();
        count(&net, "there4", "ip dscp ef tcp dport 9000 meta mark 7");
        count(&net, "there6", "ip6 dscp ef tcp dport 9000 meta mark 7");
        count(&net, "back4", "ip dscp af41 tcp sport 9000 meta mark 0x2a");
        count(&net, "back6", "ip6 dscp af41 tcp sport 9000 meta mark 0x2a");
        let server = serve(
            &net,
            &format!(
                "[::]:9000 --mode echo --keepalive 60s:10s:5 --congestion reno --mark 0x2a --dscp af41 --engine {engine}"
            ),
        );
        let client = start_load(
            &net,
            &format!(
                "127.0.0.1:9000 [::1]:9000 -c 8 -m hello -r 1 --hold 3s --keepalive 90s --congestion cubic --mark 7 --tos 0xb8 --engine {engine}"
            ),
        );
        client.wait_for_stderr("holding");
        for (filter, keepalive, rest) in [
            (
                "dport = 9000",
                "timer:(keepalive,1min",
                ["fwmark:0x7 ", "tos:0xb8", " cubic "],
            ),
            (
                "sport = 9000",
                "timer:(keepalive,5",
                ["fwmark:0x2a ", "tos:0x88", " reno "],
            ),
        ] {
            let all = sockets(&net, filter);
            assert_eq!(all.len(), 8, "{engine}: {all:#?}");
            for line in &all {
                for part in rest {
                    assert!(line.contains(part), "{engine}: no '{part}' in {line}");
                }
            }
            // One that waits for an acknowledgement shows that timer instead.
            let timers = all.iter().filter(|line| line.contains(keepalive));
            assert!(timers.count() >= 4, "{engine}: {all:#?}");
            let class = all.iter().filter(|line| line.contains("tclass:"));
            assert!(class.count() >= 4, "{engine}: {all:#?}");
        }
        client.wait(PATIENCE).reached();
        stop_serving(server);
        for name in ["there4", "there6", "back4", "back6"] {
            // Four connections with three segments each at least.
            let n = counted(&net, name);
            assert!(n >= 12, "{engine}: {n} packets {name}");
        }
    }
}

#[test]
fn a_silent_path_ends_connections_when_keepalive_or_the_user_timeout_says_so() {
    // The options of the client and of the server.
    let cases = [
        // Two probes, a second apart, after one of silence.
        ("--keepalive 1s:1s:2", "--keepalive 1s:1s:2"),
        ("--user-timeout 1500ms -m hello -r 5", "--keepalive 1s:1s:2"),
    ];
    for engine in ENGINES {
        for (of_client, of_server) in cases {
            let net = Net::own();
            let server = serve(
                &net,
                &format!("127.0.0.1:9000 {of_server} --engine {engine}"),
            );
            let client = start_load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 20 {of_client} --no-reconnect --hold 30s --engine {engine}"
                ),
            );
            client.wait_for_stderr("holding");
            silence(&net);
            let ran = client.wait(PATIENCE);
            let s = ran.fell_short();
            assert_eq!(s.connections.timed_out, 20, "{ran}");
            assert!(ran.took < Duration::from_secs(20), "{ran}");
            let served = stop_serving(server);
            assert_eq!(served.connections.timed_out, 20, "{served:#?}");
        }
    }
}

#[test]
fn a_linger_time_of_zero_closes_with_resets_that_count_as_ours() {
    for engine in ENGINES {
        for (options, closings) in [
            ("-c 50 --hold 300ms", 50),
            // Each ends once during the run, and is not opened again.
            (
                "-c 50 --hold 2s --channel-lifetime 500ms --no-reconnect",
                50,
            ),
        ] {
            for (linger, resets) in [("", false), ("--linger 0", true)] {
                let net = Net::own();
                let server = serve(&net, &format!("127.0.0.1:9000 --engine {engine}"));
                let ran = load(
                    &net,
                    &format!("127.0.0.1:9000 {options} {linger} --engine {engine}"),
                );
                let c = ran.summary().connections;
                assert_eq!(c.closed_by_us, closings, "{ran}");
                let c = stop_serving(server).connections;
                let expected = if resets { (0, closings) } else { (closings, 0) };
                assert_eq!((c.closed_by_peer, c.reset_by_peer), expected, "{ran}");
            }
        }
    }
}

#[test]
fn a_server_with_a_linger_time_of_zero_resets_what_it_closes() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(
            &net,
            &format!("127.0.0.1:9000 --linger 0 --engine {engine}"),
        );
        let client = start_load(
            &net,
            &format!("127.0.0.1:9000 -c 50 --no-reconnect --hold 20s --engine {engine}"),
        );
        client.wait_for_stderr("holding");
        server.signal(Signal::INT);
        let served = server.wait(PATIENCE);
        assert_eq!(served.summary().connections.closed_by_us, 50, "{served}");
        let ran = client.wait(PATIENCE);
        assert_eq!(ran.fell_short().connections.reset_by_peer, 50, "{ran}");
    }
}

#[test]
fn a_device_is_the_only_way_in_and_out() {
    for engine in ENGINES {
        let net = Net::own();
        net.shell(
            "ip link add t0 type veth peer name t1 && ip link set t0 up && ip link set t1 up && ip address add 10.7.0.1/24 dev t0",
        );
        for (of_server, of_client, reached) in [
            ("lo", "", true),
            ("lo", "--bind-device lo", true),
            // What is on this machine is reached through lo.
            ("t0", "", false),
            ("lo", "--bind-device t0", false),
        ] {
            let server = serve(
                &net,
                &format!("127.0.0.1:9000 --bind-device {of_server} --engine {engine}"),
            );
            let client = start_load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 5 {of_client} --no-reconnect --connect-timeout 500ms --hold 1s --engine {engine}"
                ),
            );
            if reached {
                client.wait_for_stderr("holding");
                let bound = sockets(&net, "dport = 9000");
                let bound = bound.iter().filter(|line| line.contains("%lo:"));
                assert_eq!(bound.count() == 5, !of_client.is_empty(), "{engine}");
            }
            let ran = client.wait(PATIENCE);
            assert_eq!(ran.code, i32::from(!reached), "{ran}");
            let established = ran.summary().connections.established;
            assert_eq!(established, if reached { 5 } else { 0 }, "{ran}");
            server.signal(Signal::INT);
            let accepted = server.wait(PATIENCE).summary().connections.accepted;
            assert_eq!(accepted, Some(established), "{ran}");
        }
    }
}

/// A counter of the network namespace, since it exists.
fn counter(net: &Net, name: &str) -> u64 {
    let text = net.shell(&format!("nstat -asz {name}"));
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn mptcp_is_spoken_by_both_ends_and_falls_back_where_one_does_not() {
    for engine in ENGINES {
        for (of_server, handshakes) in [("--mptcp", 40), ("", 0)] {
            let net = Net::own();
            let server = serve(
                &net,
                &format!("9000 --mode echo {of_server} --engine {engine}"),
            );
            let ran = load(
                &net,
                &format!(
                    "127.0.0.1:9000 [::1]:9000 --mptcp -c 40 -m hello --closed-loop --hold 500ms --engine {engine}"
                ),
            );
            let client = ran.reached();
            let served = stop_serving(server);
            assert_eq!(counter(&net, "MPTcpExtMPCapableACKRX"), handshakes, "{ran}");
            assert!(client.traffic.replies > 40, "{ran}");
            assert_eq!(served.connections.accepted, Some(40), "{ran}");
            assert_eq!(served.connections.closed_by_peer, 40, "{ran}");
            assert_eq!(served.traffic.bytes_received, client.traffic.bytes_sent);
        }
    }
    let net = Net::own();
    net.shell("sysctl -qw net.mptcp.enabled=0");
    for command in ["load 127.0.0.1:9000", "serve 127.0.0.1:9000"] {
        let ran = run(&net, &format!("{command} --mptcp"));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        assert!(ran.stderr.contains("net.mptcp.enabled=1"), "{ran}");
    }
}

#[test]
fn a_server_takes_data_that_comes_with_the_first_packet() {
    const CLIENT: &str = "
import socket
for _ in range(5):
    s = socket.socket()
    s.sendto(b'hello', socket.MSG_FASTOPEN, ('127.0.0.1', 9000))
    assert s.recv(5) == b'hello'
";
    for engine in ENGINES {
        for (option, with_data) in [("--fastopen", 4), ("", 0)] {
            let net = Net::own();
            net.shell("sysctl -qw net.ipv4.tcp_fastopen=3");
            let server = serve(
                &net,
                &format!("127.0.0.1:9000 --mode echo {option} --engine {engine}"),
            );
            net.python(CLIENT, &[]);
            let served = stop_serving(server);
            assert_eq!(served.connections.accepted, Some(5), "{engine}");
            assert_eq!(served.traffic.bytes_sent, 25, "{engine}");
            // The first connection gets the cookie that the others use.
            assert_eq!(counter(&net, "TcpExtTCPFastOpenPassive"), with_data);
        }
    }
    let net = Net::own();
    net.shell("sysctl -qw net.ipv4.tcp_fastopen=1");
    let ran = run(&net, "serve 127.0.0.1:9000 --fastopen");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert!(ran.stderr.contains("net.ipv4.tcp_fastopen=3"), "{ran}");
}

/// Runs `throng` without the capabilities that marks and devices need.
fn without_capabilities(net: &Net, args: &str) -> Ran {
    let mut command = net.command("setpriv");
    command
        .args(["--bounding-set", "-net_admin,-net_raw"])
        .arg(env!("CARGO_BIN_EXE_throng"))
        .args(args.split_whitespace());
    Process::start(format!("throng {args}"), command).wait(PATIENCE)
}

#[test]
fn what_the_kernel_refuses_is_said_in_a_line_with_the_reason() {
    let net = Net::own();
    for (options, says) in [
        ("--congestion nosuch", "no such congestion control; it has"),
        ("--congestion nosuch", "reno"),
        ("--mark 7", "CAP_NET_ADMIN"),
        ("--bind-device nosuch0", "nosuch0: No such device"),
    ] {
        for command in ["load 127.0.0.1:9000", "serve 127.0.0.1:9000"] {
            let ran = without_capabilities(&net, &format!("{command} {options}"));
            let line = ran.stderr.trim_end();
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
            assert!(line.contains(says) && !line.contains('\n'), "{ran}");
            let option = options.split(' ').next().unwrap();
            assert!(line.contains(option), "{ran}");
        }
    }
}
