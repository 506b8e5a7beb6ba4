//! `throng compare`: results of real runs, compared.

use crate::common::net::Net;
use crate::common::peers::script;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, run_words, start_words};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOC: &str = include_str!("../../../../docs/compare.md");

fn compare(net: &Net, words: &[&str]) -> Ran {
    run_words(net, &[&["compare"], words].concat())
}

/// The comparison that it prints as JSON.
fn compared(net: &Net, words: &[&str]) -> (Value, Ran) {
    let ran = compare(net, &[words, &["--output", "json"]].concat());
    let json = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"));
    (json, ran)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Has throng run four rounds of five and of ten connections in turn, in `directory`.
fn five_and_ten(net: &Net, directory: &Path) -> (Value, Ran) {
    let five = "load --self -c 5 --hold 100ms";
    let ten = "throng load --self -c 10 --hold '100ms'";
    let words = [
        "--run", five, "--run", ten, "--rounds", "4", "--metric", "peak",
    ];
    let place = ["--output-dir", text(directory)];
    compared(net, &[&words[..], &place].concat())
}

/// The keys of `value` and below.
fn keys(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, below)| {
            all.push(key.clone());
            keys(below, all);
        }),
        Value::Array(items) => items.iter().for_each(|item| keys(item, all)),
        _ => {}
    }
}

/// Fails if docs/compare.md does not have a key of `found`.
#[track_caller]
fn assert_described(found: &Value) {
    let mut all = Vec::new();
    keys(found, &mut all);
    for key in all {
        let written = ["`KEY`", "`KEY[].", "[].KEY`"].map(|form| form.replace("KEY", &key));
        assert!(
            written.iter().any(|form| DOC.contains(form)),
            "{key} is not described"
        );
    }
}

#[test]
fn rounds_of_two_commands_are_run_in_turn_and_compared() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("rounds");
    let (found, ran) = five_and_ten(&net, &at);
    assert_eq!(ran.code, 0, "{ran}");
    let rounds = ran.stderr.lines().filter(|line| line.starts_with("round "));
    let order: String = rounds
        .map(|line| line.split([',', ';']).nth(1).unwrap().trim().to_owned())
        .collect();
    assert_eq!(order, "ABBAABBA", "{ran}");
    let peak = &found["compared"][0];
    assert_eq!(
        peak["first"]["rounds"],
        json!([5.0, 5.0, 5.0, 5.0]),
        "{ran}"
    );
    assert_eq!(peak["second"]["median"], 10.0, "{ran}");
    assert_eq!(peak["verdict"], "better", "{ran}");
    assert_eq!(peak["text"], "100 % more (100 % to 100 %)", "{ran}");
    assert_eq!(
        (&found["differs"], &found["failed"]),
        (&json!(true), &json!(false))
    );
    assert_described(&found);
    // Their files say the same as what was read meanwhile.
    let (a, b) = (at.join("a"), at.join("b"));
    let (again, ran) = compared(&net, &[text(&a), text(&b), "--metric", "peak"]);
    assert_eq!(again["compared"], found["compared"], "{ran}");
    let refused = compare(
        &net,
        &[
            "--run",
            "load --self",
            "--run",
            "load --self",
            "--output-dir",
            text(&at),
        ],
    );
    assert!(
        refused.code == 2 && refused.stderr.contains("not empty"),
        "{refused}"
    );
    // So does its page, from which the comparison is made again, and drawn again.
    let (page, once_more) = (
        directory.path().join("page.html"),
        directory.path().join("again.html"),
    );
    let words = [
        text(&a),
        text(&b),
        "--metric",
        "peak",
        "--report",
        text(&page),
    ];
    assert_eq!(compare(&net, &words).code, 0);
    let (again, ran) = compared(&net, &[text(&page)]);
    assert_eq!(again["compared"], found["compared"], "{ran}");
    let gate = ["--metric", "lost", "--fail-if", "peak>+50%"];
    let (again, ran) = compared(&net, &[&[text(&page)][..], &gate].concat());
    assert_eq!(
        (ran.code, &again["compared"][0]["metric"]),
        (1, &json!("lost")),
        "{ran}"
    );
    let ran = run_words(&net, &["report", text(&page), "-o", text(&once_more)]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(fs::read(&page).unwrap() == fs::read(&once_more).unwrap());
    // A gate.
    for (condition, code, result) in [
        ("peak>+50%", 1, "failed"),
        ("peak>+150%", 0, "passed"),
        ("peak>+4", 1, "failed"),
        ("peak<-5%", 0, "passed"),
        ("response.p99>+5%", 1, "unknown"),
    ] {
        let gate = ["--metric", "peak", "--fail-if", condition];
        let (found, ran) = compared(&net, &[&[text(&a), text(&b)][..], &gate].concat());
        assert_eq!(ran.code, code, "{condition}: {ran}");
        assert_eq!(
            found["conditions"][0]["result"], result,
            "{condition}: {ran}"
        );
    }
    // The same thing; and single runs, with all metrics that they have.
    let same = compare(&net, &[text(&a), text(&a), "--metric", "peak"]);
    assert_eq!(same.code, 0, "{same}");
    assert!(
        same.stdout.starts_with("No difference shown between "),
        "{same}"
    );
    assert!(same.stdout.contains("runs in common"), "{same}");
    let one = [a.join("001.json"), b.join("001.json")];
    let single = compare(&net, &[text(&one[0]), text(&one[1])]);
    assert_eq!(single.code, 0, "{single}");
    assert!(
        single.stdout.starts_with("Too few rounds to tell "),
        "{single}"
    );
    // The floor is what five connections have at another time: as many.
    let result: Value = serde_json::from_slice(&fs::read(&one[0]).unwrap()).unwrap();
    let other_day = directory.path().join("floor.json");
    fs::write(&other_day, dated(&result, 24, 5)).unwrap();
    let floor = ["--floor", text(&other_day), "--metric", "peak"];
    let (found, ran) = compared(&net, &[&[text(&a), text(&b)][..], &floor].concat());
    assert_eq!(found["compared"][0]["floor"], 0.0, "{ran}");
    assert_eq!(found["compared"][0]["verdict"], "better", "{ran}");
}

