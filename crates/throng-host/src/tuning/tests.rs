//! Applying and reverting on a copy of /proc/sys and /etc, so that settings of the whole machine can be
//! tested too. What only the kernel can show (namespaces, refused values, nftables, real kills) is in
//! crates/throng/tests/e2e/tune.rs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;
use throng_core::tune::{Ask, Current, Did, Outcome, PortSet, Role, Setting, Status, settings};

use super::apply::apply_in_steps;
use super::revert::revert_in_steps;
use super::*;
use crate::here::Here;

/// A machine's values, as its files have them.
const FRESH: &[(&str, &str)] = &[
    ("fs/file-max", "100000\n"),
    ("fs/nr_open", "1048576\n"),
    ("net/core/somaxconn", "4096\n"),
    ("net/core/netdev_max_backlog", "1000\n"),
    ("net/ipv4/tcp_max_syn_backlog", "4096\n"),
    ("net/ipv4/tcp_syncookies", "1\n"),
    ("net/ipv4/tcp_mem", "287901\t383868\t575802\n"),
    ("net/ipv4/tcp_max_tw_buckets", "131072\n"),
    ("net/ipv4/tcp_max_orphans", "131072\n"),
    ("net/ipv4/ip_local_reserved_ports", "\n"),
    ("net/ipv4/ip_local_port_range", "32768\t60999\n"),
    ("net/ipv4/ip_unprivileged_port_start", "1024\n"),
    ("net/ipv4/tcp_tw_reuse", "2\n"),
    ("net/ipv4/tcp_fin_timeout", "60\n"),
    ("net/netfilter/nf_conntrack_max", "262144\n"),
    ("net/netfilter/nf_conntrack_buckets", "65536\n"),
];

struct Machine {
    directory: TempDir,
    system: System,
}

type Tree = BTreeMap<PathBuf, (Option<Vec<u8>>, SystemTime)>;

impl Machine {
    fn fresh() -> Machine {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (path, value) in FRESH {
            let path = root.join("proc/sys").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        }
        for path in ["etc/sysctl.d", "etc/systemd", "var/lib"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(root.join("etc/sysctl.d/10-other.conf"), "kernel.x = 1\n").unwrap();
        let system = System::at(root);
        Machine { directory, system }
    }

    fn state_file(&self) -> PathBuf {
        default_state_file(&self.system).unwrap()
    }

    /// The settings that the formulas give for it now.
    fn settings(&self, connections: u32) -> Vec<Setting> {
        let ask = Ask {
            role: Role::Both,
            connections,
            ports: vec![9000],
            with: Vec::new(),
        };
        let mut now = now(&self.system, None);
        // These come from the real machine, which is not what this is about.
        now.files = Some((1024, 4096));
        now.listened = PortSet::default();
        now.untracked = Current::Absent("a copy".into());
        settings(&ask, &now)
    }

    fn apply(&self, connections: u32, step: &mut dyn FnMut()) -> Result<Done, Fault> {
        let request = Request {
            system: &self.system,
            state_file: &self.state_file(),
            settings: &self.settings(connections),
            persist: true,
            pid: None,
        };
        apply_in_steps(&request, step)
    }

    fn revert(&self, force: bool) -> Vec<Outcome> {
        revert(&self.system, &self.state_file(), force).unwrap().0
    }

    fn value(&self, path: &str) -> String {
        fs::read_to_string(self.directory.path().join("proc/sys").join(path)).unwrap()
    }

    fn set(&self, path: &str, value: &str) {
        fs::write(self.directory.path().join(path), value).unwrap();
    }

    /// Every file and directory, with content and time of change.
    fn tree(&self) -> Tree {
        let mut all = Tree::new();
        let mut left = vec![self.directory.path().to_owned()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let changed = fs::symlink_metadata(&path).unwrap().modified().unwrap();
                if path.is_dir() {
                    left.push(path.clone());
                    all.insert(path, (None, changed));
                } else {
                    let content = fs::read(&path).unwrap();
                    all.insert(path, (Some(content), changed));
                }
            }
        }
        all
    }

    /// The same without times.
    fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        self.tree()
            .into_iter()
            .map(|(path, (content, _))| (path, content))
            .collect()
    }
}

