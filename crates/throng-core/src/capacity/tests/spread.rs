//! Connections that several clients or proxies share.

use super::*;

#[test]
fn a_million_at_25k_each_are_40_clients() {
    // Connections, each, hosts, what the last one has.
    for (n, each, hosts, last) in [
        (1_000_000, 25_000, 40, 25_000),
        (1_000_001, 25_000, 41, 1),
        (999_999, 25_000, 40, 24_999),
        (10, 25_000, 1, 10),
        (25_000, 25_000, 1, 25_000),
        (3, 1, 3, 1),
    ] {
        let question = Question {
            connections: Some(n),
            per_client: Some(each),
            ..client(&["10.0.0.7:80"])
        };
        let all = capacity(&question, &host());
        let c = all.clients.unwrap();
        assert_eq!((c.hosts, c.last), (hosts, last), "{n} / {each}");
        assert_eq!(
            c.command,
            format!("throng load -c {} 10.0.0.7:80", n.min(each))
        );
        assert!(c.default_ports_do);
        // This machine is one of them.
        assert_eq!(all.fits, Some(true));
    }
    let question = Question {
        connections: Some(1_000_000),
        per_client: Some(50_000),
        ..client(&["10.0.0.7:80"])
    };
    let all = capacity(&question, &host());
    let c = all.clients.unwrap();
    assert_eq!(
        (c.hosts, c.default_ports_do, all.fits),
        (20, false, Some(false))
    );
    assert!(c.docker.contains("seq 20") && c.docker.contains("ip_local_port_range"));
    assert!(
        capacity(&Question::of(Role::Both), &host())
            .clients
            .is_none()
    );
}

#[test]
fn behind_proxies_their_ports_run_out() {
    // Proxies, backends, addresses on each proxy, connections; what fits, and what would be needed.
    for (proxies, backends, addresses, n, allowed, needs) in [
        (1, 1, 1, 100_000, 28_232, (4, 4, 4)),
        (2, 3, 1, 1_000_000, 2 * 3 * 28_232, (12, 18, 6)),
        (4, 1, 10, 1_000_000, 4 * 10 * 28_232, (4, 1, 9)),
    ] {
        let targets: Vec<String> = (0..backends)
            .map(|i| format!("10.0.0.7:{}", 80 + i))
            .collect();
        let question = Question {
            proxies: Some(proxies),
            connections: Some(n),
            sources: (1..=addresses)
                .map(|i| IpAddr::from([10, 0, 1, i]))
                .collect(),
            ..client(&targets.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let c = capacity(&question, &host());
        let p = c.proxies.clone().unwrap();
        assert_eq!(p.allows, allowed);
        // This machine is one of them, and has no other four-tuples to count.
        let each = allowed / u64::from(proxies);
        assert_eq!(c.limit(LimitKind::ProxyPorts).unwrap().allows, Some(each));
        assert_eq!(c.question.asked_here(), Some(n / u64::from(proxies)));
        assert!(c.limit(LimitKind::FourTuples).is_none());
        assert_eq!(c.limit(LimitKind::OpenFiles).unwrap().allows, Some(10_000));
        assert_eq!(
            (p.proxies_needed, p.backends_needed, p.addresses_needed),
            (Some(needs.0), Some(needs.1), Some(needs.2)),
            "{proxies} proxies"
        );
        assert_eq!(p.files_per_proxy, n.div_ceil(proxies.into()) * 2);
    }
}
