//! The run second by second.

use crate::record::{BASE, Interval, Part, Record};
use crate::stats::{Durations, Measured, PackedDurations, Tally};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An interval of the run: a second, or more of a long one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// End of the interval, in seconds since the run began.
    pub at_s: f64,
    /// Connections open then.
    pub open: u64,
    /// Connections established in it, per second.
    pub established_per_s: f64,
    /// Attempts that failed in it, per second.
    pub failed_per_s: f64,
    /// Messages sent in it, per second (server: reads).
    pub messages_per_s: f64,
    /// Bytes sent in it, per second.
    pub sent_per_s: f64,
    /// Bytes received in it, per second.
    pub received_per_s: f64,
    /// Median latency of messages in it, microseconds; `None` if none was measured.
    pub latency_p50_us: Option<f64>,
    /// Their 99th percentile.
    pub latency_p99_us: Option<f64>,
    /// The longest.
    pub latency_max_us: Option<f64>,
}

/// The run in `record`, interval by interval. Several sources are put into common intervals, as wide as the widest of
/// theirs. The counts of a source's interval are spread evenly over it.
pub(super) fn of(record: &Record) -> Vec<Sample> {
    if let Some(part) = record.single() {
        let samples = part.intervals.iter().map(|interval| {
            let (mut cell, open) = (Cell::default(), reading(part, interval).1);
            cell.add(part, interval, 1.0);
            cell.add_latency(interval);
            cell.sample(interval.to.as_secs_f64(), interval.length(), open)
        });
        return samples.collect();
    }
    together(record)
}

/// Several sources in common intervals.
fn together(record: &Record) -> Vec<Sample> {
    let origin = record.started_unix_s();
    let all = || record.sources.values().flat_map(|p| p.intervals.iter());
    let widest = all().map(|i| i.width).max().unwrap_or(1);
    let width = BASE.as_secs_f64() * f64::from(widest);
    let mut cells: Vec<Cell> = Vec::new();
    let mut opens: Vec<u64> = Vec::new();
    for part in record.sources.values() {
        let start = part.about.started_unix_s - origin;
        let mut ends: Vec<(f64, u64)> = Vec::new();
        for interval in part.intervals.iter() {
            let from = start + interval.from.as_secs_f64();
            let to = start + interval.to.as_secs_f64();
            let (first, last) = ((from / width) as usize, (to / width) as usize);
            if cells.len() <= last {
                cells.resize_with(last + 1, Cell::default);
                opens.resize(last + 1, 0);
            }
            for (number, cell) in cells.iter_mut().enumerate().take(last + 1).skip(first) {
                let begins = number as f64 * width;
                let inside = to.min(begins + width) - from.max(begins);
                let share = if to > from { inside / (to - from) } else { 1.0 };
                cell.add(part, interval, share.max(0.0));
            }
            let middle = ((from + to) / 2.0 / width) as usize;
            cells[middle].add_latency(interval);
            ends.push((to, reading(part, interval).1));
        }
        // At the end of a common interval: the source's latest count, unless it is over.
        for (number, open) in opens.iter_mut().enumerate() {
            let at = (number + 1) as f64 * width;
            let next = ends.partition_point(|(to, _)| *to <= at);
            if next < ends.len() && next > 0 {
                *open += ends[next - 1].1.min(ends[next].1);
            } else if next == ends.len() && next > 0 && at - ends[next - 1].0 < width {
                *open += ends[next - 1].1;
            }
        }
    }
    let cells = cells.iter().zip(opens).enumerate();
    cells
        .map(|(number, (cell, open))| {
            let at_s = (number + 1) as f64 * width;
            cell.sample(at_s, Duration::from_secs_f64(width), open)
        })
        .collect()
}

/// The counts of `interval` on the connections that `part` is about, and how many were open at its end.
fn reading(part: &Part, interval: &Interval) -> (Tally, u64) {
    let reading = part.subject(interval);
    reading.map_or_else(Default::default, |r| (r.counts, r.open))
}

/// What happened in a sample's interval.
#[derive(Default)]
struct Cell {
    established: f64,
    failed: f64,
    messages: f64,
    sent: f64,
    received: f64,
    measured: Measured,
}

impl Cell {
    /// Adds this share of an interval's counts.
    fn add(&mut self, part: &Part, interval: &Interval, share: f64) {
        let (counts, _) = reading(part, interval);
        let of = |n: u64| n as f64 * share;
        self.established += of(counts.established + counts.accepted);
        self.failed += of(counts.failed_in_all());
        self.messages += of(match counts.messages_sent {
            0 => counts.reads,
            sent => sent,
        });
        self.sent += of(counts.bytes_sent);
        self.received += of(counts.bytes_received);
    }

    /// Adds an interval's latencies of messages.
    fn add_latency(&mut self, interval: &Interval) {
        let packed = |name: &str| interval.histograms.get(name).map(PackedDurations::unpack);
        for name in ["response", "service", "marked"] {
            if let (Some(all), Some(more)) = (self.measured.by_name(name), packed(name)) {
                all.merge(&more);
            }
        }
    }

    fn sample(&self, at_s: f64, length: Duration, open: u64) -> Sample {
        let seconds = length.as_secs_f64().max(1e-9);
        let measured = &self.measured;
        let latency = [&measured.response, &measured.service, &measured.marked];
        let none = Durations::default();
        let latency = latency.into_iter().find(|d| d.count() > 0).unwrap_or(&none);
        let at = |percent| Some(latency.percentile(percent)?.as_nanos() as f64 / 1e3);
        Sample {
            at_s,
            open,
            established_per_s: self.established / seconds,
            failed_per_s: self.failed / seconds,
            messages_per_s: self.messages / seconds,
            sent_per_s: self.sent / seconds,
            received_per_s: self.received / seconds,
            latency_p50_us: at(50.0),
            latency_p99_us: at(99.0),
            latency_max_us: at(100.0),
        }
    }
}