/// Dies at the `n`th step. Nothing is cleaned up that a kill would not clean up too, except the lock.
fn dying_at(n: usize) -> impl FnMut() {
    let mut steps = 0;
    move || {
        steps += 1;
        assert!(steps != n, "killed at step {n}");
    }
}

fn outcome<'a>(outcomes: &'a [Outcome], what: &str) -> &'a Outcome {
    outcomes
        .iter()
        .find(|o| o.what.ends_with(what))
        .unwrap_or_else(|| panic!("no {what}: {outcomes:#?}"))
}

#[test]
fn all_is_set_kept_and_put_back_to_the_byte() {
    let machine = Machine::fresh();
    let before = machine.contents();
    let (outcomes, state) = machine.apply(1_000_000, &mut || ()).unwrap();
    assert!(
        outcomes.iter().all(|o| o.did == Did::Changed),
        "{outcomes:#?}"
    );
    assert_eq!(state, Some(machine.state_file()));
    assert_eq!(machine.value("net/core/somaxconn"), "65535");
    for setting in machine.settings(1_000_000) {
        let limit = setting.name == throng_core::tune::FILE_LIMIT;
        assert!(limit || setting.status != Status::Short, "{setting:#?}");
    }
    let kept =
        fs::read_to_string(machine.directory.path().join("etc/sysctl.d/90-throng.conf")).unwrap();
    for line in [
        "net.core.somaxconn = 65535",
        "net.ipv4.ip_local_port_range = 1024 65535",
        "fs.nr_open = 2001024",
    ] {
        assert!(kept.lines().any(|l| l == line), "{kept}");
    }
    let drop_in = machine
        .directory
        .path()
        .join("etc/systemd/system.conf.d/90-throng.conf");
    assert!(
        fs::read_to_string(drop_in)
            .unwrap()
            .contains("DefaultLimitNOFILE=2001024:2001024")
    );
    let outcomes = machine.revert(false);
    assert!(
        outcomes.iter().all(|o| o.did == Did::Changed),
        "{outcomes:#?}"
    );
    assert_eq!(machine.contents(), before);
}

#[test]
fn a_kill_at_any_step_of_apply_can_be_undone() {
    for n in 1.. {
        let machine = Machine::fresh();
        let before = machine.contents();
        let killed = catch_unwind(AssertUnwindSafe(|| {
            machine.apply(1_000_000, &mut dying_at(n))
        }))
        .is_err();
        if !killed {
            assert!(n > 40, "only {n} steps");
            break;
        }
        machine.revert(false);
        assert_eq!(machine.contents(), before, "killed at step {n}");
    }
}

#[test]
fn a_kill_at_any_step_of_revert_or_of_a_second_apply_can_be_undone() {
    for n in 1.. {
        let machine = Machine::fresh();
        let before = machine.contents();
        machine.apply(100_000, &mut || ()).unwrap();
        let second = catch_unwind(AssertUnwindSafe(|| {
            machine.apply(2_000_000, &mut dying_at(n))
        }))
        .is_err();
        let state = machine.state_file();
        let reverted = catch_unwind(AssertUnwindSafe(|| {
            revert_in_steps(&machine.system, &state, false, &mut dying_at(n))
        }));
        if !second && reverted.is_ok() {
            assert!(n > 40, "only {n} steps");
            break;
        }
        machine.revert(false);
        assert_eq!(machine.contents(), before, "killed at step {n}");
    }
}

#[test]
fn the_second_time_nothing_changes_and_the_first_old_values_stay() {
    let machine = Machine::fresh();
    let before = machine.contents();
    machine.apply(100_000, &mut || ()).unwrap();
    let first = machine.tree();
    let (outcomes, _) = machine.apply(100_000, &mut || ()).unwrap();
    assert!(
        outcomes.iter().all(|o| o.did == Did::AsItWas),
        "{outcomes:#?}"
    );
    let mut second = machine.tree();
    // The directory of the state file may be touched; nothing in it.
    let directory = machine.state_file().parent().unwrap().to_owned();
    second.insert(directory.clone(), first[&directory].clone());
    let (first, second): (Vec<_>, Vec<_>) = (
        first
            .iter()
            .filter(|(p, _)| !p.ends_with("tune.json"))
            .collect(),
        second
            .iter()
            .filter(|(p, _)| !p.ends_with("tune.json"))
            .collect(),
    );
    assert_eq!(first, second);

    machine.apply(3_000_000, &mut || ()).unwrap();
    assert_eq!(machine.value("net/ipv4/tcp_max_tw_buckets"), "3000000");
    machine.revert(false);
    assert_eq!(machine.contents(), before);
}

