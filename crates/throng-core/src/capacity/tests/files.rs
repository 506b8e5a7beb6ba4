//! Open files, of a process and of the machine.

use super::*;

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
    // With fourteen there is one worker, which has three rings of eight slots.
    for (hard, allowed) in [(0, 0), (1, 0), (8, 0), (11, 0), (14, 24)] {
        host.files.hard = hard;
        assert_eq!(
            allows(&question, &host, LimitKind::OpenFiles),
            Some(allowed),
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
