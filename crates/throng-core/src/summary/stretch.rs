//! The run in stretches of time, over all sources: what reports draw against time.

use crate::record::{BASE, Interval, Part, Record};
use crate::stats::{Durations, PackedDurations, Tally};
use std::collections::BTreeMap;

/// A stretch below this share of the one before was cut short. Intervals end a little later than they should.
const CUT: f64 = 0.9;

/// What happened in a stretch of the run: a second, or more of a long one. Counts are those of the side that the run is
/// about.
#[derive(Clone, Debug, Default)]
pub struct Stretch<'r> {
    /// When it began, in seconds since the first source began.
    pub from_s: f64,
    /// When it ended.
    pub to_s: f64,
    /// Connections open at its end.
    pub open: u64,
    /// Whole messages sent; where none were, reads that returned bytes.
    pub messages: f64,
    counts: BTreeMap<String, f64>,
    intervals: Vec<&'r Interval>,
}

impl Stretch<'_> {
    /// How much was counted in it by the count of this name ([`Tally::named`]).
    pub fn counted(&self, name: &str) -> f64 {
        self.counts.get(name).copied().unwrap_or(0.0)
    }

    /// The names of the counts that counted anything in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    /// `amount` per second of it.
    pub fn per_s(&self, amount: f64) -> f64 {
        amount / (self.to_s - self.from_s).max(1e-9)
    }

    /// What was measured in it by this name ([`Measured`](crate::stats::Measured)).
    pub fn durations(&self, name: &str) -> Durations {
        let mut all = Durations::default();
        let packed = self.intervals.iter().filter_map(|i| i.histograms.get(name));
        for one in packed.map(PackedDurations::unpack) {
            all.absorb(one);
        }
        all
    }

    /// Adds this share of an interval's counts.
    fn add(&mut self, part: &Part, interval: &Interval, share: f64) {
        let (counts, _) = reading(part, interval);
        let of = |n: u64| n as f64 * share;
        self.messages += of(match counts.messages_sent {
            0 => counts.reads,
            sent => sent,
        });
        for (name, n) in counts.named().filter(|(_, n)| *n > 0) {
            *self.counts.entry(name).or_default() += of(n);
        }
    }
}

/// The stretches of the run in `record`, in the order of time. Several sources are put into common stretches, as wide as the
/// widest of their intervals, by their own clocks. The counts of a source's interval are spread evenly over it; what was
/// measured in it is where its middle is.
pub fn stretches(record: &Record) -> Vec<Stretch<'_>> {
    if let Some(part) = record.single() {
        let stretches = part.intervals.iter().map(|interval| {
            let mut stretch = Stretch {
                from_s: interval.from.as_secs_f64(),
                to_s: interval.to.as_secs_f64(),
                open: reading(part, interval).1,
                intervals: vec![interval],
                ..Stretch::default()
            };
            stretch.add(part, interval, 1.0);
            stretch
        });
        return stretches.collect();
    }
    together(record)
}

/// Several sources in common stretches.
fn together(record: &Record) -> Vec<Stretch<'_>> {
    let origin = record.started_unix_s();
    let all = || record.sources.values().flat_map(|p| p.intervals.iter());
    let widest = all().map(|i| i.width).max().unwrap_or(1);
    let width = BASE.as_secs_f64() * f64::from(widest);
    let mut stretches: Vec<Stretch> = Vec::new();
    for part in record.sources.values() {
        let start = part.about.started_unix_s - origin;
        let mut ends: Vec<(f64, u64)> = Vec::new();
        for interval in part.intervals.iter() {
            let from = start + interval.from.as_secs_f64();
            let to = start + interval.to.as_secs_f64();
            let (first, last) = ((from / width) as usize, (to / width) as usize);
            if stretches.len() <= last {
                stretches.resize_with(last + 1, Stretch::default);
            }
            for (number, stretch) in stretches.iter_mut().enumerate().take(last + 1).skip(first) {
                let begins = number as f64 * width;
                let inside = to.min(begins + width) - from.max(begins);
                let share = if to > from { inside / (to - from) } else { 1.0 };
                stretch.add(part, interval, share.max(0.0));
            }
            let middle = ((from + to) / 2.0 / width) as usize;
            stretches[middle].intervals.push(interval);
            ends.push((to, reading(part, interval).1));
        }
        // At the end of a common stretch: the source's latest count, unless it is over.
        for (number, stretch) in stretches.iter_mut().enumerate() {
            let at = (number + 1) as f64 * width;
            let next = ends.partition_point(|(to, _)| *to <= at);
            if next < ends.len() && next > 0 {
                stretch.open += ends[next - 1].1.min(ends[next].1);
            } else if next == ends.len() && next > 0 && at - ends[next - 1].0 < width {
                stretch.open += ends[next - 1].1;
            }
        }
    }
    let over = record.sources.values().flat_map(|part| {
        let start = part.about.started_unix_s - origin;
        let ends = part.intervals.iter().map(|interval| interval.to);
        ends.max().map(|to| start + to.as_secs_f64())
    });
    let over = over.fold(0.0, f64::max);
    for (number, stretch) in stretches.iter_mut().enumerate() {
        stretch.from_s = number as f64 * width;
        // The last one is as long as there was a source in it.
        stretch.to_s = ((number + 1) as f64 * width).min(over.max(stretch.from_s));
    }
    stretches
}

