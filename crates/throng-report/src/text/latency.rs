//! Latencies.

use super::section::Section;
use crate::human;
use throng_core::summary::{Latency, LatencyAt, LatencyOf, MessageRate, SetUp, Summary};

/// The percentiles in the table, as users write them.
const IN_TABLE: [&str; 6] = ["50", "90", "99", "99.9", "100", "max"];

/// All latencies in one table, then the requested percentiles that the table does not have.
pub(super) fn latency(summary: &Summary) -> Section {
    let mut all = Section::titled("Latency");
    let (rate, set_up) = (summary.message_rate.as_ref(), summary.set_up.as_ref());
    let tls = summary.tls.as_ref();
    let l = &summary.latency;
    // First what a user notices, then its parts.
    for (label, percentiles) in [
        ("response", l.response),
        ("service", l.service),
        (
            "message lateness",
            rate.and_then(|r: &MessageRate| r.lateness),
        ),
        ("message age", l.marked),
        ("pong", l.pong),
        ("first byte", l.first_byte),
        ("upgrade", l.upgrade),
        ("TLS handshake", tls.and_then(|t| t.latency)),
        ("connect", set_up.and_then(|s: &SetUp| s.latency)),
    ] {
        let Some(p) = percentiles else { continue };
        if all.is_empty() {
            all.table("", ["p50", "p90", "p99", "p99.9", "max"].map(String::from));
        }
        let columns = [
            ("p50_us", p.p50_us),
            ("p90_us", p.p90_us),
            ("p99_us", p.p99_us),
            ("p999_us", p.p999_us),
            ("max_us", p.max_us),
        ];
        all.table(
            label,
            columns.map(|(name, us)| micros(us, p.at_least.contains(name))),
        );
    }
    for asked in &summary.latencies {
        asked_for(asked, l, &mut all);
    }
    all
}

/// Microseconds, or more than that.
fn micros(us: f64, at_least: bool) -> String {
    let bound = if at_least { "> " } else { "" };
    format!("{bound}{}", human::micros(us))
}

fn asked_for(latency: &LatencyAt, measured: &Latency, all: &mut Section) {
    let beyond = |p: &str| !IN_TABLE.contains(&p);
    let parts: Vec<String> = latency
        .at
        .iter()
        .filter(|at| beyond(&at.percentile))
        .filter_map(|at| {
            Some(format!(
                "p{} {}",
                at.percentile,
                micros(at.us?, at.at_least)
            ))
        })
        .collect();
    if parts.is_empty() {
        return;
    }
    let label = match latency.of {
        LatencyOf::Connect => "connect",
        LatencyOf::FirstByte => "first byte",
        LatencyOf::Message if measured.response.is_some() => "response",
        LatencyOf::Message if measured.service.is_some() => "service",
        LatencyOf::Message => "message age",
        LatencyOf::Pong => "pong",
    };
    all.prose(label, &parts.join(", "));
}
