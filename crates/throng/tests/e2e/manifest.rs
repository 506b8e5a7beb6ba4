//! `throng fleet manifest`: what it prints is what Kubernetes takes, and its shares add up.

use crate::common::net::Net;
use crate::common::process::Ran;
use crate::common::run;
use std::path::Path;
use std::process::Command;

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// The oldest version with all that is in them, one in between, and the newest that the validator knows.
const VERSIONS: [&str; 3] = ["1.27.0", "1.31.0", "1.37.0"];

fn manifest(words: &str) -> Ran {
    run(&Net::host(), &format!("fleet manifest {words}"))
}

/// Has Kubernetes' schemas check the manifests in `file`, which are of `of`.
#[track_caller]
pub fn kubernetes_takes(file: &Path, of: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, own_kinds(&text)).unwrap();
    for version in VERSIONS {
        let validator = Path::new(ROOT).join("target/python/bin/kubernetes-validate");
        let mut check = Command::new(validator);
        check.args(["--strict", "--kubernetes-version", version]);
        let out = check.arg(file).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{of}, {version}: {said}");
    }
}

/// The manifests of Kubernetes' own kinds: of others, the validator knows no schema.
fn own_kinds(text: &str) -> String {
    let all = text.split("---\n");
    let known: Vec<&str> = all
        .filter(|one| !one.contains("kind: PodMonitor"))
        .collect();
    known.join("---\n")
}

#[test]
fn kubernetes_takes_what_is_printed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fleet.yaml");
    for words in [
        "-c 10m 10.0.0.7:9000",
        "-c 1m --agents 40 --pod-monitor --name a-b --seccomp-profile throng.json [fd00::7]:9000 10.0.0.8:80 -- -m $(x)\"",
        "-c 9 --nats tls://nats.lan:4222 --allow 10.0.0.0/8:80 http://www.example/",
    ] {
        let ran = manifest(words);
        assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran}");
        std::fs::write(&file, &ran.stdout).unwrap();
        kubernetes_takes(&file, words);
    }
}

#[test]
fn the_plain_manifests_in_the_tree_are_what_is_printed() {
    let file = Path::new(ROOT).join("deploy/kubernetes/fleet.yaml");
    let ran = manifest("-c 1m 10.0.0.7:9000");
    assert_eq!(std::fs::read_to_string(file).unwrap(), ran.stdout);
}

#[test]
fn what_can_not_work_is_refused_in_a_line() {
    for (words, says) in [
        ("-c 1m --agents 10 10.0.0.7:9000", "--agents 16 or more"),
        ("-c 5 --agents 10 10.0.0.7:9000", "--agents 5 or fewer"),
        ("-c 1m --per-agent 100k 10.0.0.7:9000", "64,512 ports"),
        ("-c 1m www.example:9000", "--allow"),
        ("-c 1m --name Throng 10.0.0.7:9000", "small letters"),
        ("-c 1m --nats nats://a:b@c 10.0.0.7:9000", "without a user"),
        ("-c 1m 10.0.0.7", "10.0.0.7"),
        ("10.0.0.7:9000", "--connections"),
        ("-c 1m 10.0.0.7:9000 -- --holt 1m", "--holt"),
        ("-c 1m 10.0.0.7:9000 -- --hold 1x", "--hold"),
        ("-c 1m 10.0.0.7:9000 -- -c 5", "--connections"),
        (
            "-c 1m 10.0.0.7:9000 -- --await-close",
            "--exchanges-per-connection",
        ),
        ("-c 1m 10.0.0.7:9000 -- --self", "--self"),
    ] {
        let ran = manifest(words);
        assert!(ran.code == 2 && ran.stdout.is_empty(), "{words}: {ran}");
        assert!(
            ran.stderr.lines().count() == 1 && ran.stderr.contains(says),
            "{words}: {ran}"
        );
    }
    // Two targets have twice the ports.
    let ran = manifest("-c 1m --agents 10 10.0.0.7:9000 10.0.0.7:9001");
    assert!(ran.code == 0, "{ran}");
}
