use super::*;
use crate::engine::EngineChoice;
use crate::host::CgroupMemory;
use crate::scenario::{OwnServer, Sending, Target};
use std::collections::HashMap;
use std::net::SocketAddr;

use crate::capacity::tests::host;

fn target(text: &str) -> Target {
    text.parse::<SocketAddr>().unwrap().into()
}

fn scenario(connections: u32, targets: &[&str]) -> LoadScenario {
    LoadScenario {
        targets: targets.iter().map(|t| target(t)).collect(),
        own_server: targets.is_empty().then_some(OwnServer::Sink),
        connections: connections.into(),
        ..LoadScenario::default()
    }
}

#[test]
fn a_million_to_itself_spreads_over_enough_targets_and_binds_nothing() {
    let plan = load(&scenario(1_000_000, &[]), &host()).unwrap();
    assert_eq!((plan.engine, plan.workers), (Engine::Uring, 2));
    assert!(!plan.routes.binds());
    let mut per_target = HashMap::new();
    for id in 0..1_000_000 {
        *per_target
            .entry(plan.routes.route(id).unwrap().0)
            .or_insert(0u32) += 1;
    }
    let most = *per_target.values().max().unwrap();
    assert!(most <= 28_232 * 2 / 5, "{most}");
}

#[test]
fn a_loopback_target_gets_as_many_sources_as_its_four_tuples_need() {
    let plan = load(&scenario(100_000, &["127.0.0.1:9000"]), &host()).unwrap();
    assert!(
        plan.routes.binds() && plan.routes.sources() == 9,
        "{}",
        plan.routes.sources()
    );
    let few = load(&scenario(1000, &["127.0.0.1:9000"]), &host()).unwrap();
    assert!(!few.routes.binds());
}

#[test]
fn a_loopback_target_that_is_named_four_times_gets_sources_for_all_four_shares() {
    let targets = ["127.0.0.1:9000"; 4];
    let plan = load(&scenario(100_000, &targets), &host()).unwrap();
    assert_eq!(plan.routes.sources(), 9);
}

#[test]
fn both_ends_are_here_if_the_target_is() {
    let mut host = host();
    host.addresses.push("10.0.0.1".parse().unwrap());
    for (targets, ends) in [
        (&[][..], Some(2)),
        (&["127.0.0.1:80"], Some(2)),
        (&["10.0.0.1:80"], Some(2)),
        (&["10.0.0.1:80", "127.0.0.1:80"], Some(2)),
        (&["10.0.0.2:80"], Some(1)),
        (&["10.0.0.1:80", "10.0.0.2:80"], None),
    ] {
        let plan = load(&scenario(10, targets), &host).unwrap();
        assert_eq!(plan.ends_here, ends, "{targets:?}");
    }
}

#[test]
fn a_container_of_100_mib_starts_100_connections() {
    for (mib, fits) in [(100, true), (24, true), (12, false)] {
        let mut host = host();
        host.memory.cgroup = Some(CgroupMemory {
            path: "/box".into(),
            version: 2,
            limit: Some(mib << 20),
            available: (mib - 4) << 20,
        });
        let plan = load(&scenario(100, &[]), &host);
        assert_eq!(plan.is_ok(), fits, "{mib}: {plan:?}");
    }
}

#[test]
fn elsewhere_nothing_is_bound_and_the_port_range_is_the_limit() {
    let short = load(&scenario(100_000, &["10.0.0.1:80", "10.0.0.1:81"]), &host()).unwrap_err();
    assert_eq!(short[0].allows, 2 * 28_232);
    let plan = load(&scenario(50_000, &["10.0.0.1:80", "10.0.0.1:81"]), &host()).unwrap();
    assert!(!plan.routes.binds());
    let mut two = scenario(56_000, &["10.0.0.1:80"]);
    two.connect.source_ip = vec!["10.0.0.2-10.0.0.3".parse().unwrap()];
    let plan = load(&two, &host()).unwrap();
    for (id, source) in two.connect.sources().enumerate() {
        assert_eq!(plan.routes.route(id as u32).unwrap().1, Some(source));
    }
}