/// A sweep of an echo in `place`, whose messages are sent at `rate`.
fn swept(net: &Net, place: &Path, values: &str, rate: u32) {
    let trial = format!("load --self=echo -m hi --latency-echo -r {rate} --hold 150ms");
    let vary = format!("connections={values}");
    let fixed = ["sweep", "--pause", "0s", "--repeat", "5", "--vary", &vary];
    let to = ["--output-dir", text(place), "-q", "--"];
    let trial: Vec<&str> = trial.split(' ').collect();
    let ran = run_words(net, &[&fixed[..], &to, &trial].concat());
    assert_eq!(ran.code, 0, "{ran}");
}

/// A file with what was found.
fn json_of(directory: &tempfile::TempDir, found: &Value) -> PathBuf {
    let file = directory.path().join("found.json");
    fs::write(&file, found.to_string()).unwrap();
    file
}

#[test]
fn sweeps_are_compared_point_by_point() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let [slow, fast, page] = ["slow", "fast", "page.html"].map(|name| directory.path().join(name));
    swept(&net, &slow, "2,4", 20);
    swept(&net, &fast, "2,4,8", 200);
    let metric = ["--metric", "answers/s"];
    let to = ["--report", text(&page), "--fail-if", "answers/s>+50%"];
    let words = [&[text(&slow), text(&fast)][..], &metric, &to].concat();
    let (found, ran) = compared(&net, &words);
    assert_eq!((ran.code, &found["failed"]), (1, &json!(true)), "{ran}");
    let points = found["points"].as_array().unwrap();
    // One test at each point, and one over both.
    assert_eq!((points.len(), &found["tests"]), (2, &json!(3)), "{ran}");
    assert_eq!(points[1]["values"], json!(["4"]), "{ran}");
    assert_eq!(found["overall"][0]["verdict"], "better", "{ran}");
    let mut check = script(&net, "van_elteren.py");
    check.stdin(fs::File::open(json_of(&directory, &found)).unwrap());
    let said = check.output().unwrap();
    let checked = String::from_utf8_lossy(&said.stdout);
    assert_eq!(checked.trim(), "{\"checked\": 1}", "{said:?}");
    let answers = &points[1]["compared"][0];
    assert_eq!(answers["verdict"], "better", "{ran}");
    assert_eq!(answers["first"]["rounds"].as_array().unwrap().len(), 5);
    assert_eq!(found["environment"][0]["name"], "trial", "{ran}");
    assert_described(&found);
    let drawn = fs::read_to_string(&page).unwrap();
    for part in ["answers/s against connections", "connections=4", "only "] {
        assert!(drawn.contains(part), "{part}: {drawn}");
    }
    // The page has all of it: it is drawn and compared again.
    let (again, _) = compared(&net, &[text(&page)]);
    assert_eq!(again, found);
    let redrawn = directory.path().join("pages/redrawn.html");
    fs::create_dir(redrawn.parent().unwrap()).unwrap();
    run_words(&net, &["report", text(&page), "-o", text(&redrawn)]);
    assert!(fs::read_to_string(&redrawn).unwrap() == drawn);
    let worklog = run_words(&net, &["worklog", text(redrawn.parent().unwrap())]);
    assert!(
        worklog.stdout.contains("a comparison of sweeps"),
        "{worklog}"
    );
    // The same by their results, for people.
    let results = [&slow, &fast].map(|sweep| sweep.join("result.json"));
    let words = [&[text(&results[0]), text(&results[1])][..], &metric].concat();
    let ran = compare(&net, &words);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(
        ran.stdout.contains("better in answers/s at all 2 points"),
        "{ran}"
    );
    assert!(ran.stdout.contains("has connections=8"), "{ran}");
    let ran = compare(&net, &[text(&slow), text(&slow)]);
    assert!(
        ran.code == 0 && ran.stdout.contains("trials in common"),
        "{ran}"
    );
    // What can't be compared.
    let trial = slow.join("trials/0001.json");
    let begun = directory.path().join("begun");
    fs::create_dir(&begun).unwrap();
    fs::write(begun.join("sweep.json"), "{}").unwrap();
    for (other, why) in [
        (&trial, "a sweep is compared with sweeps"),
        (&begun, "throng sweep --resume"),
    ] {
        let ran = compare(&net, &[text(&slow), text(other)]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
        assert!(ran.stderr.contains(why), "{ran}");
    }
}

