//! The arithmetic, on machines made up.

use super::*;
use crate::host::{CgroupMemory, Conntrack, Listener, Process, SocketObjects, Towards, Uring};
use proptest::prelude::*;

/// Two cores, 24 GiB, Linux's defaults, a hard file limit of 20,000.
pub(crate) fn host() -> Host {
    let mut host = Host {
        name: Some("box".into()),
        kernel: "6.18.0".into(),
        cores: 2,
        ipv6: true,
        addresses: vec!["10.0.0.5".parse().unwrap()],
        uring: Uring {
            unusable: None,
            binds: true,
        },
        ..Host::default()
    };
    host.ports.range = Some((32_768, 60_999));
    host.ports.tw_reuse = Some(2);
    host.files.soft = 1024;
    host.files.hard = 20_000;
    host.files.open = 8;
    host.files.nr_open = Some(1 << 20);
    host.files.file_max = Some(10_000_000);
    host.files.file_nr = Some(500);
    host.memory.total = 24 << 30;
    host.memory.available = 23 << 30;
    host.memory.page = 4096;
    host.memory.objects = Some(SocketObjects {
        tcp: 2520,
        tcp6: Some(2648),
        inode: 862,
        dentry: 195,
        file: 195,
        bind: Some(256),
        uring_op: Some(256),
        epoll_item: Some(200),
        conntrack: Some(256),
        time_wait: Some(256),
        request: Some(320),
    });
    host.accept.somaxconn = Some(4096);
    host.accept.syn_backlog = Some(4096);
    host.accept.syncookies = Some(1);
    host.accept.netdev_backlog = Some(1000);
    host.tcp.mem_pages = Some([287_901, 383_868, 575_802]);
    host.tcp.mem_used_pages = Some(0);
    host.tcp.rmem = Some([4096, 131_072, 33_554_432]);
    host.tcp.wmem = Some([4096, 16_384, 4_194_304]);
    host.tcp.max_orphans = Some(131_072);
    host.tcp.max_time_wait = Some(131_072);
    host.tcp.established_buckets = Some(262_144);
    host
}

fn client(targets: &[&str]) -> Question {
    Question {
        targets: targets.iter().map(|t| t.parse().unwrap()).collect(),
        ..Question::of(Role::Client)
    }
}

fn row(question: &Question, host: &Host, kind: LimitKind) -> Limit {
    let all = capacity(question, host);
    all.limit(kind)
        .unwrap_or_else(|| panic!("{kind:?} is missing: {all:#?}"))
        .clone()
}

fn allows(question: &Question, host: &Host, kind: LimitKind) -> Option<u64> {
    row(question, host, kind).allows
}

/// Targets, sources, what is different on the machine, what is allowed.
type Tuples = (
    &'static [&'static str],
    &'static [&'static str],
    fn(&mut Host),
    Option<u64>,
);