#[test]
fn connections_choose_from_parts_of_the_ports_where_these_get_scarce() {
    for (connections, targets, sources, crowded) in [
        (1_764, 1, "", false),
        (1_765, 1, "", true),
        (3_528, 2, "", false),
        (3_528, 1, "10.0.0.2-10.0.0.3", false),
        (3_529, 1, "10.0.0.2-10.0.0.3", true),
        // With --self, addresses are chosen so that ports are found fast.
        (100_000, 0, "", false),
    ] {
        let targets = &["10.0.0.1:80", "10.0.0.1:81"][..targets];
        let mut asked = scenario(connections, targets);
        if !sources.is_empty() {
            asked.connect.source_ip = vec![sources.parse().unwrap()];
        }
        let plan = load(&asked, &host()).unwrap();
        assert_eq!(plan.crowded, crowded, "{connections} {targets:?} {sources}");
    }
}

#[test]
fn the_file_limit_binds_epoll_and_only_its_square_binds_uring() {
    let mut s = scenario(100_000, &[]);
    s.engine = EngineChoice::Epoll;
    let short = load(&s, &host()).unwrap_err();
    assert_eq!(short[0].kind, LimitKind::OpenFiles);
    // Besides the 8 that are open: two workers on each side with two files each, two listeners, one
    // under /proc.
    assert_eq!(short[0].allows, (20_000 - 8 - 8 - 2 - 1) / 2);
    let mut low = host();
    low.files.hard = 1024;
    let plan = load(&scenario(400_000, &[]), &low).unwrap();
    assert_eq!(plan.ring_slots, 1024);
    // 1,011 rings, 252 of them for each of two workers on two sides; the sides share an eventfd.
    let short = load(&scenario(600_000, &[]), &low).unwrap_err();
    assert_eq!(short[0].allows, (1024 - 8 - 2 - 2 - 1) / 4 * 1024 * 2);
}

#[test]
fn memory_that_does_not_suffice_is_reported_with_what_would_fit() {
    let mut small = host();
    small.memory.available = 4 << 30;
    let short = load(&scenario(1_000_000, &[]), &small).unwrap_err();
    assert_eq!(short[0].kind, LimitKind::Memory);
    assert!(
        short[0].allows > 300_000 && short[0].allows < 400_000,
        "{short:?}"
    );
    assert!(short[0].to_string().contains("GiB"));
}

#[test]
fn what_fits_without_tls_may_be_refused_with_it() {
    let mut small = host();
    let both = Question::of(capacity::Role::Both);
    let each = capacity::capacity(&both, &small).bytes.each;
    // Another 300 bytes for each connection, where TLS takes more than 500.
    small.memory.available = (1 << 30) + 1_000_000 * (each + 300);
    let mut s = scenario(1_000_000, &[]);
    assert!(load(&s, &small).is_ok());
    s.tls = Some(Default::default());
    let short = load(&s, &small).unwrap_err();
    assert_eq!(short[0].kind, LimitKind::Memory);
    assert!(short[0].allows > 900_000, "{short:?}");
}

#[test]
fn resuming_sessions_of_a_server_elsewhere_is_warned_about_where_memory_would_be_short() {
    let mut small = host();
    let mut s = scenario(20_000, &["10.0.0.7:80"]);
    s.tls = Some(Default::default());
    let each = capacity::capacity(&Question::of_load(&s), &small).bytes;
    small.memory.available = (1 << 30) + each.fixed + 20_000 * (each.each + 1000);
    assert_eq!(load(&s, &small).unwrap().warnings, []);
    s.tls.as_mut().unwrap().resume = true;
    let warned = load(&s, &small).unwrap().warnings;
    let kinds: Vec<_> = warned.iter().map(|w| w.kind).collect();
    assert_eq!(kinds, [LimitKind::Memory], "{warned:?}");
}

#[test]
fn every_limit_that_is_too_low_is_reported_and_force_turns_refusals_into_warnings() {
    let mut small = host();
    small.memory.available = 2 << 30;
    small.files.hard = 1024;
    let mut s = scenario(200_000, &["10.0.0.7:80"]);
    s.engine = EngineChoice::Epoll;
    let kinds = |all: &[Shortfall]| all.iter().map(|s| s.kind).collect::<Vec<_>>();
    let all = [
        LimitKind::OpenFiles,
        LimitKind::FourTuples,
        // 1 GiB is kept in reserve.
        LimitKind::Memory,
    ];
    s.connections = 400_000.into();
    assert_eq!(kinds(&load(&s, &small).unwrap_err()), all);
    s.force = true;
    let plan = load(&s, &small).unwrap();
    assert_eq!(kinds(&plan.warnings), all);
    assert_eq!(plan.limits[0].kind, LimitKind::OpenFiles);
}

