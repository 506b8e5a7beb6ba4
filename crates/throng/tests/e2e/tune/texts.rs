//! What is printed instead of done: the table, scripts, container flags. Each is run or checked.

use super::{EVERYTHING, Machine, differences};
use crate::common::net::Net;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn without_apply_nothing_is_changed_and_the_exit_code_says_whether_something_is_insufficient() {
    let machine = Machine::own();
    let before = machine.dump("/proc/sys/net");
    for (args, code, says) in [
        (
            "--role server -c 5k",
            1,
            "insufficient for 5,000 connections, role server",
        ),
        (
            "--role server -c 100",
            0,
            "suffice for 100 connections, role server",
        ),
        ("--role client -c 5k", 1, "ip_local_port_range"),
        ("--script", 0, "#!/bin/sh"),
        ("--container", 0, "--ulimit nofile="),
        ("--revert", 0, "Nothing to restore"),
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
        machine.net.python(check, &[&compose.join("\n")]);
    }
}

#[test]
fn the_examples_of_the_help_are_understood() {
    let machine = Machine::own();
    let help = machine.run("--help").stdout;
    let examples: Vec<&str> = help
        .lines()
        .filter_map(|l| {
            l.trim()
                .trim_start_matches("sudo ")
                .strip_prefix("throng tune ")
        })
        .collect();
    assert!(examples.len() >= 6, "{help}");
    for example in examples {
        let example = example.split(" >").next().unwrap();
        // An apply gets as far as the state file, which can't be made there.
        let (args, code, says) = match () {
            () if example.contains("--apply") => (
                format!("{example} --state /proc/no/tune.json"),
                2,
                "can't use the state file /proc/no/tune.json",
            ),
            () if example.contains("--revert") => (example.to_owned(), 0, ""),
            () if example.contains("--script")
                || example.contains("--for")
                || example.contains("--container")
                || example.contains("--os") =>
            {
                (example.to_owned(), 0, "")
            }
            () => (example.to_owned(), 1, ""),
        };
        let ran = machine.run(&args);
        assert!(ran.code == code && ran.stderr.contains(says), "{ran}");
    }
    assert_eq!(
        machine.net.shell("sysctl -n net.core.somaxconn").trim(),
        "130"
    );
}