#[test]
fn four_tuples_are_ports_times_sources_times_targets() {
    fn towards(host: &mut Host, target: &str, in_use: u64, time_wait: u64) {
        host.towards.push(Towards {
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
        (&[OUT], &[], |h| towards(h, OUT, 232, 0), Some(28_000)),
        (
            &[OUT],
            &[],
            |h| towards(h, "10.0.0.7:81", 232, 0),
            Some(28_232),
        ),
        (&[OUT], &[], |h| towards(h, OUT, 99_999, 0), Some(0)),
        // TIME_WAIT: 2 means on loopback only.
        (&[OUT], &[], |h| towards(h, OUT, 0, 232), Some(28_000)),
        (
            &["[::1]:80"],
            &[],
            |h| towards(h, "[::1]:80", 0, 232),
            Some(28_232),
        ),
        (
            &[OUT],
            &[],
            |h| {
                h.ports.tw_reuse = Some(1);
                towards(h, OUT, 32, 200);
            },
            Some(28_200),
        ),
        (
            &["[::1]:80"],
            &[],
            |h| {
                h.ports.tw_reuse = Some(0);
                towards(h, "[::1]:80", 0, 232);
            },
            Some(28_000),
        ),
        // Two in turn: the first is full at its 1,001st connection, which is the run's 2,001st.
        (
            &[OUT, "10.0.0.7:81"],
            &[],
            |h| towards(h, OUT, 27_232, 0),
            Some(2000),
        ),
        (
            &[OUT, "10.0.0.7:81"],
            &[],
            |h| towards(h, "10.0.0.7:81", 27_232, 0),
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
    assert!(limit.lifts.iter().any(|l| l.what.contains("36 in all do")));
}

#[test]
fn the_file_limit_binds_each_engine_in_its_own_way() {
    let mut question = client(&["10.0.0.7:80"]);
    question.engine = EngineChoice::Epoll;
    let mut host = host();
    host.files.hard = 1024;
    // Eight are open; two workers have two each; one is read under /proc.
    assert_eq!(
        allows(&question, &host, LimitKind::OpenFiles),
        Some(1024 - 8 - 4 - 1)
    );
    question.workers = Some(4);
    assert_eq!(
        allows(&question, &host, LimitKind::OpenFiles),
        Some(1024 - 8 - 8 - 1)
    );
    question.workers = None;
    // A listener of this machine is asked about its queue, by each worker.
    question.targets = vec!["127.0.0.1:80".parse().unwrap()];
    assert_eq!(
        allows(&question, &host, LimitKind::OpenFiles),
        Some(1024 - 8 - 4 - 2 - 1)
    );
    question.engine = EngineChoice::Uring;
    let rings = (1024 - 8 - 2 - 2 - 1) / 2; // two workers
    assert_eq!(
        allows(&question, &host, LimitKind::OpenFiles),
        Some(rings * 1024 * 2)
    );
    for hard in [0, 1, 8, 14] {
        host.files.hard = hard;
        assert_eq!(
            allows(&question, &host, LimitKind::OpenFiles),
            Some(0),
            "{hard}"
        );
    }
    host.files.hard = u64::MAX;
    assert!(allows(&question, &host, LimitKind::OpenFiles) > Some(1 << 40));
}

#[test]
fn the_system_s_files_count_both_ends_and_only_warn() {
    let mut host = host();
    host.files.file_max = Some(100_500);
    let both = row(&Question::of(Role::Both), &host, LimitKind::SystemFiles);
    assert_eq!((both.allows, both.sure), (Some(50_000), false));
    // A target on this machine has its end here too.
    for (target, expected) in [
        ("10.0.0.7:80", 100_000),
        ("10.0.0.5:80", 50_000),
        ("127.9.9.9:80", 50_000),
    ] {
        assert_eq!(
            allows(&client(&[target]), &host, LimitKind::SystemFiles),
            Some(expected),
            "{target}"
        );
    }
    host.files.file_max = Some(i64::MAX as u64);
    assert_eq!(
        allows(&Question::of(Role::Both), &host, LimitKind::SystemFiles),
        None
    );
    host.files.file_nr = None;
    host.unread.push(crate::host::Unread {
        what: "/proc/sys/fs/file-nr".into(),
        why: "permission denied".into(),
    });
    let unread = row(&Question::of(Role::Both), &host, LimitKind::SystemFiles);
    assert_eq!(unread.allows, None);
    assert_eq!(
        unread.unread.as_deref(),
        Some("/proc/sys/fs/file-nr: permission denied")
    );
}

#[test]
fn memory_is_counted_in_this_kernel_s_objects() {
    let mut host = host();
    let c = capacity(&Question::of(Role::Both), &host);
    // Socket, inode, dentry, file, receive, and what is in no slab of its own. One client end towards
    // one target has bind buckets of its own.
    let end = 2520 + 862 + 195 + 195 + 256 + 704;
    assert_eq!(c.bytes.kernel, 2 * end);
    assert_eq!(
        capacity(&Question::of(Role::Server), &host).bytes.kernel,
        end
    );
    assert_eq!(
        capacity(&Question::of(Role::Client), &host).bytes.kernel,
        end + 256
    );
    assert!(c.bytes.source.contains("/proc/slabinfo"));
    let expected = ((22u64 << 30) - c.bytes.fixed) / c.bytes.each;
    assert_eq!(c.limit(LimitKind::Memory).unwrap().allows, Some(expected));
    assert_eq!(
        (c.bound_by, c.allows),
        (Some(LimitKind::Memory), Some(expected))
    );

    let v6 = capacity(&client(&["[2001:db8::1]:80"]), &host).bytes.kernel;
    let v4 = capacity(&client(&["10.0.0.7:80"]), &host).bytes.kernel;
    assert_eq!(v6 - v4, 128);

    host.conntrack = Some(Conntrack {
        active: Some(true),
        max: 1 << 30,
        count: 0,
        buckets: None,
    });
    assert_eq!(
        capacity(&client(&["10.0.0.7:80"]), &host).bytes.kernel,
        v4 + 256
    );

    host.memory.objects = None;
    host.conntrack = None;
    let constant = capacity(&Question::of(Role::Server), &host).bytes;
    assert_eq!(constant.kernel, KERNEL_BYTES_PER_END);
    assert!(constant.source.contains("only root"));
}

#[test]
fn tls_is_counted_at_each_end_that_is_throng_s() {
    let asked = |role, proxies, tls| {
        let question = Question {
            tls,
            proxies,
            connections: Some(1_000_000),
            per_client: Some(1_000_000).filter(|_| role == Role::Client && proxies.is_none()),
            ..Question::of(role)
        };
        capacity(&question, &host())
    };
    for (role, proxies, ends) in [
        (Role::Both, None, 2),
        (Role::Server, None, 1),
        (Role::Client, None, 1),
        (Role::Client, Some(3), 0),
    ] {
        let (with, without) = (asked(role, proxies, true), asked(role, proxies, false));
        let more = ends * TLS_BYTES_PER_END;
        assert_eq!(with.bytes.user, without.bytes.user + more, "{role:?}");
        assert_eq!(with.bytes.each, without.bytes.each + more, "{role:?}");
        assert_eq!(with.bytes.charged, without.bytes.charged + more);
        assert_eq!(with.bytes.kernel, without.bytes.kernel, "{role:?}");
        assert_eq!(with.bytes.fixed > without.bytes.fixed, ends > 0, "{role:?}");
        if let (Some(with), Some(without)) = (with.clients, without.clients) {
            let command = without.command.replace("-c 1000000", "-c 1000000 --tls");
            assert_eq!(with.command, command);
        }
    }
}

#[test]
fn a_cgroup_binds_with_its_own_row() {
    let mut host = host();
    host.memory.cgroup = Some(CgroupMemory {
        path: "/sys/fs/cgroup/box".into(),
        version: 2,
        limit: Some(1 << 30),
        available: 900 << 20,
    });
    let mut question = Question::of(Role::Server);
    question.connections = Some(1_000_000);
    let c = capacity(&question, &host);
    // A sixteenth of a GiB is less than the least reserve.
    assert!(c.bytes.charged < c.bytes.each);
    let expected = ((900u64 << 20) - (128 << 20) - c.bytes.fixed) / c.bytes.charged;
    assert_eq!(
        (c.bound_by, c.allows),
        (Some(LimitKind::CgroupMemory), Some(expected))
    );
    assert_eq!(c.fits, Some(false));
    let command = c.limits[0].lifts[0].command.clone().unwrap();
    assert!(
        command.ends_with("| sudo tee /sys/fs/cgroup/box/memory.max"),
        "{command}"
    );
}

#[test]
fn buffers_count_once_traffic_flows() {
    let mut question = client(&["10.0.0.7:80"]);
    let idle = row(&question, &host(), LimitKind::TcpMemory);
    assert_eq!((idle.allows, idle.unread), (None, None));
    question.message_bytes = Some(720);
    question.message_rate = crate::units::Rate::per_second(10.0);
    // A message is always under way: 720 bytes and what goes with them.
    let c = capacity(&question, &host());
    assert_eq!(c.bytes.buffers, 2000);
    assert_eq!(c.limit(LimitKind::TcpMemory).unwrap().allows, Some(575_802));
    assert!(!c.limit(LimitKind::TcpMemory).unwrap().sure);
    // On one in a hundred.
    question.message_rate = crate::units::Rate::per_second(0.1);
    let c = capacity(&question, &host());
    assert_eq!(c.bytes.buffers, 20);
    let allowed = c.limit(LimitKind::TcpMemory).unwrap().allows.unwrap();
    assert!((57_580_100..=57_580_200).contains(&allowed), "{allowed}");
    question.message_rate = None;
    assert!(capacity(&question, &host()).bytes.buffers > 2000);
}

#[test]
fn conntrack_binds_if_it_is_active_here() {
    let question = client(&["10.0.0.7:80"]);
    // Whether it is active, and what it allows, for certain or not.
    for (active, expected, sure) in [
        (Some(true), Some(9000), true),
        (None, Some(9000), false),
        (Some(false), None, false),
    ] {
        let mut host = host();
        host.conntrack = Some(Conntrack {
            active,
            max: 10_000,
            count: 1000,
            buckets: Some(4096),
        });
        let row = row(&question, &host, LimitKind::Conntrack);
        assert_eq!((row.allows, row.sure), (expected, sure), "{active:?}");
        assert_eq!(row.remedy().contains("notrack"), expected.is_some());
    }
    assert_eq!(allows(&question, &host(), LimitKind::Conntrack), None);
}

fn listener(at: &str, processes: Vec<Process>) -> Listener {
    Listener {
        address: at.parse().unwrap(),
        backlog: 16,
        queued: 0,
        processes,
    }
}

fn process(pid: u32, file_limit: u64, files_open: u64) -> Process {
    Process {
        pid,
        name: "nginx".into(),
        file_limit,
        files_open,
        uring: false,
    }
}

#[test]
fn the_target_s_own_process_binds_if_it_is_here() {
    const HERE: &str = "10.0.0.5:80";
    let cases: &[(&[&str], Vec<Listener>, Option<u64>)] = &[
        (
            &[HERE],
            vec![listener("0.0.0.0:80", vec![process(12, 1024, 11)])],
            Some(1013),
        ),
        (
            &[HERE],
            vec![listener("[::]:80", vec![process(12, 1024, 11)])],
            Some(1013),
        ),
        // Two workers share it.
        (
            &[HERE],
            vec![listener(
                HERE,
                vec![process(12, 1024, 11), process(13, 1024, 24)],
            )],
            Some(2013),
        ),
        // One process with two listeners (SO_REUSEPORT) counts once.
        (
            &[HERE],
            vec![
                listener(HERE, vec![process(12, 1024, 11)]),
                listener(HERE, vec![process(12, 1024, 11)]),
            ],
            Some(1013),
        ),
        // The exact address comes before all.
        (
            &[HERE],
            vec![
                listener("0.0.0.0:80", vec![process(12, 1024, 11)]),
                listener(HERE, vec![process(13, 50, 10)]),
            ],
            Some(40),
        ),
        // Two targets in turn, each its own server.
        (
            &[HERE, "10.0.0.5:81"],
            vec![
                listener("0.0.0.0:80", vec![process(12, 1024, 11)]),
                listener("0.0.0.0:81", vec![process(13, 1024, 24)]),
            ],
            Some(2001),
        ),
        (
            &["10.0.0.7:80"],
            vec![listener("0.0.0.0:80", vec![process(12, 50, 9)])],
            None,
        ),
        (
            &[HERE],
            vec![listener("0.0.0.0:81", vec![process(12, 50, 9)])],
            None,
        ),
        (&[HERE], vec![listener(HERE, Vec::new())], None),
        // Its sockets live in io_uring's tables.
        (
            &[HERE],
            vec![listener(
                HERE,
                vec![Process {
                    uring: true,
                    ..process(12, 50, 9)
                }],
            )],
            None,
        ),
    ];
    for (targets, listeners, expected) in cases {
        let mut host = host();
        host.listeners.clone_from(listeners);
        let c = capacity(&client(targets), &host);
        let found = c.limit(LimitKind::TargetFiles).and_then(|l| l.allows);
        assert_eq!(found, *expected, "{targets:?} {listeners:?}");
    }
    let mut host = host();
    host.listeners = vec![listener(HERE, vec![process(12, 1024, 11)])];
    let limit = row(&client(&[HERE]), &host, LimitKind::TargetFiles);
    assert_eq!(
        limit.value,
        "the server nginx (pid 12) may have 1,024 files and has 11 open"
    );
    assert!(limit.remedy().contains("prlimit --pid 12 --nofile="));
}

#[test]
fn the_accept_queue_bounds_what_comes_at_once_and_not_what_is_held() {
    let mut host = host();
    host.listeners = vec![listener("127.0.0.1:80", Vec::new())];
    let mut question = client(&["127.0.0.1:80"]);
    let queue = row(&question, &host, LimitKind::AcceptQueue);
    assert_eq!((queue.allows, queue.measure), (Some(17), Measure::AtOnce));
    assert_ne!(
        capacity(&question, &host).bound_by,
        Some(LimitKind::AcceptQueue)
    );
    question.connect_rate = crate::units::Rate::per_second(1700.0);
    let queue = row(&question, &host, LimitKind::AcceptQueue);
    assert!(
        queue.value.contains("a pause of 10.0 ms"),
        "{}",
        queue.value
    );
    // Elsewhere it is not ours to see.
    assert!(
        capacity(&client(&["10.0.0.7:80"]), &host)
            .limit(LimitKind::AcceptQueue)
            .is_none()
    );
    assert_eq!(
        allows(&Question::of(Role::Server), &host, LimitKind::AcceptQueue),
        Some(4097)
    );
    assert_eq!(
        allows(&Question::of(Role::Server), &host, LimitKind::SynBacklog),
        None
    );
    host.accept.syncookies = Some(0);
    assert_eq!(
        allows(&Question::of(Role::Server), &host, LimitKind::SynBacklog),
        Some(3072)
    );
    host.listeners[0].queued = 17;
    let c = capacity(&client(&["127.0.0.1:80"]), &host);
    assert!(
        c.warnings
            .iter()
            .any(|w| w.kind == WarningKind::AcceptQueueFull)
    );
}

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

#[test]
fn rows_are_sorted_and_the_first_one_binds() {
    let mut host = host();
    host.accept.somaxconn = None;
    let mut question = client(&["10.0.0.5:80"]);
    question.connections = Some(28_233);
    let c = capacity(&question, &host);
    assert_eq!(
        (c.bound_by, c.allows, c.fits),
        (Some(LimitKind::FourTuples), Some(28_232), Some(false))
    );
    let held: Vec<Option<u64>> = c
        .limits
        .iter()
        .filter(|l| l.measure == Measure::Held && l.unread.is_none())
        .map(|l| l.allows)
        .collect();
    let bounds: Vec<u64> = held.iter().flatten().copied().collect();
    assert!(bounds.is_sorted());
    assert!(held[bounds.len()..].iter().all(Option::is_none));
    assert!(c.limit(LimitKind::AcceptQueue).unwrap().unread.is_some());
    question.connections = Some(28_232);
    assert_eq!(capacity(&question, &host).fits, Some(true));
}

#[test]
fn without_a_role_the_others_are_told_too() {
    let c = capacity(&Question::of(Role::Both), &host());
    let others: Vec<(Role, Option<LimitKind>)> =
        c.others.iter().map(|a| (a.role, a.bound_by)).collect();
    assert_eq!(
        others,
        [
            (Role::Server, Some(LimitKind::Memory)),
            (Role::Client, Some(LimitKind::FourTuples))
        ]
    );
}

#[test]
fn warnings_come_with_figures_when_they_apply() {
    use WarningKind::*;
    let kinds = |question: &Question, host: &Host| -> Vec<WarningKind> {
        capacity(question, host)
            .warnings
            .iter()
            .map(|w| w.kind)
            .collect()
    };
    let mut question = Question::of(Role::Both);
    question.connections = Some(1000);
    assert_eq!(kinds(&question, &host()), []);
    question.connections = Some(1_000_000);
    assert_eq!(
        kinds(&question, &host()),
        [SoftFileLimit, Orphans, TimeWaitBuckets, EstablishedBuckets]
    );
    let warnings = capacity(&question, &host()).warnings;
    // The hard limit is too low as well: `ulimit -n` would not do.
    let lifted = "sudo prlimit --pid $$ --nofile=1001000:1001000";
    assert_eq!(warnings[0].command.as_deref(), Some(lifted));
    let mut open = host();
    open.files.hard = 2_000_000;
    let command = capacity(&question, &open).warnings[0].command.clone();
    assert_eq!(command.as_deref(), Some("ulimit -n 1001000"));
    let text = &warnings[3].text;
    assert!(
        text.contains("2,000,000 sockets in 262,144 buckets") && text.contains("7.6"),
        "{text}"
    );

    let mut host = host();
    host.ports.range = Some((1024, 65_535));
    host.ports.reserved = vec![(3306, 3306)];
    host.listeners = vec![
        listener("0.0.0.0:7777", Vec::new()),
        listener("0.0.0.0:80", Vec::new()),
    ];
    let c = capacity(&client(&["10.0.0.7:80"]), &host);
    let ports = c.warnings.iter().find(|w| w.kind == PortCollision).unwrap();
    assert!(ports.text.contains(": 7777;"), "{}", ports.text);
    let command = ports.command.clone().unwrap();
    assert!(command.contains("=3306,7777,1433,"), "{command}");

    host.tasks.max = Some(500);
    let mut question = Question::of(Role::Server);
    question.connections = Some(1000);
    assert_eq!(kinds(&question, &host), [Tasks]);
    question.connect_rate = crate::units::Rate::per_second(100_000.0);
    assert_eq!(kinds(&question, &host), [Tasks, NetdevBacklog]);
}

#[test]
fn nothing_known_makes_no_panic() {
    for role in [Role::Client, Role::Server, Role::Both] {
        for engine in [EngineChoice::Auto, EngineChoice::Epoll, EngineChoice::Uring] {
            let question = Question {
                engine,
                connections: Some(u64::MAX),
                per_client: Some(1),
                proxies: Some(u32::MAX),
                message_bytes: Some(u64::MAX),
                ..Question::of(role)
            };
            let c = capacity(&question, &Host::default());
            assert_eq!(c.fits, Some(false));
        }
    }
}

proptest! {
    /// More of anything never allows less, and what is asked fits just when every row allows it.
    #[test]
    fn more_never_allows_less(
        low in 1u16..=65_535,
        size in 0u16..5000,
        taken in 0u64..5000,
        sources in 1u8..5,
        targets in 1u16..5,
        files in 0u64..50_000,
        asked in 1u64..200_000,
        epoll: bool,
    ) {
        let mut small = host();
        small.ports.range = Some((low, low.saturating_add(size)));
        small.files.hard = files;
        let mut question = client(&[]);
        question.engine = if epoll { EngineChoice::Epoll } else { EngineChoice::Uring };
        question.targets = (0..targets).map(|i| ([10, 0, 0, 7], 80 + i).into()).collect();
        question.sources = (0..sources).map(|i| IpAddr::from([10, 0, 1, i])).collect();
        question.connections = Some(asked);
        for target in &question.targets {
            small.towards.push(Towards { target: *target, in_use: taken, time_wait: 0, local: false });
        }
        let c = capacity(&question, &small);
        let least = c.limits.iter().filter(|l| l.measure == Measure::Held).filter_map(|l| l.allows).min();
        prop_assert_eq!(c.allows, least);
        prop_assert_eq!(c.fits, Some(least.unwrap() >= asked));
        prop_assert_eq!(c.short_of(asked).count() == 0, c.fits.unwrap());

        let mut large = small.clone();
        large.files.hard += 1000;
        large.memory.available += 1 << 30;
        large.towards.clear();
        prop_assert!(capacity(&question, &large).allows >= c.allows);
        question.targets.push("10.0.0.8:80".parse().unwrap());
        prop_assert!(allows(&question, &large, LimitKind::FourTuples) > allows(&question, &small, LimitKind::FourTuples).filter(|n| *n > 0).or(Some(0)).map(|n| n.saturating_sub(1)));
    }

    /// The number of client hosts is the least that holds all.
    #[test]
    fn client_hosts_are_as_few_as_hold_all(n in 1u64..10_000_000, each in 1u64..100_000) {
        let question = Question { connections: Some(n), per_client: Some(each), ..client(&[]) };
        let c = capacity(&question, &host()).clients.unwrap();
        prop_assert!(c.hosts * each >= n && (c.hosts - 1) * each < n);
        prop_assert_eq!((c.hosts - 1) * each + c.last, n);
    }
}
