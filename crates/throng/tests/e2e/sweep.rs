//! `throng sweep`: grids, resumed sweeps, systems under test that fail, a full disk.

use crate::common::net::Net;
use crate::common::peers::source;
use crate::common::process::{Process, Ran};
use crate::common::{run_words, start_words, words};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use throng_core::experiment::sweep::{Plan, SweepResult, Trial};
use throng_report::json::read_record;

const THRONG: &str = env!("CARGO_BIN_EXE_throng");
/// A trial that takes a moment.
const SHORT: &str = "load --self=echo -m hi --closed-loop --hold 50ms";
/// How many sweeps are killed unless somebody asks for more (`THRONG_SWEEP_KILLS`).
const KILLS: u64 = 6;

/// A sweep into `dir`, with options and a trial as [`words`].
fn sweep(net: &Net, dir: &Path, options: &str, trial: &str) -> Ran {
    start(net, dir, options, trial).wait(crate::common::PATIENCE)
}

fn start(net: &Net, dir: &Path, options: &str, trial: &str) -> Process {
    let fixed = [
        "sweep",
        "--pause",
        "0s",
        "--output-dir",
        dir.to_str().unwrap(),
    ];
    let all = [&fixed[..], &words(options), &["--"], &words(trial)].concat();
    start_words(net, &all)
}

fn resume(net: &Net, dir: &Path) -> Ran {
    let words = [
        "sweep",
        "--output",
        "json",
        "--resume",
        dir.to_str().unwrap(),
    ];
    run_words(net, &words)
}

/// The result in `dir`.
fn result(dir: &Path) -> SweepResult {
    let text = fs::read_to_string(dir.join("result.json")).expect("a result");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// What is due, by the number of its trial: the values of its point, and its repetition.
fn due(plan: &Plan) -> BTreeMap<u32, (BTreeMap<String, String>, u32)> {
    let schedule = plan.schedule();
    let named = schedule
        .iter()
        .map(|due| (plan.named(due.point), due.repetition));
    (1..).zip(named).collect()
}

/// Asserts that each trial of the plan is finished, once, with a result on disk that is its own.
#[track_caller]
fn assert_whole(dir: &Path, result: &SweepResult) {
    assert!(result.complete, "{result:#?}");
    let mut found = BTreeMap::new();
    for point in &result.points {
        assert_eq!(point.trials.len(), result.plan.repeat as usize);
        for trial in &point.trials {
            let of = (point.values.clone(), trial.repetition);
            assert_eq!(found.insert(trial.number, of), None, "{trial:?}");
        }
    }
    assert_eq!(found, due(&result.plan));
    let files = fs::read_dir(dir.join("trials")).unwrap().count();
    assert_eq!(files, result.plan.trials(), "a file for each trial");
}

/// One line on stderr that names each of `parts`, and this exit code.
#[track_caller]
fn assert_refused(ran: &Ran, code: i32, parts: &[&str]) {
    assert_eq!(ran.code, code, "{ran}");
    let lines = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("throng: "));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 1, "{ran}");
    for part in parts {
        assert!(lines[0].contains(part), "no '{part}': {ran}");
    }
}

/// The processes whose command line has `mark` in it.
fn processes(mark: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(mark)).collect()
}