#[test]
fn an_interrupt_ends_the_round_and_compares_those_that_are_finished() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let (short, long) = (
        "load --self -c 5 --hold 50ms",
        "load --self -c 7 --hold 60s",
    );
    let place = text(directory.path());
    let words = [
        "compare",
        "--run",
        short,
        "--run",
        long,
        "--output-dir",
        place,
    ];
    let comparing = start_words(&net, &words);
    comparing.wait_for_stderr("round 1 of 10, B");
    let first = directory.path().join("a/001.json");
    assert!(first.is_file());
    let child = child_of(&comparing);
    comparing.signal(Signal::INT);
    let ran = comparing.wait(PATIENCE);
    assert_eq!(ran.code, 130, "{ran}");
    assert!(
        ran.stdout.contains("B has no finished round to compare"),
        "{ran}"
    );
    assert!(!directory.path().join("b/001.json").exists());
    let command = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
    assert!(!command.contains("60s"), "the round still runs: {command}");
}

/// The process that runs the long round, once it is there.
fn child_of(comparing: &Process) -> u32 {
    let give_up = std::time::Instant::now() + PATIENCE;
    loop {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
            let of_it = read("stat")
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .nth(1)
                == Some(&comparing.id().to_string());
            if of_it && read("cmdline").contains("60s") {
                return id;
            }
        }
        assert!(std::time::Instant::now() < give_up, "no round is running");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The result of a real run, as if `peak` connections had been held, `hours` after it.
fn dated(result: &Value, hours: u32, peak: u32) -> String {
    let mut result = result.clone();
    let sources = result["record"]["sources"].as_object_mut().unwrap();
    let (name, mut part) = sources
        .iter()
        .next()
        .map(|(n, p)| (n.clone(), p.clone()))
        .unwrap();
    let started = part["started_unix_s"].as_f64().unwrap();
    part["started_unix_s"] = json!(started + f64::from(hours) * 3600.0);
    part["ending"]["peak"] = json!(peak);
    sources.clear();
    sources.insert(format!("{name}-{hours}"), part);
    result.to_string()
}

#[test]
fn a_history_names_the_result_at_which_a_metric_stepped() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let ran = run_words(
        &net,
        &[
            "load", "--self", "-c", "5", "--hold", "50ms", "--output", "json",
        ],
    );
    let result: Value = serde_json::from_str(&ran.stdout).unwrap();
    for hour in 0..14u32 {
        let level = if hour < 8 { 1000 } else { 900 };
        let file = directory.path().join(format!("commit{hour}.json"));
        fs::write(file, dated(&result, hour, level + hour * 7 % 5)).unwrap();
    }
    // A point of two rounds, of which the median counts.
    let two = directory.path().join("commit14");
    fs::create_dir(&two).unwrap();
    for (round, peak) in [(0, 800), (1, 1004)] {
        let file = two.join(format!("{round}.json"));
        fs::write(file, dated(&result, 14 + round, peak)).unwrap();
    }
    let mut cut = result.clone();
    for part in cut["record"]["sources"]
        .as_object_mut()
        .unwrap()
        .values_mut()
    {
        part["ending"]["interrupted"] = json!(true);
    }
    fs::write(directory.path().join("cut.json"), dated(&cut, 20, 1)).unwrap();
    let words = ["--history", text(directory.path()), "--metric", "peak"];
    let (found, ran) = compared(&net, &words);
    assert_eq!(ran.code, 0, "{ran}");
    let steps = found["series"][0]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1, "{ran}");
    assert_eq!(
        (&steps[0]["name"], &steps[0]["verdict"]),
        (&json!("commit8"), &json!("worse")),
        "{ran}"
    );
    assert_eq!(found["series"][0]["values"][14], 902.0, "{ran}");
    assert_described(&found);
    let ran = compare(&net, &words);
    assert!(ran.stdout.contains("worse at commit8: from 1,00"), "{ran}");
    assert!(
        ran.stdout.contains("1 interrupted round left out:"),
        "{ran}"
    );
    let ran = compare(&net, &[&words[..], &["--output", "csv"]].concat());
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!((lines.len(), lines[0]), (16, "time,name,peak"), "{ran}");
    let date = Command::new("date")
        .args(["-u", "-d", lines[1].split(',').next().unwrap(), "+%s"])
        .output()
        .unwrap();
    let began = result["started_unix_s"].as_f64().unwrap() as u64;
    assert_eq!(
        String::from_utf8_lossy(&date.stdout).trim(),
        began.to_string(),
        "{ran}"
    );
    assert!(
        lines[1].ends_with(",commit0,1000") && lines[15].ends_with(",commit14,902"),
        "{ran}"
    );
}

