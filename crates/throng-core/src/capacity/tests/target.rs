//! A target on this machine: its files, its accept queue.

use super::*;

fn process(pid: u32, file_limit: u64, files_open: u64) -> Process {
    Process {
        pid,
        name: "nginx".into(),
        file_limit,
        files_open,
        uring: false,
        keeps_many: true,
        workers: 0,
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
        // Two targets with one server, which is one target twice.
        (
            &[HERE, "10.0.0.5:81"],
            vec![
                listener("0.0.0.0:80", vec![process(12, 1024, 11)]),
                listener("0.0.0.0:81", vec![process(12, 1024, 11)]),
            ],
            Some(1013),
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
        "the server nginx (pid 12) may open 1,024 files and has 11 open"
    );
    assert!(limit.remedy().contains("prlimit --pid 12 --nofile="));
}

#[test]
fn files_of_a_server_whose_connections_may_be_in_other_processes_refuse_nothing() {
    const HERE: &str = "10.0.0.5:80";
    let found = |process| {
        let mut host = host();
        host.listeners = vec![listener(HERE, vec![process])];
        let limit = row(&client(&[HERE]), &host, LimitKind::TargetFiles);
        (limit.allows, limit.sure)
    };
    assert_eq!(found(process(12, 64, 5)), (Some(59), true));
    // A process for each connection.
    let forks = Process {
        keeps_many: false,
        ..process(12, 64, 5)
    };
    assert_eq!(found(forks), (Some(59), false));
    // Node's cluster: the primary accepts and hands over.
    let cluster = Process {
        workers: 2,
        ..process(12, 200, 21)
    };
    assert_eq!(found(cluster), (None, false));
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