/// Asserts that no process has `mark` in its command line, or soon none does.
#[track_caller]
fn assert_gone(mark: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while !processes(mark).is_empty() {
        assert!(Instant::now() < until, "left: {:#?}", processes(mark));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_grid_has_a_row_for_each_point_and_a_file_for_each_trial() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("grid");
    let options =
        "--vary connections=1,2..8 --vary load.hold=20ms,40ms --repeat 3 --trim 1 --seed 7";
    let ran = sweep(&net, &at, options, SHORT);
    assert_eq!(ran.code, 0, "{ran}");
    let result = result(&at);
    assert_whole(&at, &result);
    assert_eq!((result.points.len(), result.curves.len()), (8, 2), "{ran}");
    for point in &result.points {
        let used = point.trials.iter().filter(|trial| trial.usable().is_some());
        assert_eq!(used.count(), point.used as usize, "{point:?}");
        for trial in &point.trials {
            // What a trial says is what its file says.
            let record = read_record(&fs::read(at.join(&trial.file)).unwrap()).unwrap();
            let asked = record
                .sources
                .values()
                .next()
                .unwrap()
                .about
                .asked
                .connections;
            let connections: u64 = point.values["connections"].parse().unwrap();
            assert_eq!(asked, Some(connections), "{trial:?}");
            let measured = trial.measured.as_ref().expect("a result");
            assert!(measured.throughput.is_some(), "{trial:?}");
            assert!(measured.p50_us <= measured.p99_us, "{trial:?}");
        }
    }
    // The order is that of the seed, and not the one given.
    let mut trials: Vec<&Trial> = result.trials().collect();
    trials.sort_by_key(|trial| trial.number);
    let started = |trial: &&Trial| trial.measured.as_ref().unwrap().started_unix_s;
    assert!(trials.is_sorted_by_key(started), "{trials:#?}");
    let table = ran
        .stdout
        .lines()
        .filter(|line| line.contains("ms ") && line.contains("/s"));
    assert!(table.count() >= 8, "{ran}");
    for part in [
        "connections",
        "load.hold",
        "answers/s",
        "Along connections, at load.hold=20ms",
    ] {
        assert!(ran.stdout.contains(part), "no '{part}': {ran}");
    }
    // Finished: nothing is left to do, and the table is the same.
    let again = run_words(
        &net,
        &["sweep", "--resume", at.to_str().unwrap(), "--output", "csv"],
    );
    assert_eq!(again.code, 0, "{again}");
    let lines: Vec<&str> = again.stdout.lines().collect();
    assert_eq!(lines.len(), 1 + 24, "{again}");
    assert!(
        lines[0].starts_with("connections,load.hold,trial,repetition,throughput,"),
        "{again}"
    );
    assert!(
        lines.iter().all(|line| line.split(',').count() == 12),
        "{again}"
    );
    let json = resume(&net, &at);
    let printed: SweepResult = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(printed, result);
}

#[test]
fn a_sweep_that_is_killed_goes_on_and_leaves_nothing_behind() {
    let asked = std::env::var("THRONG_SWEEP_KILLS").ok();
    let kills = asked.map_or(KILLS, |n| n.parse().expect("a number of kills"));
    let net = Net::own();
    let before = net.shell("sysctl -n net.core.somaxconn");
    // The directory is in the command line of all processes of a sweep, by which they are found. The server leaves its shell.
    let options = |at: &Path| {
        let mark = at.to_str().unwrap();
        format!(
            "--vary connections=1,2 --vary net.core.somaxconn=16,128 --repeat 2 --seed 5 --output json --between 'true {mark}' \
             --start '{THRONG} serve --mode echo --quiet --output-file {mark}/served 127.0.0.1:9000 & wait # {mark}'"
        )
    };
    let trial = "load -m hi --closed-loop --hold 30ms 127.0.0.1:9000";
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let began = Instant::now();
    let ran = sweep(&net, &whole, &options(&whole), trial);
    let takes = began.elapsed();
    assert_eq!(ran.code, 0, "{ran}");
    let expected = result(&whole);
    assert_whole(&whole, &expected);
    let mut random = 0x9e37_79b9_u64;
    for kill in 0..kills {
        let at = dir.path().join(format!("killed-{kill}"));
        let mark = at.to_str().unwrap();
        let killed = start(&net, &at, &options(&at), trial);
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (random >> 40) as f64 / f64::from(1 << 24);
        std::thread::sleep(takes.mul_f64(share));
        killed.signal(Signal::KILL);
        // Reaped, so that it is no process any more.
        drop(killed);
        assert_gone(mark);
        let ran = match at.join("sweep.json").exists() {
            true => resume(&net, &at),
            // It had not begun.
            false => sweep(&net, &at, &options(&at), trial),
        };
        assert_eq!(ran.code, 0, "kill {kill} after {share} of {takes:?}: {ran}");
        let found = result(&at);
        assert_whole(&at, &found);
        assert_eq!(due(&found.plan), due(&expected.plan), "kill {kill}");
        let values = |result: &SweepResult| -> Vec<_> {
            let points = result.points.iter();
            points
                .map(|point| (point.values.clone(), point.trials.len()))
                .collect()
        };
        assert_eq!(values(&found), values(&expected), "kill {kill}");
        assert_gone(mark);
    }
    assert_eq!(net.shell("sysctl -n net.core.somaxconn"), before);
}

#[test]
fn ctrl_c_keeps_what_is_finished_and_says_how_to_go_on() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("s");
    let mark = at.to_str().unwrap();
    let options = format!(
        "--vary connections=1..30:1 --start '{THRONG} serve --mode echo --quiet 127.0.0.1:9000 # {mark}'"
    );
    let running = start(
        &net,
        &at,
        &options,
        "load -m hi --closed-loop --hold 50ms 127.0.0.1:9000",
    );
    running.wait_for_stderr("[2/30]");
    running.signal(Signal::INT);
    let ran = running.wait(crate::common::PATIENCE);
    assert_eq!(ran.code, 130, "{ran}");
    let line = ran.stderr.lines().last().unwrap_or_default();
    let says = format!("`throng sweep --resume {mark}` goes on");
    assert!(
        line.contains("of 30 trials are finished") && line.contains(&says),
        "{ran}"
    );
    assert!(ran.stdout.contains("not finished"), "{ran}");
    assert_gone(mark);
    let partial = result(&at);
    assert!(!partial.complete && partial.finished() >= 2, "{ran}");
    let ran = resume(&net, &at);
    assert_eq!(ran.code, 0, "{ran}");
    let whole = result(&at);
    assert_whole(&at, &whole);
    // What was finished was not made again.
    let kept = partial
        .trials()
        .filter(|trial| whole.trials().any(|other| other == *trial));
    assert_eq!(kept.count(), partial.finished());
}

