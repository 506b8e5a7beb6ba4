//! The formulas on machines made up for the purpose.

use super::setting::numbers;
use super::sysctls::*;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Debian 12 with 24 GiB, untouched.
const FRESH: &[(&str, &str)] = &[
    (FILE_MAX, "9223372036854775807\n"),
    (NR_OPEN, "1048576\n"),
    (SOMAXCONN, "4096\n"),
    (NETDEV_BACKLOG, "1000\n"),
    (SYN_BACKLOG, "4096\n"),
    (SYNCOOKIES, "1\n"),
    (TCP_MEM, "287901\t383868\t575802\n"),
    (TW_BUCKETS, "131072\n"),
    (ORPHANS, "131072\n"),
    (RESERVED, "\n"),
    (RANGE, "32768\t60999\n"),
    (UNPRIVILEGED, "1024\n"),
    (TW_REUSE, "2\n"),
    (FIN_TIMEOUT, "60\n"),
    (CONNTRACK_MAX, "262144\n"),
    (CONNTRACK_BUCKETS, "262144\n"),
];

fn now(values: &[(&str, &str)]) -> Now {
    let value = |(name, text): &(&str, &str)| ((*name).into(), Current::Value((*text).into()));
    Now {
        sysctls: values.iter().map(value).collect(),
        files: Some((1024, 1_048_576)),
        of_another: false,
        memory: Some(24 << 30),
        page: 4096,
        listened: [22, 53, 5432, 8080, 40_000, 61_000].into_iter().collect(),
        untracked: Current::Value(String::new()),
    }
}

fn ask(role: Role, connections: u32) -> Ask {
    Ask {
        role,
        connections,
        ports: Vec::new(),
        with: Vec::new(),
    }
}

fn row<'a>(all: &'a [Setting], name: &str) -> &'a Setting {
    all.iter().find(|s| s.name == name).unwrap()
}

/// The machine after all that is short was set.
fn after(mut now: Now, all: &[Setting]) -> Now {
    for setting in all.iter().filter(|s| s.status == Status::Short) {
        match setting.kind {
            Kind::Sysctl => {
                let value = Current::Value(setting.wanted.replace(' ', "\t") + "\n");
                now.sysctls.insert(setting.name.clone(), value);
            }
            Kind::FileLimit => {
                let v = numbers(&setting.wanted).unwrap();
                now.files = Some((v[0], v[1]));
            }
            Kind::Firewall => now.untracked = Current::Value(setting.wanted.clone()),
        }
    }
    now
}

#[test]
fn a_fresh_machine_and_a_million_connections() {
    for (role, name, wanted, status) in [
        (
            Role::Server,
            FILE_MAX,
            "9223372036854775807",
            Status::Enough,
        ),
        (Role::Server, NR_OPEN, "1048576", Status::Enough),
        (Role::Both, NR_OPEN, "2001024", Status::Short),
        (Role::Server, FILE_LIMIT, "1001024 1048576", Status::Enough),
        (Role::Both, FILE_LIMIT, "2001024 2001024", Status::Short),
        (Role::Server, SOMAXCONN, "65535", Status::Short),
        (Role::Server, SYN_BACKLOG, "65535", Status::Short),
        (Role::Server, SYNCOOKIES, "0", Status::OnRequest),
        (Role::Server, NETDEV_BACKLOG, "16384", Status::Short),
        (
            Role::Server,
            TCP_MEM,
            "1500000 2000000 3000000",
            Status::Short,
        ),
        (
            Role::Both,
            TCP_MEM,
            "1572864 2097152 3145728",
            Status::Short,
        ),
        (Role::Server, TW_BUCKETS, "1000000", Status::Short),
        (Role::Client, ORPHANS, "1000000", Status::Short),
        (Role::Client, RESERVED, "5432,8080,61000", Status::Short),
        (Role::Client, RANGE, "1024 65535", Status::Short),
        (Role::Client, TW_REUSE, "1", Status::Short),
        (Role::Client, FIN_TIMEOUT, "15", Status::OnRequest),
        (Role::Server, CONNTRACK_MAX, "1065536", Status::Short),
        (Role::Server, CONNTRACK_BUCKETS, "1065984", Status::Short),
        (
            Role::Server,
            NOTRACK,
            "the ports of --port",
            Status::OnRequest,
        ),
    ] {
        let all = settings(&ask(role, 1_000_000), &now(FRESH));
        let row = row(&all, name);
        assert_eq!(
            (row.wanted.as_str(), row.status),
            (wanted, status),
            "{name}"
        );
        assert!(!row.why.is_empty());
    }
}

#[test]
fn what_is_risky_waits_to_be_asked_for() {
    let mut ask = ask(Role::Both, 1000);
    let names = [
        (SYNCOOKIES, Extra::SyncookiesOff, "0"),
        (FIN_TIMEOUT, Extra::FinTimeout, "15"),
        (NOTRACK, Extra::Notrack, "9000"),
    ];
    ask.ports = vec![9000];
    for (name, extra, wanted) in names {
        let row_of = |ask: &Ask| row(&settings(ask, &now(FRESH)), name).clone();
        assert_eq!(row_of(&ask).status, Status::OnRequest, "{name}");
        assert!(!row_of(&ask).risk.is_empty(), "{name}");
        ask.with.push(extra);
        let row = row_of(&ask);
        assert_eq!((row.status, row.wanted.as_str()), (Status::Short, wanted));
    }
    // What is not tracked needs no room in the table.
    let all = settings(&ask, &now(FRESH));
    assert!(!all.iter().any(|s| s.name == CONNTRACK_MAX));
}

