//! Names mean all their addresses, and link-local addresses name their interface.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{load, run_words, serve, start_words, stop_serving};
use throng_core::summary::Summary;

/// A network with an interface `a0` that has link-local addresses.
fn with_link() -> Net {
    let net = Net::own();
    net.shell(
        "ip link add a0 type veth peer name b0 && ip link set a0 up && ip link set b0 up &&
         ip addr add fe80::1/64 dev a0 nodad && ip addr add fe80::2/64 dev a0 nodad",
    );
    net
}

#[test]
fn a_link_local_address_without_its_interface_is_refused_wherever_it_is_given() {
    let net = with_link();
    for args in [
        &["load", "[fe80::1]:2500"][..],
        &["load", "ws://[fe80::1]:2500/"],
        &["load", "-l", "[fe80::1]:2500"],
        &["load", "--self", "--statsd", "--statsd-host", "fe80::1"],
        &["serve", "[fe80::1]:2500"],
        &["plan", "--target", "[fe80::1]:2500"],
    ] {
        let ran = run_words(&net, args);
        assert!(ran.code == 2 && ran.stdout.is_empty(), "{ran}");
        let right = ran.stderr.contains("needs its interface; write [fe80::1%");
        assert!(right && ran.stderr.lines().count() == 1, "{ran}");
    }
    let ran = run_words(&net, &["load", "[fe80::1%a1]:2500"]);
    assert!(ran.code == 2 && ran.stderr.contains("'a1'"), "{ran}");
}

#[test]
fn a_link_local_address_with_its_interface_is_connected_to_and_from() {
    let net = with_link();
    for engine in ["uring", "epoll"] {
        let serve = serve(&net, &format!("--engine {engine} [fe80::1%a0]:2500"));
        let to = format!("-c 20 --hold 100ms --engine {engine} [fe80::1%a0]:2500");
        load(&net, &to).reached();
        load(&net, &format!("--source-ip fe80::2 {to}")).reached();
        assert_eq!(stop_serving(serve).connections.accepted, Some(40));
    }
    // Nobody else knows what the interface is called: the header's host goes without it.
    let serve = serve(&net, "--mode ws [fe80::1%a0]:2501");
    load(&net, "-c 5 --hold 100ms ws://[fe80::1%25a0]:2501/").reached();
    stop_serving(serve);
    // An address that is not here is not taken for one that is.
    let ran = load(&net, "--source-ip fe80::7 -c 5 [fe80::1%a0]:2500");
    assert!(ran.code == 2 && ran.stderr.contains("fe80::7"), "{ran}");
}

/// A network where `two` is 127.0.0.1, ::1 and an address that no machine has.
fn with_names() -> Net {
    let net = Net::with_own_mounts();
    net.shell(
        "hosts=$(mktemp) && printf '127.0.0.1 two\n::1 two\n198.51.100.1 two\n' > $hosts &&
         mount --bind $hosts /etc/hosts && rm $hosts",
    );
    net
}

#[test]
fn a_name_is_listened_on_at_all_its_addresses_here() {
    let net = with_names();
    let both = |port: u16| {
        for to in ["127.0.0.1", "[::1]"] {
            load(&net, &format!("-c 3 --hold 100ms {to}:{port}")).reached();
        }
    };
    let serving = serve(&net, "two:3711");
    both(3711);
    // To choose among the addresses takes no connection.
    load(&net, "-c 3 --hold 100ms --resolve first two:3711").reached();
    assert_eq!(stop_serving(serving).connections.accepted, Some(9));
    let listening = start_words(&net, &["load", "-l", "two:3712", "--hold", "1m"]);
    listening.wait_for_stderr("[::1]:3712");
    both(3712);
    let without_v6 = with_names();
    without_v6.shell("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
    let serving = serve(&without_v6, "two:3711");
    load(&without_v6, "-c 3 --hold 100ms --resolve first two:3711").reached();
    drop(serving);
}

#[test]
fn a_connection_that_only_chooses_among_addresses_is_told() {
    let net = with_names();
    // Behind a redirection, as elsewhere, nobody sees who listens.
    net.shell(
        "nft 'table inet t { chain o { type nat hook output priority -100;
         tcp dport 3711 redirect to :3712; }; }'",
    );
    let serving = serve(&net, "two:3712");
    let ran = load(&net, "-c 3 --hold 100ms --resolve first two:3711");
    ran.reached();
    let told = "answered, with one connection that this run does not count";
    assert!(ran.stderr.contains(told), "{ran}");
    assert_eq!(stop_serving(serving).connections.accepted, Some(4));
    let ran = load(&net, "-c 1 --connect-timeout 100ms --resolve first two:9");
    ran.fell_short();
    assert!(ran.stderr.contains("none of them answered"), "{ran}");
    // A plan sends nothing to its target.
    let serving = serve(&net, "two:3712");
    let ran = run_words(&net, &["plan", "--target", "two:3711", "-c", "10"]);
    assert!(ran.code < 2, "{ran}");
    assert_eq!(stop_serving(serving).connections.accepted, Some(0));
}

