//! `throng merge`: results of several runs as one.

use crate::common::net::Net;
use crate::common::process::Ran;
use crate::common::run_words;
use std::fs;
use std::path::{Path, PathBuf};
use throng_core::summary::{Finding, WhyMissing};

/// Has a load of its own write its result to `name` in `dir`.
fn result(net: &Net, dir: &Path, name: &str, words: &str) -> PathBuf {
    let path = dir.join(name);
    let fixed = "load --self=echo --quiet --output json --output-file";
    let words: Vec<&str> = fixed
        .split(' ')
        .chain([path.to_str().unwrap()])
        .chain(words.split(' '))
        .collect();
    let ran = run_words(net, &words);
    assert_eq!(ran.code, 0, "{ran}");
    path
}

fn merge(net: &Net, files: &[&Path]) -> Ran {
    let files = files.iter().map(|f| f.to_str().unwrap());
    let words: Vec<&str> = ["merge", "--output", "json"]
        .into_iter()
        .chain(files)
        .collect();
    run_words(net, &words)
}

#[test]
fn results_add_up_and_the_same_one_counts_once() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let one = result(
        &net,
        dir.path(),
        "a.json",
        "-c 20 --hold 300ms -m hello -r 50",
    );
    let two = result(
        &net,
        dir.path(),
        "b.json",
        "-c 30 --hold 300ms -m hello -r 50",
    );
    let whole = |path: &Path| merge(&net, &[path]).reached();
    let (a, b) = (whole(&one), whole(&two));
    let ran = merge(&net, &[&one, &two, &one]);
    // One after the other: each held its own, and never all at once.
    let s = ran.fell_short();
    assert_eq!(s.connections.asked, Some(50), "{ran}");
    assert_eq!(s.connections.established, 50, "{ran}");
    assert_eq!(s.connections.peak, 30, "{ran}");
    let missing = Finding::ConnectionsMissing {
        peak: 30,
        asked: 50,
        why: WhyMissing::NotAtOnce,
    };
    assert_eq!(s.findings[0], missing, "{ran}");
    assert_eq!(
        s.traffic.messages_sent,
        a.traffic.messages_sent + b.traffic.messages_sent,
        "{ran}"
    );
    let connects = s.set_up.unwrap().latency.unwrap();
    assert_eq!(connects.count, 50, "{ran}");
    assert_eq!(s.sources.len(), 2, "{ran}");
    // In any order, and with what was merged before.
    let merged = dir.path().join("merged.json");
    fs::write(&merged, &ran.stdout).unwrap();
    for files in [[&*two, &*one], [&*merged, &*one], [&*two, &*merged]] {
        assert_eq!(merge(&net, &files).stdout, ran.stdout);
    }
}

#[test]
fn what_cannot_be_merged_is_refused_in_one_line() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let good = result(&net, dir.path(), "good.json", "-c 2 --hold 100ms");
    let text = fs::read_to_string(&good).unwrap();
    let bad = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let histogram = text.find("\"HIST").expect("a histogram") + 1;
    let rest = &text[histogram..];
    let end = rest.find('"').expect("its end");
    let cases = [
        (
            // Its header states 4 GiB of counts.
            "large.json",
            format!(
                "{}HISTE/////8AAAAAAAAAAwAAAAAAAAABAAADRjC4oAA/8AAAAAAAAA=={}",
                &text[..histogram],
                &rest[end..]
            ),
            "not a histogram",
        ),
        (
            "old.json",
            text.replacen("\"version\": 2", "\"version\": 1", 1),
            "version 1",
        ),
        ("cut.json", text[..text.len() / 2].to_owned(), "cut off"),
        ("other.json", "{\"version\": 2}".into(), "has no record"),
        (
            "contradicts.json",
            text.replace("\"peak\": 2,", "\"peak\": 3,"),
            "contradict",
        ),
    ];
    for (name, text, why) in cases {
        let path = bad(name, &text);
        let ran = merge(&net, &[&good, &path]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
        assert!(
            ran.stderr.contains(why) && ran.stderr.contains(name),
            "{ran}"
        );
    }
    let ran = merge(&net, &[&dir.path().join("absent.json")]);
    assert_eq!(ran.code, 2, "{ran}");
    assert!(ran.stderr.contains("absent.json"), "{ran}");
}
