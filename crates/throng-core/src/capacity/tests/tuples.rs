//! Ports, addresses, targets.

use super::*;

/// Targets, sources, what is different on the machine, what is allowed.
type Tuples = (
    &'static [&'static str],
    &'static [&'static str],
    fn(&mut Host),
    Option<u64>,
);

#[test]
fn four_tuples_are_ports_times_sources_times_targets() {
    fn uses(host: &mut Host, target: &str, in_use: u64, time_wait: u64) {
        host.targets.push(TargetUse {
            target: target.parse().unwrap(),
            in_use,
            time_wait,
            local: false,
        });
    }
    const OUT: &str = "10.0.0.7:80";
    let cases: &[Tuples] = &[
        (&[], &[], |_| {}, Some(28_232)),
        (&[OUT], &[], |_| {}, Some(28_232)),
        (&[OUT, "10.0.0.7:81"], &[], |_| {}, Some(2 * 28_232)),
        (&[OUT], &["10.0.0.5", "10.0.0.6"], |_| {}, Some(2 * 28_232)),
        (&["[2001:db8::7]:80"], &[], |_| {}, Some(28_232)),
        (
            &["[2001:db8::7]:80"],
            &["2001:db8::1", "2001:db8::2", "2001:db8::3"],
            |_| {},
            Some(3 * 28_232),
        ),
        // Each target has the sources of its own family, and the one with fewer binds.
        (
            &[OUT, "[2001:db8::7]:80"],
            &["10.0.0.5", "2001:db8::1", "2001:db8::2"],
            |_| {},
            Some(2 * 28_232),
        ),
        (&["[::1]:80"], &[], |_| {}, Some(28_232)),
        // All of 127/8.
        (&["127.0.0.1:80"], &[], |_| {}, None),
        (&["127.0.0.1:80"], &["127.0.0.1"], |_| {}, Some(28_232)),
        (
            &[OUT],
            &[],
            |h| h.ports.range = Some((40_000, 40_999)),
            Some(1000),
        ),
        (&[OUT], &[], |h| h.ports.range = None, Some(28_232)),
        (&[OUT], &[], |h| h.ports.range = Some((5, 4)), Some(0)),
        (
            &[OUT],
            &[],
            |h| h.ports.range = Some((1, 65_535)),
            Some(65_535),
        ),
        (
            &[OUT],
            &[],
            |h| h.ports.reserved = vec![(1, 100), (32_768, 32_777), (60_990, 65_535)],
            Some(28_232 - 20),
        ),
        (&[OUT], &[], |h| h.ports.bound = 32, Some(28_200)),
        (&[OUT], &[], |h| uses(h, OUT, 232, 0), Some(28_000)),
        (
            &[OUT],
            &[],
            |h| uses(h, "10.0.0.7:81", 232, 0),
            Some(28_232),
        ),
        (&[OUT], &[], |h| uses(h, OUT, 99_999, 0), Some(0)),
        // TIME_WAIT: 2 means on loopback only.
        (&[OUT], &[], |h| uses(h, OUT, 0, 232), Some(28_000)),
        (
            &["[::1]:80"],
            &[],
            |h| uses(h, "[::1]:80", 0, 232),
            Some(28_232),
        ),
        (
            &[OUT],
            &[],
            |h| {
                h.ports.tw_reuse = Some(1);
                uses(h, OUT, 32, 200);
            },
            Some(28_200),
        ),
        (
            &["[::1]:80"],
            &[],
            |h| {
                h.ports.tw_reuse = Some(0);
                uses(h, "[::1]:80", 0, 232);
            },
            Some(28_000),
        ),
        // Named twice, or written in another way, it is one target.
        (&[OUT, OUT], &[], |_| {}, Some(28_232)),
        (&[OUT, "[::ffff:10.0.0.7]:80"], &[], |_| {}, Some(28_232)),
        (
            &["[::1]:80", "[::]:80", "10.0.0.7:81"],
            &[],
            |_| {},
            Some(28_232 / 2 * 3),
        ),
        (&[OUT], &["10.0.0.5", "10.0.0.5"], |_| {}, Some(28_232)),
        // A port in TIME_WAIT is used again only where timestamps tell the connections apart.
        (
            &[OUT],
            &[],
            |h| {
                h.ports.tw_reuse = Some(1);
                h.ports.timestamps = Some(0);
                uses(h, OUT, 0, 232);
            },
            Some(28_000),
        ),
        (
            &["[::1]:80"],
            &[],
            |h| {
                h.ports.timestamps = Some(0);
                uses(h, "[::1]:80", 0, 232);
            },
            Some(28_000),
        ),
        // Two in turn: the first is full at its 1,001st connection, which is the run's 2,001st.
        (
            &[OUT, "10.0.0.7:81"],
            &[],
            |h| uses(h, OUT, 27_232, 0),
            Some(2000),
        ),
        (
            &[OUT, "10.0.0.7:81"],
            &[],
            |h| uses(h, "10.0.0.7:81", 27_232, 0),
            Some(2001),
        ),
    ];
    for (targets, sources, change, expected) in cases {
        let mut host = host();
        change(&mut host);
        let mut question = client(targets);
        question.sources = sources.iter().map(|s| s.parse().unwrap()).collect();
        let row = row(&question, &host, LimitKind::FourTuples);
        assert_eq!(row.allows, *expected, "{targets:?} {sources:?}: {row:?}");
    }
    // The server's end needs no ports, and neither do both ends on loopback.
    for role in [Role::Server, Role::Both] {
        assert_eq!(
            allows(&Question::of(role), &host(), LimitKind::FourTuples),
            None
        );
    }
}

