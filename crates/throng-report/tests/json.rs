//! The JSON form, and that docs/summary.md describes all of it.

mod samples;

use serde::Serialize;
use serde_json::Value;
use std::sync::LazyLock;
use throng_core::pacing::{Ending, Limit};
use throng_core::protocol::http::{Failed, Malformed, Redirect};
use throng_core::protocol::mqtt;
use throng_core::protocol::tls::TlsFailure;
use throng_core::protocol::websocket::Violation;
use throng_core::record::Source;
use throng_core::stats::FailCause;
use throng_core::summary::{LatencyOf, Summary};
use throng_report::json::{Outcome, read_record, write_json};

const DOC: &str = include_str!("../../../docs/summary.md");

/// The schema that docs/summary.schema.json is.
static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../../../docs/summary.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

/// Fails with each place at which `json` violates the schema.
#[track_caller]
fn assert_as_the_schema_says(json: &str) {
    let value: Value = serde_json::from_str(json).unwrap();
    let errors: Vec<String> = SCHEMA
        .iter_errors(&value)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

fn json(summary: &Summary) -> String {
    outcome_json(&Outcome {
        summary: summary.clone(),
        record: samples::record(),
    })
}

fn outcome_json(outcome: &Outcome) -> String {
    let mut out = Vec::new();
    write_json(outcome, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_summary_survives_json() {
    for summary in samples::all() {
        let text = json(&summary);
        assert!(text.starts_with("{\n") && text.ends_with("}\n"));
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
        assert_as_the_schema_says(&text);
        assert_eq!(read_record(text.as_bytes()).unwrap(), samples::record());
    }
}

#[test]
fn what_is_summed_up_of_a_record_is_as_the_schema_says() {
    let record = samples::record();
    let outcome = Outcome::of(record.clone());
    assert_as_the_schema_says(&outcome_json(&outcome));
    assert_eq!(outcome.summary.connections.established, 2000);
    // Several sources, one of them lost.
    let mut other = record.clone();
    let mut part = other.sources.pop_first().unwrap().1;
    part.ending = None;
    other.sources.insert(Source::new("another"), part);
    let merged = Outcome::of(record.merge(other).unwrap());
    assert_as_the_schema_says(&outcome_json(&merged));
    let lost = merged.summary.findings.iter();
    assert_eq!(lost.filter(|f| f.kind() == "source_lost").count(), 1);
    assert_eq!(merged.summary.connections.established, 4000);
}

#[test]
fn every_kind_of_finding_is_documented_and_as_the_schema_says() {
    for finding in samples::findings() {
        let mut summary = samples::perfect();
        summary.findings = vec![finding.clone()];
        let text = json(&summary);
        assert_as_the_schema_says(&text);
        let read: Summary = serde_json::from_str(&text).unwrap();
        assert_eq!(read.findings, summary.findings);
        let value: Value = serde_json::from_str(&text).unwrap();
        let written = &value["findings"][0];
        assert_eq!(written["kind"], finding.kind());
        assert_eq!(written["text"], finding.to_string());
        assert!(
            DOC.contains(&format!("| `{}` |", finding.kind())),
            "{finding:?}"
        );
        if let Some(why) = written.get("why") {
            assert!(
                DOC.contains(&format!("| `{}` |", why.as_str().unwrap())),
                "{why}"
            );
        }
    }
}

#[test]
fn what_is_not_the_result_of_a_run_is_refused_in_one_line() {
    for (text, why) in [
        ("", "cut off"),
        ("[]", "no version"),
        ("{\"version\": 1}", "version 1"),
        ("{\"version\": 2}", "no record"),
        (
            "{\"version\": 2, \"record\": {\"version\": 2, \"sources\": 7}}",
            "invalid type",
        ),
    ] {
        let error = read_record(text.as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains(why) && !error.contains('\n'),
            "{text}: {error}"
        );
    }
}

/// The keys of `value` and below, as docs/summary.md writes them. Percentiles and all traffic have a table of
/// their own there; the keys of `failed` and `violations` are causes and kinds.
fn keys(prefix: &str, value: &Value, all: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                let path = match map.contains_key("p50_us") {
                    true => key.clone(),
                    false => format!("{prefix}{key}"),
                };
                let prefix = match key.as_str() {
                    "server_traffic" | "traffic" | "accepted_traffic" => "traffic.".to_owned(),
                    _ => format!("{path}."),
                };
                // Keys of these are causes, kinds, names of sources.
                let named = [
                    "failed",
                    "closed",
                    "violations",
                    "refused",
                    "closes",
                    "subprotocols",
                    "status",
                    "malformed",
                    "redirects",
                    "sent",
                    "received",
                    "connack",
                    "suback",
                    "acks",
                    "disconnects",
                    "errors",
                    "record",
                    "findings",
                    "environment",
                ];
                if !named.contains(&key.as_str()) {
                    keys(&prefix, below, all);
                }
                all.push(path);
            }
        }
        Value::Array(items) => {
            let prefix = format!("{}[].", prefix.trim_end_matches('.'));
            items.iter().for_each(|item| keys(&prefix, item, all));
        }
        _ => {}
    }
}

