//! What is set is put back, to the byte, whatever happened in between.

use super::{EVERYTHING, Machine, differences, outcome, report};
use crate::common::PATIENCE;
use crate::common::process::Process;
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use throng_core::tune::{Did, Status};

#[test]
fn apply_and_revert_leave_every_file_of_proc_sys_the_rules_and_the_kept_files_as_before() {
    let machine = Machine::own();
    let first = machine.dump("/proc/sys");
    let before = machine.dump("/proc/sys");
    let moves: Vec<&String> = before
        .keys()
        .filter(|n| first.get(*n) != before.get(*n))
        .collect();
    assert!(
        before.len() > 500 && moves.len() < before.len() / 20,
        "{moves:?}"
    );

    let report = machine.report(&format!("{EVERYTHING} --apply --persist"));
    for (what, value) in [
        ("net.core.somaxconn", "5000"),
        ("net.ipv4.tcp_max_syn_backlog", "5000"),
        ("net.ipv4.tcp_max_tw_buckets", "5000"),
        ("net.ipv4.ip_local_port_range", "1024 65535"),
        (
            "net.ipv4.ip_local_reserved_ports",
            "9000,9002,40010,40012-40014",
        ),
        ("net.ipv4.tcp_tw_reuse", "1"),
        ("net.ipv4.tcp_fin_timeout", "15"),
        ("net.ipv4.tcp_syncookies", "0"),
    ] {
        let outcome = outcome(&report, what);
        assert!(
            outcome.did == Did::Changed && outcome.detail.ends_with(&format!("-> {value}")),
            "{outcome:?}"
        );
        let now = machine.net.shell(&format!("sysctl -n {what}"));
        assert_eq!(
            now.split_whitespace().collect::<Vec<_>>().join(" "),
            value,
            "{what}"
        );
    }
    assert!(report.ok, "{report:#?}");
    let rules = machine.net.shell("nft list ruleset");
    assert!(
        rules.contains("tcp dport { 9000, 9002 } notrack"),
        "{rules}"
    );
    let kept = machine.net.shell("cat /etc/sysctl.d/90-throng.conf");
    assert!(kept.contains("net.core.somaxconn = 5000"), "{kept}");
    assert!(!differences(&before, &machine.dump("/proc/sys")).is_empty());

    let reverted = machine.report("--revert");
    assert!(
        reverted.ok && reverted.state_file.is_none(),
        "{reverted:#?}"
    );
    let mut after = machine.dump("/proc/sys");
    // The directory is the test's, but it is called as throng's own is.
    let own = machine.files.path().join("throng").display().to_string();
    after.entry(own).or_default();
    let mut differ = differences(&before, &after);
    differ.retain(|line| !moves.iter().any(|m| line.starts_with(&format!("{m}: "))));
    // Counters, which move when others write to a disk.
    differ.retain(|line| !line.starts_with("/proc/sys/fs/quota/"));
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn the_second_apply_changes_nothing() {
    let machine = Machine::own();
    let before = machine.dump("/proc/sys/net");
    assert!(
        machine
            .report(&format!("{EVERYTHING} --apply --persist"))
            .ok
    );
    let first = machine.dump("/proc/sys/net");
    let again = machine.report(&format!("{EVERYTHING} --apply --persist"));
    assert!(
        again.ok && again.outcomes.iter().all(|o| o.did == Did::AsItWas),
        "{again:#?}"
    );
    assert!(
        again.settings.iter().all(|s| s.status != Status::Short),
        "{again:#?}"
    );
    assert_eq!(differences(&first, &machine.dump("/proc/sys/net")), [""; 0]);
    // More connections: the old values are still those before the first time.
    machine.run("--role both -c 8k --port 9000 --apply");
    assert_eq!(
        machine.net.shell("sysctl -n net.core.somaxconn").trim(),
        "8000"
    );
    assert!(machine.report("--revert").ok);
    let mut after = machine.dump("/proc/sys/net");
    after
        .entry(machine.files.path().join("throng").display().to_string())
        .or_default();
    assert_eq!(differences(&before, &after), [""; 0]);
}

#[test]
fn killed_at_any_instant_it_can_be_put_back() {
    let machine = Machine::own();
    let before = machine.dump("/proc/sys/net");
    let begin = Instant::now();
    assert!(
        machine
            .report(&format!("{EVERYTHING} --apply --persist"))
            .ok
    );
    let whole = begin.elapsed();
    machine.run("--revert");
    let mut halfway = 0;
    const KILLS: u32 = 40;
    for i in 0..KILLS {
        let _ = fs::create_dir(machine.files.path().join("throng"));
        let apply = machine.start(&format!("{EVERYTHING} --apply --persist"));
        std::thread::sleep(whole * i / KILLS);
        apply.signal(Signal::KILL);
        let code = apply.wait(PATIENCE).code;
        // Also a revert may be killed.
        if i % 2 == 0 {
            let revert = machine.start("--revert");
            std::thread::sleep(whole * (i * 7 % KILLS) / KILLS);
            revert.signal(Signal::KILL);
            revert.wait(PATIENCE);
        }
        halfway += u32::from(code == -1 && machine.state().exists());
        let reverted = machine.report("--revert");
        assert!(reverted.ok, "{reverted:#?}");
        let mut after = machine.dump("/proc/sys/net");
        after
            .entry(machine.files.path().join("throng").display().to_string())
            .or_default();
        assert_eq!(differences(&before, &after), [""; 0], "kill {i}");
    }
    assert!(
        halfway > 0,
        "no kill came between the first write and the last"
    );
}

#[test]
fn rules_that_come_after_the_kill_are_put_back_too() {
    let machine = Machine::own();
    let before = machine.dump("/proc/sys/net");
    // An nft that takes its time, and goes on when the throng that started it is dead.
    let bin = machine.files.path().join("bin");
    let (begun, go) = (bin.join("begun"), bin.join("go"));
    fs::create_dir(&bin).unwrap();
    let nft = machine.net.shell("command -v nft");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -f ]; then touch {}; until [ -e {} ]; do sleep 0.01; done; fi\nexec {} \"$@\"\n",
        begun.display(),
        go.display(),
        nft.trim()
    );
    fs::write(bin.join("nft"), script).unwrap();
    fs::set_permissions(bin.join("nft"), fs::Permissions::from_mode(0o755)).unwrap();
    let (name, mut command) = machine.command(&format!("{EVERYTHING} --apply"));
    command.env(
        "PATH",
        format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()),
    );
    let apply = Process::start(name, command);
    let give_up = Instant::now() + PATIENCE;
    while !begun.exists() && Instant::now() < give_up {
        std::thread::sleep(Duration::from_millis(5));
    }
    apply.signal(Signal::KILL);
    // Its streams stay open in nft: they can be waited for only when that has ended.
    let revert = machine.start("--output json --revert");
    std::thread::sleep(Duration::from_millis(100));
    fs::write(&go, "").unwrap();
    // Before the other is waited for, which takes along the nft that it has left.
    let reverted = report(&revert.wait(PATIENCE));
    assert_eq!(apply.wait(PATIENCE).code, -1);
    assert!(
        reverted.ok && outcome(&reverted, "NOTRACK").did == Did::Changed,
        "{reverted:#?}"
    );
    let mut after = machine.dump("/proc/sys/net");
    after
        .entry(machine.files.path().join("throng").display().to_string())
        .or_default();
    assert_eq!(differences(&before, &after), [""; 0]);
}