#[test]
fn sysctls_and_words_reach_the_system_under_test_and_the_machine_keeps_its_own() {
    let net = Net::own();
    let before = net.shell("sysctl -n net.core.somaxconn");
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("s");
    let options = format!(
        "--vary net.core.somaxconn=17,129 --vary depth=5,999 --order listed --start 'echo has $(sysctl -n net.core.somaxconn) \
         {{depth}}; exec {THRONG} serve --backlog {{depth}} --quiet 127.0.0.1:9000' --stop 'echo stopped {{depth}} >> {}/stops'",
        dir.path().display()
    );
    let ran = sweep(&net, &at, &options, "load -c 3 --hold 20ms 127.0.0.1:9000");
    assert_eq!(ran.code, 0, "{ran}");
    let log = fs::read_to_string(at.join("system.log")).unwrap();
    let has: Vec<&str> = log
        .lines()
        .filter_map(|line| line.strip_prefix("has "))
        .collect();
    assert_eq!(has, ["17 5", "129 5", "17 999", "129 999"], "{log}");
    let stops = fs::read_to_string(dir.path().join("stops")).unwrap();
    assert_eq!(stops, "stopped 5\nstopped 5\nstopped 999\nstopped 999\n");
    assert_eq!(net.shell("sysctl -n net.core.somaxconn"), before);
    // The accept queue that throng itself saw was as long as the smaller of the two.
    let result = result(&at);
    assert_eq!(result.plan.metric.to_string(), "opened/s");
    assert_whole(&at, &result);
}

#[test]
fn a_system_is_started_again_as_often_as_asked() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    for (restart, order, starts) in [
        ("trial", "listed", 4),
        ("point", "listed", 2),
        ("point", "interleaved", 4),
        ("never", "interleaved", 1),
    ] {
        let at = dir.path().join(format!("{restart}-{order}"));
        let options = format!(
            "--vary connections=1,2 --repeat 2 --order {order} --restart {restart} --warm-up 20ms --start \
             'exec {THRONG} serve --mode echo --quiet 127.0.0.1:9000'"
        );
        let ran = sweep(
            &net,
            &at,
            &options,
            "load -m hi --closed-loop --hold 30ms 127.0.0.1:9000",
        );
        assert_eq!(ran.code, 0, "{ran}");
        let log = fs::read_to_string(at.join("system.log")).unwrap();
        let found = log.lines().filter(|line| line.starts_with("--- ")).count();
        assert_eq!(found, starts, "{restart} {order}: {log}");
        assert_whole(&at, &result(&at));
    }
}