fn name(kind: impl Serialize) -> String {
    let name = serde_json::to_value(kind).unwrap();
    name.as_str().unwrap().to_owned()
}

#[test]
fn every_key_is_documented() {
    let full = serde_json::to_value(samples::full()).unwrap();
    let mut all = Vec::new();
    keys("", &full, &mut all);
    all.push("record".into());
    assert!(all.iter().any(|k| k == "over_time[].at_s") && all.iter().any(|k| k == "p999_us"));
    all.extend(FailCause::ALL.map(name));
    all.extend(TlsFailure::ALL.map(name));
    all.extend(Violation::ALL.map(name));
    all.extend(
        [
            LatencyOf::Connect,
            LatencyOf::FirstByte,
            LatencyOf::Message,
            LatencyOf::Pong,
        ]
        .map(name),
    );
    all.extend(Failed::ALL.map(name));
    all.extend(Malformed::ALL.map(name));
    all.extend(Redirect::ALL.map(name));
    all.extend(mqtt::Violation::ALL.map(name));
    all.extend(mqtt::Reason::ALL.map(name));
    all.extend(
        [
            Limit::Latency,
            Limit::Sending,
            Limit::Answers,
            Limit::Unwanted,
            Limit::Connections,
            Limit::Failures,
        ]
        .map(name),
    );
    all.extend(
        [
            Ending::Found,
            Ending::NeverBroke,
            Ending::AlwaysBroke,
            Ending::NotRecovered,
            Ending::Unsure,
            Ending::Unfinished,
        ]
        .map(name),
    );
    for key in all {
        assert!(DOC.contains(&format!("| `{key}` |")), "{key} is missing");
    }
}

#[test]
fn the_example_in_the_documentation_is_what_is_written() {
    let (_, rest) = DOC.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let written = json(&samples::full());
    let file = concat!(env!("CARGO_TARGET_TMPDIR"), "/summary-example.json");
    std::fs::write(file, &written).unwrap();
    assert!(
        example == written,
        "docs/summary.md should have the contents of {file}"
    );
    assert_as_the_schema_says(example);
}

#[test]
fn the_documented_sums_hold_for_the_samples() {
    for s in [
        samples::perfect(),
        samples::shortfall(),
        samples::interrupted(),
        samples::serve(),
        samples::proxy(),
        samples::busy(),
        samples::searched(),
        samples::full(),
    ] {
        let c = &s.connections;
        let failed: u64 = c.failed.values().sum();
        assert!(c.attempted >= c.established + failed);
        let ended = c.closed_by_peer
            + c.reset_by_peer
            + c.timed_out
            + c.lost_by_error
            + c.closed_by_us
            + c.unknown;
        let came_up = match s.role.as_str() {
            "serve" => c.accepted.unwrap(),
            "proxy" => c.accepted.unwrap() + c.established,
            _ => c.established,
        };
        assert!(c.closed_by_us >= c.open_at_end);
        assert_eq!(came_up, ended, "{}", s.role);
        if let Some(tls) = &s.tls {
            let failed: u64 = tls.failed.values().sum();
            assert!(tls.handshakes + failed - tls.broken <= came_up);
            assert!(tls.resumed <= tls.handshakes);
        }
        if let Some(websocket) = &s.protocols.websocket {
            assert!(websocket.upgraded <= came_up);
        }
    }
}

#[test]
fn a_plan_survives_json_and_its_fields_are_described() {
    use throng_core::capacity::{Capacity, Question, Role, capacity};
    let question = Question {
        connections: Some(1_000_000),
        per_client: Some(25_000),
        proxies: Some(2),
        ..Question::of(Role::Client)
    };
    let plan = capacity(&question, &throng_core::host::Host::default());
    let mut out = Vec::new();
    write_json(&plan, &mut out).unwrap();
    assert_eq!(serde_json::from_slice::<Capacity>(&out).unwrap(), plan);
    let doc = include_str!("../../../docs/plan.md");
    let value: Value = serde_json::from_slice(&out).unwrap();
    let top = value.as_object().unwrap();
    let row = value["limits"][0].as_object().unwrap();
    let inner = ["bytes", "clients", "proxies", "question"];
    let inner = inner.iter().flat_map(|k| value[k].as_object().unwrap());
    for (key, _) in top.iter().chain(row).chain(inner) {
        assert!(doc.contains(&format!("`{key}`")), "{key} is not described");
    }
}
