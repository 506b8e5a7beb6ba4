//! What a path does to TCP: the views of both ends of a connection, compared.

mod evidence;
mod findings;
#[cfg(test)]
mod tests;

use super::finding::{Finding, Kind};
use super::probed::{Outcome, Probed};
use crate::human::{self, things};
use crate::section::{Row, Section, Tone};
use evidence::median;
pub use evidence::{Evidence, PAYLOAD, SEGMENTS, Segment};
use findings::{cookies, options, payloads, segments, termination, translations};
use serde::Serialize;
use std::net::SocketAddr;

/// What a path does to TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathResult {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(flatten)]
    evidence: Evidence,
}

impl PathResult {
    /// What `evidence` shows.
    pub fn of(evidence: Evidence) -> PathResult {
        let mut findings = Vec::new();
        let e = &evidence;
        match e.is_terminated() {
            true => termination(e, &mut findings),
            false => translations(e, &mut findings),
        }
        if e.taken_over.is_none() {
            let text = "Whether connections end in between is not known: another server answered the question.";
            findings.push(Finding::note(Kind::TerminationUnknown, text));
        }
        options(e, &mut findings);
        if !e.is_terminated() {
            segments(e, &mut findings);
        }
        cookies(e, &mut findings);
        payloads(e, &mut findings);
        let quiet = findings.iter().all(|f| f.kind == Kind::EcnNotAsked);
        if quiet {
            let text = "The two ends see the same connection: no translation, no proxy, no option changed, and \
                        64 KiB pass in both directions.";
            findings.insert(0, Finding::note(Kind::Direct, text));
        }
        PathResult {
            outcome: Outcome::new("path", true, findings),
            evidence,
        }
    }
}

impl Probed for PathResult {
    fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn sections(&self) -> Vec<Section> {
        let e = &self.evidence;
        let plain = |label, value: String, note: String| Row::new(Tone::Plain, label, value, note);
        let micros = |all: &[u64]| human::micros(median(all) as f64);
        let of = |all: &[u64]| format!("median of {}", all.len());
        let path = Section {
            title: "Path",
            rows: vec![
                plain(
                    "source",
                    e.source.to_string(),
                    seen(e.source, e.source_seen),
                ),
                plain(
                    "target",
                    e.target.to_string(),
                    seen(e.target, e.target_seen),
                ),
                plain("connect", micros(&e.connects_us), of(&e.connects_us)),
                plain("first answer", micros(&e.answers_us), of(&e.answers_us)),
            ],
        };
        let bytes = |n: u64| format!("{} B", human::count(n));
        let mut rows = vec![
            plain(
                "MSS to far end",
                bytes(e.near.largest_segment()),
                format!(
                    "announced by the far end: {}",
                    bytes(e.far.announced_segment)
                ),
            ),
            plain(
                "MSS from far end",
                bytes(e.far.largest_segment()),
                format!("announced here: {}", bytes(e.near.announced_segment)),
            ),
        ];
        if e.near.window_scaling && e.far.window_scaling {
            rows.push(plain(
                "window scale",
                format!("{} / {}", e.near.receive_scale, e.far.receive_scale),
                "this end's, the far end's".into(),
            ));
        }
        for option in e.options() {
            let (tone, value) = match (option.asked, option.near, option.far) {
                (_, true, true) => (Tone::Plain, "yes"),
                (false, ..) => (Tone::Plain, "not asked for"),
                (_, true, false) => (Tone::Odd, "here only"),
                (_, false, true) => (Tone::Odd, "there only"),
                (_, false, false) => (Tone::Odd, "no"),
            };
            rows.push(Row::new(tone, option.name, value, ""));
        }
        let tone = if e.by_cookie > 0 {
            Tone::Odd
        } else {
            Tone::Plain
        };
        let note = format!("of {}", things(e.connects_us.len() as u64, "connection"));
        rows.push(Row::new(
            tone,
            "SYN cookies",
            human::count(e.by_cookie),
            note,
        ));
        let options = Section {
            title: "TCP options",
            rows,
        };
        let arrived = |label, yes: bool| match yes {
            true => Row::new(Tone::Plain, label, "arrives", ""),
            false => Row::new(Tone::Bad, label, "vanishes", ""),
        };
        let mut rows = vec![
            arrived("64 KiB to it", e.up),
            arrived("64 KiB from it", e.down),
        ];
        for segment in &e.segments {
            let tone = if segment.up && segment.down {
                Tone::Plain
            } else {
                Tone::Bad
            };
            let value = match (segment.up, segment.down) {
                (true, true) => "arrives",
                (false, false) => "vanishes",
                (true, false) => "vanishes from it",
                (false, true) => "vanishes to it",
            };
            rows.push(Row::new(
                tone,
                "with an MSS of",
                bytes(segment.size.into()),
                value,
            ));
        }
        rows.push(arrived("small after that", e.small));
        let payload = Section {
            title: "Payload",
            rows,
        };
        vec![path, options, payload]
    }
}

fn seen(here: SocketAddr, there: SocketAddr) -> String {
    match here == there {
        true => "the same at the far end".into(),
        false => format!("{there} at the far end"),
    }
}