#[test]
fn what_cannot_be_compared_is_refused_in_one_line() {
    let net = Net::own();
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let ran = run_words(
        &net,
        &[
            "load", "--self", "-c", "5", "--hold", "50ms", "--output", "json",
        ],
    );
    fs::write(at.join("a.json"), &ran.stdout).unwrap();
    fs::write(at.join("b.json"), &ran.stdout).unwrap();
    fs::write(at.join("no.json"), "{}").unwrap();
    fs::create_dir(at.join("empty")).unwrap();
    let (a, no, empty) = (at.join("a.json"), at.join("no.json"), at.join("empty"));
    let both = format!("{},{}", a.display(), at.join("b.json").display());
    let [a, no, empty] = [&a, &no, &empty].map(|path| text(path));
    let load = "load --self";
    for (words, why) in [
        (&[][..], "GROUP"),
        (&[a], "two groups or more, and there is one"),
        (&[a, "/nowhere"], "/nowhere: No such file"),
        (&[a, no], "not the result of a run: it has no version"),
        (&[a, empty], "it has no results"),
        (&[a, &both], "are the same run"),
        (&[a, a, "--metric", "speed"], "there is no metric 'speed'"),
        (&[a, a, "--metric", "response.p99"], "is not known of"),
        (&[a, a, "--fail-if", "p99"], "no condition"),
        (&[a, a, "--output", "csv"], "--history"),
        (&[a, a, "--floor", a], "is a round of"),
        (&[a, a, "--rounds", "5"], "cannot be used with"),
        (&[a, a, "--output-dir", "x"], "cannot be used with"),
        (&[a, a, "--output-file", a], "would overwrite"),
        (&["--run", load], "two --run or more, and there is one"),
        (&["--run", load, "--run", "serve 9000"], "no run"),
        (
            &["--run", load, "--run", "load --self 'x"],
            "a quote is not closed",
        ),
        (
            &["--run", load, "--run", "load --self --output json"],
            "leave --output out",
        ),
        (
            &["--run", "load --self -c 0", "--run", load],
            "--run A: throng load --self -c 0: ",
        ),
        (&["--history", empty], "it has no results"),
        (&["--history", empty, a], "cannot be used with"),
        (&["--run", load, "--run", load, "--rounds", "0"], "--rounds"),
    ] {
        let ran = compare(&net, &[words, &["-q"]].concat());
        assert_eq!(ran.code, 2, "{words:?}: {ran}");
        assert!(ran.stderr.contains(why), "{words:?}: {ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{words:?}: {ran}");
        assert_eq!(ran.stdout, "", "{words:?}: {ran}");
    }
}