#[test]
fn a_servers_port_is_reserved_and_a_targets_is_not() {
    for (role, connections, reserved) in [
        (Role::Both, 1000, Some("5432,8080,9000,61000")),
        (Role::Server, 1000, Some("9000")),
        (Role::Client, 1000, Some("5432,8080,61000")),
    ] {
        let mut ask = ask(role, connections);
        ask.ports = vec![9000, 80];
        let all = settings(&ask, &now(FRESH));
        let row = all.iter().find(|s| s.name == RESERVED);
        assert_eq!(row.map(|r| r.wanted.as_str()), reserved, "{role:?}");
    }
}

#[test]
fn a_few_connections_need_nothing() {
    for role in [Role::Client, Role::Server, Role::Both] {
        let mut machine = now(FRESH);
        machine.listened = PortSet::default();
        machine
            .sysctls
            .insert(TW_REUSE.into(), Current::Value("1\n".into()));
        for setting in settings(&ask(role, 1000), &machine) {
            let fine = matches!(setting.status, Status::Enough | Status::OnRequest);
            assert!(fine, "{setting:#?}");
        }
    }
}

#[test]
fn a_range_of_ports_grows_only_as_far_as_the_kernel_allows() {
    for (range, start, connections, wanted) in [
        ("32768\t60999", "1024", 11_292, "32768 60999"),
        ("32768\t60999", "1024", 11_293, "1024 65535"),
        ("32768\t60999", "2000", 100_000, "2000 65535"),
        ("32768\t60999", "0", 100_000, "1024 65535"),
        ("500\t600", "0", 100_000, "500 65535"),
        ("1024\t65535", "1024", 1_000_000, "1024 65535"),
    ] {
        let mut machine = now(FRESH);
        for (name, text) in [(RANGE, range), (UNPRIVILEGED, start)] {
            machine
                .sysctls
                .insert(name.into(), Current::Value(text.into()));
        }
        let all = settings(&ask(Role::Client, connections), &machine);
        assert_eq!(
            row(&all, RANGE).wanted,
            wanted,
            "{range} {start} {connections}"
        );
    }
}

#[test]
fn what_is_not_there_or_odd_is_reported_and_not_guessed() {
    let mut machine = Now::unknown();
    for (i, name) in SYSCTLS.iter().enumerate() {
        let current = match i % 4 {
            0 => Current::Absent("no such file".into()),
            1 => Current::Unread("permission denied".into()),
            2 => Current::Value("a\u{7f}lot\tof nonsense".into()),
            _ => Current::Value("18446744073709551616 -1".into()),
        };
        machine.sysctls.insert((*name).into(), current);
    }
    for role in [Role::Client, Role::Server, Role::Both] {
        for setting in settings(&ask(role, 100_000_000), &machine) {
            let none = matches!(setting.status, Status::Absent | Status::Unread);
            assert!(none || setting.kind == Kind::Firewall, "{setting:#?}");
            assert!(!matches!(setting.now, Current::Value(_)), "{setting:#?}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_lowered_and_the_second_time_nothing_is_short(
        seed in prop::collection::vec((0u64..u64::MAX / 4, 0u32..40), 24),
        role in prop::sample::select(vec![Role::Client, Role::Server, Role::Both]),
        connections in 1u32..=100_000_000,
        ports in prop::collection::vec(1u16.., 0..4),
    ) {
        let mut pick = seed.iter().map(|(n, shift)| n >> shift);
        let mut machine = now(FRESH);
        let mut values = BTreeMap::new();
        for name in SYSCTLS {
            let mut n = || pick.next().unwrap_or(7);
            let text = match *name {
                TCP_MEM => format!("{} {} {}", n(), n(), n()),
                RANGE => { let low = n() % 60_000; format!("{low} {}", low + n() % 5000) }
                RESERVED => format!("{},{}", n() % 30_000, 40_000 + n() % 20_000),
                UNPRIVILEGED => "0".into(),
                SYNCOOKIES | TW_REUSE => (n() % 3).to_string(),
                _ => n().to_string(),
            };
            values.insert((*name).to_owned(), Current::Value(text));
        }
        machine.sysctls = values;
        let ask = Ask { role, connections, ports, with: Vec::new() };
        let first = settings(&ask, &machine);
        for setting in &first {
            let Current::Value(text) = &setting.now else { continue };
            match setting.rule {
                Rule::AtLeast => {
                    let (Some(now), Some(wanted)) = (numbers(text), numbers(&setting.wanted)) else { continue };
                    prop_assert!(now.iter().zip(&wanted).all(|(n, w)| w >= n), "{:#?}", setting);
                }
                Rule::Around => {
                    let (now, wanted) = (numbers(text).unwrap(), numbers(&setting.wanted).unwrap());
                    prop_assert!(wanted[0] <= now[0] && wanted[1] >= now[1], "{:#?}", setting);
                }
                Rule::Including if setting.kind == Kind::Sysctl => {
                    let (now, wanted): (PortSet, PortSet) = (text.parse().unwrap(), setting.wanted.parse().unwrap());
                    prop_assert!(wanted.contains(&now), "{:#?}", setting);
                }
                _ => {}
            }
        }
        let again = settings(&ask, &after(machine, &first));
        let short: Vec<_> = again.iter().filter(|s| s.status == Status::Short).collect();
        prop_assert!(short.is_empty(), "{:#?}", short);
    }
}