#[test]
fn an_objective_holds_up_to_what_a_server_holds() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("s");
    let options = format!(
        "--vary connections=4,8..64 --repeat 2 --objective 'open>=100%,failed=0' --start 'exec python3 {} 9000 at-once 20'",
        source("limited.py")
    );
    let ran = sweep(&net, &at, &options, "load --hold 150ms 127.0.0.1:9000");
    assert_eq!(ran.code, 0, "{ran}");
    let result = result(&at);
    let curve = &result.curves[0];
    let value = |along: &Option<throng_core::experiment::sweep::Along>| {
        along.as_ref().map(|a| (a.value.clone(), a.met))
    };
    assert_eq!(
        value(&curve.holds_to),
        Some(("16".into(), Some(2))),
        "{ran}"
    );
    assert_eq!(
        value(&curve.fails_from),
        Some(("32".into(), Some(0))),
        "{ran}"
    );
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("holds up to connections=16 (met in 2 of 2 trials"),
        "{ran}"
    );
    assert!(
        text.contains("not at connections=32 (met in 0 of 2 trials"),
        "{ran}"
    );
    // Trials that fell short are told, with their reason.
    assert!(text.contains("fell short: "), "{ran}");
    // Where it holds nowhere, the exit code says so.
    let never = options
        .replace("at-once 20", "at-once 0")
        .replace("connections=4,8..64 --repeat 2", "connections=4,8");
    let ran = sweep(
        &net,
        &dir.path().join("never"),
        &never,
        "load --hold 50ms -T 500ms 127.0.0.1:9000",
    );
    assert_eq!(ran.code, 1, "{ran}");
    let text = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("does not hold at connections=4"), "{ran}");
}

#[test]
fn the_most_that_a_server_holds_is_found_also_after_a_kill() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("s");
    let options = format!(
        "--find connections=1..64 --objective 'open>=100%,failed=0' --goal-initial 50ms --goal-final 150ms --goal-sum 150ms \
         --goal-exceed 0% --goal-width 1% --start 'exec python3 {} 9000 at-once 20'",
        source("limited.py")
    );
    let trial = "load 127.0.0.1:9000";
    let killed = start(&net, &at, &options, trial);
    killed.wait_for_stderr("[3] ");
    killed.signal(Signal::KILL);
    drop(killed);
    let ran = resume(&net, &at);
    assert_eq!(ran.code, 0, "{ran}");
    let result = result(&at);
    let found = result.found.expect("it is found");
    assert_eq!(
        (found.lower, found.upper, found.stuck_at),
        (Some(20), Some(21), None),
        "{ran}"
    );
    assert!(
        !ran.stderr.contains("[3] "),
        "what was finished is not made again: {ran}"
    );
    let text = run_words(&net, &["sweep", "--resume", at.to_str().unwrap()]);
    let said = text.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = "open>=100%,failed=0 holds at connections=20";
    assert!(
        said.starts_with(line) && said.contains("not at connections=21"),
        "{text}"
    );
    // The trials of a load are those of its point.
    let all = result.trials().count();
    assert_eq!(fs::read_dir(at.join("trials")).unwrap().count(), all);
    for (options, part) in [
        (
            "--find connections=9..1 --objective failed=0",
            "must lead upwards",
        ),
        (
            "--find connections=1 --objective failed=0",
            "is not NAME=LOW..HIGH",
        ),
        (
            "--find conections=1..9 --objective failed=0",
            "did you mean 'connections'?",
        ),
        ("--find connections=1..9", "--objective"),
        (
            "--find connections=1..9 --objective failed=0 --goal-sum 1s",
            "their sum must not be shorter",
        ),
        (
            "--find connections=1..9 --objective failed=0 --goal-width 5",
            "'5' is not a percentage",
        ),
        (
            "--find connections=1..9 --objective failed=0 --vary hold=1s,2s",
            "--find sets how long a trial takes",
        ),
        (
            "--find connections=1..9 --objective failed=0 --vary connections=1,2",
            "sets that key",
        ),
        (
            "--find connections=1..9 --objective failed=0 --vary workers=1,2 --vary in-flight=1,2",
            "one variable may vary",
        ),
    ] {
        assert_refused(
            &sweep(&net, &dir.path().join("no"), options, trial),
            2,
            &[part],
        );
    }
}

#[test]
fn each_value_of_a_variable_has_a_search_of_its_own() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("s");
    let options = format!(
        "--find connections=1..16 --vary most=3,11 --objective 'open>=100%,failed=0' --goal-initial 50ms --goal-final 50ms \
         --goal-sum 50ms --goal-exceed 0% --goal-width 1% --start 'exec python3 {} 9000 at-once {{most}}'",
        source("limited.py")
    );
    let ran = sweep(&net, &at, &options, "load 127.0.0.1:9000");
    assert_eq!(ran.code, 0, "{ran}");
    let result = result(&at);
    let found: Vec<(&str, Option<u32>)> = result
        .searches
        .iter()
        .map(|search| (search.others["most"].as_str(), search.found.unwrap().lower))
        .collect();
    assert_eq!(found, [("3", Some(3)), ("11", Some(11))], "{ran}");
    assert_eq!(result.found, None);
    assert!(ran.stdout.starts_with("2 searches ("), "{ran}");
    let said = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = "At most=11: open>=100%,failed=0 holds at connections=11";
    assert!(said.contains(line), "{ran}");
}

