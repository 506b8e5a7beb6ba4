//! `throng tune` over the real kernel, in network and mount namespaces of the test's own. What belongs
//! to the whole machine is hidden behind copies there, so that no test can change it.

mod obstacles;
mod texts;
mod undo;

use crate::common::PATIENCE;
use crate::common::net::Net;
use crate::common::process::{Process, Ran};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use throng_core::tune::{Outcome, Report};

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
    "net/netfilter/nf_conntrack_expect_max",
];

/// What a namespace could change for the whole machine, or what another test could change under our eyes.
const MACHINE_WIDE: &[(&str, &str)] = &[
    ("fs/file-max", "1048576\n"),
    ("fs/nr_open", "1048576\n"),
    (CONNTRACK_MAX, "262144\n"),
    ("net/netfilter/nf_conntrack_buckets", "262144\n"),
];
const CONNTRACK_MAX: &str = "net/netfilter/nf_conntrack_max";

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
        // Copies, for this namespace.
        for (name, value) in MACHINE_WIDE {
            if !Path::new("/proc/sys").join(name).exists() {
                continue;
            }
            let copy = files.path().join(name.replace('/', "."));
            fs::write(&copy, value).unwrap();
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

    /// Everything that apply may change, and much that it may not: all files below `under`, the packet
    /// filter's rules and the persisted files.
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
        let text = self.net.python(&script, &[]);
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
