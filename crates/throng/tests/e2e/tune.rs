//! `throng tune` over the real kernel, in network and mount namespaces of the test's own. What belongs to the whole
//! machine is hidden behind copies there, so that no test can change it.

use crate::common::PATIENCE;
use crate::common::net::Net;
use crate::common::process::{Process, Ran};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use throng_core::tune::{Did, Outcome, Reading, Report, Status};

/// Values that throng wants to be higher for 5,000 connections, and other odd ones.
const LOW: &str = "net.core.somaxconn=130 net.ipv4.tcp_max_syn_backlog=129 net.ipv4.tcp_max_tw_buckets=1001 \
    net.ipv4.ip_local_port_range=40000\\ 40999 net.ipv4.ip_local_reserved_ports=40010,40012-40014 \
    net.ipv4.tcp_tw_reuse=0 net.ipv4.tcp_fin_timeout=61";
/// Directories that --persist writes to.
const KEPT_IN: &str = "/etc/sysctl.d /etc/modules-load.d /etc/security /etc/systemd";
/// Each setting that can be set in a network namespace, and the files.
const EVERYTHING: &str =
    "--role both -c 5k --port 9000,9002 --with syncookies-off,notrack,fin-timeout";
/// What the kernel itself moves, even if it stands still while it is looked at twice.
const MOVING: &[&str] = &[
    "fs/dentry-state",
    "fs/file-nr",
    "fs/inode-nr",
    "fs/inode-state",
    "fs/aio-nr",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "kernel/random/",
    "net/netfilter/nf_conntrack_count",
];

/// A machine for the test: namespaces, and a place for its files.
struct Machine {
    net: Net,
    files: TempDir,
}

impl Machine {
    fn own() -> Machine {
        let net = Net::with_own_mounts();
        let files = tempfile::tempdir().unwrap();
        let at = files.path().display();
        // Copies of what holds for the whole machine; a namespace must not be able to change it.
        for name in ["fs/file-max", "fs/nr_open"] {
            let copy = files.path().join(name.replace('/', "."));
            fs::write(&copy, "1048576\n").unwrap();
            net.shell(&format!("mount --bind {} /proc/sys/{name}", copy.display()));
        }
        net.shell(&format!(
            "for d in {KEPT_IN}; do if [ -d $d ]; then mount -t tmpfs tmpfs $d; fi; done
             sysctl -qw {LOW}
             nft add table ip theirs && nft add chain ip theirs c && nft add rule ip theirs c tcp dport 1 accept
             mkdir {at}/throng"
        ));
        Machine { net, files }
    }

    fn state(&self) -> PathBuf {
        self.files.path().join("throng/tune.json")
    }

    fn command(&self, args: &str) -> (String, Command) {
        let mut command = self.net.command(env!("CARGO_BIN_EXE_throng"));
        command.arg("tune").args(args.split_whitespace());
        if !args.contains("--state") {
            command.arg("--state").arg(self.state());
        }
        (format!("throng tune {args}"), command)
    }

    fn start(&self, args: &str) -> Process {
        let (name, command) = self.command(args);
        Process::start(name, command)
    }

    fn run(&self, args: &str) -> Ran {
        self.start(args).wait(PATIENCE)
    }

    fn report(&self, args: &str) -> Report {
        report(&self.run(&format!("--output json {args}")))
    }

    /// Everything that apply may change, and much that it may not: all files below `under`, the packet filter's rules and the
    /// persisted files.
    fn dump(&self, under: &str) -> BTreeMap<String, String> {
        let script = format!(
            "import os,sys
for top in '{under} {KEPT_IN} {files}/throng'.split():
    for d, ds, fs in os.walk(top):
        print('D', d)
        for f in fs:
            p = os.path.join(d, f)
            try:
                fd = os.open(p, os.O_RDONLY | os.O_NONBLOCK)
                print('F', p, os.read(fd, 1 << 18).hex())
                os.close(fd)
            except OSError: pass
",
            files = self.files.path().display()
        );
        let out = self
            .net
            .command("python3")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let text = String::from_utf8(out.stdout).unwrap();
        let mut all: BTreeMap<String, String> = text
            .lines()
            .map(|line| {
                let mut words = line.splitn(3, ' ').skip(1);
                let path = words.next().unwrap_or_default();
                (path.to_owned(), words.next().unwrap_or_default().to_owned())
            })
            .filter(|(path, _)| !MOVING.iter().any(|m| path.contains(m)))
            .collect();
        all.insert("nft".into(), self.net.shell("nft list ruleset"));
        all
    }
}

