//! The arithmetic, on machines made up.

mod files;
mod spread;
mod target;
mod tuples;

use super::*;
use crate::engine::URING_KERNEL_BYTES_PER_END;
use crate::host::{CgroupMemory, Conntrack, Listener, Process, SocketObjects, TargetUse, Uring};
use proptest::prelude::*;
use std::net::IpAddr;

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

fn listener(at: &str, processes: Vec<Process>) -> Listener {
    Listener {
        address: at.parse().unwrap(),
        backlog: 16,
        queued: 0,
        processes,
    }
}

#[test]
fn memory_is_counted_in_this_kernel_s_objects() {
    let mut host = host();
    let c = capacity(&Question::of(Role::Both), &host);
    // Socket, inode, dentry, file, receive, and what is in no slab of its own. One client end to
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
    for (role, user) in [
        (Role::Both, CLIENT_BYTES_PER_END + SERVER_BYTES_PER_END),
        (Role::Server, SERVER_BYTES_PER_END),
        (Role::Client, CLIENT_BYTES_PER_END),
    ] {
        assert_eq!(capacity(&Question::of(role), &host).bytes.user, user);
    }
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
    assert_eq!(constant.kernel, URING_KERNEL_BYTES_PER_END);
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
fn what_a_client_keeps_until_a_ticket_comes_is_counted_but_not_sure() {
    let asked = |role, proxies, resume| Question {
        tls: true,
        resume,
        proxies,
        connections: Some(1_000_000),
        ..Question::of(role)
    };
    let keeps = UNTIL_TICKET_BYTES_PER_END;
    for (role, proxies, more) in [
        (Role::Client, None, keeps),
        // Our own server gives out tickets.
        (Role::Both, None, 0),
        (Role::Server, None, 0),
        (Role::Client, Some(3), 0),
    ] {
        let bytes = |resume| capacity(&asked(role, proxies, resume), &host()).bytes;
        let (with, without) = (bytes(true), bytes(false));
        assert_eq!((with.until_ticket, without.until_ticket), (more, 0));
        assert_eq!(with.user, without.user + more, "{role:?}");
        assert_eq!(with.each, without.each + more, "{role:?}");
        assert_eq!(with.charged, without.charged + more, "{role:?}");
        assert_eq!(with.fixed, without.fixed, "{role:?}");
    }
    let question = asked(Role::Client, None, true);
    let without_tls = Question {
        tls: false,
        ..question.clone()
    };
    assert_eq!(capacity(&without_tls, &host()).bytes.until_ticket, 0);

    // With room for all but half of that memory it may work; with less it can't.
    let mut host = host();
    let bytes = capacity(&question, &host).bytes;
    let needed = 1_000_000 * (bytes.each - keeps / 2) + bytes.fixed + (1 << 30);
    for (available, sure) in [(needed, false), (needed - 1_000_000 * keeps, true)] {
        host.memory.available = available;
        let found = capacity(&question, &host);
        let row = found.limits.iter().find(|l| l.kind == LimitKind::Memory);
        let row = row.expect("there is always a row for memory");
        assert!(row.allows < Some(1_000_000), "{row:?}");
        assert_eq!(row.sure, sure, "{row:?}");
        assert!(row.value.contains("ticket"), "{row:?}");
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
fn a_cgroup_is_charged_for_buffers_if_it_is_of_version_2() {
    let mut host = host();
    let mut question = client(&["10.0.0.7:80"]);
    let mut allows = |version, message_bytes| {
        host.memory.cgroup = Some(CgroupMemory {
            path: "/sys/fs/cgroup/box".into(),
            version,
            limit: Some(100 << 20),
            available: 100 << 20,
        });
        question.message_bytes = message_bytes;
        let row = row(&question, &host, LimitKind::CgroupMemory);
        row.allows.unwrap()
    };
    assert!(allows(2, Some(10_000)) < allows(2, None) / 2);
    // The buffers that throng itself receives into are there in both.
    assert!(allows(1, Some(10_000)) > allows(1, None) * 9 / 10);
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
fn without_a_role_the_others_are_reported_too() {
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
    // The hard limit is too low as well: `ulimit -n` would not suffice.
    let lifted = "sudo prlimit --pid $$ --nofile=1001000:1001000";
    assert_eq!(warnings[0].command.as_deref(), Some(lifted));
    let mut open = host();
    open.files.hard = 2_000_000;
    let command = capacity(&question, &open).warnings[0].command.clone();
    assert_eq!(command.as_deref(), Some("ulimit -n 1001000"));
    let text = &warnings[3].text;
    assert!(
        text.contains("2,000,000 sockets in the 262,144 buckets") && text.contains("7.6"),
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
            small.targets.push(TargetUse { target: *target, in_use: taken, time_wait: 0, local: false });
        }
        let c = capacity(&question, &small);
        let least = c.limits.iter().filter(|l| l.measure == Measure::Held).filter_map(|l| l.allows).min();
        prop_assert_eq!(c.allows, least);
        prop_assert_eq!(c.fits, Some(least.unwrap() >= asked));
        prop_assert_eq!(c.short_of(asked).count() == 0, c.fits.unwrap());

        let mut large = small.clone();
        large.files.hard += 1000;
        large.memory.available += 1 << 30;
        large.targets.clear();
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
