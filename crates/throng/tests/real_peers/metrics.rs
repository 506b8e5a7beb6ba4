//! Metrics that others take while a run lasts: Prometheus, and a collector of OpenTelemetry.

use crate::common::net::Net;
use crate::common::peers::{serve_script, start_server};
use crate::common::process::Process;
use crate::common::{PATIENCE, load, run, start_load};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use throng_core::summary::Summary;

/// What of `summary` metrics have, too: the name, the labels, and the value.
fn counts(summary: &Summary) -> Vec<(&'static str, &'static str, u64)> {
    let connections = &summary.connections;
    let server = summary
        .server_traffic
        .as_ref()
        .expect("a server of its own");
    vec![
        ("connections_established", "opened", connections.established),
        (
            "connections_accepted",
            "accepted",
            connections.accepted.unwrap(),
        ),
        ("connections_attempted", "opened", connections.attempted),
        ("sent_bytes", "opened", summary.traffic.bytes_sent),
        ("received_bytes", "opened", summary.traffic.bytes_received),
        ("received_bytes", "accepted", server.bytes_received),
        ("websocket_upgraded", "opened", connections.established),
    ]
}

/// A load whose counts stay as they are once its connections are established.
const LOAD: &str = "--self=ws -c 50 --hold 6s";

/// Prometheus, which scrapes throng every second, with an option for its features.
fn prometheus(net: &Net, dir: &Path, features: Option<&str>) -> Process {
    let config = dir.join("prometheus.yml");
    let text = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n\
                scrape_configs: [{job_name: throng, static_configs: [{targets: ['127.0.0.1:9464']}]}]\n";
    std::fs::write(&config, text).unwrap();
    let config = format!("--config.file={}", config.display());
    let data = format!("--storage.tsdb.path={}", dir.join("data").display());
    let listen = "--web.listen-address=127.0.0.1:9090";
    let mut options = vec![config.as_str(), &data, listen];
    options.extend(features);
    start_server(net, "prometheus", &options, 9090)
}

/// The value that Prometheus had last for `query`.
fn queried(net: &Net, query: &str) -> f64 {
    let (all, said) = results(net, &format!("last_over_time({query}[5m])"));
    assert_eq!(all.len(), 1, "{query}: {said}");
    all[0]
}

/// The values of `query` now, and all that Prometheus said.
fn results(net: &Net, query: &str) -> (Vec<f64>, String) {
    let url = "http://127.0.0.1:9090/api/v1/query";
    let said = net.shell(&format!(
        "curl -sS -G {url} --data-urlencode 'query={query}'"
    ));
    let answer: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let results = answer["data"]["result"].as_array();
    let results = results.unwrap_or_else(|| panic!("{said}")).iter();
    let values = results.map(|result| result["value"][1].as_str().unwrap().parse().unwrap());
    (values.collect(), said)
}

#[test]
fn prometheus_takes_native_histograms_whose_quantiles_are_those_of_the_summary() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let _prometheus = prometheus(&net, dir.path(), Some("--enable-feature=native-histograms"));
    let loading = start_load(&net, "--self=ws -c 500 --hold 60s --prometheus 9464");
    loading.wait_for_stderr("holding");
    let give_up = Instant::now() + PATIENCE;
    let counted = "histogram_count(throng_upgrade_seconds)";
    while results(&net, counted).0 != [500.0] {
        assert!(Instant::now() < give_up, "{}", results(&net, counted).1);
        std::thread::sleep(Duration::from_millis(200));
    }
    let quantile = |q: f64| {
        let (all, said) = results(
            &net,
            &format!("histogram_quantile({q}, throng_upgrade_seconds)"),
        );
        assert_eq!(all.len(), 1, "{said}");
        all[0] * 1e6
    };
    let (p50, p99) = (quantile(0.5), quantile(0.99));
    // They are native ones: the classic buckets are in text alone.
    assert!(results(&net, "throng_upgrade_seconds_bucket").0.is_empty());
    let text = net.shell("curl -sSf http://127.0.0.1:9464/metrics");
    assert!(
        text.contains("throng_upgrade_seconds_bucket{le=\"+Inf\"} 500"),
        "{text}"
    );
    loading.signal(rustix::process::Signal::INT);
    let summary = loading.wait(PATIENCE).summary();
    let told = summary.latency.protocols.websocket.upgrade.unwrap();
    // Each is in the bucket of the true value, which is 2.2 % wide.
    for (found, told) in [(p50, told.p50_us), (p99, told.p99_us)] {
        assert!((found / told - 1.0).abs() < 0.023, "{found} {told}");
    }
}

#[test]
fn prometheus_has_the_counts_of_the_summary() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let _prometheus = prometheus(&net, dir.path(), None);
    let loading = start_load(&net, &format!("{LOAD} --prometheus 9464"));
    loading.wait_for_stderr("holding");
    // What is scraped is as the conventions want it: promtool has nothing to say.
    let said =
        net.shell("curl -sSf http://127.0.0.1:9464/metrics | promtool check metrics 2>&1; echo $?");
    assert_eq!(said.trim(), "0", "{said}");
    let ran = loading.wait(PATIENCE);
    let summary = ran.reached();
    for (name, side, count) in counts(&summary) {
        let query = format!("throng_{name}_total{{side=\"{side}\"}}");
        assert_eq!(queried(&net, &query), count as f64, "{query}");
    }
    assert_eq!(
        queried(&net, "throng_connections_open{side=\"opened\"}"),
        50.0
    );
    assert_eq!(queried(&net, "throng_connections_asked"), 50.0);
    assert_eq!(queried(&net, "throng_upgrade_seconds_count"), 50.0);
    assert_eq!(
        queried(&net, "throng_upgrade_seconds_bucket{le=\"+Inf\"}"),
        50.0
    );
    assert_eq!(
        queried(
            &net,
            "throng_connections_failed_total{side=\"opened\",cause=\"refused\"}"
        ),
        0.0
    );
    assert_eq!(queried(&net, "throng_phase{phase=\"opening\"}"), 0.0);
}