#[test]
fn what_somebody_else_changed_meanwhile_is_left_alone() {
    let machine = Machine::own();
    machine.run("--role server -c 5k --apply");
    machine.net.shell("sysctl -qw net.core.somaxconn=7777");
    let ran = machine.run("--revert");
    assert!(
        ran.code == 1 && ran.stdout.contains("set to 7777 by somebody else"),
        "{ran}"
    );
    assert_eq!(
        machine.net.shell("sysctl -n net.core.somaxconn").trim(),
        "7777"
    );
    assert_eq!(
        machine
            .net
            .shell("sysctl -n net.ipv4.tcp_max_syn_backlog")
            .trim(),
        "129"
    );
    assert_eq!(machine.run("--revert --force").code, 0);
    assert_eq!(
        machine.net.shell("sysctl -n net.core.somaxconn").trim(),
        "130"
    );
    assert!(!machine.state().exists());
}

#[test]
fn a_running_process_gets_its_limit_and_gets_it_back() {
    let machine = Machine::own();
    let mut command = machine.net.command("prlimit");
    command.args(["--nofile=1000:6000", "sleep", "600"]);
    let mut sleeper = command.spawn().unwrap();
    let pid = sleeper.id();
    let limits = || {
        let text = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = text
            .lines()
            .find(|l| l.starts_with("Max open files"))
            .unwrap()
            .to_owned();
        line.split_whitespace()
            .skip(3)
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let give_up = Instant::now() + PATIENCE;
    while limits() != "1000 6000" && Instant::now() < give_up {
        std::thread::sleep(Duration::from_millis(10));
    }
    let report = machine.report(&format!("--role server -c 2k --apply --pid {pid}"));
    let what = format!("process {pid}");
    let (done, then) = (outcome(&report, &what).did, limits());
    let reverted = machine.report("--revert");
    let after = limits();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(
        (done, then.as_str()),
        (Did::Changed, "3024 6000"),
        "{report:#?}"
    );
    assert_eq!(outcome(&reverted, &what).did, Did::Changed);
    assert_eq!(after, "1000 6000");
}
