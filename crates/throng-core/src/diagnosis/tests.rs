use super::*;
use crate::capacity::LimitKind;
use crate::host::Process;
use crate::stats::{Closed, Counters, FailCause};
use std::time::Duration;

fn stopped_at(plateau: u64) -> Evidence {
    let counters = Counters::default();
    counters.established.add(plateau);
    Evidence {
        clients: counters.read(),
        plateau,
        targets: vec!["10.0.0.1:80".parse().unwrap()],
        ports: 28_232,
        four_tuples: Some(28_232),
        file_limit: 20_000,
        ..Evidence::default()
    }
}

fn with_failures(mut e: Evidence, cause: FailCause) -> Evidence {
    let counters = Counters::default();
    counters.failed(cause);
    e.clients += counters.read();
    e
}

/// The first diagnosis: limit, number, whether it is certain.
fn first(e: &Evidence) -> Option<(LimitKind, Option<u64>, bool)> {
    diagnose(e).first().map(|d| (d.limit, d.allows, d.certain))
}

#[test]
fn a_plateau_is_reported_for_what_it_looks_like() {
    use LimitKind::*;
    for (plateau, limit, allows) in [
        (1013, TargetFiles, 1013),
        (1020, TargetFiles, 1020),
        (65_523, TargetFiles, 65_523),
        (28_232, FourTuples, 28_232),
        (28_230, FourTuples, 28_232),
        (65_536, Conntrack, 65_536),
        (262_144, Conntrack, 262_144),
        // 1,013 accepted and 512 in a queue of 511.
        (1013 + 512, TargetFiles, 1525),
    ] {
        let e = stopped_at(plateau);
        assert_eq!(first(&e), Some((limit, Some(allows), false)), "{plateau}");
    }
    for plateau in [0, 1, 700, 5_000, 30_000, 77_777] {
        assert_eq!(diagnose(&stopped_at(plateau)), [], "{plateau}");
    }
}

#[test]
fn a_file_limit_of_1024_is_named_as_such() {
    let said = diagnose(&stopped_at(1013))[0].to_string();
    assert!(
        said.starts_with(
            "the target stopped at 1,013 connections: looks like its own file limit of 1024"
        ),
        "{said}"
    );
}

#[test]
fn connections_in_a_queue_that_can_be_seen_are_no_part_of_what_was_accepted() {
    let mut e = stopped_at(1013 + 65);
    e.queue = Some(Queue {
        target: "127.0.0.1:80".parse().unwrap(),
        waiting: 65,
        limit: 128,
    });
    let all = diagnose(&e);
    assert_eq!(
        (all[0].limit, all[0].allows),
        (LimitKind::TargetFiles, Some(1013))
    );
    assert_eq!(all[1].limit, LimitKind::AcceptQueue);
    // By itself the queue is the limit.
    e.plateau = 17;
    e.queue = e.queue.map(|q| Queue {
        waiting: 17,
        limit: 16,
        ..q
    });
    assert_eq!(first(&e), Some((LimitKind::AcceptQueue, Some(17), true)));
}

#[test]
fn what_an_error_code_or_a_counter_names_is_certain_and_comes_first() {
    let ran_out = with_failures(stopped_at(28_232), FailCause::NoAddress);
    assert_eq!(
        first(&ran_out),
        Some((LimitKind::FourTuples, Some(28_232), true))
    );
    let files = with_failures(stopped_at(1013), FailCause::FileLimit);
    assert_eq!(first(&files), Some((LimitKind::OpenFiles, None, true)));
    let mut tracked = stopped_at(1013);
    tracked.conntrack = Some(Tracked {
        count: 1024,
        max: 1024,
        dropped: 3,
        logged: false,
    });
    assert_eq!(
        first(&tracked),
        Some((LimitKind::Conntrack, Some(1024), true))
    );
    let mut memory = stopped_at(9_000);
    memory.memory_left = Some((1 << 30, LimitKind::Memory));
    assert_eq!(first(&memory), Some((LimitKind::Memory, Some(9_000), true)));
    let mut queue = stopped_at(700);
    queue.kernel.listen_overflows = 7;
    assert_eq!(first(&queue), Some((LimitKind::AcceptQueue, None, true)));
    queue.kernel = KernelCounts {
        syncookies: 9,
        ..KernelCounts::default()
    };
    let said = &diagnose(&queue)[0];
    assert_eq!((said.limit, said.certain), (LimitKind::SynBacklog, true));
    assert!(
        said.what.contains("9 were answered with SYN cookies"),
        "{said}"
    );
}

#[test]
fn a_server_process_is_the_cause_only_if_all_that_accept_are_full() {
    let process = |files_open| Process {
        pid: 12,
        name: "nginx".into(),
        file_limit: 512,
        files_open,
        uring: false,
        keeps_many: true,
        workers: 0,
    };
    let mut e = stopped_at(502);
    e.servers = vec![process(512)];
    let said = diagnose(&e);
    assert!(
        said[0].certain && said[0].what.contains("nginx (pid 12)"),
        "{said:?}"
    );
    e.servers = vec![process(512), process(100)];
    assert!(!diagnose(&e).iter().any(|d| d.certain));
}

#[test]
fn a_server_that_closes_what_comes_beyond_has_a_limit_of_its_own() {
    let counters = Counters::default();
    counters.established.add(1313);
    counters.closed(Closed::ByPeer, 300);
    let mut e = stopped_at(1013);
    e.clients = counters.read();
    let limit = LimitKind::TargetConnections;
    e.closed_aged = Some(Duration::from_millis(2));
    assert_eq!(first(&e), Some((limit, None, false)));
    // Old connections that it closes say nothing about a limit.
    e.closed_aged = Some(Duration::from_secs(5));
    assert!(diagnose(&e).iter().all(|d| d.limit != limit));
    e.closed_aged = Some(Duration::from_millis(2));
    // One that closes each connection after a while holds none.
    counters.closed(Closed::ByPeer, 900);
    e.clients = counters.read();
    assert!(diagnose(&e).iter().all(|d| d.limit != limit));
}

#[test]
fn a_peak_that_did_not_stand_is_no_limit() {
    let mut e = stopped_at(1013);
    assert_eq!(first(&e).map(|d| d.0), Some(LimitKind::TargetFiles));
    let counters = Counters::default();
    (0..100).for_each(|_| counters.closed(Closed::ByPeer, 1));
    e.clients += counters.read();
    e.closed_aged = Some(Duration::from_secs(3));
    assert_eq!(first(&e), None);
}
