//! The Helm chart, as Helm's own library reads it: its objects are those of `throng fleet manifest`, and what can't work is refused.

use crate::common::net::Net;
use crate::common::peers::script;
use crate::common::process::Process;
use crate::common::{PATIENCE, run};
use crate::manifest::{ROOT, kubernetes_takes};
use serde_json::{Value, json};
use std::path::Path;

const CHART: &str = "deploy/helm/throng";

/// What Helm makes of these cases (tests/peers/helm.py), whose manifests it writes into `directory`.
fn helm(cases: &[Value], directory: &Path) -> Vec<Value> {
    let mut command = script(&Net::host(), "helm.py");
    command.arg(Path::new(ROOT).join(CHART));
    command.arg(Value::from(cases).to_string()).arg(directory);
    let ran = Process::start("helm.py".to_owned(), command).wait(PATIENCE);
    assert!(ran.code == 0, "{ran}");
    serde_json::from_str(&ran.stdout).expect("helm.py prints JSON")
}

fn case(release: &str, values: Value, plain: &str) -> Value {
    json!({"release": release, "values": values, "plain": plain})
}

#[test]
fn a_release_has_the_objects_that_fleet_manifest_prints() {
    let directory = tempfile::tempdir().unwrap();
    let tables = [
        (
            "throng",
            "-c 1m 10.0.0.7:9000",
            json!({"targets": ["10.0.0.7:9000"], "connections": 1_000_000}),
        ),
        (
            "a-b",
            "-c 1m --agents 41 --image r.lan/throng:1 --pod-monitor --name a-b --seccomp-profile throng.json \
             [fd00::7]:9000 10.0.0.8:80 -- --hold 10m -m '$(x)\" & <y>'",
            json!({
                "targets": ["[fd00::7]:9000", "10.0.0.8:80"], "connections": 1_000_000, "agents": 41, "image": "r.lan/throng:1",
                "podMonitor": {"enabled": true}, "seccompProfile": "throng.json",
                "options": ["--hold", "10m", "-m", "$(x)\" & <y>"],
            }),
        ),
        (
            "throng",
            "-c 9 --nats tls://nats.lan:4222 --allow 10.0.0.0/8:80 http://www.example/",
            json!({
                "targets": ["http://www.example/"], "connections": 9, "allow": ["10.0.0.0/8:80"],
                "nats": {"url": "tls://nats.lan:4222"},
            }),
        ),
        (
            "many",
            "-c 100m --per-agent 60k --name many 10.0.0.7:9000",
            json!({"targets": ["10.0.0.7:9000"], "connections": 100_000_000, "perAgent": 60_000}),
        ),
    ];
    let cases = tables.clone().map(|(release, line, values)| {
        let ran = run(&Net::host(), &format!("fleet manifest {line}"));
        assert!(ran.code == 0, "{ran}");
        case(release, values, &ran.stdout)
    });
    for (number, said) in helm(&cases, directory.path()).iter().enumerate() {
        let line = tables[number].1;
        assert_eq!(said["refused"], Value::Null, "{line}");
        assert_eq!(said["lint"], json!([]), "{line}");
        let (chart, plain) = (&said["chart"], &said["plain"]);
        assert!(plain.as_object().is_some_and(|all| all.len() >= 2));
        assert_eq!(chart, plain, "{line}");
    }
}

#[test]
fn a_release_runs_where_its_values_say() {
    let directory = tempfile::tempdir().unwrap();
    let tolerations = json!([{"key": "load", "operator": "Exists"}]);
    let secrets = json!([{"name": "registry"}]);
    let values = json!({
        "targets": ["10.0.0.7:9000"], "connections": 10, "nodeSelector": {"load": "yes"}, "tolerations": tolerations,
        "imagePullSecrets": secrets, "imagePullPolicy": "Always", "nats": {"secret": "word", "image": "r.lan/nats:2"},
        "podMonitor": {"enabled": true, "labels": {"release": "prometheus"}},
    });
    let said = &helm(&[case("throng", values, "")], directory.path())[0];
    assert_eq!(said["lint"], json!([]));
    let pod = |name: &str| &said["chart"][name]["spec"]["template"]["spec"];
    let agent = pod("Job/throng-agents");
    assert_eq!(agent["nodeSelector"], json!({"load": "yes"}));
    assert_eq!(agent["tolerations"], tolerations);
    let monitor = &said["chart"]["PodMonitor/throng"];
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    let nats = pod("Deployment/throng-nats");
    assert_eq!(nats["containers"][0]["image"], "r.lan/nats:2");
    for pod in [agent, pod("Job/throng-coordinator"), nats] {
        assert_eq!(pod["imagePullSecrets"], secrets);
        let password = &pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"];
        assert_eq!(password, &json!({"name": "word", "key": "password"}));
    }
    assert_eq!(agent["containers"][0]["imagePullPolicy"], "Always");
    kubernetes_takes(&directory.path().join("0.yaml"), "all values");
}

#[test]
fn values_that_can_not_work_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let to = |more: Value| {
        let mut values = json!({"targets": ["10.0.0.7:9000"], "connections": 1_000_000});
        let all = values.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        values
    };
    let table = [
        (json!({}), "targets: what to load is missing"),
        (
            to(json!({"connections": 0})),
            "connections: how many is missing",
        ),
        (to(json!({"agents": 10})), "agents: 16 or more"),
        (
            to(json!({"connections": 5, "agents": 10})),
            "write 5 or fewer",
        ),
        (to(json!({"perAgent": 100_000})), "64512 ports"),
        (
            to(json!({"agents": 40, "perAgent": 9})),
            "write one of them",
        ),
        (to(json!({"targets": ["www.example:9000"]})), "add allow"),
        // What the schema knows.
        (to(json!({"conections": 5})), "conections"),
        (to(json!({"connections": 100_000_001})), "/connections"),
        (to(json!({"options": ["-r", 5]})), "/options/1"),
        (to(json!({"nats": {"url": "nats://a:b@c"}})), "/nats/url"),
    ];
    let cases = table.clone().map(|(values, _)| case("throng", values, ""));
    let told = helm(&cases, directory.path());
    for ((values, says), said) in table.iter().zip(&told) {
        let refused = said["refused"].as_str();
        assert!(
            refused.is_some_and(|why| why.contains(says)),
            "{values}: {said}"
        );
    }
    // Nothing is wrong with the chart as it is: helm lint deploy/helm/throng.
    assert_eq!(told[0]["lint"], json!([]));
    let long = "a".repeat(41);
    let refused = &helm(&[case(&long, to(json!({})), "")], directory.path())[0]["refused"];
    assert!(
        refused.as_str().is_some_and(|why| why.contains("40")),
        "{refused}"
    );
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let file = Path::new(ROOT).join(CHART).join("Chart.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        format!("version: {version}"),
        format!("appVersion: \"{version}\""),
    ] {
        assert!(text.lines().any(|has| has == line), "no '{line}': {text}");
    }
}