fn report(ran: &Ran) -> Report {
    serde_json::from_str(&ran.stdout)
        .unwrap_or_else(|e| panic!("stdout is not a report: {e}\n{ran}"))
}

fn outcome<'a>(report: &'a Report, what: &str) -> &'a Outcome {
    let found = report.outcomes.iter().find(|o| o.what.ends_with(what));
    found.unwrap_or_else(|| panic!("no {what}: {report:#?}"))
}

/// What differs, for people.
fn differences(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<String> {
    let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
    names.sort();
    names.dedup();
    let differ = names.into_iter().filter(|n| a.get(*n) != b.get(*n));
    differ
        .map(|n| format!("{n}: {:?} -> {:?}", a.get(n), b.get(n)))
        .collect()
}

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
fn without_apply_nothing_is_changed_and_the_exit_code_says_whether_something_is_short() {
    let machine = Machine::own();
    let before = machine.dump("/proc/sys/net");
    for (args, code, says) in [
        (
            "--role server -c 5k",
            1,
            "short for 5,000 connections, role server",
        ),
        (
            "--role server -c 100",
            0,
            "as wanted for 100 connections, role server",
        ),
        ("--role client -c 5k", 1, "ip_local_port_range"),
        ("--script", 0, "#!/bin/sh"),
        ("--container", 0, "--ulimit nofile="),
        ("--revert", 0, "Nothing to put back"),
    ] {
        let _ = fs::create_dir(machine.files.path().join("throng"));
        let ran = machine.run(args);
        assert!(
            ran.code == code && ran.stdout.contains(says) && ran.stderr.is_empty(),
            "{ran}"
        );
        for line in ran.stdout.lines().filter(|_| !args.contains("--")) {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
    let _ = fs::create_dir(machine.files.path().join("throng"));
    assert_eq!(
        differences(&before, &machine.dump("/proc/sys/net")),
        [""; 0]
    );
}

#[test]
fn what_only_the_host_can_change_is_told_as_that() {
    let machine = Machine::own();
    // More than conntrack's table has: that can't be changed from a network namespace, even by root.
    let text = machine.run("--role server -c 400k --apply");
    assert_eq!(text.code, 1, "{text}");
    assert!(
        text.stdout
            .contains("not visible in this network namespace"),
        "{text}"
    );
    machine.run("--revert");
    let report = machine.report("--role server -c 400k --apply");
    let absent = report
        .settings
        .iter()
        .find(|s| s.name == "net.ipv4.tcp_mem")
        .unwrap();
    assert_eq!(absent.status, Status::Absent, "{report:#?}");
    if Path::new("/proc/sys/net/netfilter/nf_conntrack_max").exists() {
        let short = report
            .settings
            .iter()
            .find(|s| s.name.ends_with("conntrack_max"))
            .unwrap();
        if short.status == Status::Short {
            let outcome = outcome(&report, "nf_conntrack_max");
            assert!(
                outcome.did == Did::Failed && outcome.detail.contains("host"),
                "{outcome:?}"
            );
        }
    }
    assert!(machine.report("--revert").ok);
}

#[test]
fn a_read_only_proc_sys_is_told_and_nothing_is_left_behind() {
    let machine = Machine::own();
    machine
        .net
        .shell("mount --rbind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys");
    let report = machine.report("--role both -c 5k --port 9000 --apply");
    assert!(!report.ok && report.state_file.is_none(), "{report:#?}");
    let outcome = outcome(&report, "net.core.somaxconn");
    assert!(
        outcome.did == Did::Failed && outcome.detail.contains("read-only"),
        "{outcome:?}"
    );
    assert!(outcome.detail.contains("--container"), "{outcome:?}");
    assert!(!machine.state().exists());
}

#[test]
fn without_conntrack_and_without_ipv6_the_rest_is_still_told() {
    let machine = Machine::own();
    machine.net.shell(
        "for d in net/netfilter net/ipv6; do
             if [ -d /proc/sys/$d ]; then mount -t tmpfs tmpfs /proc/sys/$d; fi
         done
         ip link set lo down",
    );
    for args in [
        "--role both -c 5k",
        "--role both -c 5k --port 80 --with notrack",
    ] {
        let report = machine.report(args);
        for setting in report
            .settings
            .iter()
            .filter(|s| s.name.contains("conntrack") || s.name == "NOTRACK")
        {
            assert_eq!(setting.status, Status::Absent, "{setting:?}");
            let Reading::Absent(why) = &setting.now else {
                panic!("{setting:?}")
            };
            assert!(why.contains("not loaded"), "{why}");
        }
        let found = |s: &&throng_core::tune::Setting| {
            s.name == "net.core.somaxconn" && s.status == Status::Short
        };
        assert!(report.settings.iter().any(|s| found(&s)), "{report:#?}");
    }
    let ran = machine.run("--role both -c 5k --apply");
    assert!(
        ran.stdout.contains("connection tracking is not loaded"),
        "{ran}"
    );
    assert!(machine.report("--revert").ok);
}

#[test]
fn an_unprivileged_user_sees_what_can_be_seen_and_why_nothing_can_be_set() {
    let files = tempfile::tempdir().unwrap();
    fs::set_permissions(files.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let binary = files.path().join("throng");
    fs::copy(env!("CARGO_BIN_EXE_throng"), &binary).unwrap();
    let net = Net::own();
    net.shell("sysctl -qw net.core.somaxconn=130");
    let run = |args: &str| {
        let mut command = match rustix::process::geteuid().is_root() {
            true => net.command("setpriv"),
            false => Command::new("env"),
        };
        if rustix::process::geteuid().is_root() {
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        command
            .arg(&binary)
            .arg("tune")
            .args(args.split_whitespace());
        command
            .env("HOME", files.path())
            .env_remove("XDG_STATE_HOME");
        Process::start(format!("throng tune {args}"), command).wait(PATIENCE)
    };
    for args in [
        "--role both -c 1m",
        "--role both -c 1m --port 80 --with notrack",
        "-c 1m --script",
    ] {
        let ran = run(args);
        assert!(
            ran.code <= 1 && ran.stderr.is_empty() && !ran.stdout.is_empty(),
            "{ran}"
        );
    }
    let ran = run("--role both -c 1m --port 80 --with notrack --apply --persist --output json");
    let report = report(&ran);
    assert_eq!((ran.code, report.ok), (1, false), "{ran}");
    assert!(
        report.outcomes.iter().all(|o| o.did == Did::Failed),
        "{ran}"
    );
    assert!(
        outcome(&report, "net.core.somaxconn")
            .detail
            .contains("not root"),
        "{ran}"
    );
    assert_eq!(net.shell("sysctl -n net.core.somaxconn").trim(), "130");
    assert_eq!(report.state_file, None, "{ran}");
    assert!(!files.path().join(".local/state/throng").exists());
}

#[test]
fn what_somebody_else_changed_meanwhile_is_left_alone() {
    let machine = Machine::own();
    machine.run("--role server -c 5k --apply");
    machine.net.shell("sysctl -qw net.core.somaxconn=7777");
    let ran = machine.run("--revert");
    assert!(
        ran.code == 1 && ran.stdout.contains("somebody has set it to 7777"),
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
fn rules_of_the_same_name_that_are_not_throngs_are_not_touched() {
    let machine = Machine::own();
    machine
        .net
        .shell("nft add table inet throng_notrack && nft add chain inet throng_notrack mine");
    let before = machine.net.shell("nft list ruleset");
    let report = machine.report("--role server -c 100 --port 9000 --with notrack --apply");
    assert_eq!(outcome(&report, "NOTRACK").did, Did::Foreign);
    machine.run("--revert");
    assert_eq!(machine.net.shell("nft list ruleset"), before);
}

#[test]
fn without_nft_iptables_does_it() {
    let machine = Machine::own();
    let before = machine.net.shell("nft list ruleset");
    let nft = machine.net.shell("command -v nft");
    machine.net.shell(&format!("mount --bind /dev/null {nft}"));
    let args = "--role server -c 100 --port 9000,9100,9101 --with notrack --apply";
    let report = machine.report(args);
    let done = outcome(&report, "NOTRACK");
    assert!(
        done.did == Did::Changed && done.detail.contains("iptables"),
        "{done:?}"
    );
    let rules = machine.net.shell("iptables -t raw -S; ip6tables -t raw -S");
    // Two ranges, two directions, two chains, two families.
    assert_eq!(rules.matches("throng_notrack").count(), 16, "{rules}");
    assert!(machine.report(args).outcomes.is_empty(), "the second time");
    assert!(machine.report("--revert").ok);
    let rules = machine.net.shell("iptables -t raw -S; ip6tables -t raw -S");
    assert!(!rules.contains("throng"), "{rules}");
    machine.net.shell(&format!("umount {nft}"));
    let after = machine.net.shell("nft list ruleset");
    assert!(
        after.starts_with(&before) && !after.contains("notrack"),
        "{after}"
    );
}

#[test]
fn untracked_connections_are_not_tracked() {
    let machine = Machine::own();
    if !Path::new("/proc/sys/net/netfilter/nf_conntrack_count").exists() {
        // Without conntrack there is nothing to be kept out of; the rules themselves are tested above.
        return;
    }
    // A stateful rule switches tracking on in the namespace.
    machine.net.shell("nft add chain ip theirs in '{ type filter hook input priority 0; }'; nft add rule ip theirs in ct state new accept");
    let tracked = |port: u16| {
        let script = format!(
            "import socket
s = socket.create_server(('127.0.0.1', {port}))
c = [socket.create_connection(('127.0.0.1', {port})) for i in range(20)]
print(open('/proc/sys/net/netfilter/nf_conntrack_count').read())"
        );
        let out = machine
            .net
            .command("python3")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout)
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    machine.run("--role both -c 100 --port 9000 --with notrack --apply");
    assert_eq!(tracked(9000), 0);
    assert!(tracked(9001) >= 20);
    machine.run("--revert");
    assert!(tracked(9000) >= 40);
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

/// Runs a script in `net`, with its way back in `undo`.
fn sh(net: &Net, script: &Path, undo: &Path) -> String {
    let out = net
        .command("sh")
        .arg(script)
        .env("UNDO", undo)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    text
}

#[test]
fn the_script_does_what_apply_does_and_its_way_back_undoes_it() {
    let machine = Machine::own();
    let text = machine.run(&format!("{EVERYTHING} --script")).stdout;
    let script = machine.files.path().join("tune.sh");
    let undo = machine.files.path().join("undo.sh");
    fs::write(&script, text).unwrap();
    let before = machine.dump("/proc/sys/net");
    sh(&machine.net, &script, &undo);
    let by_script = machine.dump("/proc/sys/net");
    let again = sh(&machine.net, &script, &undo);
    assert!(
        !again
            .lines()
            .any(|l| l.contains(" -> ") && !l.contains("reserved_ports")),
        "{again}"
    );
    assert_eq!(
        differences(&by_script, &machine.dump("/proc/sys/net")),
        [""; 0],
        "the second time"
    );
    sh(&machine.net, &undo, &undo);
    assert_eq!(
        differences(&before, &machine.dump("/proc/sys/net")),
        [""; 0]
    );

    machine.run(&format!("{EVERYTHING} --apply"));
    let mut by_apply = machine.dump("/proc/sys/net");
    by_apply.remove(&machine.state().display().to_string());
    assert_eq!(differences(&by_script, &by_apply), [""; 0]);
}

#[test]
fn every_script_passes_the_shell_and_shellcheck() {
    let machine = Machine::own();
    let script = machine.files.path().join("x.sh");
    for role in ["client", "server", "both"] {
        for with in [
            "",
            "--port 9000",
            "--port 80,443,9000 --with notrack,syncookies-off,fin-timeout",
        ] {
            for os in ["linux", "freebsd", "macos"] {
                let args = format!("--role {role} -c 1m {with} --os {os}");
                let ran = machine.run(&args);
                assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran}");
                fs::write(&script, &ran.stdout).unwrap();
                for check in [&["sh", "-n"][..], &["shellcheck", "-s", "sh"]] {
                    let out = Command::new(check[0])
                        .args(&check[1..])
                        .arg(&script)
                        .output()
                        .unwrap();
                    assert!(
                        out.status.success(),
                        "{args}: {}",
                        String::from_utf8_lossy(&out.stdout)
                    );
                }
                for line in ran
                    .stdout
                    .lines()
                    .filter(|l| l.starts_with("# ") && !l.starts_with("#  "))
                {
                    assert!(line.chars().count() <= 100, "{line}");
                }
            }
        }
    }
}

#[test]
fn a_containers_flags_are_what_its_namespace_takes() {
    let machine = Machine::own();
    for role in ["client", "server", "both"] {
        let text = machine
            .run(&format!("--role {role} -c 1m --port 9000 --container"))
            .stdout;
        let flags: Vec<&str> = text
            .lines()
            .filter_map(|l| l.trim().strip_prefix("--sysctl '")?.strip_suffix("' \\"))
            .collect();
        assert!(flags.len() >= 3, "{text}");
        // Docker does the same: it writes them in the container's network namespace.
        for flag in flags {
            machine.net.shell(&format!("sysctl -qw '{flag}'"));
        }
        let compose: Vec<&str> = text
            .lines()
            .skip_while(|l| *l != "services:")
            .take_while(|l| !l.is_empty())
            .collect();
        let check = "import sys; lines = sys.argv[1].splitlines()
assert lines[0] == 'services:' and all(l.startswith('  ') and (len(l) - len(l.lstrip())) % 2 == 0 for l in lines[1:])
assert all(l.rstrip().endswith(':') or ': ' in l for l in lines), lines";
        let out = Command::new("python3")
            .args(["-c", check, &compose.join("\n")])
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}
