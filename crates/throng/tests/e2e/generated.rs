//! Help, man pages and completions: all from the same definitions.

use crate::common::net::Net;
use crate::common::run;
use std::collections::BTreeSet;
use std::process::Command;

const SUBCOMMANDS: [&str; 8] = [
    "load",
    "serve",
    "run",
    "plan",
    "tune",
    "merge",
    "completions",
    "man",
];

/// The long options that a help text lists.
fn options(help: &str) -> BTreeSet<String> {
    help.lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| {
            line.split([' ', ',', '=', '['])
                .find(|w| w.starts_with("--"))
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn each_help_has_examples_and_says_what_each_option_is_for() {
    for subcommand in SUBCOMMANDS {
        let help = run(&Net::host(), &format!("{subcommand} --help")).stdout;
        assert!(help.contains("Example"), "{subcommand}: {help}");
        assert!(help.contains(&format!("throng {subcommand}")), "{help}");
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "too long: {line}");
        }
    }
    let help = run(&Net::host(), "--help").stdout;
    for part in ["Exit codes", "130", "load", "serve"] {
        assert!(help.contains(part), "no '{part}': {help}");
    }
}

#[test]
fn the_commands_of_the_examples_are_understood() {
    // With --help a command line is parsed only up to there. So the runs are made impossible instead: if the plan
    // refuses them, the command line was read.
    for subcommand in ["load", "serve"] {
        let help = run(&Net::host(), &format!("{subcommand} --help")).stdout;
        let examples: Vec<&str> = help
            .lines()
            .filter_map(|l| l.trim().strip_prefix("throng "))
            .collect();
        assert!(examples.len() >= 3, "{help}");
        for example in examples {
            // What follows two blanks is a remark.
            let command = example.split("  ").next().unwrap();
            let impossible = match subcommand {
                "load" if command.contains("-c 1m") => command.replace("-c 1m", "-c 100m"),
                "load" => with_impossible_connections(command),
                _ => format!("{command} --max-connections 100m"),
            };
            let out = Command::new("sh")
                .args([
                    "-c",
                    &format!("exec {} {impossible}", env!("CARGO_BIN_EXE_throng")),
                ])
                .output()
                .unwrap();
            let stderr = String::from_utf8_lossy(&out.stderr);
            let resolves = !stderr.contains("can't resolve");
            assert_eq!(out.status.code(), Some(2), "{impossible}: {stderr}");
            let built = !stderr.contains("not built into this version");
            assert!(
                stderr.contains("memory") || !resolves || !built,
                "{impossible}: {stderr}"
            );
        }
    }
}

fn with_impossible_connections(command: &str) -> String {
    let mut words: Vec<&str> = command.split(' ').collect();
    let at = words
        .iter()
        .position(|w| *w == "-c")
        .expect("each example has -c");
    words[at + 1] = "100m";
    words.join(" ")
}

#[test]
fn completions_are_scripts_that_their_shells_can_read() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&Net::host(), &format!("completions {shell}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran}");
        for option in ["connect-rate", "max-connections", "source-ip"] {
            assert!(ran.stdout.contains(option), "no '{option}': {ran}");
        }
        if shell == "bash" {
            let check = Command::new("bash")
                .args(["-n", "-c", &ran.stdout])
                .output()
                .unwrap();
            assert!(check.status.success(), "{check:?}");
        }
    }
}

#[test]
fn man_pages_mention_every_option_and_are_read_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("man1");
    let ran = run(&Net::host(), &format!("man {}", into.display()));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran}");
    assert!(std::fs::metadata(into.join("throng.1")).is_ok());
    for subcommand in SUBCOMMANDS {
        let path = into.join(format!("throng-{subcommand}.1"));
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.lines().any(|l| l.starts_with(".TH")), "{page}");
        assert!(page.contains(".SH EXAMPLES\n"), "{page}");
        assert!(!page.contains("EXTRA"), "{page}");
        let help = run(&Net::host(), &format!("{subcommand} --help")).stdout;
        for option in options(&help) {
            let escaped = option.replace('-', "\\-");
            assert!(
                page.contains(&escaped),
                "{subcommand}: no {option} in the page"
            );
        }
        let rendered = Command::new("man")
            .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
            .arg(&path)
            .env("MANROFFSEQ", "")
            .output()
            .expect("man starts; run scripts/test");
        assert!(
            rendered.status.success() && rendered.stderr.is_empty(),
            "{rendered:?}"
        );
    }
}
