//! `throng proxy` between a load and servers, each in a process of its own.

use crate::common::net::Net;
use crate::common::process::Process;
use crate::common::{PATIENCE, load, run, serve, start, start_load, stop_serving};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use throng_core::protocol::proxy::EndedBy;
use throng_core::protocol::proxy_protocol::{Malformed, Tlv};
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
        proxied
            .wait_for_stderr("backend 127.0.0.1:9003 can't be reached (refused): left out for 5");
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
fn a_client_keeps_its_backend_by_its_address() {
    let net = Net::own();
    let ports = [9001, 9002, 9003];
    let servers = ports.map(|port| serve(&net, &format!("127.0.0.1:{port} --proxy-protocol")));
    let to = ports.map(|port| format!("--to 127.0.0.1:{port}")).join(" ");
    let proxied = proxy(
        &net,
        &format!("127.0.0.1:9000 {to} --balance source-hash --send-proxy v1 -w 2"),
    );
    load(
        &net,
        "127.0.0.1:9000 -c 400 --source-ip 127.0.7.1-127.0.7.40 --hold 300ms",
    )
    .reached();
    let mut addresses = Vec::new();
    for server in servers {
        let headers = stop_serving(server).proxy_protocol;
        let clients = headers.and_then(|headers| headers.clients);
        let clients = clients.expect("a server looks at them");
        // Ten connections of each address.
        assert_eq!(clients.named, 10 * clients.addresses, "{clients:?}");
        addresses.push(clients.addresses);
    }
    assert_eq!(addresses.iter().sum::<u64>(), 40, "{addresses:?}");
    // One of 40 goes to a backend with a chance of a third: none of them, once in ten million runs.
    assert!(addresses.iter().all(|n| *n > 0), "{addresses:?}");
    stop(proxied);
}

/// Sends each of `headers` (hexadecimal) on a connection of its own to `port`, a byte at a time if so asked, with `hello` behind it. Prints
/// what comes back until that is over.
const HEADERS: &str = "
import socket, sys
port, by_bytes, late = int(sys.argv[1]), sys.argv[2] == 'bytes', sys.argv[2] == 'late'
for header in sys.argv[3:]:
    s = socket.create_connection(('127.0.0.1', port), 10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = bytes.fromhex(header) + (b'' if late else b'hello')
    try:
        if by_bytes:
            for byte in data: s.sendall(bytes([byte]))
        else: s.sendall(data)
        if not late: s.shutdown(socket.SHUT_WR)
        got = b''
        while more := s.recv(100): got += more
        print(got.decode())
    except TimeoutError: print('no end')
    except OSError: print('')
";

/// What comes back on connections to `port` that begin with each of `headers`, `how` they are sent.
fn answers(net: &Net, port: u16, how: &str, headers: &[Vec<u8>]) -> Vec<String> {
    let hex = |header: &Vec<u8>| header.iter().map(|b| format!("{b:02x}")).collect();
    let mut args = vec![port.to_string(), how.to_owned()];
    args.extend(headers.iter().map(hex).collect::<Vec<String>>());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let out = net.python(HEADERS, &args);
    out.lines().map(str::to_owned).collect()
}

/// A header of version 2 with this command, family and rest.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = (rest.len() as u16).to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &len, rest].concat()
}