#[test]
fn what_somebody_else_changed_is_left_alone_until_forced() {
    let machine = Machine::fresh();
    let before = machine.contents();
    machine.apply(1_000_000, &mut || ()).unwrap();
    machine.set("proc/sys/net/core/somaxconn", "5000\n");
    machine.set("etc/sysctl.d/90-throng.conf", "net.core.somaxconn = 5000\n");
    machine.set("etc/systemd/user.conf.d/50-mine.conf", "[Manager]\n");
    let outcomes = machine.revert(false);
    for what in ["net.core.somaxconn", "sysctl.d/90-throng.conf"] {
        assert_eq!(outcome(&outcomes, what).did, Did::Foreign, "{what}");
    }
    assert!(
        outcome(&outcomes, "net.core.somaxconn")
            .detail
            .contains("it was 4096")
    );
    assert_eq!(machine.value("net/core/somaxconn"), "5000\n");
    assert_eq!(machine.value("net/ipv4/tcp_tw_reuse"), "2\n");

    let outcomes = machine.revert(true);
    assert_eq!(outcomes.len(), 2, "{outcomes:#?}");
    assert!(!machine.state_file().exists());
    let mut after = machine.contents();
    let theirs = machine.directory.path().join("etc/systemd/user.conf.d");
    assert!(after.remove(&theirs.join("50-mine.conf")).is_some());
    assert!(after.remove(&theirs).is_some());
    assert_eq!(after, before);
}

#[test]
fn after_a_reboot_the_values_are_back_already() {
    let machine = Machine::fresh();
    let before = machine.contents();
    machine.apply(1_000_000, &mut || ()).unwrap();
    // The kernel's values are new, the files are kept, and another boot has other namespaces.
    for (path, value) in FRESH {
        machine.set(&format!("proc/sys/{path}"), value);
    }
    // sysctl.d has set this one at boot.
    machine.set("proc/sys/net/core/somaxconn", "65535\n");
    let state = fs::read_to_string(machine.state_file()).unwrap();
    let here = Here::read();
    let state = state
        .replace(&here.boot, "an-earlier-boot")
        .replace(&here.namespace, "net:[1]");
    fs::write(machine.state_file(), state).unwrap();
    let outcomes = machine.revert(false);
    let changed: Vec<&str> = outcomes
        .iter()
        .filter(|o| o.did == Did::Changed && o.what.contains('.') && !o.what.starts_with('/'))
        .map(|o| o.what.as_str())
        .collect();
    assert_eq!(changed, ["net.core.somaxconn"], "{outcomes:#?}");
    assert_eq!(machine.contents(), before);
}

#[test]
fn another_namespaces_values_are_not_written_into_this_one() {
    let machine = Machine::fresh();
    machine.apply(1_000_000, &mut || ()).unwrap();
    let state = fs::read_to_string(machine.state_file()).unwrap();
    fs::write(
        machine.state_file(),
        state.replace(&Here::read().namespace, "net:[1]"),
    )
    .unwrap();
    let outcomes = machine.revert(false);
    let row = outcome(&outcomes, "net.core.somaxconn");
    assert!(
        row.did == Did::Failed && row.detail.contains("net:[1]"),
        "{row:?}"
    );
    assert_eq!(machine.value("net/core/somaxconn"), "65535");
    assert_eq!(
        machine.value("fs/file-max"),
        "100000\n",
        "the machine's own is put back"
    );
    machine.revert(true);
    assert!(!machine.state_file().exists());
}

#[test]
fn a_long_list_that_was_written_in_part_is_put_back() {
    let machine = Machine::fresh();
    let list: Vec<String> = (20_001..30_000)
        .step_by(2)
        .map(|p: u16| p.to_string())
        .collect();
    let list = list.join(",");
    let path = "proc/sys/net/ipv4/ip_local_reserved_ports";
    machine.set(path, &format!("{list}\n"));
    let before = machine.contents();
    let (outcomes, _) = machine.apply(1_000_000, &mut || ()).unwrap();
    assert!(outcome(&outcomes, "reserved_ports").detail.len() < 300);
    for part in [&list[..4091], &format!("9000,{}", &list[..8183])] {
        machine.set(path, &format!("{part}\n"));
        assert_eq!(
            outcome(&machine.revert(false), "reserved_ports").did,
            Did::Changed
        );
        assert_eq!(machine.contents(), before);
        machine.apply(1_000_000, &mut || ()).unwrap();
    }
    machine.set(path, "20001,20003,4\n");
    assert_eq!(
        outcome(&machine.revert(false), "reserved_ports").did,
        Did::Foreign
    );
}