#[test]
fn metrics_reach_a_daemon_at_any_address_of_its_name() {
    let net = with_names();
    let script = "import socket, sys\n\
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 8125))\n\
        print('bound', file=sys.stderr, flush=True)\n\
        while True: print(s.recv(2000).decode(), file=sys.stderr, flush=True)";
    let mut command = net.command("python3");
    command.args(["-c", script]);
    let daemon = Process::start("a StatsD".into(), command);
    daemon.wait_for_stderr("bound");
    let ran = load(
        &net,
        "--self -c 3 --hold 1500ms --statsd --statsd-host two --statsd-namespace t",
    );
    ran.reached();
    assert!(!ran.stderr.contains("StatsD"), "{ran}");
    daemon.wait_for_stderr("t.connections.opened:3|c");
}

/// A network where `three` is 127.0.0.2, 127.0.0.3 and ::1.
fn with_zone() -> Net {
    let net = Net::with_own_mounts();
    net.shell(
        "hosts=$(mktemp) && printf '127.0.0.2 three\n127.0.0.3 three\n::1 three\n' > $hosts &&
         mount --bind $hosts /etc/hosts && rm $hosts",
    );
    net
}

/// Established and failed connections by address, in the order of addresses.
fn by_address(s: &Summary) -> Vec<(String, u64, bool)> {
    let all = s.connections.by_address.iter();
    let mut all: Vec<_> = all
        .map(|of| {
            (
                of.address.ip().to_string(),
                of.established,
                !of.failed.is_empty(),
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn all_addresses_of_a_name_are_used_and_a_dead_one_is_named() {
    let net = with_zone();
    for engine in ["uring", "epoll"] {
        let serving = serve(
            &net,
            &format!("--engine {engine} 127.0.0.2:3711 [::1]:3711"),
        );
        let how = format!("-c 9 -w 2 --hold 300ms --engine {engine}");
        let ran = load(&net, &format!("{how} -T 3s three:3711"));
        let s = ran.fell_short();
        let of = |ip: &str, established, failed| (ip.to_owned(), established, failed);
        let live = [
            of("127.0.0.2", 3, false),
            of("127.0.0.3", 0, true),
            of("::1", 3, false),
        ];
        assert_eq!(by_address(&s), live, "{ran}");
        let attempted: u64 = s.connections.by_address.iter().map(|of| of.attempted).sum();
        assert_eq!(attempted, s.connections.attempted, "{ran}");
        let dead = s.findings.iter().find(|f| f.kind() == "address_dead");
        let dead = dead.unwrap_or_else(|| panic!("{ran}")).to_string();
        assert!(
            dead.starts_with("127.0.0.3:3711, an address of three:3711: none of ")
                && dead.ends_with("(refused)"),
            "{dead}"
        );
        // Each as is asked.
        for (which, expected) in [
            ("-6", vec![]),
            ("--resolve first", vec![]),
            ("--resolve three:3711:127.0.0.2", vec![]),
            (
                "--resolve THREE:3711:127.0.0.2 --resolve three:3711:::1",
                vec![of("127.0.0.2", 5, false), of("::1", 4, false)],
            ),
        ] {
            let ran = load(&net, &format!("{how} {which} three:3711"));
            assert_eq!(by_address(&ran.reached()), expected, "{ran}");
        }
        assert_eq!(stop_serving(serving).connections.accepted, Some(6 + 4 * 9));
    }
    let ran = load(&net, "-4 --resolve three:9:::1 three:9");
    assert!(
        ran.code == 2 && ran.stderr.contains("no IPv4 address"),
        "{ran}"
    );
    let ran = load(&net, "--resolve other:9:::1 three:9");
    assert!(
        ran.code == 2 && ran.stderr.contains("no target is other:9"),
        "{ran}"
    );
}

#[test]
fn a_family_on_which_nothing_listens_is_left_out_unless_all_are_asked_for() {
    let net = with_zone();
    for (listens, left_out, rest) in [
        ("127.0.0.2:3711 127.0.0.3:3711", "[::1]:3711", 2),
        ("[::1]:3711", "127.0.0.2:3711, 127.0.0.3:3711", 0),
    ] {
        let serving = serve(&net, listens);
        let ran = load(&net, "-c 6 --hold 100ms three:3711");
        let s = ran.reached();
        assert_eq!(s.connections.by_address.len(), rest, "{ran}");
        let told = format!("three:3711 also stands for {left_out}, where nothing answers");
        assert!(ran.stderr.contains(&told), "{ran}");
        let ran = load(&net, "-c 6 --hold 100ms -T 1s --resolve all three:3711");
        assert_eq!(ran.fell_short().connections.by_address.len(), 3, "{ran}");
        drop(serving);
    }
    // The server of each address is asked for by the name.
    let serving = serve(&net, "--mode ws 127.0.0.2:3712 127.0.0.3:3712 [::1]:3712");
    load(
        &net,
        "-c 6 --hold 100ms ws://three:3712/ ws://127.0.0.2:3712/x",
    )
    .reached();
    assert_eq!(stop_serving(serving).connections.accepted, Some(6));
}
