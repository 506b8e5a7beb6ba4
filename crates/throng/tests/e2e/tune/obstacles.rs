//! What can't be read or set: said, with the reason, and nothing is left behind.

use super::{CONNTRACK_MAX, Machine, outcome, report};
use crate::common::PATIENCE;
use crate::common::net::Net;
use crate::common::process::Process;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use throng_core::tune::{Current, Did, Status};

#[test]
fn what_only_the_host_can_change_is_reported_as_that() {
    let machine = Machine::own();
    // More than conntrack's table has: that can't be changed from a network namespace, even by root.
    if Path::new("/proc/sys").join(CONNTRACK_MAX).exists() {
        machine
            .net
            .shell(&format!("umount /proc/sys/{CONNTRACK_MAX}"));
    }
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
fn a_read_only_proc_sys_is_reported_and_nothing_is_left_behind() {
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
fn without_conntrack_and_without_ipv6_the_rest_is_still_reported() {
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
            let Current::Absent(why) = &setting.now else {
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

    let text = machine.run("--role server -c 100 --port 9000 --with notrack --script");
    let script = machine.files.path().join("tune.sh");
    fs::write(&script, text.stdout).unwrap();
    let undo = machine.files.path().join("undo.sh");
    let mut command = machine.net.command("sh");
    command.arg(&script).env("UNDO", &undo);
    let ran = Process::start("tune.sh".into(), command).wait(PATIENCE);
    assert!(
        ran.code == 1 && ran.stderr.contains("throng_notrack"),
        "{ran}"
    );
    assert_eq!(machine.net.shell("nft list ruleset"), before);
}

#[test]
fn everybody_may_read_the_files_whatever_the_umask_is() {
    let machine = Machine::own();
    machine.net.shell(&format!(
        "ulimit -n 1024; umask 077; {} tune --role server -c 5k --apply --persist --state {} || true",
        env!("CARGO_BIN_EXE_throng"),
        machine.state().display()
    ));
    let modes = machine
        .net
        .shell("stat -c %a /etc/systemd/user.conf.d /etc/systemd/user.conf.d/90-throng.conf");
    assert_eq!(modes, "755\n644\n");
    assert!(machine.report("--revert").ok);
}

#[test]
fn a_read_only_etc_leaves_nothing_to_revert() {
    let machine = Machine::own();
    machine
        .net
        .shell("mount -t tmpfs tmpfs /etc && mount -o remount,ro /etc");
    let report = machine.report("--role server -c 5k --apply --persist");
    assert_eq!(outcome(&report, "90-throng.conf").did, Did::Failed);
    let reverted = machine.report("--revert");
    assert!(
        reverted.ok && reverted.state_file.is_none(),
        "{reverted:#?}"
    );
}

#[test]
fn a_damaged_state_file_is_reported_before_anything_is_changed() {
    let machine = Machine::own();
    let applied = machine.run("--role server -c 5k --apply");
    assert_eq!(applied.code, 0, "{applied}");
    let whole = fs::read_to_string(machine.state()).unwrap();
    let first_old = whole.split_once("\"old\": \"").expect("an old value").1;
    let old = first_old.split_once('"').expect("its end").0;
    let damaged = [
        String::new(),
        whole[..whole.len() / 2].to_owned(),
        whole.replacen(
            &format!("\"old\": \"{old}\""),
            "\"old\": \"4\u{fffd}96\"",
            1,
        ),
        whole.replacen("\"version\": 1", "\"version\": 7", 1),
        whole.replacen("\"version\": 1", "\"version\": 1, \"more\": 1", 1),
    ];
    let before = machine.dump("/proc/sys/net");
    for text in damaged {
        fs::write(machine.state(), &text).unwrap();
        // Nothing is short any more for the second one.
        for args in [
            "--role server -c 6k --apply",
            "--role server -c 1 --apply",
            "--revert",
        ] {
            let ran = machine.run(args);
            let named = ran.stderr.contains("can't use the state file")
                && ran.stderr.contains("Nothing was changed");
            assert!(ran.code == 2 && named, "{text}: {ran}");
            assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        }
        let mut after = machine.dump("/proc/sys/net");
        let at = machine.state().display().to_string();
        after.insert(at.clone(), before[&at].clone());
        assert_eq!(after, before, "{:?}", super::differences(&after, &before));
    }
    fs::write(machine.state(), whole).unwrap();
    assert!(machine.report("--revert").ok);
}

#[test]
fn a_state_file_on_a_full_disk_changes_nothing() {
    let machine = Machine::own();
    let full = machine.files.path().join("full");
    fs::create_dir(&full).unwrap();
    machine.net.shell(&format!(
        "mount -t tmpfs -o size=4k tmpfs {at} && head -c 4096 /dev/zero >{at}/rest",
        at = full.display()
    ));
    let before = machine.dump("/proc/sys/net");
    let ran = machine.run(&format!(
        "--role server -c 5k --apply --state {}/tune.json",
        full.display()
    ));
    assert!(
        ran.code == 2 && ran.stderr.contains("Nothing was changed"),
        "{ran}"
    );
    assert_eq!(machine.dump("/proc/sys/net"), before);
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
        let count = machine.net.python(&script, &[]);
        count.trim().parse::<u32>().unwrap()
    };
    machine.run("--role both -c 100 --port 9000 --with notrack --apply");
    assert_eq!(tracked(9000), 0);
    assert!(tracked(9001) >= 20);
    machine.run("--revert");
    assert!(tracked(9000) >= 40);
}
