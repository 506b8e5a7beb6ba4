use super::*;
use crate::capacity::LimitKind;
use crate::host::Process;
use crate::stats::{Closed, Counters, FailCause};
use std::time::Duration;

/// A run that stopped at `plateau` connections to another machine.
fn stopped_at(plateau: u64) -> Evidence {
    let counters = Counters::default();
    counters.attempted.add(plateau);
    counters.established.add(plateau);
    Evidence {
        clients: counters.read(),
        plateau,
        targets: vec![Target::at("10.0.0.1:80".parse().unwrap())],
        holds_back: true,
        ports: 28_232,
        four_tuples: Some(28_232),
        file_limit: 20_000,
        ..Evidence::default()
    }
}

/// The same to a server on this machine, in whose accept queue some wait.
fn stopped_here_at(plateau: u64, waiting: u32, limit: u32) -> Evidence {
    let mut e = stopped_at(plateau);
    let target = &mut e.targets[0];
    target.served_at = Some(target.address);
    target.established = plateau;
    target.served = Some(plateau);
    target.listeners = vec![listening(1, waiting, limit)];
    e
}

fn listening(inode: u64, waiting: u32, limit: u32) -> Listening {
    Listening {
        inode,
        queue: Queue {
            target: "10.0.0.1:80".to_owned().try_into().unwrap(),
            waiting,
            limit,
        },
        dropped: 0,
        processes: Vec::new(),
    }
}

fn process(files_open: u64, file_limit: u64) -> Process {
    Process {
        pid: 12,
        name: "nginx".into(),
        file_limit,
        files_open,
        uring: false,
        keeps_many: true,
        workers: 0,
    }
}

fn with_failures(mut e: Evidence, cause: FailCause, n: u64) -> Evidence {
    let counters = Counters::default();
    (0..n).for_each(|_| counters.failed(cause));
    e.clients += counters.read();
    e
}

/// The first diagnosis: limit, number, whether it is certain.
fn first(e: &Evidence) -> Option<(LimitKind, Option<u64>, bool)> {
    diagnose(e).first().map(|d| (d.limit, d.allows, d.certain))
}

