//! Help, man pages and completions: all from the same definitions.

use crate::common::net::Net;
use crate::common::run;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

const SUBCOMMANDS: [&str; 20] = [
    "load",
    "http",
    "serve",
    "proxy",
    "run",
    "fleet",
    "agent",
    "plan",
    "tune",
    "merge",
    "compare",
    "report",
    "worklog",
    "sweep",
    "probe",
    "watch",
    "lab",
    "completions",
    "man",
    "help",
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

/// What `throng` prints to a terminal of this width, if all is well.
fn at_columns(columns: usize, words: &[&str]) -> String {
    let (code, text) = code_at_columns(columns, words);
    assert_eq!(code, Some(0), "{words:?}: {text}");
    text
}

/// The exit code, and what `throng` prints to a terminal of this width.
fn code_at_columns(columns: usize, words: &[&str]) -> (Option<i32>, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_throng"))
        .args(words)
        .env("COLUMNS", columns.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (ran.status.code(), String::from_utf8(ran.stdout).unwrap())
}

fn widest(text: &str) -> usize {
    text.lines().map(|l| l.chars().count()).max().unwrap_or(0)
}

#[test]
fn the_short_help_of_each_subcommand_is_one_screen() {
    for subcommand in SUBCOMMANDS {
        let help = at_columns(80, &[subcommand, "-h"]);
        assert!(help.lines().count() <= 40, "{subcommand}: {help}");
        assert!(widest(&help) <= 80, "{subcommand}: {help}");
        let full = at_columns(80, &[subcommand, "--help"]);
        assert!(options(&help).is_subset(&options(&full)), "{help}");
    }
    assert!(at_columns(80, &["-h"]).lines().count() <= 40);
    // All words of a line are read before its help is shown.
    let among = at_columns(80, &["load", "-c", "5", "-h"]);
    assert_eq!(among, at_columns(80, &["load", "-h"]));
}

#[test]
fn topics_and_subcommands_have_help() {
    let all = at_columns(80, &["help"]);
    for topic in ["messages", "verdict", "limits", "scenario"] {
        assert!(all.contains(&format!("  {topic} ")), "no {topic}: {all}");
        let page = at_columns(60, &["help", topic]);
        assert!(page.lines().count() > 50, "{page}");
        for mark in ["| ---", "](", "**", "```"] {
            assert!(!page.contains(mark), "{topic} has {mark}: {page}");
        }
    }
    // These are topics, which have the subcommands, too.
    let topics = [
        "http", "compare", "report", "sweep", "probe", "proxy", "fleet", "watch", "lab",
    ];
    for subcommand in SUBCOMMANDS
        .into_iter()
        .filter(|name| !topics.contains(name))
    {
        assert!(all.contains(&format!("  {subcommand} ")), "{all}");
        assert_eq!(
            at_columns(80, &["help", subcommand]),
            at_columns(80, &[subcommand, "--help"])
        );
    }
    let ran = run(&Net::host(), "help mesages");
    assert_eq!(ran.code, 2, "{ran}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    assert!(ran.stderr.contains("`throng help messages`"), "{ran}");
}

/// Words that belong to the number before them.
const UNITS: [&str; 16] = [
    "%", "ns", "us", "µs", "ms", "s", "m", "h", "d", "B", "kB", "KiB", "MiB", "GiB", "KiB/s",
    "MiB/s",
];

/// Asserts that `page` fits a terminal of so many columns, and that no line of it ends between a number and its unit. A word
/// that is wider than the terminal may stand for itself.
#[track_caller]
fn assert_unbroken(page: &str, columns: usize) {
    for line in page.lines() {
        let alone = line.split_whitespace().count() <= 1;
        let fits = line.chars().count() <= columns;
        assert!(fits || alone, "more than {columns} columns: {line}\n{page}");
    }
    for (line, next) in page.lines().zip(page.lines().skip(1)) {
        let last = line.split_whitespace().last().unwrap_or_default();
        let first = next.split_whitespace().next().unwrap_or_default();
        let number = last.trim_start_matches(['(', '<', '>', '=', '-']);
        let digits = number
            .chars()
            .all(|c| c.is_ascii_digit() || ".,".contains(c));
        let is_number = digits && number.starts_with(|c: char| c.is_ascii_digit());
        let first = first.trim_end_matches([',', '.', ';', ':', ')']);
        let torn = is_number && !number.ends_with([',', '.']) && UNITS.contains(&first);
        assert!(!torn, "a number is torn: {line}\n{next}");
    }
}

#[test]
fn every_page_fits_narrow_and_wide_terminals_and_tears_no_number() {
    let directory = tempfile::tempdir().unwrap();
    let result = directory.path().join("run.json");
    let result = result.to_str().unwrap();
    let made = [
        "load", "--self", "-c", "9", "--hold", "100ms", "--output", "json",
    ];
    let made = [&made[..], &["--output-file", result]].concat();
    at_columns(80, &made);
    let help = run(&Net::host(), "help").stdout;
    let (topics, _) = help.split_once("Commands:").unwrap();
    let (_, topics) = topics.split_once("Topics:").unwrap();
    // A line that begins with more blanks continues the one before.
    let topics = topics.lines().filter_map(|line| {
        let line = line.strip_prefix("  ")?;
        line.split(' ').next().filter(|word| !word.is_empty())
    });
    let topics: Vec<Vec<&str>> = topics.map(|topic| vec!["help", topic]).collect();
    assert!(topics.len() >= 11, "{topics:?}");
    let short = SUBCOMMANDS.map(|subcommand| vec![subcommand, "-h"]);
    let full = SUBCOMMANDS.map(|subcommand| vec![subcommand, "--help"]);
    let reports: [&[&str]; 11] = [
        &["-h"],
        &["--help"],
        &["help"],
        &["plan"],
        &["plan", "-t", "127.0.0.1:9", "-c", "1", "--per-client", "1"],
        &["tune", "-c", "1m"],
        &["merge", result],
        &["merge", "-v", result],
        &["compare", result, result],
        &["compare", "--history", directory.path().to_str().unwrap()],
        &[
            "load",
            "--self=echo",
            "-c",
            "9",
            "-m",
            "hello",
            "--closed-loop",
            "--hold",
            "300ms",
        ],
    ];
    let reports = reports.map(<[&str]>::to_vec);
    for page in topics.into_iter().chain(short).chain(full).chain(reports) {
        for columns in [60, 80, 120] {
            // Not every machine suffices for a plan, or has all settings.
            let (code, text) = code_at_columns(columns, &page);
            assert!(matches!(code, Some(0 | 1)), "{page:?}: {text}");
            assert_unbroken(&text, columns);
        }
    }
}

#[test]
fn the_program_is_called_throng_whatever_its_file_is_called() {
    let directory = tempfile::tempdir().unwrap();
    let other = directory.path().join("another-name");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_throng"), &other).unwrap();
    for words in [
        &["load", "-h"][..],
        &["load", "--help"],
        &["--help"],
        &["load", "--hole", "1s"],
    ] {
        let said = |program: &std::path::Path| {
            let out = Command::new(program).args(words).output().unwrap();
            (out.status.code(), out.stdout, out.stderr)
        };
        let usual = said(std::path::Path::new(env!("CARGO_BIN_EXE_throng")));
        assert!(said(&other) == usual, "{words:?}");
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

#[test]
fn the_commands_of_the_other_examples_run() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // Not in the directory itself, where an example writes a file `throng`.
    let bin = at.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_throng"), bin.join("throng")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let sh = |command: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(at);
        shell.env("PATH", &path).env("HOME", at);
        let out = shell.stdin(Stdio::null()).output().unwrap();
        (out.status.code(), format!("{command}: {out:?}"))
    };
    for file in ["a.json", "b.json"] {
        let line = format!("throng load --self --hold 100ms --output json --output-file {file}");
        let (code, ran) = sh(&line);
        assert_eq!(code, Some(0), "{ran}");
    }
    for directory in ["sweep-1", "sweep-2"] {
        let line = format!(
            "throng sweep -q --vary connections=1,2 --pause 0s --output-dir {directory} -- load --self --hold 20ms"
        );
        let (code, ran) = sh(&line);
        assert_eq!(code, Some(0), "{ran}");
    }
    for (directory, result) in [
        ("before", "a.json"),
        ("after", "b.json"),
        ("results", "a.json"),
    ] {
        std::fs::create_dir(at.join(directory)).unwrap();
        std::fs::copy(at.join(result), at.join(directory).join("1.json")).unwrap();
    }
    let mut count = 0;
    for subcommand in [
        "run",
        "plan",
        "tune",
        "merge",
        "compare",
        "report",
        "worklog",
        "completions",
        "man",
        "help",
    ] {
        let help = run(&Net::host(), &format!("{subcommand} --help")).stdout;
        for example in examples(&help) {
            if example.starts_with("sudo ") {
                continue;
            }
            let here = example.replace("/etc/bash_completion.d", ".");
            let here = here.replace("/usr/local/share/man", ".");
            let (here, allowed) = match subcommand {
                // A run is made impossible, which the plan finds out once all is read.
                "run" if here.starts_with("throng run") => {
                    (here + " --set load.connections=100m", &[2][..])
                }
                // Ten rounds would take minutes.
                "compare" if here.contains("--run") => {
                    let here = here.replace("--self", "--self --hold 100ms");
                    (here + " --rounds 1", &[0][..])
                }
                // This machine may not fit, or lack settings; the two runs were not at the same time; one round of each tells
                // nothing.
                "plan" | "tune" | "merge" | "compare" => (here, &[0, 1][..]),
                _ => (here, &[0][..]),
            };
            let (code, ran) = sh(&here);
            assert!(code.is_some_and(|code| allowed.contains(&code)), "{ran}");
            assert!(code != Some(2) || ran.contains("memory"), "{ran}");
            count += 1;
        }
    }
    assert!(count >= 16, "{count}");
}

/// The commands of a help text's examples.
fn examples(help: &str) -> Vec<&str> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    lines
        .filter(|line| line.starts_with("throng ") || line.starts_with("sudo throng "))
        .collect()
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
    let main = std::fs::read_to_string(into.join("throng.1")).unwrap();
    for section in ["\"EXIT STATUS\"", "EXAMPLES", "\"SEE ALSO\""] {
        assert!(main.contains(&format!(".SH {section}\n")), "{main}");
    }
    for subcommand in SUBCOMMANDS {
        let path = into.join(format!("throng-{subcommand}.1"));
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.lines().any(|l| l.starts_with(".TH")), "{page}");
        for section in ["\"EXIT STATUS\"", "EXAMPLES", "\"SEE ALSO\""] {
            assert!(page.contains(&format!(".SH {section}\n")), "{page}");
        }
        assert!(!page.contains("EXTRA"), "{page}");
        let help = run(&Net::host(), &format!("{subcommand} --help")).stdout;
        for option in options(&help) {
            let escaped = option.replace('-', "\\-");
            assert!(
                page.contains(&escaped),
                "{subcommand}: no {option} in the page"
            );
        }
        // As wide as the narrowest usual terminal.
        let read = Command::new("man")
            .args(["-E", "UTF-8", "-l"])
            .arg(&path)
            .env("MANWIDTH", "80")
            .output()
            .expect("man starts; run scripts/test");
        let read = String::from_utf8(read.stdout).unwrap();
        for command in examples(&help) {
            let whole = read.lines().find(|line| line.trim() == command);
            let whole = whole.unwrap_or_else(|| panic!("can't copy {command} from {read}"));
            assert!(whole.chars().count() <= 80, "too wide: {whole}");
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
