//! Where connections come from, and to which targets they go, as the peers see it.

use crate::common::load;
use crate::common::net::Net;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// Servers on ports of their own that keep what they accept and note who it came from.
struct Witnesses {
    addresses: Vec<SocketAddr>,
    /// How many connections each came from and went to.
    seen: Arc<Mutex<BTreeMap<(IpAddr, usize), u32>>>,
}

impl Witnesses {
    fn listen(n: usize, at: &str) -> Witnesses {
        let seen = Arc::default();
        let addresses = (0..n)
            .map(|i| {
                let listener = TcpListener::bind(at).unwrap();
                let address = listener.local_addr().unwrap();
                let seen: Arc<Mutex<BTreeMap<_, _>>> = Arc::clone(&seen);
                std::thread::spawn(move || {
                    let mut kept = Vec::new();
                    while let Ok((socket, from)) = listener.accept() {
                        *seen.lock().unwrap().entry((from.ip(), i)).or_insert(0) += 1;
                        kept.push(socket);
                    }
                });
                address
            })
            .collect();
        Witnesses { addresses, seen }
    }

    fn targets(&self) -> String {
        let all: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        all.join(" ")
    }

    fn seen(&self) -> Vec<((String, usize), u32)> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|((ip, target), n)| ((ip.to_string(), *target), *n))
            .collect()
    }
}

#[test]
fn source_addresses_are_used_in_turn() {
    // The options, and the addresses they stand for.
    let cases: [(&str, &[&str]); 4] = [
        ("--source-ip 127.9.0.1", &["127.9.0.1"]),
        (
            "--source-ip 127.9.0.1-127.9.0.4",
            &["127.9.0.1", "127.9.0.2", "127.9.0.3", "127.9.0.4"],
        ),
        (
            "--source-ip 127.9.0.1 --source-ip 127.9.1.1-127.9.1.2",
            &["127.9.0.1", "127.9.1.1", "127.9.1.2"],
        ),
        ("--source-ip 127.9.0.0/30", &["127.9.0.1", "127.9.0.2"]),
    ];
    for engine in ["uring", "epoll"] {
        for (options, addresses) in cases {
            let witnesses = Witnesses::listen(1, "127.0.0.1:0");
            let n = 10 * addresses.len();
            let ran = load(
                &Net::host(),
                &format!(
                    "{} -c {n} {options} --hold 200ms --engine {engine}",
                    witnesses.targets()
                ),
            );
            ran.reached();
            let expected: Vec<_> = addresses
                .iter()
                .map(|ip| (((*ip).to_owned(), 0), 10))
                .collect();
            assert_eq!(witnesses.seen(), expected, "{engine}: {ran}");
        }
    }
}

#[test]
fn targets_are_taken_in_turn() {
    for engine in ["uring", "epoll"] {
        let witnesses = Witnesses::listen(3, "[::1]:0");
        let ran = load(
            &Net::host(),
            &format!(
                "{} -c 31 --hold 200ms --engine {engine}",
                witnesses.targets()
            ),
        );
        ran.reached();
        let expected = [("::1", 0, 11), ("::1", 1, 10), ("::1", 2, 10)];
        let expected = expected.map(|(ip, target, n)| ((ip.to_owned(), target), n));
        assert_eq!(witnesses.seen(), expected, "{engine}: {ran}");
    }
}

#[test]
fn on_loopback_enough_sources_are_picked_for_few_ports() {
    let net = Net::own();
    // 100 ports: one source would do for 40 connections, and could not make more than 100.
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40099'");
    for engine in ["uring", "epoll"] {
        let server = crate::common::serve(&net, &format!("127.0.0.1:9000 --engine {engine}"));
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 1000 --hold 200ms --engine {engine}"),
        );
        let s = ran.reached();
        assert_eq!(
            (s.connections.established, s.connections.attempted),
            (1000, 1000),
            "{ran}"
        );
        assert_eq!(crate::common::stop_serving(server).connections.peak, 1000);
    }
}

/// Connections choose from parts of the range in turn. Of 600 ports one part is full before the last connection; that one chooses from all.
#[test]
fn every_local_port_of_an_address_is_used() {
    let net = Net::own();
    net.shell("sysctl -qw net.ipv4.ip_local_port_range='40000 40599' net.ipv4.ip_local_reserved_ports=40007-40056");
    for (engine, source) in [("uring", "127.9.0.1"), ("epoll", "127.9.0.2")] {
        let server = crate::common::serve(&net, &format!("127.0.0.1:9000 --engine {engine}"));
        // Ports of an address that were in use a moment ago are not free.
        let line = format!("127.0.0.1:9000 -c 550 --source-ip {source} --hold 200ms");
        let s = load(&net, &format!("{line} --engine {engine}")).reached();
        let counts = (s.connections.established, s.connections.attempted);
        assert_eq!(counts, (550, 550), "{engine}");
        assert_eq!(crate::common::stop_serving(server).connections.peak, 550);
    }
}
