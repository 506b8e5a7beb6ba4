//! Sources that were lost, and agents that measured something else than the others.

use crate::record::{Part, Record, Source};
use crate::summary::{Finding, Percentiles};

/// This many times the median of all agents is an outlier, if it is also this many microseconds more.
const OUTLIER: f64 = 3.0;
const AT_LEAST_US: f64 = 1000.0;
/// With fewer agents the median says nothing.
const FEWEST: usize = 3;

/// The findings that sources were lost, with what they had when they were last heard of.
pub(super) fn lost(record: &Record) -> impl Iterator<Item = Finding> {
    let all = record.sources.iter();
    all.filter(|(_, part)| part.ending.is_none())
        .map(|(name, part)| was_lost(name, part))
}

fn was_lost(name: &Source, part: &Part) -> Finding {
    let last = part.intervals.iter().next_back();
    let reading = last.and_then(|interval| part.subject(interval));
    let seconds = last.map_or(0.0, |interval| interval.length().as_secs_f64());
    let sent = reading.map_or(0, |reading| reading.counts.messages_sent) as f64;
    Finding::SourceLost {
        source: part.about.agent.clone().unwrap_or_else(|| name.to_string()),
        seconds: part.over().as_secs_f64(),
        connections: reading.map_or(0, |reading| reading.open),
        messages_per_s: if seconds > 0.0 { sent / seconds } else { 0.0 },
    }
}

/// The agents whose latencies are far above those of the others.
pub(super) fn outliers(record: &Record) -> Vec<Finding> {
    let of_agent = |part: &Part| {
        let agent = part.about.agent.clone()?;
        Some((agent, Percentiles::of_messages(part)?.p99_us))
    };
    let all: Vec<(String, f64)> = record.sources.values().filter_map(of_agent).collect();
    if all.len() < FEWEST {
        return Vec::new();
    }
    let mut p99s: Vec<f64> = all.iter().map(|(_, p99_us)| *p99_us).collect();
    p99s.sort_by(f64::total_cmp);
    let median_us = p99s[p99s.len() / 2];
    let far = |p99_us: f64| p99_us > OUTLIER * median_us && p99_us > median_us + AT_LEAST_US;
    all.into_iter()
        .filter(|(_, p99_us)| far(*p99_us))
        .map(|(agent, p99_us)| Finding::AgentDiffers {
            agent,
            p99_us,
            median_us,
        })
        .collect()
}