#[test]
fn what_lifts_four_tuples_is_a_command_with_what_it_gives() {
    let mut question = client(&["10.0.0.7:80"]);
    question.connections = Some(1_000_000);
    let mut host = host();
    host.addresses.push("10.0.0.6".parse().unwrap());
    host.listeners.push(listener("[::]:8080", Vec::new()));
    host.ports.reserved = vec![(9000, 9001)];
    let limit = row(&question, &host, LimitKind::FourTuples);
    let command = |part: &str| {
        let found = limit
            .lifts
            .iter()
            .find(|l| l.command.as_deref().is_some_and(|c| c.contains(part)));
        found.unwrap_or_else(|| panic!("no {part}: {limit:#?}"))
    };
    assert_eq!(
        command("--source-ip 10").command.as_deref(),
        Some("--source-ip 10.0.0.5 --source-ip 10.0.0.6")
    );
    assert_eq!(command("--source-ip 10").allows, Some(2 * 28_232));
    let wide = command("ip_local_port_range");
    assert_eq!(
        wide.command.as_deref(),
        Some(
            "sudo sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\" net.ipv4.ip_local_reserved_ports=8080,9000-9001"
        )
    );
    assert_eq!(wide.allows, Some(64_512 - 3));
    // 36 × 28,232 are a million.
    assert!(command("ip address add").what.contains("36 addresses"));
    assert!(
        limit
            .lifts
            .iter()
            .any(|l| l.what.contains("36 in all are enough"))
    );
}

#[test]
fn source_addresses_that_are_not_this_machine_s_are_refused_by_name() {
    let mut host = host();
    host.foreign_sources = vec!["fd00::3".parse().unwrap(), "fd00::4".parse().unwrap()];
    let mut question = Question::of(Role::Client);
    question.targets = vec!["[fd00::9]:80".parse().unwrap()];
    question.connections = Some(4);
    question.sources = ["fd00::1", "fd00::2"]
        .map(|ip| ip.parse().unwrap())
        .to_vec();
    assert_eq!(capacity(&question, &host).fits, Some(true));
    question.sources.extend(&host.foreign_sources);
    let found = capacity(&question, &host);
    let limit = found.limit(LimitKind::SourceAddress).unwrap();
    assert_eq!((found.fits, limit.sure), (Some(false), true));
    assert_eq!(
        limit.value,
        "fd00::3, fd00::4 are not addresses of this machine"
    );
    let own = found.limit(LimitKind::FourTuples).unwrap();
    assert!(own.value.contains("2 source addresses"), "{}", own.value);
}