#[test]
fn headers_may_be_cut_anywhere_and_wrong_ones_are_refused_and_counted_by_kind() {
    const ENDS: [u8; 12] = [10, 0, 0, 1, 10, 0, 0, 9, 4, 0, 0, 80];
    let right = [
        b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 80\r\n".to_vec(),
        b"PROXY TCP6 fd00::1 fd00::9 1024 80\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        binary(
            0x21,
            0x11,
            &[&ENDS[..], &[2, 0, 3, b'a', b'.', b'b']].concat(),
        ),
        binary(0x20, 0, &[]),
    ];
    let wrong = [
        (Malformed::NoHeader, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        (
            Malformed::TooLong,
            [&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat(),
        ),
        (
            Malformed::BadLine,
            b"PROXY TCP4 10.0.0.1 10.0.0.9 1024\r\n".to_vec(),
        ),
        (Malformed::BadCommand, binary(0x22, 0x11, &ENDS)),
        (Malformed::BadFamily, binary(0x21, 0x41, &ENDS)),
        (Malformed::TooShort, binary(0x21, 0x21, &ENDS)),
        (
            Malformed::BadTlv,
            binary(0x21, 0x11, &[&ENDS[..], &[1, 0, 9]].concat()),
        ),
        (
            Malformed::BadChecksum,
            binary(0x21, 0x11, &[&ENDS[..], &[3, 0, 4, 1, 2, 3, 4]].concat()),
        ),
    ];
    let malformed: Vec<Vec<u8>> = wrong.iter().map(|(_, header)| header.clone()).collect();
    for engine in ENGINES {
        let net = Net::own();
        let echo = serve(&net, "127.0.0.1:9001 --mode echo");
        let proxied = proxy(
            &net,
            &format!("127.0.0.1:9000 --accept-proxy --to 127.0.0.1:9001 --engine {engine}"),
        );
        let server = serve(
            &net,
            &format!("127.0.0.1:9002 --mode echo --proxy-protocol --engine {engine}"),
        );
        for port in [9000, 9002] {
            for how in ["whole", "bytes"] {
                let hellos = vec!["hello"; right.len()];
                assert_eq!(answers(&net, port, how, &right), hellos, "{port}, {how}");
                let nothing = vec![""; wrong.len()];
                assert_eq!(answers(&net, port, how, &malformed), nothing, "{how}");
            }
        }
        // These wait until they are closed.
        let late = [b"PROXY TCP4 10.0.0.1".to_vec()];
        std::thread::scope(|scope| {
            let waits = |port| answers(&net, port, "late", &late);
            let both = [9000, 9002].map(|port| scope.spawn(move || waits(port)));
            for waited in both {
                assert_eq!(waited.join().expect("it ends"), [""]);
            }
        });
        let served = stop_serving(server);
        let s = stop(proxied);
        assert_eq!(s.proxy.map(|p| (p.pairs, p.turned_away)), Some((10, 0)));
        stop_serving(echo);
        for headers in [s.proxy_protocol, served.proxy_protocol] {
            let headers = headers.expect("it accepts headers");
            assert_eq!((headers.taken, headers.unnamed), (10, 4), "{headers:?}");
            assert_eq!((headers.version_2, headers.late), (4, 1), "{headers:?}");
            assert_eq!(headers.tlvs, [(Tlv::Authority, 2)].into());
            let each = wrong.iter().map(|(why, _)| (*why, 2));
            assert_eq!(headers.refused, each.collect(), "{headers:?}");
        }
    }
}

/// Clients of many addresses (10.80.0.0/16), a proxy's machine in their path (10.79.1.1, 10.79.2.1), and a backend (10.79.2.2).
fn path() -> (Net, Net, Net) {
    let (near, middle, far) = (Net::own(), Net::own(), Net::own());
    for (net, n) in [(&near, 1), (&far, 2)] {
        middle.shell(&format!(
            "ip link add to{n} type veth peer name eth netns {} && ip addr add 10.79.{n}.1/24 dev to{n} && ip link set to{n} up",
            net.pid()
        ));
        net.shell(&format!(
            "ip addr add 10.79.{n}.2/24 dev eth && ip link set eth up && ip route add default via 10.79.{n}.1"
        ));
    }
    near.shell("ip route add local 10.80.0.0/16 dev lo");
    middle.shell("ip route add 10.80.0.0/16 via 10.79.1.2");
    (near, middle, far)
}

/// The addresses of the clients that a backend on port 9001 sees, without duplicates.
fn seen(far: &Net) -> BTreeSet<String> {
    let all = far.shell("ss -Htn state established 'sport = :9001'");
    all.lines()
        .filter_map(|line| line.split_whitespace().nth(3)?.rsplit_once(':'))
        .map(|(address, _)| address.to_owned())
        .collect()
}

#[test]
fn clients_that_address_a_backend_go_through_the_proxy_and_neither_end_notices() {
    let (near, middle, far) = path();
    let state = || middle.shell("ip rule; ip -4 route show table all; nft list ruleset");
    let before = state();
    let args = "127.0.0.1:9000 --to original";
    let printed = |what: &str| {
        let ran = run(&middle, &format!("proxy {args} {what}"));
        assert_eq!(ran.code, 0, "{ran}");
        ran.stdout
    };
    for (engine, transparent, clients, last) in [
        ("uring", "--transparent", 10_000, "10.80.39.16"),
        ("epoll", "", 500, "10.80.1.244"),
    ] {
        middle.shell(&printed(&format!("{transparent} --print-rules")));
        let server = serve(&far, "10.79.2.2:9001 --mode echo");
        let proxied = proxy(&middle, &format!("{args} {transparent} --engine {engine}"));
        let held = start_load(
            &near,
            &format!(
                "10.79.2.2:9001 -c {clients} --source-ip 10.80.0.1-{last} -m hello -r 0.2 --latency-echo --hold 6s"
            ),
        );
        held.wait_for_stderr(", holding");
        // The connections of clients are there before those to the backend.
        let own = match transparent {
            "" => 1,
            _ => clients,
        };
        let began = Instant::now();
        let seen = loop {
            let seen = seen(&far);
            if seen.len() == own || began.elapsed() > PATIENCE {
                break seen;
            }
        };
        let start = if transparent.is_empty() {
            "10.79.2.1"
        } else {
            "10.80."
        };
        assert_eq!(seen.len(), own);
        assert!(seen.iter().all(|address| address.starts_with(start)));
        let client = held.wait(PATIENCE);
        let client = client.reached();
        // That nobody listens there is told as without a proxy: the client's connection ends.
        load(&near, "10.79.2.2:9002 -c 3 --no-reconnect --hold 300ms").fell_short();
        // Nor does the proxy connect to itself.
        load(&middle, "127.0.0.1:9000 -c 2 --no-reconnect --hold 300ms").fell_short();
        let served = stop_serving(server);
        let s = stop(proxied);
        let proxy = s.proxy.as_ref().expect("a proxy has pairs");
        let closed = (proxy.pairs, proxy.turned_away, proxy.to_itself);
        assert_eq!(closed, (clients as u64, 3, 2), "{:?}", s.findings);
        assert_eq!(proxy.bytes_from_clients, client.traffic.bytes_sent);
        assert_eq!(served.traffic.bytes_received, client.traffic.bytes_sent);
        assert_eq!(proxy.backends.len(), 1);
        assert_eq!(proxy.backends[0].of.target, "original");
        let to_itself = Finding::ClientsToItself { clients: 2 };
        assert!(s.findings.contains(&to_itself), "{:?}", s.findings);
        middle.shell(&printed(&format!("{transparent} --print-rules=undo")));
        assert_eq!(state(), before);
    }
}

#[test]
fn a_transparent_proxy_shows_each_client_to_the_backend_by_its_own_address() {
    let (near, middle, far) = path();
    let state = || middle.shell("ip rule; ip -4 route show table all; nft list ruleset");
    let before = state();
    let args = "10.79.1.1:9000 --to 10.79.2.2:9001 --transparent";
    let printed = |what: &str| {
        let ran = run(&middle, &format!("proxy {args} --print-rules{what}"));
        assert_eq!(ran.code, 0, "{ran}");
        ran.stdout
    };
    middle.shell(&printed(""));
    for engine in ENGINES {
        let server = serve(&far, "10.79.2.2:9001 --mode echo");
        let proxied = proxy(&middle, &format!("{args} --engine {engine}"));
        let held = start_load(
            &near,
            "10.79.1.1:9000 -c 1000 --source-ip 10.80.0.1-10.80.3.232 -m hello -r 1 --latency-echo --hold 4s",
        );
        held.wait_for_stderr("1,000 of 1,000, holding");
        let seen = seen(&far);
        assert_eq!(seen.len(), 1000);
        assert!(seen.iter().all(|address| address.starts_with("10.80.")));
        held.wait(PATIENCE).reached();
        stop_serving(server);
        let proxy = stop(proxied).proxy.expect("a proxy has pairs");
        assert_eq!((proxy.pairs, proxy.turned_away), (1000, 0));
    }
    middle.shell(&printed("=undo"));
    assert_eq!(state(), before);
}

#[test]
fn a_proxy_runs_from_the_file_that_it_prints() {
    let (net, directory) = (Net::own(), tempfile::tempdir().expect("a directory"));
    let args = "127.0.0.1:9000 --to localhost:9001 --to 127.0.0.1:9002 --balance least-connections --send-proxy v2 --left-out 7s";
    let printed = run(&net, &format!("proxy {args} --print-scenario"));
    assert_eq!(printed.code, 0, "{printed}");
    let file = directory.path().join("proxy.toml");
    std::fs::write(&file, &printed.stdout).expect("a file of the test");
    let file = file.to_str().expect("a plain path");
    let again = run(&net, &format!("run {file} --print-scenario"));
    assert_eq!(again.stdout, printed.stdout);
    let server = serve(&net, "127.0.0.1:9002 --proxy-protocol");
    let to = "--set proxy.to=[\"127.0.0.1:9002\"]";
    let proxied = start(&net, &format!("run {file} --output json {to}"));
    proxied.wait_for_stderr("on engine");
    load(&net, "127.0.0.1:9000 -c 20 --hold 300ms").reached();
    let served = stop_serving(server).proxy_protocol;
    assert_eq!(served.map(|headers| headers.version_2), Some(20));
    assert_eq!(stop(proxied).proxy.map(|proxy| proxy.pairs), Some(20));
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
        ("9000 --to 127.0.0.1:80 --print-rules", "--transparent"),
        (
            "9000 --to 127.0.0.1:80 --transparent --source-ip 127.0.0.1",
            "--source-ip",
        ),
        ("9000 --to original", "an address and a port"),
        ("127.0.0.1:0 --to original", "an address and a port"),
        (
            "127.0.0.1:9000 --to original --to 127.0.0.1:80",
            "leave out the other --to",
        ),
        (
            "127.0.0.1:9000 --to original --accept-proxy",
            "--accept-proxy",
        ),
        (
            "127.0.0.1:9000 --to original --balance source-hash",
            "--balance",
        ),
        (
            "127.0.0.1:9000 --to original --backend-tls",
            "--backend-sni",
        ),
    ] {
        let ran = run(&net, &format!("proxy {args}"));
        assert!(ran.code == 2 && ran.stderr.contains(why), "{args}: {ran}");
        assert!(ran.stdout.is_empty(), "{ran}");
    }
}