#[test]
fn a_file_that_is_there_already_is_not_overwritten() {
    let machine = Machine::fresh();
    machine.set("etc/sysctl.d/90-throng.conf", "by hand\n");
    let before = machine.contents();
    let (outcomes, _) = machine.apply(1_000_000, &mut || ()).unwrap();
    assert_eq!(
        outcome(&outcomes, "sysctl.d/90-throng.conf").did,
        Did::Foreign
    );
    machine.revert(false);
    assert_eq!(machine.contents(), before);
}

#[test]
fn a_symbolic_link_that_is_there_already_is_left_alone() {
    let machine = Machine::fresh();
    let link = machine.directory.path().join("etc/sysctl.d/90-throng.conf");
    symlink("/run/not-there", &link).unwrap();
    let (outcomes, _) = machine.apply(1_000_000, &mut || ()).unwrap();
    assert_eq!(
        outcome(&outcomes, "sysctl.d/90-throng.conf").did,
        Did::Foreign
    );
    machine.revert(false);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("/run/not-there"));
}

#[test]
fn limits_above_nr_open_are_not_kept_because_nobody_could_log_in() {
    let machine = Machine::fresh();
    let mut settings = machine.settings(1_000_000);
    // As if the kernel had refused to raise it.
    settings.retain(|s| s.name != "fs.nr_open");
    let request = Request {
        system: &machine.system,
        state_file: &machine.state_file(),
        settings: &settings,
        persist: true,
        pid: None,
    };
    let (outcomes, _) = apply(&request).unwrap();
    let limit = outcome(&outcomes, "RLIMIT_NOFILE");
    assert!(
        limit.did == Did::Failed && limit.detail.contains("fs.nr_open is 1048576"),
        "{limit:?}"
    );
    assert!(!machine.directory.path().join("etc/security").exists());
}

#[test]
fn a_state_file_that_is_not_throngs_changes_nothing() {
    let machine = Machine::fresh();
    machine.apply(1_000_000, &mut || ()).unwrap();
    let good = fs::read_to_string(machine.state_file()).unwrap();
    let after = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} in {good}");
        good.replacen(from, to, 1)
    };
    for (bad, says) in [
        (good[..good.len() / 2].to_owned(), "EOF"),
        (String::new(), "EOF"),
        (after("\"version\": 1", "\"version\": 2"), "version 2"),
        (
            after("net.core.somaxconn", "kernel.core_pattern"),
            "kernel.core_pattern",
        ),
        (
            after("/etc/sysctl.d/90-throng.conf", "/etc/passwd"),
            "/etc/passwd",
        ),
        (after("\"/etc/security\"", "\"/home\""), "/home"),
    ] {
        fs::write(machine.state_file(), &bad).unwrap();
        let before = machine.contents();
        for fault in [
            revert(&machine.system, &machine.state_file(), true).unwrap_err(),
            machine.apply(5_000_000, &mut || ()).unwrap_err(),
        ] {
            assert!(
                fault.to_string().contains(says) && fault.to_string().contains("tune.json"),
                "{says}: {fault}"
            );
        }
        assert_eq!(machine.contents(), before, "{says}");
    }
}

#[test]
fn two_at_once_do_not_mix() {
    let machine = Machine::fresh();
    let mut refused = None;
    let mut step = || {
        let state = Path::new(&machine.state_file()).to_owned();
        refused.get_or_insert_with(|| revert(&machine.system, &state, false).map(|_| ()));
    };
    // The first step is before the state file is there; revert finds nothing. So make one.
    fs::create_dir_all(machine.state_file().parent().unwrap()).unwrap();
    fs::write(machine.state_file().with_extension("json.throng-new"), "").unwrap();
    machine.apply(1_000_000, &mut step).unwrap();
    let fault = refused.unwrap().unwrap_err();
    assert!(
        fault.to_string().contains("another throng tune is at work"),
        "{fault}"
    );
}