#[test]
fn a_system_that_fails_ends_the_sweep_in_one_line() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let trial = "load -c 1 --hold 50ms 127.0.0.1:9000";
    let serve = format!("{THRONG} serve --quiet 127.0.0.1:9000");
    for (name, options, parts) in [
        (
            "absent",
            "--start /no/such/server".to_owned(),
            &[
                "--start '/no/such/server' failed with exit code 127",
                "system.log",
                "no trial is finished",
            ][..],
        ),
        (
            "fails",
            "--start 'echo the licence has expired; exit 3'".into(),
            &[
                "failed with exit code 3: the licence has expired",
                "--resume",
            ],
        ),
        (
            "silent",
            "--start 'echo loading; exec sleep 60' --ready-timeout 300ms".into(),
            &["nothing answers at 127.0.0.1:9000 after 300 ms", "loading"],
        ),
        (
            "ends",
            format!(
                "--start '{THRONG} serve --quiet -T 700ms 127.0.0.1:9000; exit 9' --vary load.hold=2s"
            ),
            &["ended during trial 1 (load.hold=2s)", "exit code 9"],
        ),
        (
            "between",
            format!("--start '{serve}' --repeat 2 --between 'exit 4'"),
            &[
                "--between 'exit 4' failed with exit code 4",
                "1 of 2 trials is finished and kept",
            ],
        ),
    ] {
        let at = dir.path().join(name);
        let options = format!("{options} --quiet");
        let ran = sweep(&net, &at, &options, trial);
        assert_refused(&ran, 1, parts);
        // What is finished is worth its table.
        let has_table = ran.stdout.contains("1 of 2 trials of 1 point");
        assert_eq!(
            (has_table, ran.stdout.is_empty()),
            (name == "between", name != "between"),
            "{ran}"
        );
        assert_gone(at.to_str().unwrap());
    }
}

#[test]
fn another_server_where_the_system_will_be_is_named_before_anything_is_waited_for() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let serve = format!("{THRONG} serve --quiet 127.0.0.1:9000");
    let trial = "load -c 1 --hold 50ms 127.0.0.1:9000";
    let other = crate::common::serve(&net, "127.0.0.1:9000");
    let named = format!(
        "throng (process {}) listens at 127.0.0.1:9000 before --start",
        other.id()
    );
    // Its connections would be waited for. One that hangs answers nobody, and listens all the same.
    let holding = crate::common::start_load(&net, "-c 5 --hold 60s 127.0.0.1:9000");
    holding.wait_for_stderr("holding");
    for (name, signal) in [("answers", Signal::CONT), ("hangs", Signal::STOP)] {
        other.signal(signal);
        let at = dir.path().join(name);
        let fixed = [
            "sweep",
            "--output-dir",
            at.to_str().unwrap(),
            "--start",
            &serve,
            "--",
        ];
        let ran = run_words(&net, &[&fixed[..], &words(trial)].concat());
        assert_eq!(ran.code, 1, "{ran}");
        assert!(ran.stderr.contains(&named), "{ran}");
        assert!(!ran.stderr.contains("waiting"), "{ran}");
    }
    other.signal(Signal::CONT);
}

#[test]
fn a_rate_that_varies_replaces_the_closed_loop_that_nobody_asked_for() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let load = "load --self=echo -m hi --latency-echo --hold 300ms";
    let at = dir.path().join("rates");
    let ran = sweep(&net, &at, "--vary message-rate=20,40,80", load);
    assert_eq!(ran.code, 0, "{ran}");
    // Throughput at a rate that was asked for is no curve of what the server can do.
    assert!(
        ran.stdout
            .contains("no fit: the trials have a message rate per"),
        "{ran}"
    );
    let both = dir.path().join("both");
    let ran = sweep(&net, &both, "--vary message-rate=20,40", SHORT);
    assert_refused(
        &ran,
        2,
        &[
            "the trial: ",
            "'message-rate' and 'closed-loop' exclude each other",
        ],
    );
    assert!(!ran.stderr.contains("the trial:1"), "{ran}");
}