/// `run` without its last stretch, if that is shorter than the one before: the run ended in it, so that its rates are those of the
/// end, and would look like a fall before it.
pub fn complete<'s, 'r>(run: &'s [Stretch<'r>]) -> &'s [Stretch<'r>] {
    match run {
        [whole @ .., before, last] if is_cut(before, last) => &run[..whole.len() + 1],
        _ => run,
    }
}

fn is_cut(before: &Stretch, last: &Stretch) -> bool {
    let length = |stretch: &Stretch| stretch.to_s - stretch.from_s;
    length(last) < CUT * length(before)
}

/// The counts of `interval` on the connections that `part` is about, and how many were open at its end.
fn reading(part: &Part, interval: &Interval) -> (Tally, u64) {
    let reading = part.subject(interval);
    reading.map_or_else(Default::default, |r| (r.counts, r.open))
}

/// How many connections were open at each instant at which that is known: the beginning, the ends of all stretches of `run`
/// and, of a single source, the marks of its ending.
pub fn open_at(record: &Record, run: &[Stretch]) -> Vec<(f64, u64)> {
    let mut known = vec![(0.0, 0)];
    known.extend(run.iter().map(|stretch| (stretch.to_s, stretch.open)));
    if let Some(part) = record.single() {
        let marks = part.ending.iter().flat_map(|e| [e.opened, e.held]);
        known.extend(marks.flatten().map(|mark| {
            let open = match part.is_about_accepted() {
                true => mark.accepted.map_or(0, |tally| tally.open()),
                false => mark.opened.open(),
            };
            (mark.at.as_secs_f64(), open)
        }));
    }
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    known.dedup_by_key(|(at, _)| *at);
    known
}

/// From when to when all sources held all their connections, in seconds since the first source began; `None` if there was
/// no such time.
pub fn held(record: &Record) -> Option<(f64, f64)> {
    let origin = record.started_unix_s();
    let mut all: Option<(f64, f64)> = None;
    for part in record.sources.values() {
        let ending = part.ending.as_ref()?;
        let start = part.about.started_unix_s - origin;
        let at = |since: std::time::Duration| start + since.as_secs_f64();
        let (from, to) = (at(ending.opened?.at), at(ending.held?.at));
        let (first, last) = all.unwrap_or((from, to));
        all = Some((first.max(from), last.min(to)));
    }
    all.filter(|(from, to)| from < to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_stretch_that_was_cut_short_is_not_complete() {
        let run = |lengths: &[f64]| -> Vec<Stretch> {
            let mut at = 0.0;
            let stretches = lengths.iter().map(|length| {
                let from_s = at;
                at += length;
                Stretch {
                    from_s,
                    to_s: at,
                    ..Stretch::default()
                }
            });
            stretches.collect()
        };
        for (lengths, kept) in [
            (&[][..], 0),
            (&[0.3], 1),
            (&[1.0, 0.3], 1),
            (&[1.02, 0.98, 1.0], 3),
            (&[1.0, 1.0, 0.02], 2),
            (&[2.0, 2.0, 1.1], 2),
        ] {
            assert_eq!(complete(&run(lengths)).len(), kept, "{lengths:?}");
        }
    }
}
