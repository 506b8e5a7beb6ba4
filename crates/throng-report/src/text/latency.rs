//! How long things took.

use super::section::Section;
use crate::human;
use throng_core::summary::{LatencyAt, LatencyOf, MessageRate, SetUp, Summary, TlsSummary};

/// The percentiles that the table has, as one may write them.
const IN_TABLE: [&str; 6] = ["50", "90", "99", "99.9", "100", "max"];

/// Everything that has percentiles, in one table; then those percentiles that were asked for beyond it.
pub(super) fn latency(summary: &Summary) -> Section {
    let mut all = Section::titled("Latency");
    let (rate, set_up) = (summary.message_rate.as_ref(), summary.set_up.as_ref());
    let tls = summary.tls.as_ref();
    let l = &summary.latency;
    // What a user feels first; what it is made of below it.
    for (label, percentiles) in [
        ("response", l.response),
        ("service", l.service),
        (
            "message lateness",
            rate.and_then(|r: &MessageRate| r.lateness),
        ),
        ("message age", l.marked),
        ("first byte", l.first_byte),
        ("TLS handshake", tls.and_then(|t: &TlsSummary| t.latency)),
        ("connect", set_up.and_then(|s: &SetUp| s.latency)),
    ] {
        let Some(p) = percentiles else { continue };
        if all.is_empty() {
            all.table("", ["p50", "p90", "p99", "p99.9", "max"].map(String::from));
        }
        let columns = [p.p50_us, p.p90_us, p.p99_us, p.p999_us, p.max_us];
        all.table(label, columns.map(human::micros));
    }
    for asked in &summary.latencies {
        asked_for(asked, &mut all);
    }
    all
}

fn asked_for(latency: &LatencyAt, all: &mut Section) {
    let beyond = |p: &str| !IN_TABLE.contains(&p);
    let parts: Vec<String> = latency
        .at
        .iter()
        .filter(|at| beyond(&at.percentile))
        .filter_map(|at| Some(format!("p{} {}", at.percentile, human::micros(at.us?))))
        .collect();
    if parts.is_empty() {
        return;
    }
    let label = match latency.of {
        LatencyOf::Connect => "connect at",
        LatencyOf::FirstByte => "first byte at",
        LatencyOf::Message => "message at",
    };
    all.prose(label, &parts.join(", "));
}