#[test]
fn a_port_in_use_is_refused_before_the_run_and_bad_clients_are_nothing_to_it() {
    let net = Net::host();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let ran = run(
        &net,
        &format!("load --self -c 2 --hold 60s --prometheus {at}"),
    );
    assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
    assert!(
        ran.stderr.contains(&format!("--prometheus {at}: Address")),
        "{ran}"
    );
    drop(taken);
    let loading = start_load(&net, &format!("--self -c 20 --hold 3s --prometheus {at}"));
    loading.wait_for_stderr("holding");
    let stalled: Vec<_> = (0..20)
        .filter_map(|_| {
            let mut stream = std::net::TcpStream::connect(at).ok()?;
            stream.write_all(b"GET /metr").ok()?;
            Some(stream)
        })
        .collect();
    assert!(!stalled.is_empty());
    drop(stalled);
    let mut garbage = std::net::TcpStream::connect(at).unwrap();
    let _ = garbage.write_all(&[0x16; 20_000]);
    let _ = garbage.read(&mut [0; 100]);
    loading.wait(PATIENCE).reached();
}

/// What the collector kept in `file`.
fn kept(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("no export: {e}"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_collector_has_the_counts_of_the_summary() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept.json");
    let path = file.to_str().unwrap();
    let _collector = serve_script(&net, "otlp_receiver.py", 4318, &[path]);
    let load = load(
        &net,
        "--self=ws -c 50 --hold 1500ms --otlp http://127.0.0.1:4318",
    );
    let summary = load.reached();
    assert!(!load.stderr.contains("exports"), "{load}");
    let kept = kept(&file);
    assert!(kept["exports"].as_u64().unwrap() >= 2, "{kept:#}");
    assert_eq!(kept["resource"]["service.name"], "throng");
    let metrics = &kept["metrics"];
    for (name, side, count) in counts(&summary) {
        let (name, unit) = match name.strip_suffix("_bytes") {
            Some(name) => (name, "By"),
            None => (name, ""),
        };
        let metric = &metrics[format!("throng.{name}")];
        assert_eq!(
            (&metric["unit"], &metric["kind"]),
            (&unit.into(), &"sum".into()),
            "{name}"
        );
        let value = &metric["values"][format!("side={side}")];
        assert_eq!(value.as_u64(), Some(count), "{name}: {metric:#}");
    }
    // The last export is of the end.
    let elapsed = metrics["throng.elapsed"]["values"][""].as_f64();
    assert!(elapsed > Some(1.4), "{elapsed:?}");
    let upgrades = &metrics["throng.upgrade"]["values"][""];
    assert_eq!(upgrades["count"], 50, "{upgrades}");
    let mean = upgrades["sum"].as_f64().unwrap() / 50.0;
    let told = summary.latency.protocols.websocket.upgrade.unwrap();
    assert!(
        (mean / (told.mean_us / 1e6) - 1.0).abs() < 0.01,
        "{mean} {told:?}"
    );
    // A quantile of the exponential buckets is within one of them, which is 2.2 % wide.
    let median = upgrades["median"].as_f64().unwrap();
    assert!(
        (median / (told.p50_us / 1e6) - 1.0).abs() < 0.023,
        "{median} {told:?}"
    );
}

#[test]
fn a_collector_that_is_not_there_or_slow_is_told_and_does_not_fail_the_run() {
    let net = Net::own();
    let dir = tempfile::tempdir().unwrap();
    let line = "--self -c 5 --hold 4500ms --otlp http://127.0.0.1:4318";
    let load = |of: &str| {
        let began = Instant::now();
        let ran = load(&net, line);
        ran.reached();
        let warned = ran
            .stderr
            .lines()
            .filter(|l| l.contains("don't reach --otlp"));
        assert_eq!(warned.count(), 1, "{of}: {ran}");
        let told = ran
            .stderr
            .lines()
            .filter(|l| l.contains("exports to http://127.0.0.1:4318/v1/metrics failed"));
        assert_eq!(told.count(), 1, "{of}: {ran}");
        assert!(began.elapsed() < Duration::from_secs(25), "{of}: {ran}");
    };
    load("nobody listens");
    let file = dir.path().join("kept.json");
    let _slow = serve_script(
        &net,
        "otlp_receiver.py",
        4318,
        &[file.to_str().unwrap(), "60"],
    );
    load("it never answers");
}

#[test]
fn a_url_that_is_no_collectors_is_refused() {
    for url in ["127.0.0.1:4318", "https://127.0.0.1:4318", "http://"] {
        let ran = run(&Net::host(), &format!("load --self -c 2 --otlp {url}"));
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{ran}");
        assert!(ran.stderr.contains("--otlp"), "{ran}");
    }
}