#[test]
fn a_full_disk_ends_the_sweep_and_keeps_what_is_finished() {
    let net = Net::with_own_mounts();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    net.shell(&format!("mount -t tmpfs -o size=64k tmpfs {at}"));
    let into = dir.path().join("s");
    let options = "--quiet --vary connections=1..40:1";
    let ran = sweep(&net, &into, options, SHORT);
    let full = "No space left on device";
    assert_refused(
        &ran,
        1,
        &[
            full,
            "every trial before it is kept",
            "throng sweep --resume",
        ],
    );
    let names = net.shell(&format!("ls -A {at}/s/trials"));
    let kept = names.lines().count();
    assert!((1..40).contains(&kept), "{names}");
    assert!(
        names
            .lines()
            .all(|name| name.ends_with(".json") && !name.starts_with('.')),
        "{names}"
    );
    // With room, it goes on from there.
    net.shell(&format!("mount -o remount,size=64m {at}"));
    let ran = run_words(
        &net,
        &["sweep", "--resume", &format!("{at}/s"), "--output", "json"],
    );
    assert_eq!(ran.code, 0, "{ran}");
    let made = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with('['))
        .count();
    assert_eq!(made, 40 - kept, "{ran}");
    let result: SweepResult = serde_json::from_str(&ran.stdout).unwrap();
    assert!(result.complete);
}

#[test]
fn a_file_with_a_section_sweep_is_swept_and_the_command_line_wins() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("echo.toml");
    let text = "version = 1\n[sweep]\nrepeat = 2\norder = 'listed'\n[sweep.vary]\nconnections = [1, 2]\n'load.hold' = '20ms'\n\
                [load]\nself = 'echo'\n[load.messages]\nrepeated = ['hi']\n[load.pace]\nclosed-loop = true\n";
    fs::write(&file, text).unwrap();
    let at = dir.path().join("s");
    let words = [
        "sweep",
        file.to_str().unwrap(),
        "--repeat",
        "3",
        "--pause",
        "0s",
        "--output-dir",
        at.to_str().unwrap(),
    ];
    let ran = run_words(&net, &words);
    assert_eq!(ran.code, 0, "{ran}");
    let result = result(&at);
    assert_whole(&at, &result);
    assert_eq!((result.plan.points(), result.plan.repeat), (2, 3));
    // A single run of it has nothing to vary.
    let ran = run_words(
        &net,
        &[
            "run",
            file.to_str().unwrap(),
            "--set",
            "load.hold=20ms",
            "--output",
            "json",
        ],
    );
    assert_eq!(ran.reached().connections.asked, Some(1), "{ran}");
    for (from, to, parts) in [
        (
            "repeat = 2",
            "repeet = 2",
            &[
                "echo.toml",
                "unknown key 'repeet'",
                "did you mean 'repeat'?",
            ][..],
        ),
        (
            "repeat = 2",
            "repeat = { a = { b = 1 } }",
            &["echo.toml:3:", "sweep.repeat"],
        ),
        (
            "connections = [1, 2]",
            "conections = [1, 2]",
            &["did you mean 'connections'?"],
        ),
        (
            "[sweep]\nrepeat = 2\norder = 'listed'\n[sweep.vary]\nconnections = [1, 2]\n'load.hold' = '20ms'\n",
            "",
            &["no section [sweep]"],
        ),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, to)).unwrap();
        let ran = run_words(&net, &["sweep", file.to_str().unwrap()]);
        assert_refused(&ran, 2, parts);
    }
}