#[test]
fn force_can_t_do_what_can_t_be_tried() {
    let mut s = scenario(10, &["[::1]:80"]);
    s.force = true;
    s.connect.source_ip = vec!["127.0.0.2".parse().unwrap()];
    assert!(load(&s, &host()).is_err());
    let mut no = host();
    no.uring.unusable = Some("it is forbidden".into());
    let mut s = scenario(10, &[]);
    s.force = true;
    s.engine = EngineChoice::Uring;
    assert_eq!(load(&s, &no).unwrap_err()[0].kind, LimitKind::Engine);
}

#[test]
fn without_io_uring_auto_says_why_and_uring_is_refused() {
    let mut no = host();
    no.uring.unusable = Some("kernel.io_uring_disabled is 2".into());
    let plan = load(&scenario(100, &[]), &no).unwrap();
    assert_eq!(plan.engine, Engine::Epoll);
    assert!(plan.why_epoll.unwrap().contains("io_uring_disabled"));
    let mut s = scenario(100, &[]);
    s.engine = EngineChoice::Uring;
    assert!(load(&s, &no).unwrap_err()[0].remedy.contains("epoll"));
}

#[test]
fn sources_of_the_wrong_family_are_refused() {
    let mut s = scenario(10, &["[::1]:80"]);
    s.connect.source_ip = vec!["127.0.0.2".parse().unwrap()];
    assert!(load(&s, &host()).unwrap_err()[0].limit.contains("[::1]:80"));
    // So are those of PROXY headers.
    let mut s = scenario(10, &["127.0.0.1:80"]);
    s.connect.proxy_source = vec!["2001:db8::7".parse().unwrap()];
    let refused = load(&s, &host()).unwrap_err();
    assert!(refused[0].limit.contains("--proxy-source"), "{refused:?}");
}

#[test]
fn a_server_holds_what_was_asked_or_what_fits() {
    let asks = |max_connections, engine| ServeScenario {
        listen: vec![SocketAddr::from(([0; 8], 9000)).into()],
        max_connections,
        engine,
        ..ServeScenario::default()
    };
    let plan = serve(&asks(None, EngineChoice::Epoll), &host()).unwrap();
    // Two workers with two files each, a listener, one under /proc.
    assert_eq!(plan.max_connections, 20_000 - 8 - 4 - 1 - 1);
    let plan = serve(&asks(None, EngineChoice::Auto), &host()).unwrap();
    assert!(plan.max_connections > 4_000_000 && plan.bound_by == Some(LimitKind::Memory));
    assert!(serve(&asks(Some(30_000), EngineChoice::Epoll), &host()).is_err());
    assert_eq!(
        serve(&asks(Some(7), EngineChoice::Auto), &host())
            .unwrap()
            .max_connections,
        7
    );
}

#[test]
fn what_messages_take_in_buffers_is_an_estimate_and_refuses_nothing() {
    let mut echo = scenario(1_000_000, &[]);
    echo.messages.repeated = vec![vec![b'x'; 16].into()];
    echo.pace.sending = Sending::ClosedLoop {
        in_flight: Some(128),
    };
    assert_eq!(load(&echo, &host()).unwrap().warnings, []);
    // A message on each, and its memory, would be too much, if all were under way at once.
    let mut flood = scenario(1_000_000, &[]);
    flood.messages.repeated = vec![vec![b'x'; 16 << 10].into()];
    let plan = load(&flood, &host()).unwrap();
    assert!(
        plan.warnings.iter().any(|w| w.kind == LimitKind::Memory),
        "{:?}",
        plan.warnings
    );
    // What does not even fit idle is refused all the same.
    flood.connections = 3_000_000.into();
    assert_eq!(
        load(&flood, &host()).unwrap_err()[0].kind,
        LimitKind::Memory
    );
}
