//! The names of metrics, and what relies on them.

use regex::Regex;
use std::collections::BTreeSet;
use std::time::Duration;
use throng_core::expect::latencies;
use throng_core::metrics::{Kind, Metric, Metrics};
use throng_core::observer::{Counts, Interval};
use throng_core::record::{Phase, WatchedReading};
use throng_core::stats::Tally;
use throng_report::prometheus::name;

/// Every metric that any run may have.
fn all() -> Vec<Metric> {
    let names: Vec<String> = Tally::default().named().map(|(name, _)| name).collect();
    let now = Tally::from_named(names.iter().map(|name| (name, 1))).unwrap();
    let counts = Some(Counts { now, recent: now });
    Metrics::of(latencies(), Vec::new()).after(&Interval {
        from: Duration::ZERO,
        to: Duration::from_secs(1),
        phase: Phase::Holding,
        asked: Some(1),
        peak: 1,
        left: None,
        dialled_per_s: Some(1.0),
        watched: Some(WatchedReading::default()),
        opened: counts,
        accepted: counts,
        measured: None,
    })
}

#[test]
fn each_name_is_that_of_one_metric() {
    let mut names = BTreeSet::new();
    for metric in all() {
        assert!(names.insert(name(&metric)), "{metric:?}");
    }
    for known in [
        "throng_connections_established_total",
        "throng_sent_bytes_total",
        "throng_http_head_bytes_total",
        "throng_response_seconds",
        "throng_elapsed_seconds",
        "throng_connections_open",
    ] {
        assert!(names.contains(known), "no {known}: {names:#?}");
    }
}

/// The names in `text` that no metric has.
fn unknown(text: &str) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for metric in all() {
        let name = name(&metric);
        if metric.kind == Kind::Histogram {
            known.extend(["bucket", "sum", "count"].map(|end| format!("{name}_{end}")));
        }
        known.insert(name);
    }
    let names = Regex::new(r"throng_[a-z0-9_]+").unwrap();
    let found = names.find_iter(text).map(|found| found.as_str().to_owned());
    found.filter(|name| !known.contains(name)).collect()
}

#[test]
fn the_dashboard_and_the_documentation_name_metrics_that_there_are() {
    let dashboard = include_str!("../../../deploy/grafana/throng.json");
    let parsed: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let panels = parsed["panels"].as_array().unwrap();
    assert!(panels.len() > 10);
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            assert!(expr.contains("throng_"), "{expr}");
        }
    }
    assert_eq!(unknown(dashboard), BTreeSet::new());
    let page = include_str!("../../../docs/outputs.md");
    assert!(page.contains("throng_connections_established_total"));
    assert_eq!(unknown(page), BTreeSet::new());
    assert_eq!(unknown("rate(throng_no_such_total[1m])").len(), 1);
}