/// The limits that are certain.
fn certain(e: &Evidence) -> Vec<LimitKind> {
    let all = diagnose(e).into_iter().filter(|d| d.certain);
    all.map(|d| d.limit).collect()
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
fn a_file_limit_of_1024_is_named_as_such_with_what_would_look_the_same() {
    let said = diagnose(&stopped_at(1013))[0].to_string();
    assert!(
        said.starts_with(
            "the target stopped at 1,013 connections: looks like its own file limit of 1024 (so does a path"
        ),
        "{said}"
    );
}

#[test]
fn a_guess_that_what_is_known_contradicts_is_not_made() {
    let guess = |e: &Evidence| first(e).map(|d| d.0);
    let limit = Some(LimitKind::TargetFiles);
    assert_eq!(guess(&stopped_at(1013)), limit);
    // A server without files neither refuses connections nor becomes unreachable.
    for cause in [FailCause::Refused, FailCause::Unreachable] {
        assert_eq!(guess(&with_failures(stopped_at(1013), cause, 5)), None);
    }
    assert_eq!(
        guess(&with_failures(stopped_at(1013), FailCause::TimedOut, 5)),
        limit
    );
    // Its process is seen, and has files left.
    let mut e = stopped_here_at(1013, 0, 128);
    assert_eq!(guess(&e), limit);
    e.targets[0].listeners[0].processes = vec![process(1019, 65_536)];
    assert_eq!(guess(&e), None);
    e.targets[0].listeners[0].processes[0].workers = 2;
    assert_eq!(guess(&e), limit);
    // A few that are not acknowledged are no proof of a silent path, but they speak against a server's limit.
    let mut e = stopped_at(1013);
    (e.targets[0].established, e.targets[0].unacknowledged) = (1013, 2);
    assert_eq!(guess(&e), None);
}

#[test]
fn established_connections_that_are_not_acknowledged_show_a_silent_path() {
    let mut e = with_failures(stopped_at(1013), FailCause::TimedOut, 5);
    e.targets[0].established = 1013;
    e.targets[0].unacknowledged = 500;
    // It may be a full accept queue elsewhere.
    let first = &diagnose(&e)[0];
    assert_eq!((first.limit, first.certain), (LimitKind::Path, false));
    assert!(first.remedy.contains("accept queue"));
    e.targets[0].heard_before = 3;
    for (unacknowledged, silent) in [(0, false), (3, false), (202, false), (203, true)] {
        e.targets[0].unacknowledged = unacknowledged;
        let named = certain(&e) == [LimitKind::Path];
        assert_eq!(named, silent, "{unacknowledged}");
    }
}

#[test]
fn connections_in_a_queue_that_can_be_seen_are_no_part_of_what_was_accepted() {
    let mut e = stopped_here_at(1013 + 65, 65, 128);
    let all = diagnose(&e);
    assert_eq!(
        (all[0].limit, all[0].certain),
        (LimitKind::AcceptQueue, true)
    );
    assert_eq!(
        (all[1].limit, all[1].allows),
        (LimitKind::TargetFiles, Some(1013))
    );
    // By itself the queue is the limit.
    e = stopped_here_at(17, 17, 16);
    assert_eq!(first(&e), Some((LimitKind::AcceptQueue, Some(17), true)));
    // The end of one more's handshake was dropped: nobody has accepted it.
    e = stopped_here_at(18, 17, 16);
    (e.targets[0].unfinished, e.targets[0].served) = (1, Some(17));
    assert_eq!(first(&e), Some((LimitKind::AcceptQueue, Some(17), true)));
    // The run itself leaves half of it empty: 200 were accepted, and 201 fit into the queue.
    e = stopped_here_at(300, 100, 200);
    assert_eq!(first(&e), Some((LimitKind::AcceptQueue, Some(401), true)));
    // With --force it does not, so a half empty queue explains nothing.
    e.holds_back = false;
    assert_eq!(first(&e), None);
    // One listener that serves two targets has one queue.
    e = stopped_here_at(300, 100, 200);
    e.targets.push(e.targets[0].clone());
    assert_eq!(e.accepted(), 200);
}

#[test]
fn each_queue_of_a_group_counts_by_itself() {
    let mut e = stopped_here_at(106, 0, 5);
    e.targets[0].listeners.push(listening(2, 5, 5));
    e.targets[0].listeners.push(listening(3, 0, 500));
    let said = &diagnose(&e)[0];
    assert!(said.certain && said.allows.is_none(), "{said:?}");
    assert!(said.what.contains("one of the 3 accept queues"), "{said}");
}

#[test]
fn an_error_code_with_the_state_of_the_kernel_is_certain_and_comes_first() {
    let files = with_failures(stopped_at(1013), FailCause::FileLimit, 1);
    assert_eq!(first(&files), Some((LimitKind::OpenFiles, None, true)));
    let mut memory = stopped_at(9_000);
    memory.memory_left = Some((1 << 30, LimitKind::Memory));
    assert_eq!(first(&memory), Some((LimitKind::Memory, Some(9_000), true)));
    let kernel = with_failures(stopped_at(700), FailCause::NoMemory, 1);
    assert_eq!(first(&kernel), Some((LimitKind::TcpMemory, None, true)));
    let mut orphans = stopped_at(700);
    orphans.kernel.aborts_on_memory = 9;
    assert_eq!(first(&orphans), Some((LimitKind::TcpMemory, None, false)));
}

#[test]
fn four_tuples_have_run_out_when_they_are_in_use() {
    let used = |plateau, in_use| {
        let mut e = with_failures(stopped_at(plateau), FailCause::NoAddress, 1);
        (e.targets[0].tuples, e.targets[0].tuples_in_use) = (28_232, in_use);
        e
    };
    let limit = LimitKind::FourTuples;
    assert_eq!(
        first(&used(28_232, 28_232)),
        Some((limit, Some(28_232), true))
    );
    // Others have some: the plan's number is not what the run got.
    assert_eq!(first(&used(20_000, 28_000)), Some((limit, None, true)));
    // Most are free, so something else was the matter for a time.
    assert_eq!(first(&used(200, 200)), Some((limit, None, false)));
    // More than the plan allowed for: ports became free meanwhile.
    let mut e = used(520, 28_232);
    e.four_tuples = Some(21);
    assert_eq!(first(&e), Some((limit, None, true)));
    // The source address is gone.
    let mut e = used(200, 200);
    e.sources_gone = vec!["10.0.0.9".parse().unwrap()];
    assert_eq!(first(&e), Some((LimitKind::SourceAddress, None, true)));
    assert_eq!(diagnose(&e).len(), 1);
}

#[test]
fn a_table_of_connection_tracking_is_the_cause_if_it_is_full_and_ours() {
    let with = |t: Tracked| {
        let mut e = with_failures(stopped_at(700), FailCause::TimedOut, 3);
        e.conntrack = Some(t);
        first(&e)
    };
    let full = Tracked {
        active: Some(true),
        count: 1024,
        max: 1024,
        dropped: Some(3),
        ..Tracked::default()
    };
    let limit = LimitKind::Conntrack;
    assert_eq!(with(full), Some((limit, Some(1024), true)));
    let unknown = Tracked {
        active: None,
        ..full
    };
    assert_eq!(with(unknown), Some((limit, None, false)));
    for not in [
        Tracked {
            active: Some(false),
            ..full
        },
        Tracked {
            dropped: Some(0),
            ..full
        },
        // Drops for another reason.
        Tracked { count: 52, ..full },
    ] {
        assert_eq!(with(not), None, "{not:?}");
    }
    let logged = Tracked {
        count: 52,
        logged: true,
        ..full
    };
    assert_eq!(with(logged), Some((limit, None, false)));
    let clashed = Tracked {
        count: 52,
        clashed: 9,
        ..full
    };
    assert_eq!(with(clashed), Some((LimitKind::NatPorts, None, false)));
    let translated = Tracked {
        translated: true,
        ..clashed
    };
    assert_eq!(with(translated), Some((LimitKind::NatPorts, None, true)));
}

#[test]
fn counters_of_the_machine_are_evidence_only_with_drops_of_our_own_listener() {
    let kernel = KernelCounts {
        listen_overflows: 7,
        syn_queue_drops: 9,
        syncookies: 9,
        ..KernelCounts::default()
    };
    // The target is on another machine: none of it is about its listener.
    let mut e = with_failures(stopped_at(700), FailCause::TimedOut, 5);
    e.kernel = kernel;
    assert_eq!(diagnose(&e), []);
    // It is here, and dropped nothing.
    let mut e = with_failures(stopped_here_at(700, 0, 128), FailCause::TimedOut, 5);
    e.kernel = KernelCounts {
        listen_overflows: 7,
        ..KernelCounts::default()
    };
    assert_eq!(diagnose(&e), []);
    e.targets[0].listeners[0].dropped = 2;
    assert_eq!(diagnose(&e), []);
    // It dropped some packets, but not those of all attempts that failed.
    e.targets[0].listeners[0].dropped = 4;
    assert_eq!(first(&e), Some((LimitKind::AcceptQueue, None, false)));
    e.targets[0].listeners[0].dropped = 5;
    assert_eq!(first(&e), Some((LimitKind::AcceptQueue, None, true)));
    // Which of the two queues dropped them is not known.
    e.kernel = kernel;
    assert_eq!(certain(&e), []);
    e.kernel.listen_overflows = 0;
    assert_eq!(certain(&e), [LimitKind::SynBacklog]);
    // Cookies answer handshakes.
    let mut e = with_failures(stopped_here_at(700, 0, 128), FailCause::TimedOut, 5);
    e.kernel.syncookies = 9;
    let said = &diagnose(&e)[0];
    assert!(!said.certain && said.what.starts_with("perhaps"), "{said}");
    assert!(
        said.what.contains("9 were answered with SYN cookies"),
        "{said}"
    );
}

#[test]
fn a_server_knows_that_its_own_queue_overflowed() {
    let mut e = stopped_here_at(700, 0, 128);
    e.clients = Default::default();
    e.targets[0].listeners[0].dropped = 5;
    e.kernel.listen_overflows = 5;
    assert_eq!(certain(&e), [LimitKind::AcceptQueue]);
}

#[test]
fn files_of_a_server_are_the_cause_only_if_they_are_full() {
    let with = |processes: Vec<Process>, waiting| {
        let mut e = stopped_here_at(502, waiting, 128);
        e.targets[0].listeners[0].processes = processes;
        certain(&e).contains(&LimitKind::TargetFiles)
    };
    assert!(with(vec![process(512, 512)], 0));
    assert!(!with(vec![process(512, 512), process(100, 512)], 0));
    // A slow server has connections in its queue, too.
    assert!(!with(vec![process(511, 512)], 3));
    assert!(!with(vec![process(5, 8)], 3));
    let uring = Process {
        uring: true,
        ..process(512, 512)
    };
    assert!(!with(vec![uring], 3));
    // It accepts connections beyond its limit, and closes them at once.
    let mut e = stopped_here_at(502, 0, 128);
    e.targets[0].listeners[0].processes = vec![process(511, 512)];
    let counters = Counters::default();
    counters.established.add(90);
    counters.closed(Closed::ByPeer, 90);
    e.clients += counters.read();
    e.closed_aged = Some(Duration::from_millis(2));
    assert_eq!(certain(&e), [LimitKind::TargetFiles]);
    let mut e = stopped_here_at(502, 3, 128);
    e.targets[0].listeners[0].processes = vec![process(512, 512)];
    assert_eq!(first(&e), Some((LimitKind::TargetFiles, Some(499), true)));
    assert!(diagnose(&e)[0].what.contains("nginx (pid 12)"));
    // It keeps connections that this side has given up, or does not have all that this side has.
    for served in [None, Some(501), Some(510)] {
        let mut e = e.clone();
        e.targets[0].served = served;
        let said = &diagnose(&e)[0];
        assert_eq!((said.allows, said.certain), (None, true), "{served:?}");
        assert!(
            said.what.starts_with("the target has no file left"),
            "{said}"
        );
    }
    // The other target's server has files left.
    let mut other = Target::at("10.0.0.1:81".parse().unwrap());
    other.established = 400;
    e.targets.push(other);
    let said = &diagnose(&e)[0];
    assert_eq!((said.allows, said.certain), (None, true));
    assert!(
        said.what
            .starts_with("the server of 10.0.0.1:80 stopped at 499"),
        "{said}"
    );
}

#[test]
fn a_server_that_ended_is_told_once() {
    let mut e = stopped_at(1024);
    e.targets[0].ended = vec![process(0, 0)];
    e.targets.push(e.targets[0].clone());
    assert_eq!(certain(&e), [LimitKind::TargetProcess]);
    assert!(diagnose(&e)[0].what.contains("nginx (pid 12) has gone"));
}

#[test]
fn a_server_that_closes_what_comes_beyond_has_a_limit_of_its_own() {
    let counters = Counters::default();
    counters.attempted.add(1313);
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
    // One that stopped listening resets what was in its queue.
    let refused = with_failures(e.clone(), FailCause::Refused, 9);
    assert!(diagnose(&refused).iter().all(|d| d.limit != limit));
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

#[test]
fn a_server_that_closes_older_connections_for_new_ones_has_a_limit_of_its_own() {
    // They are older than those that a server does not want.
    let mut e = stopped_at(700);
    e.closed_aged = Some(Duration::from_secs(9));
    assert_eq!(first(&e), None);
    let counted = |accepted: u64, closed: u64| {
        let counters = Counters::default();
        counters.established.add(accepted);
        counters.closed(Closed::ByPeer, closed);
        Some(counters.read())
    };
    for (accepted, closed, makes_room) in [
        (500, 512, true),
        (500, 400, true),
        // Its number would have grown.
        (500, 100, false),
        // Connections that end by themselves.
        (0, 500, false),
        (3, 3, false),
        (0, 0, false),
    ] {
        e.without_growth = counted(accepted, closed);
        let limit = makes_room.then_some((LimitKind::TargetConnections, None, false));
        assert_eq!(first(&e), limit, "{accepted} {closed}");
    }
    e.without_growth = counted(500, 512);
    let said = diagnose(&e)[0].to_string();
    assert!(said.contains("closes older ones for new ones"), "{said}");
    let refused = Counters::default();
    refused.failed(FailCause::Refused);
    e.without_growth = e
        .without_growth
        .map(|counted| [counted, refused.read()].into_iter().sum());
    assert_eq!(first(&e), None);
}

#[test]
fn a_number_of_which_a_server_here_closes_none_and_some_of_any_greater_one_is_its_own_limit() {
    let counters = Counters::default();
    counters.established.add(40);
    counters.closed(Closed::ByPeer, 40);
    let swings = |mut e: Evidence| {
        e.without_growth = Some(counters.read());
        e.closes_beyond = Some(479);
        diagnose(&e).remove(0)
    };
    let there = swings(stopped_at(451));
    assert_eq!(
        (there.limit, there.allows, there.certain),
        (LimitKind::TargetConnections, Some(479), false)
    );
    assert!(there.what.contains("looks like"), "{there}");
    let mut e = stopped_here_at(451, 0, 511);
    e.targets[0].listeners[0].processes = vec![process(460, 1024)];
    let here = swings(e);
    assert!(here.certain, "{here}");
    for says in [
        "process nginx (pid 12) holds 479 connections",
        "that is a limit of its own (worker_connections)",
        "15/16",
    ] {
        assert!(here.to_string().contains(says), "{here}");
    }
}

#[test]
fn a_server_that_leaves_connections_in_its_queue_although_it_has_files_left_has_a_limit_of_its_own()
{
    let haproxy = |files_open| Process {
        name: "haproxy".into(),
        ..process(files_open, 1024)
    };
    let said = |process: Process, without_growth| {
        let mut e = stopped_here_at(450, 150, 300);
        e.targets[0].listeners[0].processes = vec![process];
        e.without_growth = without_growth;
        let found = diagnose(&e).remove(0);
        assert_eq!((found.limit, found.certain), (LimitKind::AcceptQueue, true));
        found.what
    };
    let tried = Some(Counters::default().read());
    let what = said(haproxy(620), tried);
    assert!(what.contains("limit of its own (maxconn)"), "{what}");
    let unknown = Process {
        name: "server".into(),
        ..haproxy(620)
    };
    let what = said(unknown, tried);
    assert!(what.contains("or is busy or stuck"), "{what}");
    // A few that were tried beyond the limit are enough.
    let mut e = stopped_here_at(375, 75, 4096);
    assert_eq!(first(&e), None);
    e.without_growth = tried;
    assert_eq!(first(&e), Some((LimitKind::AcceptQueue, Some(300), true)));
    // Where nothing more was opened, it may only be slow.
    let what = said(haproxy(620), None);
    assert!(what.contains("or not fast enough"), "{what}");
}