#[test]
fn what_makes_no_sweep_is_refused_before_the_first_trial() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("s");
    let far = "load --hold 1s 10.0.0.7:80";
    let near = "load --hold 1s 127.0.0.1:80";
    for (options, trial, parts) in [
        (
            "--vary conections=1,2",
            SHORT,
            &["--vary conections", "did you mean 'connections'?"][..],
        ),
        (
            "--vary load.conections=1,2",
            SHORT,
            &["unknown key 'conections'", "did you mean 'connections'?"],
        ),
        (
            "--vary connections=1,x",
            SHORT,
            &["connections=x", "'x' is not a count"],
        ),
        ("--vary connections=1..9", SHORT, &["1..9:STEP"]),
        (
            "--vary rate=1,2",
            SHORT,
            &["load.pace.rate", "write it in full"],
        ),
        (
            "--vary connections=1 --vary connections=2",
            SHORT,
            &["given twice"],
        ),
        (
            "--vary connections=1 --vary hold=1s --vary engine=epoll",
            SHORT,
            &["3 variables"],
        ),
        (
            "--vary kernel.pid_max=1,2",
            SHORT,
            &["whole machine", "net.*"],
        ),
        ("--vary net.core.somaxconn=16,128", near, &["--start"]),
        (
            "--vary net.core.somaxxconn=16,128 --start true",
            near,
            &["net.core.somaxxconn: a network namespace has no such setting"],
        ),
        (
            "--vary net.core.somaxconn=16,x --start true",
            near,
            &["the kernel refuses the value 'x'"],
        ),
        (
            "--vary net.core.somaxconn=16 --start true",
            far,
            &["no way to 10.0.0.7:80"],
        ),
        (
            "--repeat 2 --trim 1",
            SHORT,
            &["leaves nothing of 2 trials", "--repeat 3"],
        ),
        (
            "--vary connections=1..1k:1 --repeat 101",
            SHORT,
            &["at most 100000 trials"],
        ),
        ("--objective 'p99<5'", SHORT, &["has no unit"]),
        (
            "--objective 'answers>=99%'",
            "load --self --hold 1s",
            &["--objective", "does not measure"],
        ),
        (
            "--metric answers/s",
            "load --self --hold 1s",
            &["--metric answers/s"],
        ),
        ("", "load --self --hold forever", &["has no end"]),
        ("", "load --self -c 0x --hold 1s", &["the trial: ", "0x"]),
        ("", "serve 9000", &["--start 'throng serve"]),
        ("", "plan", &["'plan' is no trial"]),
        (
            "",
            "load --self --output json",
            &["--output says how one run is reported"],
        ),
        (
            "--restart never --vary depth=1,2 --start 'serve {depth}'",
            near,
            &["--restart never"],
        ),
    ] {
        let ran = sweep(&net, &at, options, trial);
        assert_refused(&ran, 2, parts);
        assert!(!at.exists(), "{options}: nothing is written");
    }
    let ran = run_words(&net, &["sweep", "--vary", "connections=1,2"]);
    assert_refused(&ran, 2, &["no trial", "after --"]);
    // A directory that has something in it already, and one that has no sweep.
    fs::create_dir(&at).unwrap();
    assert_refused(&resume(&net, &at), 2, &["no sweep has begun"]);
    fs::write(at.join("notes"), "mine").unwrap();
    assert_refused(&sweep(&net, &at, "", SHORT), 2, &["is not empty"]);
    assert_eq!(fs::read_to_string(at.join("notes")).unwrap(), "mine");
    let other = dir.path().join("other");
    assert_eq!(sweep(&net, &other, "", SHORT).code, 0);
    assert_refused(
        &sweep(&net, &other, "", SHORT),
        2,
        &["is not empty", "--resume"],
    );
    let plan = other.join("sweep.json");
    let mut text: Value = serde_json::from_str(&fs::read_to_string(&plan).unwrap()).unwrap();
    text["version"] = 9.into();
    fs::write(&plan, text.to_string()).unwrap();
    assert_refused(&resume(&net, &other), 2, &["version 9"]);
    assert_refused(&resume(&net, &dir.path().join("absent")), 2, &["absent"]);
}

#[test]
fn a_trial_without_a_result_is_told_with_its_reason() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("s");
    let ran = sweep(&net, &at, "--vary connections=1,100m", SHORT);
    assert_eq!(ran.code, 1, "{ran}");
    let result = result(&at);
    let failed = &result.points[1].trials[0];
    assert_eq!(
        (failed.exit_code, failed.measured.is_none()),
        (2, true),
        "{failed:?}"
    );
    assert!(failed.file.ends_with(".failed.json"), "{failed:?}");
    assert!(ran.stdout.contains("1 of them without a result"), "{ran}");
    assert!(ran.stdout.contains("no result (exit code 2): "), "{ran}");
    // It counts as finished: the reason would be the same.
    assert_eq!(resume(&net, &at).code, 1);
    // Unless its file is removed.
    fs::remove_file(at.join(&failed.file)).unwrap();
    let again = resume(&net, &at);
    assert!(again.stderr.contains("[2/2]"), "{again}");
}
