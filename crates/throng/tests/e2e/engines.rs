//! Which engine runs, and what happens where io_uring is forbidden.

use crate::common::net::Net;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, load, start};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use throng_core::engine::Engine;

/// What a container's seccomp profile does: io_uring_setup and its like fail with EPERM, the rest goes.
fn forbid_io_uring() {
    // The same numbers on every architecture.
    const IO_URING_CALLS: std::ops::RangeInclusive<i64> = 425..=427;
    const EPERM: u32 = 1;
    let filter = SeccompFilter::new(
        IO_URING_CALLS
            .map(|call| (call, Vec::new()))
            .collect::<BTreeMap<_, _>>(),
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM),
        std::env::consts::ARCH
            .try_into()
            .expect("seccompiler knows this architecture"),
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .expect("the filter is sound");
    seccompiler::apply_filter(&program).expect("the kernel takes the filter");
}

/// Runs `throng` where io_uring is forbidden.
fn without_io_uring(net: &Net, args: &str) -> Ran {
    // The filter holds for the thread that sets it, and for the processes that it starts.
    let start = || -> Process {
        forbid_io_uring();
        start(net, args)
    };
    std::thread::scope(|s| s.spawn(start).join().expect("it starts")).wait(PATIENCE)
}

#[test]
fn where_io_uring_is_forbidden_epoll_takes_its_place_and_says_why() {
    let net = Net::own();
    for args in [
        "load --self=echo -c 200 -m hello -r 5 --hold 1s --output json",
        "serve 127.0.0.1:9000 --duration 200ms --output json",
    ] {
        let ran = without_io_uring(&net, args);
        let s = ran.reached();
        assert_eq!(s.engine, Engine::Epoll, "{ran}");
        assert!(
            s.why_epoll.is_some_and(|why| why.contains("not permitted")),
            "{ran}"
        );
        for part in ["epoll", "io_uring can't be used", "seccomp"] {
            assert!(ran.stderr.contains(part), "no '{part}': {ran}");
        }
    }
    // Not progress, but a warning.
    let ran = without_io_uring(&net, "load --self -c 10 --hold 0s --quiet");
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stderr.contains("io_uring can't be used"), "{ran}");
}

#[test]
fn where_io_uring_is_forbidden_asking_for_it_is_refused() {
    let net = Net::own();
    for args in [
        "load --self -c 10 --engine uring",
        "serve 9000 --engine uring",
    ] {
        let ran = without_io_uring(&net, args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        for part in ["not permitted", "--engine epoll"] {
            assert!(ran.stderr.contains(part), "no '{part}': {ran}");
        }
    }
}

#[test]
fn an_engine_that_was_asked_for_needs_no_reason() {
    let net = Net::own();
    for (choice, engine) in [
        ("auto", Engine::Uring),
        ("uring", Engine::Uring),
        ("epoll", Engine::Epoll),
    ] {
        let ran = load(&net, &format!("--self -c 10 --hold 0s --engine {choice}"));
        let s = ran.reached();
        assert_eq!((s.engine, s.why_epoll), (engine, None), "{ran}");
        assert!(!ran.stderr.contains("because"), "{ran}");
    }
}

#[test]
fn each_engine_serves_the_other() {
    for (serving, loading) in [("uring", "epoll"), ("epoll", "uring")] {
        let net = Net::own();
        let server = crate::common::serve(&net, &format!("9000 --mode echo --engine {serving}"));
        let client = load(
            &net,
            &format!("[::1]:9000 -c 300 -m hello --closed-loop --hold 500ms --engine {loading}"),
        )
        .reached();
        let served = crate::common::stop_serving(server);
        assert!(client.traffic.replies > 300);
        assert_eq!(served.traffic.bytes_received, client.traffic.bytes_sent);
        assert_eq!(served.traffic.bytes_sent, client.traffic.bytes_received);
    }
}
